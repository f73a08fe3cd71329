//! The checker: what type each expression has, or why it has none.

use std::collections::HashMap;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, StructExpr, operators,
};

use crate::functions::{Overload, TABLE};
use crate::parse::Parsed;
use crate::program::{JSON_PATCH, Options};
use crate::types::{Kind, Type};

/// The names of types, which are values of their own.
const TYPE_NAMES: [&str; 12] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

/// The type of the whole and of every node.
#[derive(Debug)]
pub struct Checked {
    /// What the expression gives.
    pub result: Type,
    /// The types of nodes, by where they are: nodes that a macro made share the macro's id.
    pub types: HashMap<usize, Type>,
    /// The overloads that a call may be of.
    pub overloads: HashMap<usize, Vec<&'static Overload>>,
}

/// Where a node is. The tree does not move while it is checked and estimated.
pub fn address(node: &IdedExpr) -> usize {
    std::ptr::from_ref(node) as usize
}

/// Checks an expression against its variables.
///
/// # Errors
/// What is wrong, as the reference prints it, one error a line.
pub fn check(parsed: &Parsed, variables: &[(String, Type)], options: Options) -> Result<Checked, String> {
    let mut checker = Checker {
        options,
        scope: variables.to_vec(),
        types: HashMap::new(),
        overloads: HashMap::new(),
        errors: Vec::new(),
        mixed: false,
    };
    let result = checker.node(&parsed.expr);
    if checker.errors.is_empty() {
        return Ok(Checked { result: result.closed(), types: checker.types, overloads: checker.overloads });
    }
    // Errors are told in the order of their places.
    checker.errors.sort_by_key(|(id, _)| parsed.offset(*id));
    let texts: Vec<String> = checker.errors.iter().map(|(id, message)| parsed.error_at(*id, message)).collect();
    Err(texts.join("\n"))
}

struct Checker {
    options: Options,
    scope: Vec<(String, Type)>,
    types: HashMap<usize, Type>,
    overloads: HashMap<usize, Vec<&'static Overload>>,
    /// What is wrong, by the places of nodes.
    errors: Vec<(u64, String)>,
    /// Whether literals may have elements of several types: the arguments of `format` may.
    mixed: bool,
}

/// The name that `a.b.c` spells.
pub fn qualified(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", qualified(&select.operand)?, select.field)),
        _ => None,
    }
}

/// The type of a field of a message. What a partial object has is checked when it is merged.
fn field_of_message(message: &str, field: &str) -> Option<Type> {
    match (message, field) {
        (JSON_PATCH, "op" | "path" | "from") => Some(Kind::String.into()),
        (JSON_PATCH, "value") => Some(Kind::Dyn.into()),
        (JSON_PATCH, _) => None,
        _ => Some(Kind::Dyn.into()),
    }
}

type Bound = HashMap<char, Type>;

/// Whether a value of `given` can stand where `wanted` is, with the parameters bound on the way.
fn fits(wanted: &Type, given: &Type, bound: &mut Bound) -> bool {
    match (&wanted.kind, &given.kind) {
        (Kind::Free, _) => true,
        (Kind::Param(name), _) => match bound.get(name).cloned() {
            None => {
                bound.insert(*name, given.clone());
                true
            }
            // An unknown type gives way to a known one.
            Some(before) if before.is_dyn() || given.is_dyn() => {
                let kind = if before.is_dyn() { given.kind.clone() } else { before.kind.clone() };
                bound.insert(*name, Type { kind, max: before.max.max(given.max), ..before });
                true
            }
            Some(before) if fits(&before, given, bound) => {
                bound.insert(*name, before.merged(given));
                true
            }
            Some(before) => before.kind == Kind::Null && nullable(given),
        },
        (Kind::Dyn, _) | (_, Kind::Dyn | Kind::Free) => true,
        (Kind::List(a), Kind::List(b)) | (Kind::Optional(a), Kind::Optional(b)) => fits(a, b, bound),
        (Kind::Map(a, c), Kind::Map(b, d)) => fits(a, b, bound) && fits(c, d, bound),
        (_, Kind::Null) => nullable(wanted),
        (a, b) => a == b,
    }
}

/// Types whose values may be null.
fn nullable(type_: &Type) -> bool {
    matches!(
        type_.kind,
        Kind::Null
            | Kind::Dyn
            | Kind::Object(_)
            | Kind::Message(_)
            | Kind::Opaque(_)
            | Kind::Timestamp
            | Kind::Duration
            | Kind::Optional(_)
    )
}

fn substitute(type_: &Type, bound: &Bound) -> Type {
    match &type_.kind {
        Kind::Param(name) => bound.get(name).cloned().unwrap_or_else(|| Kind::Dyn.into()),
        Kind::List(items) => Type::list(substitute(items, bound)),
        Kind::Optional(of) => Type::optional(substitute(of, bound)),
        Kind::Map(keys, values) => Type::map(substitute(keys, bound), substitute(values, bound)),
        _ => type_.clone(),
    }
}

impl Checker {
    fn fail(&mut self, id: u64, message: &str) -> Type {
        self.errors.push((id, message.to_owned()));
        // An error is reported once: what follows from it is not.
        Kind::Dyn.into()
    }

    fn node(&mut self, node: &IdedExpr) -> Type {
        let type_ = match &node.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self
                .variable(name)
                .unwrap_or_else(|| self.fail(node.id, &format!("undeclared reference to '{name}' (in container '')"))),
            Expr::Select(select) => self.select(node.id, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                let mut items: Option<Type> = None;
                for (index, element) in list.elements.iter().enumerate() {
                    let mut given = self.node(element);
                    if list.optional_indices.contains(&index)
                        && let Kind::Optional(of) = given.kind
                    {
                        given = *of;
                    }
                    items = Some(self.join(items, given, element.id));
                }
                let items = items.unwrap_or_else(|| Kind::Free.into());
                Type { max: list.elements.len() as u64, ..Type::list(items) }
            }
            Expr::Map(map) => {
                let (mut keys, mut values): (Option<Type>, Option<Type>) = (None, None);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let key = self.node(&entry.key);
                    keys = Some(self.join(keys, key, entry.key.id));
                    let mut value = self.node(&entry.value);
                    if entry.optional
                        && let Kind::Optional(of) = value.kind
                    {
                        value = *of;
                    }
                    values = Some(self.join(values, value, entry.value.id));
                }
                let any = || Type::from(Kind::Free);
                Type::map(keys.unwrap_or_else(any), values.unwrap_or_else(any))
            }
            Expr::Struct(value) => self.message(node.id, value),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Unspecified => Kind::Dyn.into(),
        };
        self.types.insert(address(node), type_.clone());
        type_
    }

    fn message(&mut self, id: u64, message: &StructExpr) -> Type {
        let name = message.type_name.as_str();
        if !self.options.makes(name) {
            return self.fail(id, &format!("undeclared reference to '{name}' (in container '')"));
        }
        for entry in &message.entries {
            let EntryExpr::StructField(field) = &entry.expr else { continue };
            let mut given = self.node(&field.value);
            if field.optional {
                given = match &given.kind {
                    Kind::Optional(of) => (**of).clone(),
                    Kind::Dyn => given,
                    _ => {
                        let wanted = Type::optional(given.clone());
                        self.fail(field.value.id, &format!("expected type '{wanted}' but found '{given}'"))
                    }
                };
            }
            let wanted = field_of_message(name, &field.field);
            if !wanted.as_ref().is_some_and(|wanted| fits(wanted, &given, &mut Bound::new())) {
                let wanted = wanted.map_or_else(String::new, |wanted| wanted.to_string());
                let what =
                    format!("expected type of field '{}' is '{wanted}' but provided type is '{given}'", field.field);
                self.fail(entry.id, &what);
            }
        }
        Kind::Message(name.into()).into()
    }

    /// The type of a literal's elements, which must all be of one.
    fn join(&mut self, before: Option<Type>, given: Type, id: u64) -> Type {
        let Some(before) = before else { return given };
        if before.is_dyn() || given.is_dyn() {
            return Kind::Dyn.into();
        }
        let mut bound = Bound::new();
        if fits(&before, &given, &mut bound) || fits(&given, &before, &mut bound) {
            return before.merged(&given);
        }
        if self.mixed {
            return Kind::Dyn.into();
        }
        self.fail(id, &format!("expected type '{before}' but found '{given}'"))
    }

    fn variable(&self, name: &str) -> Option<Type> {
        let found = self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, type_)| type_.clone());
        found.or_else(|| TYPE_NAMES.contains(&name).then(|| Kind::Type.into()))
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Type {
        let whole = qualified(&select.operand).map(|operand| format!("{operand}.{}", select.field));
        if let Some(type_) = whole.filter(|name| name.contains('.')).and_then(|name| self.variable(&name)) {
            return if select.test { Kind::Bool.into() } else { type_ };
        }
        let operand = self.node(&select.operand);
        let field = self.field(id, &operand, &select.field);
        if select.test { Kind::Bool.into() } else { field }
    }

    fn field(&mut self, id: u64, operand: &Type, field: &str) -> Type {
        match &operand.kind {
            Kind::Object(object) => match object.fields.get(field) {
                Some((_, type_)) => type_.clone(),
                None => self.fail(id, &format!("undefined field '{field}'")),
            },
            Kind::Map(_, values) => (**values).clone(),
            Kind::Message(name) => {
                field_of_message(name, field).unwrap_or_else(|| self.fail(id, &format!("undefined field '{field}'")))
            }
            Kind::Optional(of) => {
                let of = (**of).clone();
                let found = self.field(id, &of, field);
                if matches!(found.kind, Kind::Optional(_)) { found } else { Type::optional(found) }
            }
            Kind::Dyn | Kind::Free => Kind::Dyn.into(),
            _ => self.fail(id, &format!("type '{operand}' does not support field selection")),
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Type {
        let id = node.id;
        if call.func_name == operators::OPT_SELECT {
            let operand = call.args.first().map_or_else(|| Kind::Dyn.into(), |operand| self.node(operand));
            let field = match call.args.get(1).map(|arg| &arg.expr) {
                Some(Expr::Literal(LiteralValue::String(field))) => field.inner().to_owned(),
                _ => return self.fail(id, "unsupported optional field selection"),
            };
            let found = self.field(id, &operand, &field);
            return if matches!(found.kind, Kind::Optional(_)) { found } else { Type::optional(found) };
        }
        let (name, method) = (call.func_name.as_str(), call.target.is_some());
        let mut given = Vec::new();
        if let Some(target) = &call.target {
            given.push(self.node(target));
        }
        let outside = std::mem::replace(&mut self.mixed, method && name == "format");
        for arg in &call.args {
            given.push(self.node(arg));
        }
        self.mixed = outside;
        if matches!(name, operators::LOGICAL_AND | operators::LOGICAL_OR) {
            let wrong = |type_: &&Type| !matches!(type_.kind, Kind::Bool | Kind::Dyn | Kind::Free);
            if given.iter().any(|type_| wrong(&type_)) {
                for (arg, type_) in call.args.iter().zip(&given).filter(|(_, type_)| wrong(type_)) {
                    self.fail(arg.id, &format!("expected type 'bool' but found '{type_}'"));
                }
                return Kind::Bool.into();
            }
        }
        let Some(overloads) = TABLE.get(&(name.to_owned(), method)) else {
            return self.fail(id, &format!("undeclared reference to '{name}' (in container '')"));
        };
        let result = self.resolve(node, name, overloads, &given);
        self.check_literal(call);
        result
    }

    /// Literals that say a time, a span or a pattern must be ones.
    fn check_literal(&mut self, call: &CallExpr) {
        let arg = match (call.func_name.as_str(), call.args.as_slice()) {
            ("duration" | "timestamp" | "matches", [.., last]) => last,
            _ => return,
        };
        let Expr::Literal(LiteralValue::String(text)) = &arg.expr else { return };
        let text = text.inner();
        let fits = match call.func_name.as_str() {
            "duration" => crate::library::parse_duration(text).is_some(),
            "timestamp" => text.parse::<jiff::Timestamp>().is_ok(),
            _ => regex::Regex::new(text).is_ok(),
        };
        if !fits {
            self.fail(arg.id, &format!("invalid {} argument", call.func_name));
        }
    }

    fn resolve(&mut self, node: &IdedExpr, name: &str, overloads: &'static [Overload], given: &[Type]) -> Type {
        let mut result: Option<Type> = None;
        for overload in overloads.iter().filter(|overload| overload.params.len() == given.len()) {
            let mut bound = Bound::new();
            if !overload.params.iter().zip(given).all(|(wanted, given)| fits(wanted, given, &mut bound)) {
                continue;
            }
            self.overloads.entry(address(node)).or_default().push(overload);
            let found = substitute(&overload.result, &bound);
            result = Some(match result {
                Some(before) if before != found => Kind::Dyn.into(),
                _ => found,
            });
        }
        result.unwrap_or_else(|| {
            let list = |types: &[Type]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let method = TABLE.get(&(name.to_owned(), true)).is_some_and(|known| known.as_ptr() == overloads.as_ptr());
            let applied = match given.split_first() {
                Some((target, args)) if method => format!("{target}.({})", list(args)),
                _ => format!("({})", list(given)),
            };
            self.fail(node.id, &format!("found no matching overload for '{name}' applied to '{applied}'"))
        })
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Type {
        let range = self.node(&comprehension.iter_range);
        let accu = self.node(&comprehension.accu_init);
        let any = || Type::from(Kind::Dyn);
        let (first, second) = match (&range.kind, &comprehension.iter_var2) {
            (Kind::List(items), None) => ((**items).clone(), None),
            (Kind::List(items), Some(name)) => (Kind::Int.into(), Some((name.clone(), (**items).clone()))),
            (Kind::Map(keys, _), None) => ((**keys).clone(), None),
            (Kind::Map(keys, values), Some(name)) => ((**keys).clone(), Some((name.clone(), (**values).clone()))),
            (Kind::Dyn | Kind::Free, name) => (any(), name.clone().map(|name| (name, any()))),
            (_, name) => {
                let message = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.fail(comprehension.iter_range.id, &message);
                (any(), name.clone().map(|name| (name, any())))
            }
        };
        let depth = self.scope.len();
        self.scope.push((comprehension.accu_var.clone(), accu.clone()));
        self.scope.push((comprehension.iter_var.clone(), first));
        self.scope.extend(second);
        let condition = self.node(&comprehension.loop_cond);
        if !matches!(condition.kind, Kind::Bool | Kind::Dyn | Kind::Free) {
            self.fail(comprehension.loop_cond.id, &format!("expected type 'bool' but found '{condition}'"));
        }
        let step = self.node(&comprehension.loop_step);
        self.scope.truncate(depth);
        // What is collected has the type that the steps give it: the initial list or map is empty.
        let mut bound = Bound::new();
        let accu = if fits(&accu, &step, &mut bound) { step } else { accu };
        self.scope.push((comprehension.accu_var.clone(), accu.kind.into()));
        let mut result = self.node(&comprehension.result);
        self.scope.truncate(depth);
        if matches!(result.kind, Kind::List(_)) {
            // A list made of a list has at most as many items.
            result.max = range.max;
        }
        result
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool.into(),
        LiteralValue::Bytes(bytes) => Type { max: bytes.inner().len() as u64, ..Kind::Bytes.into() },
        LiteralValue::Double(_) => Kind::Double.into(),
        LiteralValue::Int(_) => Kind::Int.into(),
        LiteralValue::UInt(_) => Kind::Uint.into(),
        LiteralValue::Null => Kind::Null.into(),
        LiteralValue::String(text) => Type { max: text.inner().len() as u64, ..Kind::String.into() },
    }
}
