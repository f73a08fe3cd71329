use super::*;

#[test]
fn refusals_of_kubelets_become_statuses() {
    let check = |code: u16, expected_code: u16, reason: &str, message: &str| {
        let status = refused(code, "why", "web");
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (expected_code, reason, message));
    };
    check(400, 400, "BadRequest", "why");
    check(500, 500, "InternalError", "Internal error occurred: why");
    check(404, 404, "NotFound", "the server could not find the requested resource ( pods/log web)");
    check(403, 403, "Forbidden", "why ( pods/log web)");
    check(503, 503, "ServiceUnavailable", "the server is currently unable to handle the request ( pods/log web)");
}
