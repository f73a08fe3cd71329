use super::*;

fn request(api_version: &'static str) -> Request {
    Request { uid: "u".into(), api_version, body: Vec::new() }
}

/// What an answer comes to: `ok`, or why it does not count.
fn read(api_version: &'static str, mutating: bool, answer: &Value) -> String {
    match request(api_version).answer(mutating, answer.to_string().as_bytes()) {
        Ok(answer) => format!("ok allowed={} patch={}", answer.allowed, answer.patch.is_some()),
        Err(Unusable::Unreadable(why)) => format!("unreadable: {why}"),
        Err(Unusable::Invalid(why)) => format!("invalid: {why}"),
    }
}

#[test]
fn answers() {
    let review = |version: &str, response: Value| json!({"apiVersion": version, "kind": KIND, "response": response});
    let patch = base64::engine::general_purpose::STANDARD.encode("[]");
    let absent = "invalid: webhook response was absent";
    let cases = [
        (V1, true, review(V1, json!({"uid": "u", "allowed": true})), "ok allowed=true patch=false"),
        (V1, true, review(V1, json!({"uid": "u", "warnings": null, "patch": null})), "ok allowed=false patch=false"),
        (V1, true, json!({"apiVersion": V1, "kind": KIND}), absent),
        (V1, true, json!({}), absent),
        (V1, true, review(V1, json!({"uid": "x"})), "invalid: expected response.uid=\"u\", got \"x\""),
        (
            V1,
            true,
            json!({"response": {"uid": "u"}}),
            "invalid: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
        ),
        (
            V1,
            true,
            review(V1BETA1, json!({"uid": "u"})),
            "unreadable: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
        ),
        (
            V1,
            true,
            review(V1, json!({"uid": "u", "patch": patch})),
            "invalid: webhook returned response.patch but not response.patchType",
        ),
        (
            V1,
            true,
            review(V1, json!({"uid": "u", "patchType": "JSONPatch"})),
            "invalid: webhook returned response.patchType but not response.patch",
        ),
        (
            V1,
            false,
            review(V1, json!({"uid": "u", "patch": patch, "patchType": "JSONPatch"})),
            "invalid: validating webhook may not return response.patch",
        ),
        (
            V1,
            false,
            review(V1, json!({"uid": "u", "patchType": "JSONPatch"})),
            "invalid: validating webhook may not return response.patchType",
        ),
        // The older version is not strict about any of this.
        (V1BETA1, true, json!({"response": {"allowed": true, "patch": patch}}), "ok allowed=true patch=true"),
        (V1BETA1, false, json!({"response": {"allowed": true, "patch": patch}}), "ok allowed=true patch=false"),
    ];
    for (version, mutating, answer, want) in cases {
        assert_eq!(read(version, mutating, &answer), want, "{answer}");
    }
}

#[test]
fn denials() {
    let cases = [
        (Value::Null, 400, "", "admission webhook \"w\" denied the request without explanation"),
        (json!({"message": "no"}), 400, "", "admission webhook \"w\" denied the request: no"),
        (json!({"reason": "Gone", "code": 410}), 410, "Gone", "admission webhook \"w\" denied the request: Gone"),
        (
            json!({"message": "no", "reason": "Forbidden", "code": 200, "status": "Success"}),
            400,
            "Forbidden",
            "admission webhook \"w\" denied the request: no",
        ),
        (json!({"code": "odd", "message": "no"}), 400, "", "admission webhook \"w\" denied the request: no"),
    ];
    for (result, code, reason, message) in cases {
        let status = denial("w", Some(&result));
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message), "{result}");
        assert_eq!(status.status, "Failure");
    }
}
