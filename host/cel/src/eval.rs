//! The evaluator: a walk over the tree that counts what it costs.

use std::rc::Rc;
use std::sync::Arc;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, StructExpr, operators,
};

use crate::check::qualified;
use crate::cost::actual::of_call;
use crate::cost::{LIST, MAP, STRUCT};
use crate::library;
use crate::program::{EvalError, JSON_PATCH, Variables};
use crate::value::{Message, Val};

type Outcome<'a> = Result<Val<'a>, EvalError>;

/// Whether an expression names a variable.
pub fn mentions(node: &IdedExpr, name: &str) -> bool {
    let any = |nodes: &[&IdedExpr]| nodes.iter().any(|node| mentions(node, name));
    match &node.expr {
        Expr::Ident(found) => found == name,
        Expr::Select(select) => mentions(&select.operand, name),
        Expr::Call(call) => {
            call.target.as_ref().is_some_and(|target| mentions(target, name))
                || call.args.iter().any(|arg| mentions(arg, name))
        }
        Expr::List(list) => list.elements.iter().any(|element| mentions(element, name)),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => any(&[&entry.key, &entry.value]),
            EntryExpr::StructField(field) => mentions(&field.value, name),
        }),
        Expr::Comprehension(c) => any(&[&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]),
        Expr::Struct(value) => value.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => any(&[&entry.key, &entry.value]),
            EntryExpr::StructField(field) => mentions(&field.value, name),
        }),
        Expr::Literal(_) | Expr::Unspecified => false,
    }
}

/// One evaluation of a program, whose tree lives for `'p`.
pub struct Evaluator<'p, 'a> {
    variables: Variables<'a>,
    /// The variables of comprehensions, the innermost last.
    locals: Vec<(&'p str, Outcome<'a>)>,
    spent: u64,
    limit: u64,
}

fn failed<'a>(text: impl AsRef<str>) -> Outcome<'a> {
    Err(EvalError::failed(text))
}

impl<'p, 'a> Evaluator<'p, 'a> {
    /// An evaluation over variables, which may cost so much.
    pub fn new(variables: Variables<'a>, limit: u64) -> Self {
        Self { variables, locals: Vec::new(), spent: 0, limit }
    }

    /// What it has cost.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    fn variable(&self, name: &str) -> Option<&Outcome<'a>> {
        let local = self.locals.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value);
        local.or_else(|| self.variables.get(name))
    }

    fn spend(&mut self, cost: u64) -> Result<(), EvalError> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limit { Err(EvalError::TooCostly) } else { Ok(()) }
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// If it has none, or costs too much.
    pub fn value(&mut self, node: &'p IdedExpr) -> Outcome<'a> {
        match &node.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => {
                self.spend(1)?;
                self.variable(name).cloned().unwrap_or_else(|| Ok(Val::Type(name.as_str().into())))
            }
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                if !is_constant(node) {
                    self.spend(LIST)?;
                }
                let mut items = Vec::with_capacity(list.elements.len());
                for (index, element) in list.elements.iter().enumerate() {
                    match self.value(element)? {
                        Val::Optional(value) if list.optional_indices.contains(&index) => {
                            items.extend(value.map(|value| (*value).clone()));
                        }
                        value => items.push(value),
                    }
                }
                Ok(Val::list(items))
            }
            Expr::Map(map) => {
                self.spend(MAP)?;
                let mut entries: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let key = self.value(&entry.key)?;
                    let value = match (self.value(&entry.value)?, entry.optional) {
                        (Val::Optional(None), true) => continue,
                        (Val::Optional(Some(value)), true) => (*value).clone(),
                        (value, _) => value,
                    };
                    if entries.iter().any(|(known, _)| known.equals(&key)) {
                        return failed("Failed with repeated key");
                    }
                    entries.push((key, value));
                }
                Ok(Val::Map(entries.into()))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(value) => self.message(value),
            Expr::Unspecified => failed("unsupported expression"),
        }
    }

    fn message(&mut self, message: &'p StructExpr) -> Outcome<'a> {
        let mut fields = Vec::with_capacity(message.entries.len());
        for entry in &message.entries {
            let EntryExpr::StructField(field) = &entry.expr else { continue };
            let value = match (self.value(&field.value)?, field.optional) {
                (Val::Optional(None), true) => continue,
                (Val::Optional(Some(value)), true) => (*value).clone(),
                (value, _) => value,
            };
            if message.type_name == JSON_PATCH && field.field != "value" && !matches!(value, Val::String(_)) {
                return failed(format!(
                    "unexpected type {} for JSONPatchType '{}' field",
                    value.type_name(),
                    field.field
                ));
            }
            fields.push((Rc::from(field.field.as_str()), value));
        }
        self.spend(STRUCT)?;
        Ok(Val::Message(Rc::new(Message { name: Arc::from(message.type_name.as_str()), fields })))
    }

    fn select(&mut self, select: &'p SelectExpr) -> Outcome<'a> {
        if let Some(name) = qualified(&select.operand).map(|operand| format!("{operand}.{}", select.field))
            && let Some(value) = self.variable(&name)
        {
            let value = if select.test { Ok(Val::Bool(true)) } else { value.clone() };
            self.spend(1)?;
            return value;
        }
        let operand = self.value(&select.operand)?;
        // Whether something is there is asked for nothing.
        if !select.test {
            self.spend(if is_attribute(&select.operand) { 1 } else { 2 })?;
        }
        if let Val::Optional(of) = &operand {
            let found = of.as_ref().and_then(|of| of.member(&select.field));
            return Ok(if select.test { Val::Bool(found.is_some()) } else { optional(found) });
        }
        if let Val::Late(members) = &operand {
            return match (members.member(&select.field), select.test) {
                (found, true) => Ok(Val::Bool(found.is_some())),
                (Some(found), false) => found,
                (None, false) => failed(format!("no such key: {}", select.field)),
            };
        }
        let found = operand.member(&select.field);
        match (select.test, found) {
            (true, found) => Ok(Val::Bool(found.is_some())),
            (false, Some(found)) => Ok(found),
            (false, None) if matches!(operand, Val::Object(..) | Val::Map(_) | Val::JsonMap(..) | Val::Message(_)) => {
                failed(format!("no such key: {}", select.field))
            }
            (false, None) => failed("no such overload"),
        }
    }

    fn call(&mut self, call: &'p CallExpr) -> Outcome<'a> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [a, b]) => return self.logical(a, b, false),
            (operators::LOGICAL_OR, [a, b]) => return self.logical(a, b, true),
            (operators::CONDITIONAL, [test, yes, no]) => {
                return match self.value(test)? {
                    Val::Bool(true) => self.value(yes),
                    Val::Bool(false) => self.value(no),
                    _ => failed("no such overload"),
                };
            }
            (operators::NOT_STRICTLY_FALSE, [arg]) => {
                let value = self.value(arg);
                self.spend(1)?;
                return match value {
                    Err(EvalError::TooCostly) => Err(EvalError::TooCostly),
                    Ok(Val::Bool(false)) => Ok(Val::Bool(false)),
                    _ => Ok(Val::Bool(true)),
                };
            }
            (operators::OPT_SELECT, [operand, field]) => {
                let Expr::Literal(LiteralValue::String(field)) = &field.expr else { return failed("no such overload") };
                let operand = self.value(operand)?;
                self.spend(1)?;
                return Ok(optional(match &operand {
                    Val::Optional(of) => of.as_ref().and_then(|of| of.member(field.inner())),
                    other => other.member(field.inner()),
                }));
            }
            _ => {}
        }
        let mut args = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            args.push(self.value(target)?);
        }
        // What an optional value stands in for is not evaluated if there is one.
        if let ([Val::Optional(Some(value))], true) = (args.as_slice(), call.args.len() == 1) {
            match call.func_name.as_str() {
                "orValue" => return Ok((**value).clone()),
                "or" => return Ok(args.remove(0)),
                _ => {}
            }
        }
        for arg in &call.args {
            args.push(self.value(arg)?);
        }
        let name = call.func_name.as_str();
        let result = library::call(name, &args);
        // What is made of literals alone is made once, when the expression is compiled.
        if !is_folded(call) {
            self.spend(of_call(name, &args, result.as_ref().ok()))?;
        }
        result
    }

    /// `&&` and `||`: one side may decide although the other fails.
    fn logical(&mut self, a: &'p IdedExpr, b: &'p IdedExpr, decides: bool) -> Outcome<'a> {
        let first = self.value(a);
        match &first {
            Err(EvalError::TooCostly) => return first,
            Ok(Val::Bool(value)) if *value == decides => return first,
            _ => {}
        }
        let second = self.value(b);
        match (&first, &second) {
            (_, Err(EvalError::TooCostly)) => second,
            (_, Ok(Val::Bool(value))) if *value == decides => second,
            (Err(_), _) => first,
            (Ok(Val::Bool(_)), _) if matches!(second, Ok(Val::Bool(_)) | Err(_)) => second,
            _ => failed("no such overload"),
        }
    }

    fn comprehension(&mut self, comprehension: &'p ComprehensionExpr) -> Outcome<'a> {
        let range = self.value(&comprehension.iter_range)?;
        let entries: Vec<(Val<'a>, Option<Val<'a>>)> = if let Some(items) = range.items() {
            let two = comprehension.iter_var2.is_some();
            let place = |(index, item)| if two { (Val::Int(index as i64), Some(item)) } else { (item, None) };
            items.into_iter().enumerate().map(place).collect()
        } else if let Some(entries) = range.entries() {
            entries.into_iter().map(|(key, value)| (key, comprehension.iter_var2.is_some().then_some(value))).collect()
        } else {
            return failed("no such overload");
        };
        let depth = self.locals.len();
        let init = self.value(&comprehension.accu_init);
        self.locals.push((&comprehension.accu_var, init));
        for (first, second) in entries {
            self.locals.push((&comprehension.iter_var, Ok(first)));
            if let (Some(name), Some(second)) = (&comprehension.iter_var2, second) {
                self.locals.push((name, Ok(second)));
            }
            let goes_on = self.value(&comprehension.loop_cond);
            let step = match goes_on {
                Ok(Val::Bool(true)) => Some(self.value(&comprehension.loop_step)),
                Err(EvalError::TooCostly) => Some(Err(EvalError::TooCostly)),
                _ => None,
            };
            self.locals.truncate(depth + 1);
            match step {
                Some(Err(EvalError::TooCostly)) => {
                    self.locals.truncate(depth);
                    return Err(EvalError::TooCostly);
                }
                Some(step) => self.locals[depth].1 = step,
                None => break,
            }
        }
        let result = self.value(&comprehension.result);
        self.locals.truncate(depth);
        result
    }
}

/// Whether an expression is a list of literals, or of what is made of one.
fn is_constant(node: &IdedExpr) -> bool {
    let constant = |element: &IdedExpr| match &element.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => call.func_name != "@in" && is_folded(call),
        _ => is_constant(element),
    };
    matches!(&node.expr, Expr::List(list) if list.optional_indices.is_empty() && list.elements.iter().all(constant))
}

/// Whether a call is of literals alone: looking something up in a list of them, converting one to another type.
fn is_folded(call: &CallExpr) -> bool {
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("@in", [_, list]) => is_constant(list),
        ("int" | "uint" | "double" | "bool" | "string" | "bytes" | "timestamp" | "duration", [arg]) => {
            matches!(arg.expr, Expr::Literal(_))
        }
        _ => false,
    }
}

/// Whether an expression is a variable or a part of one.
fn is_attribute(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) | Expr::Select(_) => true,
        Expr::Call(call) => call.func_name == operators::INDEX,
        _ => false,
    }
}

fn optional<'a>(value: Option<Val<'a>>) -> Val<'a> {
    Val::Optional(value.map(std::rc::Rc::new))
}

fn literal_value<'a>(literal: &LiteralValue) -> Val<'a> {
    match literal {
        LiteralValue::Boolean(value) => Val::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Val::Bytes(value.inner().into()),
        LiteralValue::Double(value) => Val::Double(*value.inner()),
        LiteralValue::Int(value) => Val::Int(*value.inner()),
        LiteralValue::UInt(value) => Val::Uint(*value.inner()),
        LiteralValue::Null => Val::Null,
        LiteralValue::String(value) => value.inner().into(),
    }
}
