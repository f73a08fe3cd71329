//! What a request asks for (PKCS#10, RFC 2986), and whether its signer gives that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest};

/// The signer of clients' certificates.
pub(super) const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// The signer of the certificates with which kubelets call.
pub(super) const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The signer of the certificates with which kubelets are called.
pub(super) const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// The signer of what came before there were signers. The API takes no new requests for it.
pub(super) const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// All of them.
pub(super) const SIGNERS: [&str; 4] = [CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY];

const NODES: &str = "system:nodes";
const NODE: &str = "system:node:";

/// The parts of a request that go into a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// The subject's name, in DER.
    pub subject: Vec<u8>,
    /// The SubjectPublicKeyInfo, in DER.
    pub public_key: Vec<u8>,
    /// The value of the extension subjectAltName, in DER.
    pub alternatives: Option<Vec<u8>>,
    common_name: String,
    organizations: Vec<String>,
    /// How many names of each kind the extension has: DNS, e-mail, IP, URI.
    names: [usize; 4],
}

impl Request {
    /// Reads the `request` of a CertificateSigningRequest: PEM, in base64. Its signature must be good: it shows that who
    /// asks has the key.
    pub fn parse(base64: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(base64).map_err(|error| error.to_string())?;
        let block = pem::parse(bytes).map_err(|error| error.to_string())?;
        if block.tag() != "CERTIFICATE REQUEST" {
            return Err("PEM block type must be CERTIFICATE REQUEST".to_owned());
        }
        let (_, request) = X509CertificationRequest::from_der(block.contents()).map_err(|error| error.to_string())?;
        request.verify_signature().map_err(|error| error.to_string())?;
        let info = &request.certification_request_info;
        let texts = |attributes: &mut dyn Iterator<Item = &x509_parser::x509::AttributeTypeAndValue<'_>>| {
            attributes.filter_map(|attribute| attribute.as_str().ok().map(str::to_owned)).collect::<Vec<_>>()
        };
        let mut parsed = Self {
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            common_name: texts(&mut info.subject.iter_common_name()).pop().unwrap_or_default(),
            organizations: texts(&mut info.subject.iter_organization()),
            ..Self::default()
        };
        let extensions = info.iter_attributes().filter_map(|attribute| match attribute.parsed_attribute() {
            x509_parser::cri_attributes::ParsedCriAttribute::ExtensionRequest(requested) => {
                Some(requested.extensions.iter())
            }
            _ => None,
        });
        for extension in extensions.flatten() {
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
            parsed.alternatives = Some(extension.value.to_vec());
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(_) => parsed.names[0] += 1,
                    GeneralName::RFC822Name(_) => parsed.names[1] += 1,
                    GeneralName::IPAddress(_) => parsed.names[2] += 1,
                    GeneralName::URI(_) => parsed.names[3] += 1,
                    _ => {}
                }
            }
        }
        Ok(parsed)
    }

    /// The subject's common name.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// Whether the signer gives this, in the words that requesters read if not.
    pub fn check(&self, signer: &str, usages: &[String]) -> Result<(), String> {
        match signer {
            CLIENT => client_usages(usages),
            KUBELET_CLIENT => self.check_kubelet(usages, "client auth", false),
            KUBELET_SERVING => self.check_kubelet(usages, "server auth", true),
            _ => Ok(()),
        }
    }

    fn check_kubelet(&self, usages: &[String], purpose: &str, serves: bool) -> Result<(), String> {
        if self.organizations != [NODES] {
            return Err("subject organization is not system:nodes".to_owned());
        }
        let [dns, mail, ip, uri] = self.names;
        if serves && dns == 0 && ip == 0 {
            return Err("DNS or IP subjectAltName is required".to_owned());
        }
        let none = |count: usize, kind: &str| match count {
            0 => Ok(()),
            _ => Err(format!("{kind} subjectAltNames are not allowed")),
        };
        if !serves {
            none(dns, "DNS")?;
        }
        none(mail, "Email")?;
        if !serves {
            none(ip, "IP")?;
        }
        none(uri, "URI")?;
        let named = || match self.common_name.starts_with(NODE) {
            true => Ok(()),
            false => Err("subject common name does not begin with system:node:".to_owned()),
        };
        if !serves {
            named()?;
        }
        kubelet_usages(usages, purpose)?;
        named()
    }
}

/// Certificates of RSA keys may be for the exchange of keys, those of others cannot be.
fn kubelet_usages(usages: &[String], purpose: &str) -> Result<(), String> {
    let mut given: Vec<&str> = usages.iter().map(String::as_str).collect();
    given.sort_unstable();
    given.dedup();
    let (mut with, mut without) =
        (vec!["digital signature", "key encipherment", purpose], vec!["digital signature", purpose]);
    with.sort_unstable();
    without.sort_unstable();
    if given == with || given == without { Ok(()) } else { Err(format!("usages did not match [{}]", with.join(" "))) }
}

fn client_usages(usages: &[String]) -> Result<(), String> {
    let known = ["digital signature", "key encipherment", "client auth"];
    if let Some(other) = usages.iter().find(|usage| !known.contains(&usage.as_str())) {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    match usages.iter().any(|usage| usage == "client auth") {
        true => Ok(()),
        false => Err("missing required usage for client certificate: client auth".to_owned()),
    }
}
