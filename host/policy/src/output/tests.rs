//! Answers at and over their bounds.

use super::*;
use crate::{Cause, PatchOperation, PatchOperationKind};

fn verdict() -> Verdict {
    Verdict { denied: None, warnings: vec![], audit_annotations: vec![] }
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut("aé", 2), "a");
    assert_eq!(cut("aé", 3), "aé");
    let mut answer = verdict();
    answer.warnings = vec!["é".repeat(200); 100];
    answer.warnings[0] = "one\r\nSet-Cookie: x".to_owned();
    answer.bound().unwrap();
    assert_eq!(answer.warnings.len(), MAX_WARNINGS);
    assert_eq!(answer.warnings[0], "one  Set-Cookie: x");
    assert!(answer.warnings.iter().all(|warning| warning.len() <= MAX_WARNING));
}

#[test]
fn a_refusal_is_a_client_error() {
    for (code, expected) in [(0, 403), (200, 403), (399, 403), (400, 400), (422, 422), (499, 499), (500, 403)] {
        let cause = Cause { field: "f".repeat(5000), reason: String::new(), message: String::new() };
        let denied = Denial { code, reason: String::new(), message: "m".repeat(9000), causes: vec![cause; 300] };
        let mut answer = Verdict { denied: Some(denied), ..verdict() };
        answer.bound().unwrap();
        let denied = answer.denied.unwrap();
        assert_eq!((denied.code, denied.message.len(), denied.causes.len()), (expected, MAX_MESSAGE, MAX_CAUSES));
        assert_eq!(denied.causes[0].field.len(), MAX_NAME);
    }
}

#[test]
fn patches_are_bounded() {
    let check = |operations: usize, bytes: usize, ok: bool| {
        let operation = PatchOperation { op: PatchOperationKind::Add, path: String::new(), value: "x".repeat(bytes) };
        let mut answer =
            Mutation { denied: None, patch: vec![operation; operations], warnings: vec![], audit_annotations: vec![] };
        assert_eq!(answer.bound().is_ok(), ok, "{operations} operations of {bytes} bytes");
    };
    check(0, 0, true);
    check(MAX_OPERATIONS, 1, true);
    check(MAX_OPERATIONS + 1, 0, false);
    check(1, MAX_PATCH_BYTES, true);
    check(1, MAX_PATCH_BYTES + 1, false);
}

#[test]
fn a_placement_names_reasons_that_are_there() {
    let check = |scores: &[i64], reasons: usize, ok: bool| {
        let mut answer = Placement { scores: scores.to_vec(), reasons: vec!["no".to_owned(); reasons] };
        assert_eq!(answer.bound().is_ok(), ok, "{scores:?} with {reasons} reasons");
    };
    check(&[0, 100, i64::MAX], 0, true);
    check(&[-1], 0, false);
    check(&[-1, -2], 2, true);
    check(&[-3], 2, false);
    check(&[i64::MIN], 2, false);
}
