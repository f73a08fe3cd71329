use super::*;

/// Answers before and after.
struct Fixed(Decision, Decision);

impl AuthorizerComponents for Fixed {
    fn authorize(&self, turn: Turn, _: &UserInfo, _: &RequestInfo) -> Decision {
        if turn == Turn::Before { self.0.clone() } else { self.1.clone() }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

fn request(path: &str) -> RequestInfo {
    RequestInfo { verb: "get".into(), path: path.into(), ..RequestInfo::default() }
}

#[test]
fn components_come_before_or_after_and_never_lock_out_the_administrator() {
    let jo = UserInfo { username: "jo".into(), ..UserInfo::default() };
    let root = UserInfo { groups: vec!["system:masters".into()], ..jo.clone() };
    let asked = request("/x");
    let plugins = RequestInfo { api_group: plugins::GROUP.into(), ..asked.clone() };
    let (allow, deny) = (|why: &str| Decision::Allow(why.into()), |why: &str| Decision::Deny(why.into()));
    let none = |why: &str| Decision::NoOpinion(why.into());
    let check = |modes: &[AuthorizationMode], components: Fixed, expected: Decision| {
        let authorizer = Authorizer::new(modes.to_vec());
        assert_eq!(authorizer.rules_for(&jo, "ns").1, false);
        authorizer.set_components(Arc::new(components));
        assert_eq!(authorizer.authorize(&jo, &asked), expected);
        assert_eq!(authorizer.authorize(&root, &asked), allow(""));
        let builtin = authorizer.authorize_builtin(&jo, &asked);
        assert_eq!(authorizer.authorize(&jo, &plugins), builtin, "no component is asked about plugins");
        assert_eq!(authorizer.rules_for(&jo, "ns").1, true);
    };
    let rbac = [AuthorizationMode::Rbac];
    check(&rbac, Fixed(none("early"), allow("late")), allow("late"));
    check(&rbac, Fixed(none("early"), none("late")), none("early\nlate"));
    check(&rbac, Fixed(deny("no"), allow("late")), deny("no"));
    check(&rbac, Fixed(allow("yes"), deny("late")), allow("yes"));
    let open = [AuthorizationMode::AlwaysAllow];
    check(&open, Fixed(none(""), deny("late")), allow(""));
    check(&open, Fixed(deny("no"), none("")), deny("no"));
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
