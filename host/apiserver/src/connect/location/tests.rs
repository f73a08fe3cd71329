use serde_json::json;

use super::*;

#[test]
fn the_container_is_the_named_or_the_only_one() {
    let pod = |names: &[&str], init: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        json!({"metadata": {"name": "p"}, "spec": {"containers": list(names), "initContainers": list(init)}})
    };
    let check = |pod: &Value, given: &str, expected: Result<&str, &str>| {
        let found = container(pod, given).map_err(|status| status.message);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{pod} {given}");
    };
    check(&pod(&["a"], &["i"]), "", Ok("a"));
    check(&pod(&["a", "b"], &["i"]), "i", Ok("i"));
    check(&pod(&["a"], &[]), "x", Err("container x is not valid for pod p"));
    let choose = "a container name must be specified for pod p, choose one of: [i a b]";
    check(&pod(&["a", "b"], &["i"]), "", Err(choose));
}

#[test]
fn names_may_have_a_scheme_and_a_port() {
    let check = |id: &str, expected: Option<(bool, &str, &str)>| {
        let found = Id::parse(id, "pod");
        match expected {
            Some(expected) => {
                let found = found.unwrap_or_else(|status| panic!("{id}: {status}"));
                assert_eq!((found.tls, found.name, found.port), expected);
            }
            None => assert_eq!(found.err().map(|s| s.message), Some(format!("invalid pod request {id:?}"))),
        }
    };
    check("web", Some((false, "web", "")));
    check("web:80", Some((false, "web", "80")));
    check("https:web:tls", Some((true, "web", "tls")));
    check("http:web:", Some((false, "web", "")));
    for bad in ["", ":80", "ftp:web:1", "a:b:c:d"] {
        check(bad, None);
    }
}

#[test]
fn the_servers_own_machine_is_out_of_reach() {
    let check = |ip: &str, good: bool| assert_eq!(proxyable(Some(ip)).is_ok(), good, "{ip}");
    for good in ["10.244.0.3", "127.244.0.2", "192.168.1.9", "fd00::1"] {
        check(good, true);
    }
    for bad in ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", "ff02::1", "::", "web", ""] {
        check(bad, false);
    }
    assert!(proxyable(None).is_err());
}
