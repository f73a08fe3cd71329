use super::*;

fn check(what: &str, finalizers: &[&str], owners: &[(&str, Owner)], expected: Verdict) {
    let object = json!({"metadata": {"finalizers": finalizers}});
    let owners: Vec<(String, Owner)> = owners.iter().map(|(uid, owner)| ((*uid).to_owned(), *owner)).collect();
    assert_eq!(judge(&object, &owners), expected, "{what}");
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
