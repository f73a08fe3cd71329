//! Questions to the authorizer (`authorizer.group('').resource('pods').check('get').allowed()`).

use std::fmt;
use std::rc::Rc;

use super::Outcome;
use crate::value::Val;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Whether a path is asked about and not a resource.
    pub path: Option<String>,
    /// The service account that is asked about, by namespace and name; none for the request's user.
    pub service_account: Option<(String, String)>,
    /// The API group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The namespace; empty for all.
    pub namespace: String,
    /// The object's name; empty for all.
    pub name: String,
    /// Which objects a list is narrowed to by their fields.
    pub field_selector: String,
    /// And by their labels.
    pub label_selector: String,
    /// The verb.
    pub verb: String,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: String,
    /// What kept the authorizer from deciding; empty if nothing did.
    pub error: String,
}

/// Answers questions.
pub trait Authorize: fmt::Debug {
    /// Decides on one.
    fn decide(&self, query: &Query) -> Decision;
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    match args {
        [Val::Decision(decision)] => Some(Ok(match name {
            "allowed" => Val::Bool(decision.allowed),
            "reason" => decision.reason.as_str().into(),
            "errored" => Val::Bool(!decision.error.is_empty()),
            "error" => decision.error.as_str().into(),
            _ => return None,
        })),
        [Val::Query(authorizer, query), Val::String(first), rest @ ..] => {
            let mut query = (**query).clone();
            let text = first.to_string();
            match (name, rest) {
                ("serviceAccount", [Val::String(account)]) => query.service_account = Some((text, account.to_string())),
                ("path", []) => query.path = Some(text),
                ("group", []) => query.group = text,
                ("resource", []) => query.resource = text,
                ("subresource", []) => query.subresource = text,
                ("namespace", []) => query.namespace = text,
                ("name", []) => query.name = text,
                ("fieldSelector", []) => query.field_selector = text,
                ("labelSelector", []) => query.label_selector = text,
                ("check", []) => {
                    query.verb = text;
                    return Some(Ok(Val::Decision(Rc::new(authorizer.decide(&query)))));
                }
                _ => return None,
            }
            Some(Ok(Val::Query(*authorizer, Rc::new(query))))
        }
        _ => None,
    }
}
