use super::*;

struct Fixed(i64, Decision);

impl AuthorizerComponent for Fixed {
    fn authorize(&self, _: &UserInfo, _: &RequestInfo) -> Decision {
        self.1.clone()
    }

    fn order(&self) -> i64 {
        self.0
    }
}

fn request(path: &str) -> RequestInfo {
    RequestInfo { verb: "get".into(), path: path.into(), ..RequestInfo::default() }
}

#[test]
fn components_come_before_or_after_and_never_lock_out_the_administrator() {
    let authorizer = Authorizer::default();
    let jo = UserInfo { username: "jo".into(), ..UserInfo::default() };
    let root = UserInfo { groups: vec!["system:masters".into()], ..jo.clone() };
    let asked = request("/x");
    assert_eq!(authorizer.authorize(&jo, &asked), Decision::NoOpinion(String::new()));
    authorizer.set_components(vec![
        Arc::new(Fixed(5, Decision::Allow("late".into()))),
        Arc::new(Fixed(-5, Decision::NoOpinion("early".into()))),
    ]);
    assert_eq!(authorizer.authorize(&jo, &asked), Decision::Allow("late".into()));
    authorizer.set_components(vec![Arc::new(Fixed(-5, Decision::Deny("no".into())))]);
    assert_eq!(authorizer.authorize(&jo, &asked), Decision::Deny("no".into()));
    assert_eq!(authorizer.authorize(&root, &asked), Decision::Allow(String::new()));
}

#[test]
fn refusals_in_the_references_words() {
    let jo = UserInfo { username: "jo".into(), ..UserInfo::default() };
    let message = |request: &RequestInfo| forbidden(&jo, request, "").message;
    assert_eq!(message(&request("/api")), "forbidden: User \"jo\" cannot get path \"/api\"");
    let scaled = RequestInfo {
        is_resource_request: true,
        verb: "patch".into(),
        api_group: "apps".into(),
        namespace: "ns".into(),
        resource: "deployments".into(),
        subresource: "scale".into(),
        name: "d".into(),
        ..RequestInfo::default()
    };
    assert_eq!(
        message(&scaled),
        "deployments.apps \"d\" is forbidden: User \"jo\" cannot patch resource \"deployments/scale\" in API group \"apps\" \
         in the namespace \"ns\""
    );
    let all = RequestInfo { namespace: String::new(), name: String::new(), subresource: String::new(), ..scaled };
    assert!(message(&all).ends_with("at the cluster scope"), "{}", message(&all));
}
