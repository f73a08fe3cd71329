//! Makes keys and certificates, and keeps them in files.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Identity, PkiError, read};

const DAY: i64 = 24 * 3600;
/// A certificate is made anew when it is valid for less than this.
const RENEW_BEFORE: i64 = 30 * DAY;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Serving.
    Server,
    /// Calling.
    Client,
}

/// A certificate that is wanted.
pub struct Request<'a> {
    /// The files' name without its ending.
    pub stem: &'a str,
    /// The subject's CN.
    pub common_name: &'a str,
    /// The subject's O.
    pub organization: Option<&'a str>,
    /// DNS names and addresses.
    pub names: Vec<String>,
    /// What it is for.
    pub purpose: Purpose,
}

/// Makes a directory that only its owner can enter.
pub fn private_dir(path: &Path) -> Result<(), PkiError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| PkiError::Io { path: path.to_owned(), source })
}

/// Writes a file that only its owner can read, all or nothing: a reader never sees half of it.
pub fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    let io = |source| PkiError::Io { path: path.to_owned(), source };
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    std::fs::rename(&temporary, path).map_err(io)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The moments between which a new certificate is valid. It begins a little in the past, for clocks that are behind.
fn validity(params: &mut CertificateParams, days: i64) {
    let at = |second: i64| {
        let zoned = jiff::Timestamp::from_second(second).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        rcgen::date_time_ymd(
            i32::from(zoned.year()),
            u8::try_from(zoned.month()).unwrap_or(1),
            u8::try_from(zoned.day()).unwrap_or(1),
        )
    };
    params.not_before = at(now() - DAY);
    params.not_after = at(now() + days * DAY);
}

/// What is wrong with a stored certificate for a purpose, if anything: it is about to expire, or it lacks names.
fn usable(certificate: &CertificateDer<'_>, request: &Request<'_>, issuer: &[u8]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    if parsed.validity().not_after.timestamp() < now() + RENEW_BEFORE || parsed.issuer().as_raw() != issuer {
        return false;
    }
    let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let Ok(names) = parsed.subject_alternative_name() else { return false };
    let have: Vec<String> = names
        .map(|extension| extension.value.general_names.iter())
        .into_iter()
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|raw| std::net::Ipv4Addr::from(raw).to_string()),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(|raw| std::net::Ipv6Addr::from(raw).to_string()),
            },
            _ => None,
        })
        .collect();
    common_name == Some(request.common_name) && request.names.iter().all(|name| have.contains(name))
}

/// A certificate authority.
pub struct Authority {
    certificate_pem: String,
    subject: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Loads `<stem>.crt` and `<stem>.key`, or makes them.
    pub fn open(dir: &Path, stem: &str, common_name: &str) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (dir.join(format!("{stem}.crt")), dir.join(format!("{stem}.key")));
        let malformed = |why: String| PkiError::Malformed { path: certificate_path.clone(), why };
        let (certificate_pem, key) = if certificate_path.exists() && key_path.exists() {
            let key = KeyPair::from_pem(&read(&key_path)?)
                .map_err(|error| PkiError::Malformed { path: key_path.clone(), why: error.to_string() })?;
            (read(&certificate_path)?, key)
        } else {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, common_name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages =
                vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            validity(&mut params, 3650);
            let pem = params.self_signed(&key)?.pem();
            write_private(&key_path, &key.serialize_pem())?;
            write_private(&certificate_path, &pem)?;
            (pem, key)
        };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|e| malformed(e.to_string()))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| malformed(error.to_string()))?;
        let subject = parsed.subject().as_raw().to_vec();
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Self { certificate_pem, subject, issuer })
    }

    /// The CA's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Loads a certificate and its key, or makes them if they are missing, about to expire or made for something else.
    pub fn identity(&self, dir: &Path, request: &Request<'_>) -> Result<Identity, PkiError> {
        let certificate_path = dir.join(format!("{}.crt", request.stem));
        let key_path = dir.join(format!("{}.key", request.stem));
        if certificate_path.exists() && key_path.exists() {
            let identity = Identity::from_pem(read(&certificate_path)?, read(&key_path)?)
                .map_err(|why| PkiError::Malformed { path: certificate_path.clone(), why })?;
            if identity.chain.first().is_some_and(|leaf| usable(leaf, request, &self.subject)) {
                return Ok(identity);
            }
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(request.names.clone())?;
        params.distinguished_name.push(DnType::CommonName, request.common_name);
        if let Some(organization) = request.organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match request.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, 365);
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        write_private(&key_path, &key.serialize_pem())?;
        write_private(&certificate_path, &pem)?;
        Identity::from_pem(pem, key.serialize_pem()).map_err(|why| PkiError::Malformed { path: certificate_path, why })
    }
}

/// Loads or makes the ES256 key that signs ServiceAccount tokens (`sa.key`; `sa.pub` beside it for others' use).
pub fn service_account_key(dir: &Path) -> Result<String, PkiError> {
    let path = dir.join("sa.key");
    if path.exists() {
        return read(&path);
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let pem = key.serialize_pem();
    write_private(&path, &pem)?;
    write_private(&dir.join("sa.pub"), &key.public_key_pem())?;
    Ok(pem)
}
