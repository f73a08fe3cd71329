use super::PodNetwork;

#[test]
fn addresses() {
    let (one, other) = (PodNetwork::new(None).unwrap(), PodNetwork::new(None).unwrap());
    let of = |network: &PodNetwork, uid: &str| network.assign(uid, false).unwrap();
    let first = of(&one, "a");
    assert_eq!(of(&one, "a"), first, "a pod keeps its address");
    assert_ne!(of(&one, "b"), first);
    assert_ne!(of(&other, "a"), first, "two kubelets of a machine share no range");
    one.release("a");
    assert_ne!(of(&one, "c"), first, "an address is not used again at once");
    assert!(first.is_loopback());
    assert_eq!(one.assign("d", true).unwrap().to_string(), "127.0.0.1");
    for number in 0..251 {
        of(&one, &format!("pod-{number}"));
    }
    let full = one.assign("one too many", false).unwrap_err().to_string();
    assert!(full.starts_with("no free address in 127.244."), "{full}");
}
