//! The front end: text to a tree without macros.
//!
//! The crate `cel` expands the standard macros. Those that Kubernetes has beside them (comprehensions with two variables,
//! `transformList`, `transformMap`, `optMap`, `optFlatMap`) are expanded here, into the same kind of comprehension. Calls
//! of functions whose names have a dot (`sets.contains`) become plain calls, so that nobody has to look for them again.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapExpr, SourceInfo,
    operators,
};
use cel::parser::Parser;

use crate::check::qualified;
use crate::functions::TABLE;
use crate::program::Options;

/// The name of what a comprehension collects.
const RESULT: &str = "@result";
/// The name of a variable that nothing can name.
const UNUSED: &str = "#unused";
/// The name of a list that is to be sorted.
const SORTED: &str = "@__sortBy_input__";
/// The deepest tree that is walked; the parser bounds what is written, macros add a little.
const DEEPEST: u16 = 96;

/// A parsed expression.
pub struct Parsed {
    /// The tree.
    pub expr: IdedExpr,
    source: String,
    info: SourceInfo,
}

impl Parsed {
    /// An error at a node, as the reference prints it.
    pub fn error_at(&self, id: u64, message: &str) -> String {
        report(&self.source, self.offset(id), message)
    }

    /// Where a node begins in the text.
    pub fn offset(&self, id: u64) -> usize {
        self.info.offset_for(id).map_or(0, |(start, _)| start as usize)
    }
}

/// An error at an offset in bytes: place, message, the line, and a mark under the place.
fn report(source: &str, start: usize, message: &str) -> String {
    let before = source.get(..start).unwrap_or(source);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let text = source.lines().nth(line).unwrap_or_default();
    format!("ERROR: <input>:{}:{}: {message}\n | {text}\n | {}^", line + 1, column + 1, ".".repeat(column))
}

/// Parses an expression.
///
/// # Errors
/// The errors of syntax, as the reference prints them.
pub fn parse(source: &str, options: Options) -> Result<Parsed, String> {
    let parser =
        Parser::new().enable_optional_syntax(true).enable_ident_escape_syntax(true).max_recursion_depth(DEEPEST);
    let (mut expr, info) = parser.parse_with_source_info(source).map_err(|errors| {
        let one = |error: &cel::ParseError| {
            let (line, column) = (error.pos.0.max(1) as usize, error.pos.1.max(1) as usize);
            let starts: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
            report(source, (starts + column - 1).min(source.len()), &error.msg)
        };
        errors.errors.iter().map(one).collect::<Vec<_>>().join("\n")
    })?;
    let mut problems = Vec::new();
    expand(&mut expr, &mut problems);
    name_functions(&mut expr, options);
    let parsed = Parsed { expr, source: source.to_owned(), info };
    match problems.first() {
        Some((id, message)) => Err(parsed.error_at(*id, message)),
        None => Ok(parsed),
    }
}

/// Visits every expression directly below one.
fn each_child(expr: &mut Expr, visit: &mut dyn FnMut(&mut IdedExpr)) {
    match expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| visit(target));
            call.args.iter_mut().for_each(visit);
        }
        Expr::Comprehension(loop_) => {
            let ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, .. } = &mut **loop_;
            [iter_range, accu_init, loop_cond, loop_step, result].into_iter().for_each(visit);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(visit),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| each_part(entry, visit)),
        Expr::Struct(value) => value.entries.iter_mut().for_each(|entry| each_part(entry, visit)),
        Expr::Select(select) => visit(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn each_part(entry: &mut IdedEntryExpr, visit: &mut dyn FnMut(&mut IdedExpr)) {
    match &mut entry.expr {
        EntryExpr::MapEntry(entry) => {
            visit(&mut entry.key);
            visit(&mut entry.value);
        }
        EntryExpr::StructField(field) => visit(&mut field.value),
    }
}

type Problems = Vec<(u64, String)>;

fn expand(node: &mut IdedExpr, problems: &mut Problems) {
    each_child(&mut node.expr, &mut |child| expand(child, problems));
    let id = node.id;
    let Expr::Call(call) = &mut node.expr else { return };
    if call.target.is_none() {
        return;
    }
    let expanded = match (call.func_name.as_str(), call.args.len()) {
        ("all" | "exists" | "exists_one" | "existsOne", 3)
        | ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => two_variables(id, call, problems),
        ("optMap" | "optFlatMap", 2) => optional_map(id, call, problems),
        ("sortBy", 2) => sort_by(id, call, problems),
        _ => None,
    };
    if let Some(expanded) = expanded {
        node.expr = expanded;
    }
}

/// Turns calls on what is no value but a part of a function's name into calls of that function.
fn name_functions(node: &mut IdedExpr, options: Options) {
    each_child(&mut node.expr, &mut |child| name_functions(child, options));
    let Expr::Call(call) = &mut node.expr else { return };
    let Some(prefix) = call.target.as_ref().and_then(|target| qualified(target)) else { return };
    let name = format!("{prefix}.{}", call.func_name);
    if options.knows(&name) && TABLE.contains_key(&(name.clone(), false)) {
        call.func_name = name;
        call.target = None;
    }
}

fn name_of(expr: &IdedExpr, problems: &mut Problems) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        _ => {
            problems.push((expr.id, "argument must be a simple name".to_owned()));
            None
        }
    }
}

/// Makes nodes at the place of a macro.
struct Maker(u64);

impl Maker {
    fn node(&self, expr: Expr) -> IdedExpr {
        IdedExpr { id: self.0, expr }
    }

    fn ident(&self, name: &str) -> IdedExpr {
        self.node(Expr::Ident(name.to_owned()))
    }

    fn bool(&self, value: bool) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Boolean(value.into())))
    }

    fn int(&self, value: i64) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Int(value.into())))
    }

    fn call(&self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    fn method(&self, target: IdedExpr, name: &str) -> IdedExpr {
        let call = CallExpr { func_name: name.to_owned(), target: Some(Box::new(target)), args: Vec::new() };
        self.node(Expr::Call(call))
    }

    fn list(&self, elements: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::List(ListExpr::new(elements)))
    }
}

fn two_variables(id: u64, call: &mut CallExpr, problems: &mut Problems) -> Option<Expr> {
    let make = Maker(id);
    let first = name_of(&call.args[0], problems)?;
    let second = name_of(&call.args[1], problems)?;
    let mut rest: Vec<IdedExpr> = call.args.drain(2..).collect();
    let last = rest.pop()?;
    let filter = rest.pop();
    let accu = || make.ident(RESULT);
    let collect = |step: IdedExpr| match filter.clone() {
        Some(filter) => make.call(operators::CONDITIONAL, vec![filter, step, accu()]),
        None => step,
    };
    let forever = || make.bool(true);
    let (init, cond, step, result) = match call.func_name.as_str() {
        "all" => {
            let cond = make.call(operators::NOT_STRICTLY_FALSE, vec![accu()]);
            (make.bool(true), cond, make.call(operators::LOGICAL_AND, vec![accu(), last]), accu())
        }
        "exists" => {
            let not = make.call(operators::LOGICAL_NOT, vec![accu()]);
            let cond = make.call(operators::NOT_STRICTLY_FALSE, vec![not]);
            (make.bool(false), cond, make.call(operators::LOGICAL_OR, vec![accu(), last]), accu())
        }
        "exists_one" | "existsOne" => {
            let more = make.call(operators::ADD, vec![accu(), make.int(1)]);
            let step = make.call(operators::CONDITIONAL, vec![last, more, accu()]);
            (make.int(0), forever(), step, make.call(operators::EQUALS, vec![accu(), make.int(1)]))
        }
        "transformList" => {
            let step = make.call(operators::ADD, vec![accu(), make.list(vec![last])]);
            (make.list(Vec::new()), forever(), collect(step), accu())
        }
        kind => {
            let mut args = vec![accu()];
            args.extend((kind == "transformMap").then(|| make.ident(&first)));
            args.push(last);
            let step = make.call("cel.@mapInsert", args);
            (make.node(Expr::Map(MapExpr { entries: Vec::new() })), forever(), collect(step), accu())
        }
    };
    Some(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: *call.target.take()?,
        iter_var: first,
        iter_var2: Some(second),
        accu_var: RESULT.to_owned(),
        accu_init: init,
        loop_cond: cond,
        loop_step: step,
        result,
    })))
}

/// `x.sortBy(v, e)`: the items of `x` in the order of what `e` gives for each.
fn sort_by(id: u64, call: &mut CallExpr, problems: &mut Problems) -> Option<Expr> {
    let make = Maker(id);
    let name = name_of(&call.args[0], problems)?;
    let key = call.args.pop()?;
    let target = *call.target.take()?;
    let step = make.call(operators::ADD, vec![make.ident(RESULT), make.list(vec![key])]);
    let keys = make.node(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: make.ident(SORTED),
        iter_var: name,
        iter_var2: None,
        accu_var: RESULT.to_owned(),
        accu_init: make.list(Vec::new()),
        loop_cond: make.bool(true),
        loop_step: step,
        result: make.ident(RESULT),
    })));
    let sorted = CallExpr {
        func_name: "@sortByAssociatedKeys".to_owned(),
        target: Some(Box::new(make.ident(SORTED))),
        args: vec![keys],
    };
    Some(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: make.list(Vec::new()),
        iter_var: UNUSED.to_owned(),
        iter_var2: None,
        accu_var: SORTED.to_owned(),
        accu_init: target,
        loop_cond: make.bool(false),
        loop_step: make.ident(SORTED),
        result: make.node(Expr::Call(sorted)),
    })))
}

/// `x.optMap(v, e)`: none if `x` is none, else `e` with `v` being the value of `x`.
fn optional_map(id: u64, call: &mut CallExpr, problems: &mut Problems) -> Option<Expr> {
    let make = Maker(id);
    let name = name_of(&call.args[0], problems)?;
    let body = call.args.pop()?;
    let target = *call.target.take()?;
    let value = make.method(target.clone(), "value");
    let bound = make.node(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: make.list(Vec::new()),
        iter_var: UNUSED.to_owned(),
        iter_var2: None,
        accu_var: name.clone(),
        accu_init: value,
        loop_cond: make.bool(false),
        loop_step: make.ident(&name),
        result: body,
    })));
    let some = if call.func_name == "optMap" { make.call("optional.of", vec![bound]) } else { bound };
    let conditional = CallExpr {
        func_name: operators::CONDITIONAL.to_owned(),
        target: None,
        args: vec![make.method(target, "hasValue"), some, make.call("optional.none", Vec::new())],
    };
    Some(Expr::Call(conditional))
}
