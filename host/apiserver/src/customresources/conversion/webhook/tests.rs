use super::*;

#[test]
fn a_version_that_both_know_is_spoken() {
    let check = |listed: &[&str], expected| {
        assert_eq!(review_version(&json!({"conversionReviewVersions": listed})), expected, "{listed:?}");
    };
    check(&["v2", "v1beta1", "v1"], Some("v1beta1"));
    check(&["v1"], Some("v1"));
    check(&["v2"], None);
    check(&[], None);
}

#[test]
fn answers_are_read() {
    let check = |version: &str, answer: Value, expected: Result<Vec<Value>, &str>| {
        assert_eq!(read(version, "u", answer), expected.map_err(str::to_owned));
    };
    let review = |version: &str, response: Value| json!({"kind": "ConversionReview", "apiVersion": format!("{GROUP}/{version}"), "response": response});
    let success = json!({"uid": "u", "result": {"status": "Success"}, "convertedObjects": [{"a": 1}]});
    check("v1", review("v1", success.clone()), Ok(vec![json!({"a": 1})]));
    check("v1beta1", review("v1beta1", success.clone()), Ok(vec![json!({"a": 1})]));
    // The older version is not asked what it is, nor to which request it belongs.
    check("v1beta1", json!({"response": {"result": {"status": "Success"}}}), Ok(vec![]));
    let wrong = "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got \
                 apiextensions.k8s.io/v1beta1, Kind=ConversionReview";
    check("v1", review("v1beta1", success), Err(wrong));
    check("v1", review("v1", json!(null)), Err("no response provided"));
    check("v1", review("v1", json!({"uid": "x"})), Err("expected response.uid=\"u\", got \"x\""));
    let failed = |result: Value| review("v1", json!({"uid": "u", "result": result}));
    check("v1", failed(json!({"status": "Failed", "message": "no"})), Err("no"));
    check("v1", failed(json!({})), Err("response.result.status was '', not 'Success'"));
}
