use portcullis_machinery::{Value, object};
use serde_json::json;

use super::{Names, decide};

fn crd(plural: &str, kind: &str, short: &[&str]) -> Value {
    json!({"metadata": {"name": format!("{plural}.g.test")}, "spec": {"group": "g.test", "names": {
        "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
        "shortNames": short,
    }}})
}

/// The reasons of both conditions, and the names given, for a definition beside one that has its names.
fn check(first: &Value, second: &Value, reasons: [&str; 2], accepted: &Value) {
    let mut names = Names::default();
    let first = decide(first, &names.taken(first));
    names.set(&"first".into(), None, Some(&first));
    names.set(&"second".into(), None, Some(second));
    let asked = second;
    let second = decide(asked, &names.taken(asked));
    let conditions = object::list_at(&second, &["status", "conditions"]);
    let found: Vec<&str> = conditions.iter().filter_map(|c| object::str_at(c, &["reason"])).collect();
    assert_eq!(found, reasons);
    assert_eq!(&second["status"]["acceptedNames"], accepted);
    // Deciding again changes nothing.
    names.set(&"second".into(), Some(asked), Some(&second));
    assert_eq!(decide(&second, &names.taken(&second)), second);
    let waits = reasons[0] != "NoConflicts";
    assert_eq!(names.waiting("g.test").any(|name| **name == *"second"), waits);
    // What the first gives up is free for the second.
    names.set(&"first".into(), Some(&first), None);
    let free = decide(&second, &names.taken(&second));
    assert!(portcullis_machinery::definition::custom::has_condition(&free, "NamesAccepted"));
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
