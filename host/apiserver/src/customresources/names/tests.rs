use portcullis_machinery::{Value, object};
use serde_json::json;

use super::decide;

fn crd(plural: &str, kind: &str, short: &[&str]) -> Value {
    json!({"metadata": {"name": format!("{plural}.g.test")}, "spec": {"group": "g.test", "names": {
        "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
        "shortNames": short,
    }}})
}

/// The reasons of both conditions, and the names given, for a definition beside one that has its names.
fn check(first: &Value, second: &Value, reasons: [&str; 2], accepted: &Value) {
    let first = decide(first, []);
    let second = decide(second, [&first]);
    let conditions = object::list_at(&second, &["status", "conditions"]);
    let found: Vec<&str> = conditions.iter().filter_map(|c| object::str_at(c, &["reason"])).collect();
    assert_eq!(found, reasons);
    assert_eq!(&second["status"]["acceptedNames"], accepted);
    // Deciding again changes nothing.
    assert_eq!(decide(&second, [&first]), second);
}

#[test]
fn names_belong_to_the_first() {
    check(
        &crd("widgets", "Widget", &["w"]),
        &crd("gadgets", "Gadget", &[]),
        ["NoConflicts", "InitialNamesAccepted"],
        &json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}),
    );
    check(
        &crd("widgets", "Widget", &[]),
        &crd("gadgets", "Widget", &[]),
        ["ListKindConflict", "NotAccepted"],
        &json!({"plural": "gadgets", "kind": ""}),
    );
    check(
        &crd("widgets", "Widget", &["w"]),
        &crd("gadgets", "Gadget", &["w", "g"]),
        ["ShortNamesConflict", "NotAccepted"],
        &json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}),
    );
}
