//! The certificates group: CertificateSigningRequests.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::core::decode_base64;
use crate::{Errors, Field, Review, SPEC, STATUS, formats};

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const LEGACY: &str = "kubernetes.io/legacy-unknown";

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "CertificateSigningRequest" {
        return;
    }
    if review.is_main() {
        spec(review, errors);
    }
    conditions(review, errors);
    certificate(review, errors);
    if review.update {
        kept(review, errors);
    }
}

fn spec(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let request = spec.get("request").str_or_empty();
    if !has_block(request, "CERTIFICATE REQUEST") {
        let detail = "PEM block type must be CERTIFICATE REQUEST";
        errors.invalid(SPEC.child("request"), request, detail);
    }
    let (usages, list) = (spec.get("usages"), SPEC.child("usages"));
    if usages.is_empty() {
        errors.required(list, "");
    }
    let mut seen = BTreeSet::new();
    if !review.update {
        for (index, usage) in usages.iter().enumerate() {
            errors.one_of(list.index(index), usage.str_or_empty(), &USAGES);
        }
        for (index, usage) in usages.iter().enumerate() {
            errors.unique(&mut seen, list.index(index), usage.str_or_empty());
        }
    }
    let (signer, at) = (spec.get("signerName").str_or_empty(), SPEC.child("signerName"));
    if signer == LEGACY && !review.update {
        errors.invalid(at, signer, format!("{LEGACY:?} is not allowed via this API version"));
    } else {
        signer_name(at, signer, errors);
    }
    if let Some(seconds) = spec.get("expirationSeconds").as_i64().filter(|seconds| *seconds < 600) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid(SPEC.child("expirationSeconds"), &seconds, detail);
    }
}

/// Whether the text is one block of that kind (RFC 7468). The kind is a fixed word; what is in the block is the
/// signer's business.
fn has_block(base64: &str, kind: &str) -> bool {
    let bytes = decode_base64(base64);
    let text = String::from_utf8_lossy(&bytes);
    text.contains(&format!("-----BEGIN {kind}-----")) && text.contains(&format!("-----END {kind}-----"))
}

fn signer_name(at: Field, name: &str, errors: &mut Errors) {
    if !errors.needs(at, name) {
        return;
    }
    let Some((domain, path)) = name.split_once('/').filter(|(_, path)| !path.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.invalid(at, name, detail);
    };
    for (part, lowest) in [(domain, 2), (path, 1)] {
        for label in part.split('.') {
            for wrong in formats::dns_label(label) {
                errors.invalid(at, part, format!("validating label {label:?}: {wrong}"));
            }
        }
        if part.split('.').count() < lowest {
            errors.invalid(at, part, "should be a domain with at least two segments separated by dots");
        }
    }
    if name.len() > 571 {
        errors.too_long(at, 571);
    }
}

fn conditions(review: &Review, errors: &mut Errors) {
    let (all, list) = (review.object.get("status").get("conditions"), STATUS.child("conditions"));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let both = |object: ValueRef| {
        let has = |kind: &str| object.get("status").get("conditions").iter().any(|one| one.get("type").is_str(kind));
        has("Approved") && has("Denied")
    };
    for (index, condition) in all.iter().enumerate() {
        let at = list.index(index);
        let (kind, status) = (condition.get("type").str_or_empty(), condition.get("status").str_or_empty());
        errors.needs(at.child("type"), kind);
        let allowed: &[&str] =
            if matches!(kind, "Approved" | "Denied" | "Failed") { &["True"] } else { &["False", "True", "Unknown"] };
        errors.needs_one_of(at.child("status"), status, allowed);
        let other = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if seen.contains(other) && !both(review.old) {
            errors.invalid(list, kind, "Approved and Denied conditions are mutually exclusive");
        }
        if !seen.insert(kind) {
            errors.duplicate(at.child("type"), kind);
        }
    }
}

fn certificate(review: &Review, errors: &mut Errors) {
    let text = review.object.get("status").get("certificate").str_or_empty();
    let before = review.old.get("status").get("certificate").str_or_empty();
    if text.is_empty() || text == before {
        return;
    }
    if !has_block(text, "CERTIFICATE") {
        let detail = "must contain at least one CERTIFICATE PEM block";
        errors.invalid(STATUS.child("certificate"), "<certificate data>", detail);
    }
}

/// Decisions stay, and are made by the endpoint for them.
fn kept(review: &Review, errors: &mut Errors) {
    let at = STATUS.child("conditions");
    let of = |object: ValueRef<'_>, kind: &str| -> Vec<serde_json::Value> {
        let all = object.get("status").get("conditions");
        all.iter().filter(|one| one.get("type").is_str(kind)).map(portcullis_sdk::to_json).collect()
    };
    for kind in ["Approved", "Denied", "Failed"] {
        let (new, old) = (of(review.object, kind), of(review.old, kind));
        if old.len() > new.len() {
            errors.forbidden(at, format!("updates may not remove a condition of type {kind:?}"));
        }
        let decides = matches!(kind, "Approved" | "Denied");
        if new.len() > old.len() && decides && review.subresource != "approval" {
            errors.forbidden(at, format!("updates may not add a condition of type {kind:?}"));
        }
    }
    let (new, old) =
        (review.object.get("status").get("certificate"), review.old.get("status").get("certificate").str_or_empty());
    if !old.is_empty() && !new.is_str(old) {
        let detail = "updates may not modify certificate content";
        errors.forbidden(STATUS.child("certificate"), detail);
    }
}
