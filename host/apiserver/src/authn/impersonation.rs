//! Impersonation: acting as somebody else, if authorization lets one (API reference, "User impersonation"; KEP-5284 for the
//! constrained modes, which are tried first).

use http::{HeaderMap, HeaderName};
use portcullis_machinery::Status;

use crate::authz::rules::quoted_list;
use crate::authz::{Authorizer, Decision, forbidden};
use crate::context::{RequestInfo, UserInfo};
use crate::request_info::percent_decode;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";

fn texts(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// `[]string{"g"}`, or the nil form: the reference's message shows its own language's values.
fn go_strings(values: &[String]) -> String {
    if values.is_empty() {
        return "[]string(nil)".to_owned();
    }
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[]string{{{}}}", quoted.join(", "))
}

/// Who the headers ask for; `None` if nobody. The headers are taken out, so that nothing behind acts on them.
fn wanted(headers: &mut HeaderMap) -> Result<Option<UserInfo>, Status> {
    let mut user = UserInfo {
        username: texts(headers, USER).into_iter().next().unwrap_or_default(),
        uid: texts(headers, UID).into_iter().next().unwrap_or_default(),
        groups: texts(headers, GROUP),
        extra: Vec::new(),
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(EXTRA)).cloned().collect();
    for name in &names {
        let key = percent_decode(name.as_str().trim_start_matches(EXTRA), false);
        let values = texts(headers, name.as_str());
        match user.extra.iter_mut().find(|(known, _)| *known == key) {
            Some((_, all)) => all.extend(values),
            None => user.extra.push((key, values)),
        }
    }
    user.extra.sort();
    if user.username.is_empty() {
        if user.uid.is_empty() && user.groups.is_empty() && user.extra.is_empty() {
            return Ok(None);
        }
        let extra = if user.extra.is_empty() {
            "map[string][]string(nil)".to_owned()
        } else {
            let entries: Vec<String> =
                user.extra.iter().map(|(key, values)| format!("{key:?}:{}", go_strings(values))).collect();
            format!("map[string][]string{{{}}}", entries.join(", "))
        };
        return Err(Status::bad_request(format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{:?}, Groups:{}, Extra:{extra}}} without impersonating a user name",
            user.uid,
            go_strings(&user.groups),
        )));
    }
    for name in names {
        headers.remove(name);
    }
    headers.remove(USER);
    headers.remove(UID);
    headers.remove(GROUP);
    Ok(Some(user))
}

/// The namespace and name of a ServiceAccount's user name.
pub fn service_account(username: &str) -> Option<(&str, &str)> {
    let rest = username.strip_prefix("system:serviceaccount:")?;
    let (namespace, name) = rest.split_once(':')?;
    let subdomain = |text: &str, dots: bool| {
        !text.is_empty()
            && text.len() <= 253
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (dots && b == b'.'))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    (subdomain(namespace, false) && subdomain(name, true)).then_some((namespace, name))
}

fn node(username: &str) -> Option<&str> {
    let name = username.strip_prefix("system:node:")?;
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(ok)).then_some(name)
}

/// One way of impersonating: the legacy one (all verbs alike), or a constrained one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

impl Mode {
    const ALL: [Self; 5] =
        [Self::AssociatedNode, Self::ArbitraryNode, Self::ServiceAccount, Self::UserInfo, Self::Legacy];

    fn word(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "",
        }
    }

    fn applies(self, requestor: &UserInfo, wanted: &UserInfo) -> bool {
        let name_only = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        match self {
            Self::AssociatedNode => {
                let own = requestor.extra.iter().find(|(key, _)| key == "authentication.kubernetes.io/node-name");
                let own = own.and_then(|(_, values)| if values.len() == 1 { values.first() } else { None });
                name_only
                    && service_account(&requestor.username).is_some()
                    && node(&wanted.username).is_some_and(|name| own.is_some_and(|own| own == name))
            }
            Self::ArbitraryNode => name_only && node(&wanted.username).is_some(),
            Self::ServiceAccount => name_only && service_account(&wanted.username).is_some(),
            Self::UserInfo => node(&wanted.username).is_none() && service_account(&wanted.username).is_none(),
            Self::Legacy => true,
        }
    }

    fn check(
        self,
        authorizer: &Authorizer,
        requestor: &UserInfo,
        request: &RequestInfo,
        wanted: &UserInfo,
    ) -> Result<UserInfo, Status> {
        let allowed = |asked: &RequestInfo| match authorizer.authorize(requestor, asked) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(requestor, asked, &reason)),
        };
        let constrained = self != Self::Legacy;
        let verb = if constrained { format!("impersonate:{}", self.word()) } else { "impersonate".to_owned() };
        if constrained {
            allowed(&RequestInfo {
                verb: format!("impersonate-on:{}:{}", self.word(), request.verb),
                ..request.clone()
            })?;
        }
        let group = if constrained { AUTHENTICATION } else { "" };
        let asked = |group: &str, resource: &str, name: &str| RequestInfo {
            is_resource_request: true,
            verb: verb.clone(),
            api_group: group.to_owned(),
            api_version: "v1".to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            ..RequestInfo::default()
        };
        let mut user = wanted.clone();
        let mut username = asked(group, "users", &wanted.username);
        if let Some(name) = node(&wanted.username).filter(|_| constrained) {
            username = asked(group, "nodes", if self == Self::AssociatedNode { "*" } else { name });
            user.groups = vec!["system:nodes".to_owned()];
        } else if let Some((namespace, name)) = service_account(&wanted.username) {
            username = RequestInfo { namespace: namespace.to_owned(), ..asked(group, "serviceaccounts", name) };
            if wanted.groups.is_empty() {
                user.groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
            }
        }
        allowed(&username)?;
        if !wanted.uid.is_empty() {
            allowed(&asked(AUTHENTICATION, "uids", &wanted.uid))?;
        }
        for name in &wanted.groups {
            let asked = asked(group, "groups", name);
            if constrained && name.is_empty() {
                return Err(forbidden(requestor, &asked, "impersonating the empty string group is not allowed"));
            }
            if constrained && name == "system:masters" {
                return Err(forbidden(requestor, &asked, "impersonating the system:masters group is not allowed"));
            }
            allowed(&asked)?;
        }
        for (key, values) in &wanted.extra {
            for value in values {
                let asked = RequestInfo { subresource: key.clone(), ..asked(AUTHENTICATION, "userextras", value) };
                if constrained && (key.is_empty() || value.is_empty()) {
                    return Err(forbidden(
                        requestor,
                        &asked,
                        "impersonating empty extra keys or values is not allowed",
                    ));
                }
                allowed(&asked)?;
            }
        }
        let implied = match user.username.as_str() {
            super::ANONYMOUS => Some(super::UNAUTHENTICATED),
            _ if user.groups.iter().any(|group| group == super::UNAUTHENTICATED) => None,
            _ => Some(super::AUTHENTICATED),
        };
        if let Some(implied) = implied.filter(|implied| !user.groups.iter().any(|group| group == implied)) {
            user.groups.push(implied.to_owned());
        }
        Ok(user)
    }
}

/// The user that the request acts as: the requestor, or whom the Impersonate headers name. An empty `Impersonate-User`
/// counts as none.
///
/// # Errors
/// 400 for groups, uid or extras without a user; 403 if the requestor may not do that: of the first mode that applies, as
/// in the reference.
pub fn act_as(
    authorizer: &Authorizer,
    headers: &mut HeaderMap,
    requestor: UserInfo,
    request: &RequestInfo,
) -> Result<UserInfo, Status> {
    let Some(wanted) = wanted(headers)? else { return Ok(requestor) };
    let mut first = None;
    for mode in Mode::ALL.into_iter().filter(|mode| mode.applies(&requestor, &wanted)) {
        match mode.check(authorizer, &requestor, request, &wanted) {
            Ok(user) => {
                tracing::debug!(
                    requestor = requestor.username,
                    user = user.username,
                    groups = quoted_list(&user.groups),
                    "impersonation"
                );
                return Ok(user);
            }
            Err(status) => first = first.or(Some(status)),
        }
    }
    Err(first.unwrap_or_else(|| Status::internal("all impersonation modes failed")))
}

#[cfg(test)]
mod tests;
