use super::*;

fn deployment(count: i64, surge: Value, unavailable: Value) -> Value {
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": "web", "namespace": "a", "uid": "d", "generation": 2},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}},
    })
}

fn set(name: &str, size: i64, available: i64) -> Object {
    Arc::new(json!({
        "metadata": {"name": name, "annotations": {"deployment.kubernetes.io/desired-replicas": "4"}},
        "spec": {"replicas": size},
        "status": {"replicas": size, "availableReplicas": available},
    }))
}

/// Sizes and available pods of the old sets and the new one, and the sizes that come next.
fn check(what: &str, of: &Value, old: &[(i64, i64)], new: (i64, i64), expected: &[(&str, i64)]) {
    let old: Vec<Object> = old.iter().enumerate().map(|(n, (s, a))| set(&format!("old{n}"), *s, *a)).collect();
    let plan = rolling::plan(of, Some(&set("new", new.0, new.1)), &old);
    let plan: Vec<(&str, i64)> = plan.iter().map(|(set, size)| (set.name(), *size)).collect();
    assert_eq!(plan, expected, "{what}");
}

#[test]
fn a_rolling_update_keeps_its_bounds() {
    let careful = deployment(4, json!(1), json!(0));
    check("up by the surge", &careful, &[(4, 4)], (0, 0), &[("new", 1)]);
    check("wait until it is available", &careful, &[(4, 4)], (1, 0), &[]);
    check("then one old goes", &careful, &[(4, 4)], (1, 1), &[("old0", 3)]);
    check("and the next comes", &careful, &[(3, 3)], (1, 1), &[("new", 2)]);
    check("the end", &careful, &[(0, 0)], (4, 4), &[]);
    check("broken old pods go first", &careful, &[(2, 0), (2, 2)], (1, 1), &[("old0", 1)]);
    let half = deployment(4, json!("25%"), json!("50%"));
    check("down at once", &half, &[(4, 4)], (1, 0), &[("old0", 2)]);
    check("too many new ones", &half, &[], (6, 6), &[("new", 4)]);
    let stuck = deployment(4, json!(0), json!(0));
    check("both zero means one may be missing", &stuck, &[(4, 4)], (0, 0), &[("old0", 3)]);
}

#[test]
fn a_resized_deployment_scales_what_runs() {
    let wider = deployment(8, json!(0), json!(1));
    let check = |old: &[Object], new: &Object, expected: &[(&str, i64)]| {
        assert!(rolling::was_resized(&wider, old.iter().chain([new])));
        let sizes = rolling::rescale(&wider, Some(new), old);
        let sizes: Vec<(&str, i64)> = sizes.iter().map(|(set, size)| (set.name(), *size)).collect();
        assert_eq!(sizes, expected);
    };
    check(&[], &set("new", 4, 4), &[("new", 8)]);
    check(&[set("old", 2, 2)], &set("new", 2, 2), &[("old", 4), ("new", 4)]);
}

#[test]
fn templates_make_stable_names_and_revisions() {
    let of = deployment(3, json!(1), json!(0));
    let set = template::new_set(&of, 7, 2);
    assert_eq!(set, template::new_set(&of, 7, 2));
    assert!(template::same(&of, &set));
    assert_eq!(template::revision(&set), 7);
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set.name(), format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
    let mut changed = of.clone();
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "x".into();
    assert!(!template::same(&changed, &set));
    let mut collided = of.clone();
    collided["status"]["collisionCount"] = 1.into();
    assert_ne!(template::new_set(&collided, 7, 2).name(), set.name());
    let rolled_back = template::annotations(&of, Some(&set), 9);
    assert_eq!(rolled_back["deployment.kubernetes.io/revision-history"], "7");
    assert_eq!(rolled_back["deployment.kubernetes.io/revision"], "9");
}

#[test]
fn status_says_how_far_it_is() {
    let of = deployment(4, json!(1), json!(0));
    let reason = |status: &Value, kind: &str| {
        let wrapped = json!({"status": status});
        crate::common::condition(&wrapped, kind).map(|c| c.str_at(&["reason"]).to_owned()).unwrap_or_default()
    };
    let (status, check_in) = status::status_of(&of, Some(&set("new", 1, 0)), &[set("old", 4, 4)]);
    assert_eq!(status["replicas"], 5);
    assert_eq!(status["updatedReplicas"], 1);
    assert_eq!(status["unavailableReplicas"], 1);
    assert_eq!(status["observedGeneration"], 2);
    assert_eq!(reason(&status, "Available"), "MinimumReplicasAvailable");
    assert_eq!(reason(&status, "Progressing"), "NewReplicaSetCreated");
    assert_eq!(check_in, Some(600.0));
    let mut late = of.clone();
    late["status"] = status;
    late["status"]["conditions"][1]["lastUpdateTime"] = "2020-01-01T00:00:00Z".into();
    let (status, _) = status::status_of(&late, Some(&set("new", 1, 0)), &[set("old", 4, 4)]);
    assert_eq!(reason(&status, "Progressing"), "ProgressDeadlineExceeded");
    let (status, _) = status::status_of(&late, Some(&set("new", 4, 4)), &[]);
    assert_eq!(reason(&status, "Progressing"), "NewReplicaSetAvailable");
}
