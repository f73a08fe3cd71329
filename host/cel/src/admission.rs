//! The names that the expressions of admission policies can use, and what they must give.
//!
//! Whoever compiles such an expression does it with these: the server for what it enforces and for what a policy is told
//! when it is written, which know nothing of the objects, and the check of types in a policy's status, which knows them.

use std::sync::LazyLock;

use crate::program::{OBJECT, Options, Program};
use crate::types::{DYN, Kind, Type};

fn text() -> Type {
    Kind::String.into()
}

/// The type of `request`.
static REQUEST: LazyLock<Type> = LazyLock::new(|| {
    let named = |name: &str, what: &'static str| {
        Type::object(name, vec![("group", text()), ("version", text()), (what, text())])
    };
    let kind = || named("kubernetes.GroupVersionKind", "kind");
    let resource = || named("kubernetes.GroupVersionResource", "resource");
    let user = vec![
        ("username", text()),
        ("uid", text()),
        ("groups", Type::list(text())),
        ("extra", Type::map(text(), Type::list(text()))),
    ];
    let fields = vec![
        ("kind", kind()),
        ("resource", resource()),
        ("subResource", text()),
        ("requestKind", kind()),
        ("requestResource", resource()),
        ("requestSubResource", text()),
        ("name", text()),
        ("namespace", text()),
        ("operation", text()),
        ("userInfo", Type::object("kubernetes.UserInfo", user)),
        ("dryRun", Kind::Bool.into()),
        ("options", DYN.clone()),
    ];
    Type::object("kubernetes.AdmissionRequest", fields)
});

/// The type of `namespaceObject`: what of a namespace is shown.
static NAMESPACE: LazyLock<Type> = LazyLock::new(|| {
    let texts = || Type::list(text());
    let map = || Type::map(text(), text());
    let time = || Type::from(Kind::Timestamp);
    let metadata = vec![
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", map()),
        ("annotations", map()),
        ("UID", text()),
        ("creationTimestamp", time()),
        ("deletionGracePeriodSeconds", Kind::Int.into()),
        ("deletionTimestamp", time()),
        ("generation", Kind::Int.into()),
        ("resourceVersion", text()),
        ("finalizers", texts()),
    ];
    let condition = vec![
        ("status", text()),
        ("type", text()),
        ("lastTransitionTime", time()),
        ("message", text()),
        ("reason", text()),
    ];
    let conditions = Type::list(Type::object("kubernetes.NamespaceCondition", condition));
    let status = vec![("conditions", conditions), ("phase", text())];
    let fields = vec![
        ("metadata", Type::object("kubernetes.NamespaceMetadata", metadata)),
        ("spec", Type::object("kubernetes.NamespaceSpec", vec![("finalizers", texts())])),
        ("status", Type::object("kubernetes.NamespaceStatus", status)),
    ];
    Type::object("kubernetes.Namespace", fields)
});

/// What the expressions of a policy can name.
#[derive(Clone, Debug)]
pub struct Names {
    /// The type of `object` and `oldObject`.
    pub object: Type,
    /// The type of `params`, if the policy has parameters.
    pub params: Option<Type>,
    /// The types of the policy's own variables so far, if expressions can name them at all.
    pub composed: Option<Vec<(String, Type)>>,
}

impl Names {
    /// The names of a policy's expressions, of whose objects nothing is known. `params` is whether it has parameters.
    pub fn untyped(params: bool) -> Self {
        Self { object: DYN.clone(), params: params.then(|| DYN.clone()), composed: None }
    }

    /// The variables, with or without `authorizer`.
    pub fn variables(&self, authorizer: bool) -> Vec<(String, Type)> {
        let mut all = vec![
            ("object", self.object.clone()),
            ("oldObject", self.object.clone()),
            ("namespaceObject", NAMESPACE.clone()),
            ("request", REQUEST.clone()),
        ];
        if authorizer {
            all.push(("authorizer", Kind::Opaque("kubernetes.authorization.Authorizer").into()));
            all.push(("authorizer.requestResource", Kind::Opaque("kubernetes.authorization.ResourceCheck").into()));
        }
        all.extend(self.params.clone().map(|type_| ("params", type_)));
        if let Some(composed) = &self.composed {
            let fields = composed.iter().map(|(name, type_)| (name.as_str(), type_.clone())).collect();
            all.push(("variables", Type::object("kubernetes.variables", fields)));
        }
        all.into_iter().map(|(name, type_)| (name.to_owned(), type_)).collect()
    }

    /// Compiles the next of the policy's variables, and makes it known to those after it.
    ///
    /// # Errors
    /// What is wrong with it; those after it can name it all the same, as something of which nothing is known.
    pub fn compose(&mut self, name: &str, expression: &str) -> Result<Program, String> {
        let composed = self.composed.get_or_insert_default();
        composed.retain(|(known, _)| known != name);
        let program = Program::compile(expression, &self.variables(true));
        let type_ = program.as_ref().map_or_else(|_| DYN.clone(), |program| seen_of(program.result()));
        self.composed.get_or_insert_default().push((name.to_owned(), type_));
        program
    }
}

/// The type that a variable has for those who use it: of optional values and what libraries make nothing is known.
fn seen_of(type_: &Type) -> Type {
    match &type_.kind {
        Kind::List(items) => Type::list(seen_of(items)),
        Kind::Map(keys, values) => Type::map(seen_of(keys), seen_of(values)),
        Kind::Optional(_) | Kind::Opaque(_) | Kind::Message(_) | Kind::Object(_) | Kind::Type | Kind::Param(_) => {
            DYN.clone()
        }
        _ => type_.clone(),
    }
}

/// What an expression must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A condition.
    Bool,
    /// A message.
    String,
    /// An annotation, or none.
    StringOrNull,
    /// A partial object.
    Object,
    /// The operations of a JSON patch.
    Operations,
}

impl Wanted {
    /// Compiles an expression that gives this.
    ///
    /// # Errors
    /// What is wrong with it, in the reference's words.
    pub fn compile(self, text: &str, variables: &[(String, Type)]) -> Result<Program, String> {
        let options = Options { patches: matches!(self, Self::Object | Self::Operations) };
        let program =
            Program::compile_with(text, variables, options).map_err(|error| format!("compilation failed: {error}"))?;
        let (given, message) = (program.result(), |name: &str| Kind::Message(name.into()));
        let fits = match self {
            Self::Bool => given.kind == Kind::Bool,
            Self::String => given.kind == Kind::String,
            Self::StringOrNull => matches!(given.kind, Kind::String | Kind::Null),
            Self::Object => given.kind == message(OBJECT),
            Self::Operations => matches!(&given.kind, Kind::List(items) if items.kind == message("JSONPatch")),
        };
        if fits {
            return Ok(program);
        }
        let wanted = match self {
            Self::Bool => "bool",
            Self::String => "string",
            Self::StringOrNull => "one of [string null_type]",
            Self::Object => OBJECT,
            Self::Operations => "list(JSONPatch)",
        };
        Err(format!("must evaluate to {wanted} but got {}", shown(given)))
    }
}

/// A type as the messages about results name it.
fn shown(type_: &Type) -> String {
    match type_.kind {
        Kind::Null => "null_type".to_owned(),
        Kind::Timestamp => "google.protobuf.Timestamp".to_owned(),
        Kind::Duration => "google.protobuf.Duration".to_owned(),
        _ => type_.to_string(),
    }
}
