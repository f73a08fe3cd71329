use super::*;

fn check(what: &str, finalizers: &[&str], owners: &[(&str, Owner)], expected: Verdict) {
    let object = json!({"metadata": {"finalizers": finalizers}});
    let owners: Vec<(String, Owner)> = owners.iter().map(|(uid, owner)| ((*uid).to_owned(), *owner)).collect();
    assert_eq!(judge(&object, &owners, true), expected, "{what}");
}

#[test]
fn owners_are_told_when_they_need_not_wait_any_more() {
    let check = |old: Value, new: Value, expected: &[&str]| {
        let object = |owners: &Value| json!({"metadata": {"ownerReferences": owners}});
        let (old, new) = (object(&old), object(&new));
        let found: Vec<&str> = unblocked(&old, &new).map(|owner| owner.str_at(&["uid"])).collect();
        assert_eq!(found, expected, "{old} {new}");
    };
    let owner = |uid: &str, blocks: bool| json!({"uid": uid, "blockOwnerDeletion": blocks});
    check(json!([owner("a", true)]), json!([owner("a", true)]), &[]);
    check(json!([owner("a", true)]), json!([owner("a", false)]), &["a"]);
    check(json!([owner("a", true), owner("b", true)]), json!([owner("b", true)]), &["a"]);
    check(json!([owner("a", false)]), json!([]), &[]);
}

#[test]
fn without_dependents_nothing_is_waited_for() {
    let owners = [("a".to_owned(), Owner::WaitsForUs)];
    assert_eq!(judge(&json!({}), &owners, false), Verdict::Delete(Propagation::Background));
}

#[test]
fn an_object_goes_with_its_last_owner() {
    use Owner::{Gone, Present, WaitsForUs};
    check("no owner", &[], &[], Verdict::Keep);
    check("an owner", &[], &[("a", Present)], Verdict::Keep);
    check("the owner is gone", &[], &[("a", Gone)], Verdict::Delete(Propagation::Background));
    check("one of two", &[], &[("a", Gone), ("b", Present)], Verdict::DropOwners(vec!["a".into()]));
    check("the owner waits", &[], &[("a", WaitsForUs)], Verdict::Delete(Propagation::Foreground));
    let both = &[("a", WaitsForUs), ("b", Present)];
    check("one waits, one stays", &[], both, Verdict::DropOwners(vec!["a".into()]));
    check("asked to orphan", &[ORPHAN], &[("a", Gone)], Verdict::Delete(Propagation::Orphan));
    check("asked for foreground", &[FOREGROUND], &[("a", Gone)], Verdict::Delete(Propagation::Foreground));
}
