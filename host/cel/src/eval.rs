//! The evaluator: a walk over the tree that counts what it costs.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use crate::check::qualified;
use crate::cost::{LIST, MAP, Range, of_call};
use crate::functions::TABLE;
use crate::library;
use crate::program::{EvalError, Variables};
use crate::value::Val;

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
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => false,
    }
}

/// One evaluation.
pub struct Evaluator<'a> {
    scope: Variables<'a>,
    spent: u64,
    limit: u64,
}

fn failed<'a>(text: impl AsRef<str>) -> Outcome<'a> {
    Err(EvalError::failed(text))
}

impl<'a> Evaluator<'a> {
    /// An evaluation over variables, which may cost so much.
    pub fn new(scope: Variables<'a>, limit: u64) -> Self {
        Self { scope, spent: 0, limit }
    }

    /// What it has cost.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    fn spend(&mut self, cost: u64) -> Result<(), EvalError> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limit { Err(EvalError::TooCostly) } else { Ok(()) }
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// If it has none, or costs too much.
    pub fn value(&mut self, node: &IdedExpr) -> Outcome<'a> {
        match &node.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => {
                self.spend(1)?;
                let found = self.scope.iter().rev().find(|(known, _)| known == name);
                found.map_or_else(|| Ok(Val::Type(name.as_str().into())), |(_, value)| value.clone())
            }
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                self.spend(LIST)?;
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
            Expr::Struct(_) | Expr::Unspecified => failed("unsupported expression"),
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Outcome<'a> {
        if let Some(name) = qualified(&select.operand).map(|operand| format!("{operand}.{}", select.field))
            && let Some((_, value)) = self.scope.iter().rev().find(|(known, _)| *known == name)
        {
            let value = if select.test { Ok(Val::Bool(true)) } else { value.clone() };
            self.spend(1)?;
            return value;
        }
        let operand = self.value(&select.operand)?;
        self.spend(1)?;
        if let Val::Optional(of) = &operand {
            let found = of.as_ref().and_then(|of| of.member(&select.field));
            return Ok(if select.test { Val::Bool(found.is_some()) } else { optional(found) });
        }
        let found = operand.member(&select.field);
        match (select.test, found) {
            (true, found) => Ok(Val::Bool(found.is_some())),
            (false, Some(found)) => Ok(found),
            (false, None) if matches!(operand, Val::Object(..) | Val::Map(_) | Val::JsonMap(..)) => {
                failed(format!("no such key: {}", select.field))
            }
            (false, None) => failed("no such overload"),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Outcome<'a> {
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
                return match self.value(arg) {
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
        let spaced = call
            .target
            .as_ref()
            .and_then(|target| qualified(target))
            .map(|target| format!("{target}.{}", call.func_name));
        let namespaced = spaced.filter(|name| TABLE.contains_key(&(name.clone(), false)));
        let mut args = Vec::with_capacity(call.args.len() + 1);
        if namespaced.is_none()
            && let Some(target) = &call.target
        {
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
        let name = namespaced.as_deref().unwrap_or(&call.func_name);
        let sizes: Vec<Range> = args.iter().map(|arg| Range::exactly(arg.size())).collect();
        let sized = matches!(
            args.first(),
            Some(Val::String(_) | Val::Bytes(_) | Val::List(_) | Val::JsonList(..) | Val::Map(_) | Val::JsonMap(..))
        );
        self.spend(of_call(name, &sizes, sized).0.max)?;
        library::call(name, &args)
    }

    /// `&&` and `||`: one side may decide although the other fails.
    fn logical(&mut self, a: &IdedExpr, b: &IdedExpr, decides: bool) -> Outcome<'a> {
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

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Outcome<'a> {
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
        let depth = self.scope.len();
        let init = self.value(&comprehension.accu_init);
        self.scope.push((comprehension.accu_var.clone(), init));
        for (first, second) in entries {
            self.scope.push((comprehension.iter_var.clone(), Ok(first)));
            if let (Some(name), Some(second)) = (&comprehension.iter_var2, second) {
                self.scope.push((name.clone(), Ok(second)));
            }
            let goes_on = self.value(&comprehension.loop_cond);
            let step = match goes_on {
                Ok(Val::Bool(true)) => Some(self.value(&comprehension.loop_step)),
                Err(EvalError::TooCostly) => Some(Err(EvalError::TooCostly)),
                _ => None,
            };
            self.scope.truncate(depth + 1);
            match step {
                Some(Err(EvalError::TooCostly)) => {
                    self.scope.truncate(depth);
                    return Err(EvalError::TooCostly);
                }
                Some(step) => self.scope[depth].1 = step,
                None => break,
            }
        }
        let result = self.value(&comprehension.result);
        self.scope.truncate(depth);
        result
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
