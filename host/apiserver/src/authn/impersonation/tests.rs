use super::*;
use http::HeaderValue;

fn act(requestor: UserInfo, headers: &[(&'static str, &'static str)]) -> Result<UserInfo, Status> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(), HeaderValue::from_static(value));
    }
    let request = RequestInfo {
        is_resource_request: true,
        verb: "list".into(),
        resource: "pods".into(),
        ..RequestInfo::default()
    };
    act_as(&Authorizer::default(), &mut map, requestor, &request)
}

fn root() -> UserInfo {
    UserInfo { username: "root".into(), groups: vec!["system:masters".into()], ..UserInfo::default() }
}

#[test]
fn whom_the_headers_name() {
    let check = |headers: &[(&'static str, &'static str)], name: &str, groups: &[&str]| {
        let user = act(root(), headers).unwrap();
        assert_eq!((user.username.as_str(), user.groups), (name, groups.iter().map(|g| (*g).to_owned()).collect()));
    };
    check(&[], "root", &["system:masters"]);
    check(&[("Impersonate-User", "")], "root", &["system:masters"]);
    check(&[("Impersonate-User", "jo")], "jo", &["system:authenticated"]);
    check(
        &[("Impersonate-User", "jo"), ("Impersonate-Group", "g1"), ("Impersonate-Group", "g2")],
        "jo",
        &["g1", "g2", "system:authenticated"],
    );
    check(&[("Impersonate-User", "system:anonymous")], "system:anonymous", &["system:unauthenticated"]);
    check(
        &[("Impersonate-User", "system:serviceaccount:ns:sa")],
        "system:serviceaccount:ns:sa",
        &["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
    );
    check(&[("Impersonate-User", "system:serviceaccount:x")], "system:serviceaccount:x", &["system:authenticated"]);
    let extra =
        act(root(), &[("Impersonate-User", "jo"), ("Impersonate-Extra-Acme.com%2fProject", "p")]).unwrap().extra;
    assert_eq!(extra, [("acme.com/project".to_owned(), vec!["p".to_owned()])]);
}

#[test]
fn refusals() {
    let check = |requestor: UserInfo, headers: &[(&'static str, &'static str)], code: u16, message: &str| {
        let status = act(requestor, headers).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (code, message));
    };
    check(
        root(),
        &[("Impersonate-Group", "g")],
        400,
        "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"g\"}, Extra:map[string][]string(nil)} without \
         impersonating a user name",
    );
    check(
        root(),
        &[("Impersonate-Extra-Scopes", "a")],
        400,
        "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string(nil), \
         Extra:map[string][]string{\"scopes\":[]string{\"a\"}}} without impersonating a user name",
    );
    let jo = UserInfo { username: "jo".into(), ..UserInfo::default() };
    check(
        jo,
        &[("Impersonate-User", "x")],
        403,
        "pods is forbidden: User \"jo\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" at the \
         cluster scope",
    );
}
