use serde_json::json;

use super::*;

fn node(name: &str, zone: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"zone": zone, "topology.kubernetes.io/zone": zone}}})
}

fn claim(uid: &str, size: &str) -> Object {
    Arc::new(json!({
        "metadata": {"name": uid, "namespace": "ns", "uid": uid},
        "spec": {"storageClassName": "s", "resources": {"requests": {"storage": size}}},
    }))
}

fn volume(name: &str, size: &str, zone: &str) -> Object {
    let term = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]});
    Arc::new(json!({
        "metadata": {"name": name},
        "spec": {"storageClassName": "s", "capacity": {"storage": size},
                 "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}},
        "status": {"phase": "Available"},
    }))
}

/// What is bound on a node of zone `a`, and for what volumes are made; or the reason against the node.
fn check(wants: &Wants, expected: Result<(&[(&str, &str)], &[&str]), &str>) {
    let found = wants.on(&node("n", "a")).map(|choice| {
        let bind: Vec<_> =
            choice.bind.iter().map(|(claim, volume)| (claim.name().to_owned(), volume.name().to_owned())).collect();
        (bind, choice.provision.iter().map(|claim| claim.name().to_owned()).collect::<Vec<_>>())
    });
    let expected = expected.map(|(bind, provision)| {
        let bind = bind.iter().map(|(claim, volume)| ((*claim).to_owned(), (*volume).to_owned())).collect();
        (bind, provision.iter().map(|claim| (*claim).to_owned()).collect())
    });
    assert_eq!(found, expected);
}

#[test]
fn volumes_keep_pods_to_their_nodes() {
    check(&Wants { bound: vec![volume("v", "1Gi", "a")], ..Wants::default() }, Ok((&[], &[])));
    check(&Wants { bound: vec![volume("v", "1Gi", "b")], ..Wants::default() }, Err(OUT_OF_REACH));
    let zoned = json!({"metadata": {"name": "v", "labels": {"topology.kubernetes.io/zone": "b"}}});
    check(&Wants { bound: vec![Arc::new(zoned)], ..Wants::default() }, Err(OTHER_ZONE));
    check(&Wants { lost: true, ..Wants::default() }, Err(NOT_THERE));
    check(&Wants { in_use: true, ..Wants::default() }, Err(IN_USE));
}

#[test]
fn claims_that_wait_get_volumes_of_the_node() {
    let class = |provisioner: &str| Arc::new(json!({"metadata": {"name": "s"}, "provisioner": provisioner}));
    let wants = |claims: &[Object], provisioner: &str, volumes: &[Object]| Wants {
        waiting: claims.iter().map(|claim| (claim.clone(), class(provisioner))).collect(),
        storage: Storage { volumes: volumes.to_vec(), ..Storage::default() },
        ..Wants::default()
    };
    let volumes = [volume("far", "1Gi", "b"), volume("small", "1Gi", "a"), volume("large", "5Gi", "a")];
    let (one, two) = (claim("1", "1Gi"), claim("2", "1Gi"));
    check(&wants(&[one.clone()], NO_PROVISIONER, &volumes), Ok((&[("1", "small")], &[])));
    // No volume is given twice.
    let both = wants(&[one.clone(), two.clone()], NO_PROVISIONER, &volumes);
    check(&both, Ok((&[("1", "small"), ("2", "large")], &[])));
    let mut held = wants(&[one.clone()], NO_PROVISIONER, &volumes);
    held.storage.reserved.insert("small".into(), "2".into());
    check(&held, Ok((&[("1", "large")], &[])));
    check(&wants(&[claim("1", "9Gi")], NO_PROVISIONER, &volumes), Err(NOTHING_TO_BIND));
    check(&wants(&[claim("1", "9Gi")], "csi.example.org", &volumes), Ok((&[], &["1"])));
    // One for which a volume is being made waits for that, and elsewhere there is none for it.
    let mut chosen = (*one).clone();
    chosen["metadata"]["annotations"] = json!({SELECTED_NODE: "n"});
    check(&wants(&[Arc::new(chosen.clone())], "csi.example.org", &volumes), Ok((&[], &["1"])));
    chosen["metadata"]["annotations"] = json!({SELECTED_NODE: "m"});
    check(&wants(&[Arc::new(chosen)], "csi.example.org", &volumes), Err(OUT_OF_REACH));
}

#[test]
fn drivers_may_say_how_much_room_they_have() {
    let check = |counting: &[&str], capacity: Value, expected: bool| {
        let storage = Storage {
            counting: counting.iter().map(|name| (*name).to_owned()).collect(),
            capacities: vec![Arc::new(capacity.clone())],
            ..Storage::default()
        };
        let class = json!({"metadata": {"name": "s"}});
        assert_eq!(storage.has_room("d", &claim("1", "1Gi"), &class, &node("n", "a")), expected, "{capacity}");
    };
    let here = json!({"matchLabels": {"zone": "a"}});
    check(&[], json!({}), true);
    check(&["d"], json!({}), false);
    check(&["d"], json!({"storageClassName": "s", "capacity": "2Gi", "nodeTopology": here}), true);
    check(
        &["d"],
        json!({"storageClassName": "s", "capacity": "2Gi", "maximumVolumeSize": "1M", "nodeTopology": here}),
        false,
    );
    check(&["d"], json!({"storageClassName": "t", "capacity": "2Gi", "nodeTopology": here}), false);
    check(&["d"], json!({"storageClassName": "s", "capacity": "2Gi"}), false);
    check(
        &["d"],
        json!({"storageClassName": "s", "capacity": "2Gi", "nodeTopology": {"matchLabels": {"zone": "b"}}}),
        false,
    );
}
