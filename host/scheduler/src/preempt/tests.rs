use serde_json::json;

use super::*;
use crate::decide::tests::{Fits, cluster};
use crate::policy::PlacementPolicy;

/// A pod on a node: its name, which is `node/name`, priority, cpu, and start.
fn pod(name: &str, priority: i64, cpu: &str, started: &str) -> Object {
    Arc::new(json!({
        "metadata": {"name": name, "namespace": "a", "uid": name, "labels": {"name": name.split('/').next_back()}},
        "spec": {"priority": priority, "containers": [{"resources": {"requests": {"cpu": cpu}}}]},
        "status": {"startTime": started},
    }))
}

/// Where a pod of priority 10 that wants 800m of a node's 1000m goes, and at whose cost.
fn check(pods: &[(&str, i64, &str, &str)], budgets: &[&str], expected: Option<(&str, &[&str])>) {
    let cache = cluster(&["m", "n"]);
    for (name, priority, cpu, started) in pods {
        let pod = pod(name, *priority, cpu, started);
        assert!(cache.assume(&pod, name.split('/').next().unwrap()));
    }
    let budgets: Vec<Object> = budgets
        .iter()
        .map(|name| {
            Arc::new(json!({
                "metadata": {"namespace": "a", "uid": name}, "spec": {"selector": {"matchLabels": {"name": name}}},
                "status": {"disruptionsAllowed": 0},
            }))
        })
        .collect();
    let policies: Vec<Arc<dyn PlacementPolicy>> = vec![Arc::new(Fits)];
    let wants = pod("p", 10, "800m", "");
    let question = Question::new(&cache, &policies, &wants);
    let found = nominate(&cache, &question, &wants, &budgets).unwrap();
    let found = found.as_ref().map(|found| {
        let victims: Vec<&str> = found.victims.iter().map(|victim| victim.name()).collect();
        (&*found.node, victims)
    });
    assert_eq!(found, expected.map(|(node, victims)| (node, victims.to_vec())), "{pods:?} {budgets:?}");
}

#[test]
fn the_least_is_lost() {
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    // Nobody of lower priority, or not enough.
    check(&[("m/a", 10, "900m", early), ("n/b", 11, "900m", early)], &[], None);
    check(&[("m/a", 10, "300m", early), ("m/c", 1, "700m", early), ("n/b", 11, "900m", early)], &[], None);
    // No more than is needed, and the less important one.
    let three =
        [("m/a", 5, "200m", early), ("m/b", 4, "300m", early), ("m/c", 4, "300m", late), ("n/d", 20, "900m", early)];
    check(&three, &[], Some(("m", &["m/b", "m/c"])));
    let two = [("m/a", 5, "100m", early), ("m/b", 4, "800m", early), ("n/d", 20, "900m", early)];
    check(&two, &[], Some(("m", &["m/b"])));
    // The lower priority, then the fewer, then the younger.
    check(&[("m/a", 5, "900m", early), ("n/b", 4, "900m", early)], &[], Some(("n", &["n/b"])));
    let fewer = [("m/a", 4, "450m", early), ("m/c", 4, "450m", early), ("n/b", 4, "900m", early)];
    check(&fewer, &[], Some(("n", &["n/b"])));
    check(&[("m/a", 4, "900m", early), ("n/b", 4, "900m", late)], &[], Some(("n", &["n/b"])));
    // A budget weighs more than a priority.
    check(&[("m/a", 5, "900m", early), ("n/b", 4, "900m", early)], &["b"], Some(("m", &["m/a"])));
}

#[test]
fn who_may() {
    let cache = cluster(&["m"]);
    let check = |pod: Value, expected| assert_eq!(may_preempt(&cache, &pod), expected, "{pod}");
    check(json!({"spec": {"priority": 10}}), true);
    check(json!({"spec": {"priority": 10, "preemptionPolicy": "Never"}}), false);
    let mut going = (*pod("m/a", 1, "1", "")).clone();
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(cache.assume(&Arc::new(going), "m"));
    check(json!({"spec": {"priority": 10}, "status": {"nominatedNodeName": "m"}}), false);
    check(json!({"spec": {"priority": 1}, "status": {"nominatedNodeName": "m"}}), true);
}

#[test]
fn room_is_kept_for_who_had_it_made() {
    let cache = cluster(&["m"]);
    let policies: Vec<Arc<dyn PlacementPolicy>> = vec![Arc::new(Fits)];
    let first = pod("first", 10, "800m", "");
    cache.nominate(&first, "m");
    let check = |pod: &Object, expected| assert_eq!(Question::new(&cache, &policies, pod).decide().is_ok(), expected);
    check(&pod("other", 1, "800m", ""), false);
    check(&pod("higher", 11, "800m", ""), true);
    check(&first, true);
    assert_eq!(cache.nominated_below("m", 11), ["first"]);
    cache.nominate(&first, "");
    check(&pod("other", 1, "800m", ""), true);
}
