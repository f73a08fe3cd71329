use serde_json::json;

use super::*;

#[test]
fn terms_select_nodes() {
    let node = json!({"metadata": {"name": "n1", "labels": {"zone": "a", "cores": "8"}}});
    let check = |terms: Value, expected: bool| {
        let found = any_fits(terms.as_array().map_or(&[], Vec::as_slice), &node);
        assert_eq!(found, expected, "{terms}");
    };
    let term = |key: &str, operator: &str, values: &[&str]| json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]);
    check(json!([]), false);
    check(json!([{}]), false);
    check(term("zone", "In", &["b", "a"]), true);
    check(term("zone", "NotIn", &["a"]), false);
    check(term("rack", "NotIn", &["a"]), true);
    check(term("zone", "Exists", &[]), true);
    check(term("rack", "DoesNotExist", &[]), true);
    check(term("cores", "Gt", &["4"]), true);
    check(term("cores", "Lt", &["8"]), false);
    check(term("zone", "Gt", &["4"]), false);
    check(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]), true);
    // One term is enough, all requirements of it are needed.
    let (a, b) = (term("zone", "In", &["b"]), term("zone", "In", &["a"]));
    check(json!([a[0], b[0]]), true);
    check(json!([{"matchExpressions": [a[0]["matchExpressions"][0], b[0]["matchExpressions"][0]]}]), false);
}
