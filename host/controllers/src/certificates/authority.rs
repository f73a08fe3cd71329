//! The CA: certificates as X.509 has them (RFC 5280), with the requester's subject, key and names carried over byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use rcgen::{KeyPair, SigningKey as _};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};
use yasna::models::ObjectIdentifier;
use yasna::models::{GeneralizedTime, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag};

use super::SigningCa;
use super::request::Request;

/// How long certificates last, unless less is asked for (`--cluster-signing-duration` of the reference).
const LONGEST: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Less is not given.
const SHORTEST: SignedDuration = SignedDuration::from_mins(10);
/// Certificates are good from a little earlier on, for clocks that are behind; short ones do not get longer by it.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);
const SHORT: SignedDuration = SignedDuration::from_hours(8);

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const AUTHORITY_KEY: &[u64] = &[2, 5, 29, 35];
const SUBJECT_ALTERNATIVES: &[u64] = &[2, 5, 29, 17];

/// The bits of keyUsage by the API's names.
const KEY_USAGES: [(&str, usize); 10] = [
    ("signing", 0),
    ("digital signature", 0),
    ("content commitment", 1),
    ("key encipherment", 2),
    ("data encipherment", 3),
    ("key agreement", 4),
    ("cert sign", 5),
    ("crl sign", 6),
    ("encipher only", 7),
    ("decipher only", 8),
];
/// The purposes of extKeyUsage by the API's names.
const PURPOSES: [(&str, &[u64]); 13] = [
    ("any", &[2, 5, 29, 37, 0]),
    ("server auth", &[1, 3, 6, 1, 5, 5, 7, 3, 1]),
    ("client auth", &[1, 3, 6, 1, 5, 5, 7, 3, 2]),
    ("code signing", &[1, 3, 6, 1, 5, 5, 7, 3, 3]),
    ("email protection", &[1, 3, 6, 1, 5, 5, 7, 3, 4]),
    ("s/mime", &[1, 3, 6, 1, 5, 5, 7, 3, 4]),
    ("ipsec end system", &[1, 3, 6, 1, 5, 5, 7, 3, 5]),
    ("ipsec tunnel", &[1, 3, 6, 1, 5, 5, 7, 3, 6]),
    ("ipsec user", &[1, 3, 6, 1, 5, 5, 7, 3, 7]),
    ("timestamping", &[1, 3, 6, 1, 5, 5, 7, 3, 8]),
    ("ocsp signing", &[1, 3, 6, 1, 5, 5, 7, 3, 9]),
    ("microsoft sgc", &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3]),
    ("netscape sgc", &[2, 16, 840, 1, 113_730, 4, 1]),
];

/// Why the CA cannot be used, or did not sign.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorityError {
    /// The key cannot be read, or did not sign.
    #[error("the CA's key: {0}")]
    Key(#[from] rcgen::Error),
    /// The certificate cannot be read.
    #[error("the CA's certificate: {0}")]
    Certificate(String),
    /// The key is of a kind that no algorithm is known for here.
    #[error("keys of {0} do not sign here")]
    Algorithm(String),
}

/// A CA that signs.
pub(super) struct Authority {
    key: KeyPair,
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
    not_after: Timestamp,
    algorithm: Vec<u8>,
}

impl Authority {
    pub fn new(ca: &SigningCa) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(&ca.key)?;
        let wrong = |error: &dyn std::fmt::Display| AuthorityError::Certificate(error.to_string());
        let block = pem::parse(&ca.certificate).map_err(|error| wrong(&error))?;
        let (_, certificate) = X509Certificate::from_der(block.contents()).map_err(|error| wrong(&error))?;
        let key_id = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let not_after = certificate.validity().not_after.timestamp();
        Ok(Self {
            subject: certificate.subject().as_raw().to_vec(),
            key_id,
            not_after: Timestamp::from_second(not_after).map_err(|error| wrong(&error))?,
            algorithm: algorithm(&key)?,
            key,
        })
    }

    /// The certificate as the API has it: PEM, in base64.
    pub fn sign(&self, request: &Request, usages: &[String], seconds: Option<i64>) -> Result<String, AuthorityError> {
        let asked = seconds.map_or(LONGEST, |seconds| SignedDuration::from_secs(seconds).clamp(SHORTEST, LONGEST));
        let now = Timestamp::now();
        let not_before = now - BACKDATED;
        let not_after = if asked > SHORT { not_before + asked } else { now + asked };
        let validity = (not_before, not_after.min(self.not_after));
        let body = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| self.write_body(writer, request, usages, validity));
        });
        let signature = self.key.sign(&body)?;
        let certificate = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&body);
                writer.next().write_der(&self.algorithm);
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        });
        Ok(STANDARD.encode(pem::encode_config(
            &pem::Pem::new("CERTIFICATE", certificate),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        )))
    }

    fn write_body(
        &self,
        writer: &mut DERWriterSeq<'_>,
        request: &Request,
        usages: &[String],
        validity: (Timestamp, Timestamp),
    ) {
        // Version 3.
        writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2));
        let mut serial = rand::rng().random::<[u8; 16]>();
        serial[0] &= 0x7f;
        writer.next().write_bigint_bytes(&serial, true);
        writer.next().write_der(&self.algorithm);
        writer.next().write_der(&self.subject);
        writer.next().write_sequence(|writer| {
            write_time(writer.next(), validity.0);
            write_time(writer.next(), validity.1);
        });
        writer.next().write_der(&request.subject);
        writer.next().write_der(&request.public_key);
        writer.next().write_tagged(Tag::context(3), |writer| {
            writer.write_sequence(|writer| self.write_extensions(writer, request, usages));
        });
    }

    fn write_extensions(&self, writer: &mut DERWriterSeq<'_>, request: &Request, usages: &[String]) {
        let named = |name: &str| usages.iter().any(|usage| usage == name);
        let bits: Vec<usize> = KEY_USAGES.iter().filter(|(name, _)| named(name)).map(|(_, bit)| *bit).collect();
        if let Some(last) = bits.iter().max() {
            let mut bytes = [0u8; 2];
            for bit in &bits {
                bytes[bit / 8] |= 0x80 >> (bit % 8);
            }
            let value = yasna::construct_der(|writer| writer.write_bitvec_bytes(&bytes[..last / 8 + 1], last + 1));
            extension(writer, KEY_USAGE, true, &value);
        }
        let mut purposes: Vec<&[u64]> = Vec::new();
        for (_, purpose) in PURPOSES.iter().filter(|(name, _)| named(name)) {
            if !purposes.contains(purpose) {
                purposes.push(purpose);
            }
        }
        if !purposes.is_empty() {
            let value = yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    purposes.iter().for_each(|purpose| writer.next().write_oid(&ObjectIdentifier::from_slice(purpose)));
                });
            });
            extension(writer, EXTENDED_KEY_USAGE, false, &value);
        }
        // No CA.
        extension(writer, BASIC_CONSTRAINTS, true, &yasna::construct_der(|writer| writer.write_sequence(|_| ())));
        if let Some(id) = &self.key_id {
            let value = yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(id));
                });
            });
            extension(writer, AUTHORITY_KEY, false, &value);
        }
        if let Some(names) = &request.alternatives {
            extension(writer, SUBJECT_ALTERNATIVES, false, names);
        }
    }
}

fn extension(writer: &mut DERWriterSeq<'_>, oid: &[u64], critical: bool, value: &[u8]) {
    writer.next().write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(value);
    });
}

/// Two digits of the year until 2049, four from then on.
fn write_time(writer: DERWriter<'_>, time: Timestamp) {
    let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
    match UTCTime::parse(text.get(2..).unwrap_or_default().as_bytes()) {
        Some(time) if text.as_str() < "2050" => writer.write_utctime(&time),
        _ => match GeneralizedTime::parse(text.as_bytes()) {
            Some(time) => writer.write_generalized_time(&time),
            None => writer.write_null(),
        },
    }
}

/// The AlgorithmIdentifier of the key's signatures, in DER.
fn algorithm(key: &KeyPair) -> Result<Vec<u8>, AuthorityError> {
    let known: [(&rcgen::SignatureAlgorithm, &[u64], bool); 4] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, &[1, 2, 840, 10_045, 4, 3, 2], false),
        (&rcgen::PKCS_ECDSA_P384_SHA384, &[1, 2, 840, 10_045, 4, 3, 3], false),
        (&rcgen::PKCS_RSA_SHA256, &[1, 2, 840, 113_549, 1, 1, 11], true),
        (&rcgen::PKCS_ED25519, &[1, 3, 101, 112], false),
    ];
    let found = known.iter().find(|(algorithm, ..)| *algorithm == key.algorithm());
    let (_, oid, null) = found.ok_or_else(|| AuthorityError::Algorithm(format!("{:?}", key.algorithm())))?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
            if *null {
                writer.next().write_null();
            }
        });
    }))
}
