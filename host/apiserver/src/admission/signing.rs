//! Who may approve and sign certificate requests, and whom none may be signed for (API reference, "Certificate Signing
//! Requests", signers).

use base64::Engine as _;
use portcullis_machinery::{Status, Value, object};

use super::{AdmissionAttributes, Operation};
use crate::context::RequestInfo;
use crate::handlers::Scope;

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Refuses an approval or a certificate by someone who may not give it, and requests for `system:masters`.
///
/// # Errors
/// 403.
pub fn check(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Result<(), Status> {
    if scope.definition.kind != "CertificateSigningRequest" {
        return Ok(());
    }
    let refuse = |why: &str| Err(Status::forbidden(scope.group(), scope.resource(), &attributes.name, why));
    let old = attributes.old_object.as_deref();
    match (attributes.operation, scope.sub()) {
        (Operation::Create, "") => {
            if object::str_at(new, &["spec", "signerName"]) == Some(CLIENT_SIGNER) && asks_for_masters(new) {
                return refuse(
                    "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
                );
            }
            Ok(())
        }
        (Operation::Update, "approval") => permitted(scope, old, "approve", "approve requests with"),
        (Operation::Update, "status") => {
            let part = |request: &Value, field: &str| object::get_at(request, &["status", field]).cloned();
            let signs = old.is_some_and(|old| {
                ["certificate", "conditions"].iter().any(|field| part(new, field) != part(old, field))
            });
            if signs { permitted(scope, old, "sign", "sign requests with") } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// Whether the user may use the signer: by its name, or by `<domain>/*`.
fn permitted(scope: &Scope, old: Option<&Value>, verb: &str, what: &str) -> Result<(), Status> {
    let signer = old.and_then(|old| object::str_at(old, &["spec", "signerName"])).unwrap_or_default();
    let any = signer.split_once('/').map(|(domain, _)| format!("{domain}/*")).unwrap_or_default();
    let allowed = [signer, &any].iter().any(|name| {
        let info = RequestInfo {
            is_resource_request: true,
            verb: verb.to_owned(),
            api_group: "certificates.k8s.io".to_owned(),
            api_version: "*".to_owned(),
            resource: "signers".to_owned(),
            name: (*name).to_owned(),
            ..RequestInfo::default()
        };
        scope.server.authorizer.require(&scope.cx.user, &info).is_ok()
    });
    if allowed {
        return Ok(());
    }
    let why = format!("user not permitted to {what} signerName {signer:?}");
    Err(Status::forbidden(scope.group(), scope.resource(), &scope.name, &why))
}

/// What of a request's certificate is asked for here.
fn read<T>(request: &Value, what: impl FnOnce(&x509_parser::x509::X509Name<'_>) -> T) -> Option<T> {
    use x509_parser::prelude::FromDer as _;
    let text = object::str_at(request, &["spec", "request"])?;
    let pem = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let (_, block) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
    let (_, parsed) = x509_parser::certification_request::X509CertificationRequest::from_der(&block.contents).ok()?;
    Some(what(&parsed.certification_request_info.subject))
}

/// The common name that a certificate is asked for with.
pub(super) fn common_name(request: &Value) -> Option<String> {
    read(request, |subject| {
        let name = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
        name.unwrap_or_default().to_owned()
    })
}

/// Whether the request is for a member of the group that may do everything.
fn asks_for_masters(request: &Value) -> bool {
    let masters = |subject: &x509_parser::x509::X509Name<'_>| {
        subject.iter_organization().any(|name| name.as_str().is_ok_and(|name| name == "system:masters"))
    };
    read(request, masters).unwrap_or(false)
}
