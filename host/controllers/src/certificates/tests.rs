//! A CA of the test's own, and what it signs.

use super::request::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, IsCa, KeyPair};
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn params(common_name: &str, organization: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, common_name);
    if !organization.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params
}

fn request(params: CertificateParams) -> String {
    let key = KeyPair::generate().expect("a key");
    STANDARD.encode(params.serialize_request(&key).expect("a request").pem().expect("PEM"))
}

fn usages(list: &[&str]) -> Vec<String> {
    list.iter().map(|usage| (*usage).to_owned()).collect()
}

#[test]
fn what_signers_give() {
    let check = |signer: &str, params: CertificateParams, list: &[&str], expected: Result<(), &str>| {
        let parsed = Request::parse(&request(params)).expect("a request");
        assert_eq!(parsed.check(signer, &usages(list)), expected.map_err(str::to_owned), "{signer} {list:?}");
    };
    let node = |names: &[&str]| params("system:node:a", "system:nodes", names);
    let client = ["digital signature", "client auth"];
    check(CLIENT, params("ann", "", &[]), &client, Ok(()));
    check(CLIENT, params("ann", "", &[]), &["server auth"], Err("invalid usage for client certificate: server auth"));
    let missing = "missing required usage for client certificate: client auth";
    check(CLIENT, params("ann", "", &[]), &["digital signature"], Err(missing));
    check(KUBELET_CLIENT, node(&[]), &client, Ok(()));
    check(KUBELET_CLIENT, node(&["a.example"]), &client, Err("DNS subjectAltNames are not allowed"));
    check(
        KUBELET_CLIENT,
        params("a", "system:nodes", &[]),
        &client,
        Err("subject common name does not begin with system:node:"),
    );
    check(KUBELET_CLIENT, params("system:node:a", "", &[]), &client, Err("subject organization is not system:nodes"));
    let wanted = "usages did not match [client auth digital signature key encipherment]";
    check(KUBELET_CLIENT, node(&[]), &["client auth"], Err(wanted));
    let serving = ["digital signature", "key encipherment", "server auth"];
    check(KUBELET_SERVING, node(&["a.example", "10.0.0.1"]), &serving, Ok(()));
    check(KUBELET_SERVING, node(&[]), &serving, Err("DNS or IP subjectAltName is required"));
}

#[test]
fn certificates() {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = params("ca", "", &[]);
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = ca.self_signed(&ca_key).expect("a certificate");
    let authority = Authority::new(&SigningCa { certificate: certificate.pem(), key: ca_key.serialize_pem() });
    let authority = authority.expect("an authority");
    let parsed = Request::parse(&request(params("ann", "testers", &["a.example"]))).expect("a request");
    let signed = authority.sign(&parsed, &usages(&["digital signature", "client auth"]), Some(3600));
    let signed = STANDARD.decode(signed.expect("a certificate")).expect("base64");
    let block = pem::parse(signed).expect("PEM");
    let (_, leaf) = X509Certificate::from_der(block.contents()).expect("a certificate");
    let (_, root) = X509Certificate::from_der(certificate.der()).expect("a certificate");
    leaf.verify_signature(Some(root.public_key())).expect("a good signature");
    assert_eq!(leaf.subject().to_string(), "CN=ann, O=testers");
    assert_eq!(leaf.issuer().as_raw(), root.subject().as_raw());
    let lasts = leaf.validity().not_after.timestamp() - jiff::Timestamp::now().as_second();
    assert!((3590..=3600).contains(&lasts), "{lasts}");
    let usage = leaf.key_usage().expect("well formed").expect("there").value;
    assert!(usage.digital_signature() && !usage.key_encipherment());
    assert!(leaf.extended_key_usage().expect("well formed").expect("there").value.client_auth);
    assert!(!leaf.is_ca());
    let names = leaf.subject_alternative_name().expect("well formed").expect("there").value;
    assert_eq!(names.general_names.len(), 1);
}
