//! What an expression can cost, before it is run: the reference's cost model, with sizes from the schema's bounds.
//!
//! Whether a rule may be written depends on the number that comes out, so it has to be the reference's own, including
//! what is odd about it: a value's size is looked up by its path in the schema, and numbers and objects have none there; a
//! path that begins at no variable is taken for the root's. [`actual`] is the model of what a call cost once it is made.

pub mod actual;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use crate::check::{Checked, address};
use crate::functions::Overload;
use crate::types::{Kind, Type, UNBOUNDED};

/// Making a list.
pub const LIST: u64 = 10;
/// Making a map.
pub const MAP: u64 = 30;
/// Making a message.
pub const STRUCT: u64 = 40;
/// Asking an authorizer.
pub const CHECK: u64 = 350_000;
/// Reading text through: a tenth of its length.
pub const TRAVERSE: f64 = 0.1;
/// A regular expression: a quarter of its length.
pub const REGEX: f64 = 0.25;
/// The longest regular expression of a named format.
const FORMAT_REGEX: f64 = 128.0;

/// A cost or a size that is not known exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// A number times a factor, rounded up.
fn scaled(value: u64, factor: f64) -> u64 {
    let scaled = (value as f64 * factor).ceil();
    if scaled >= UNBOUNDED as f64 { UNBOUNDED } else { scaled as u64 }
}

impl Range {
    /// Exactly so much.
    pub fn exactly(value: u64) -> Self {
        Self { min: value, max: value }
    }

    fn up_to(max: u64) -> Self {
        Self { min: 0, max }
    }

    fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    fn part(self, factor: f64) -> Self {
        Self { min: scaled(self.min, factor), max: scaled(self.max, factor) }
    }
}

/// The cost of a checked expression. `root` is the type at which paths begin.
pub fn estimate(expr: &IdedExpr, checked: &Checked, root: Option<&Type>) -> Range {
    let estimator = Estimator {
        checked,
        root: root.map(|root| match &root.kind {
            Kind::Optional(of) => (**of).clone(),
            _ => root.clone(),
        }),
        paths: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
        locals: Vec::new(),
    };
    { estimator }.cost(expr)
}

/// Where a value is in the schema: nowhere (`None`), at a place that the schema does not have, or at one of this type.
type Path = Option<Option<Type>>;

/// How large the keys (or indices) and values of a list or map are.
#[derive(Clone, Copy, Debug)]
struct Entries {
    list: bool,
    key: Range,
    value: Range,
}

struct Local {
    name: String,
    path: Path,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// What a call costs beside its target and arguments, and the size of its result if the call itself tells it.
type CallCost = (Range, Option<Range>);

struct Estimator<'c> {
    checked: &'c Checked,
    root: Option<Type>,
    paths: HashMap<usize, Path>,
    sizes: HashMap<usize, Range>,
    entries: HashMap<usize, Entries>,
    locals: Vec<Local>,
}

/// One step down from a type; `None` if the schema has no such place.
fn step(type_: &Type, key: &str) -> Option<Type> {
    match (&type_.kind, key) {
        (Kind::List(items), "@items" | "@values") => Some((**items).clone()),
        (Kind::Map(_, values), "@items" | "@values") => Some((**values).clone()),
        (Kind::Map(..), "@keys") => Some(Type { max: 0, ..Kind::String.into() }),
        (Kind::Object(object), field) => object.fields.get(field).map(|(_, type_)| type_.clone()),
        _ => None,
    }
}

impl Estimator<'_> {
    fn type_of(&self, node: &IdedExpr) -> &Kind {
        self.checked.types.get(&address(node)).map_or(&Kind::Dyn, |type_| &type_.kind)
    }

    fn local(&self, node: &IdedExpr) -> Option<&Local> {
        let Expr::Ident(name) = &node.expr else { return None };
        self.locals.iter().rev().find(|local| local.name == *name)
    }

    fn path(&self, node: &IdedExpr) -> Path {
        match self.local(node) {
            Some(local) => local.path.clone(),
            None => self.paths.get(&address(node)).cloned().flatten(),
        }
    }

    /// The path one step below another. The first step of a path is always the root.
    fn below(&self, path: Path, key: &str) -> Path {
        Some(match path {
            None => self.root.clone(),
            Some(at) => at.and_then(|at| step(&at, key)),
        })
    }

    /// The size that the schema gives to a place.
    fn declared(path: &Path) -> Option<Range> {
        let type_ = path.as_ref()?.as_ref()?;
        let most = match type_.kind {
            Kind::List(_) | Kind::Map(..) | Kind::String | Kind::Bytes | Kind::Timestamp | Kind::Duration => type_.max,
            Kind::Dyn => type_.max,
            _ => 0,
        };
        Some(Range::up_to(most))
    }

    fn known_size(&mut self, node: &IdedExpr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&address(node)) {
            return Some(*size);
        }
        let made = match &node.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(text.inner().chars().count()),
            Expr::Literal(LiteralValue::Bytes(bytes)) => Some(bytes.inner().len()),
            Expr::Literal(_) => Some(1),
            Expr::List(list) => Some(list.elements.len()),
            Expr::Map(map) => Some(map.entries.len()),
            _ => None,
        };
        if let Some(made) = made {
            return Some(Range::exactly(made as u64));
        }
        if let Some(size) = Self::declared(&self.path(node)) {
            self.sizes.insert(address(node), size);
            return Some(size);
        }
        if is_scalar(self.type_of(node)) {
            return Some(Range::exactly(1));
        }
        self.local(node).and_then(|local| local.size)
    }

    fn size(&mut self, node: &IdedExpr) -> Range {
        self.known_size(node).unwrap_or(Range::up_to(UNBOUNDED))
    }

    fn entries_of(&self, node: &IdedExpr) -> Option<Entries> {
        let made = self.entries.get(&address(node)).copied();
        made.or_else(|| self.local(node).and_then(|local| local.entries))
    }

    fn set_size(&mut self, node: &IdedExpr, size: Option<Range>) {
        if let Some(size) = size {
            self.sizes.insert(address(node), size);
        }
    }

    fn set_entries(&mut self, node: &IdedExpr, entries: Option<Entries>) {
        if let Some(entries) = entries {
            self.entries.insert(address(node), entries);
        }
    }

    fn cost(&mut self, node: &IdedExpr) -> Range {
        match &node.expr {
            Expr::Literal(_) | Expr::Unspecified => Range::default(),
            Expr::Ident(_) => {
                let path = match self.local(node) {
                    Some(local) => local.path.clone(),
                    None => Some(self.root.clone()),
                };
                self.paths.insert(address(node), path);
                Range::exactly(1)
            }
            Expr::Select(select) => self.select(node, select),
            Expr::List(list) => {
                let mut sum = Range::exactly(LIST);
                let mut value: Option<Range> = None;
                for element in &list.elements {
                    sum = sum.plus(self.cost(element));
                    let size = self.size(element);
                    value = Some(value.map_or(size, |value| value.or(size)));
                }
                let value = value.unwrap_or_default();
                self.set_entries(node, Some(Entries { list: true, key: Range::exactly(1), value }));
                sum
            }
            Expr::Map(map) => {
                let mut sum = Range::exactly(MAP);
                let (mut keys, mut values): (Option<Range>, Option<Range>) = (None, None);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    sum = sum.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
                    let (key, value) = (self.size(&entry.key), self.size(&entry.value));
                    keys = Some(keys.map_or(key, |keys| keys.or(key)));
                    values = Some(values.map_or(value, |values| values.or(value)));
                }
                let (key, value) = (keys.unwrap_or_default(), values.unwrap_or_default());
                self.set_entries(node, Some(Entries { list: false, key, value }));
                sum
            }
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::Struct(value) => {
                let mut sum = Range::exactly(STRUCT);
                for entry in &value.entries {
                    if let EntryExpr::StructField(field) = &entry.expr {
                        sum = sum.plus(self.cost(&field.value));
                    }
                }
                sum
            }
        }
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Range {
        let sum = self.cost(&select.operand);
        // Whether something is there is asked for nothing.
        if select.test {
            return sum;
        }
        let path = self.path(&select.operand);
        let path = self.below(path, &select.field);
        self.paths.insert(address(node), path);
        match self.type_of(&select.operand) {
            Kind::Map(..) | Kind::Object(_) | Kind::Message(_) => sum.plus(Range::exactly(1)),
            _ => sum,
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Range {
        let mut costs = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            costs.push(self.cost(arg));
            self.known_size(arg);
        }
        if let ("dyn", [arg]) = (call.func_name.as_str(), call.args.as_slice()) {
            let size = self.known_size(arg);
            self.set_size(node, size);
            let entries = self.entries_of(arg);
            self.set_entries(node, entries);
            return Range::exactly(1).plus(costs[0]);
        }
        let sum = call.target.as_ref().map_or_else(Range::default, |target| self.cost(target));
        if call.func_name == operators::OPT_SELECT {
            return sum.plus(Range::exactly(1)).plus(costs[0]);
        }
        let overloads: Vec<&'static Overload> = self.checked.overloads.get(&address(node)).cloned().unwrap_or_default();
        if overloads.is_empty() {
            return Range::default();
        }
        let mut cost: Option<Range> = None;
        let mut result: Option<Range> = None;
        for overload in overloads {
            let (one, size) = self.function(node, call, overload, &costs);
            cost = Some(cost.map_or(one, |cost| cost.or(one)));
            result = match (result, size) {
                (Some(before), Some(size)) => Some(before.or(size)),
                (before, size) => before.or(size),
            };
            if let ("_[_]", [container, _]) = (call.func_name.as_str(), call.args.as_slice()) {
                let step = match overload.params.first().map(|first| &first.kind) {
                    Some(Kind::List(_)) => "@items",
                    Some(Kind::Map(..)) => "@values",
                    _ => continue,
                };
                result = self.entries_of(container).map(|entries| entries.value);
                let path = self.path(container);
                let path = self.below(path, step);
                self.paths.insert(address(node), path);
            }
            if result.is_none() {
                result = self.known_size(node);
            }
        }
        self.set_size(node, result);
        sum.plus(cost.unwrap_or_default())
    }

    /// What a call of one overload costs with its arguments (not its target).
    fn function(
        &mut self,
        node: &IdedExpr,
        call: &CallExpr,
        overload: &Overload,
        costs: &[Range],
    ) -> (Range, Option<Range>) {
        let args: Vec<&IdedExpr> = call.args.iter().collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, _]) => {
                return (Range { min: costs[0].min, max: costs[0].max.saturating_add(costs[1].max) }, None);
            }
            (operators::CONDITIONAL, [_, yes, no]) => {
                let size = self.size(yes).or(self.size(no));
                let entries = self.entries_of(yes).zip(self.entries_of(no)).map(|(a, b)| united(a, b));
                self.set_entries(node, entries);
                return (costs[0].plus(costs[1].or(costs[2])), Some(size));
            }
            ("_+_", [a, b]) if is_sized(&overload.result.kind) => {
                let entries = self.entries_of(a).zip(self.entries_of(b)).map(|(a, b)| united(a, b));
                self.set_entries(node, entries);
            }
            _ => {}
        }
        let (cost, size) = self.own(call, overload, &args);
        (costs.iter().fold(cost, |sum, arg| sum.plus(*arg)), size)
    }

    /// What a call costs by itself.
    fn own(&mut self, call: &CallExpr, overload: &Overload, args: &[&IdedExpr]) -> CallCost {
        let one = Range::exactly(1);
        let plain = (one, None);
        let target = call.target.as_deref();
        let first = overload.params.first().map(|first| first.kind.clone());
        let name = call.func_name.as_str();
        match (name, target, args) {
            ("check", ..) => (Range::exactly(CHECK), None),
            ("fieldSelector" | "labelSelector", _, [selector]) => {
                let length = self.size(selector);
                let requirements = length.part(0.5).part((LIST + STRUCT) as f64);
                (Range::exactly(LIST).plus(length.part(TRAVERSE)).plus(requirements), None)
            }
            ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(target), _) => {
                let size = self.size(target);
                match self.items_of(target) {
                    Some((Kind::String | Kind::Bytes, items)) => (size.times(one.plus(items.part(TRAVERSE))), None),
                    Some(_) => (size.times(one), None),
                    None => (size.part(TRAVERSE), None),
                }
            }
            ("url" | "jsonpatch.escapeKey", _, [text]) => {
                let size = self.size(text);
                (size.part(TRAVERSE), Some(size))
            }
            ("lowerAscii" | "upperAscii" | "trim" | "substring", Some(text), _) => {
                let size = self.size(text);
                (size.part(TRAVERSE), Some(size))
            }
            ("replace", Some(text), [from, to, ..]) => {
                let (size, from, to) = (self.size(text), self.size(from), self.size(to));
                (size.part(2.0 * TRAVERSE), Some(replaced(size, from, to)))
            }
            ("split", Some(text), _) => {
                let size = self.size(text);
                let most = match args.get(1).map(|arg| &arg.expr) {
                    Some(Expr::Literal(LiteralValue::Int(most))) => *most.inner() as u64,
                    _ => size.max,
                };
                (size.part(2.0 * TRAVERSE), Some(Range::up_to(most)))
            }
            ("join", Some(list), _) => {
                let count = self.size(list);
                let mut size = self.items_of(list).map_or_else(Range::default, |(_, items)| count.times(items));
                if let [by] = args {
                    let between = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                    size = size.plus(self.size(by).times(between));
                }
                (size.part(TRAVERSE), Some(size))
            }
            ("find" | "findAll", Some(text), [pattern, ..]) => {
                let size = self.size(text);
                let cost = size.plus(one).part(TRAVERSE).times(self.size(pattern).part(REGEX));
                (cost, Some(Range::up_to(size.max)))
            }
            ("ip", Some(_), _) => plain,
            ("cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver", _, [text, ..]) => {
                (self.size(text).part(TRAVERSE), None)
            }
            ("ip.isCanonical", _, [text]) => (self.size(text).part(2.0 * TRAVERSE), None),
            ("containsIP" | "containsCIDR", Some(_), [other]) => {
                let bytes = Range { min: 4, max: 16 };
                let mut cost = bytes.plus(bytes).part(TRAVERSE);
                if name == "containsCIDR" {
                    cost = cost.plus(bytes.part(TRAVERSE)).plus(one);
                }
                if overload.params.get(1).is_some_and(|other| other.kind == Kind::String) {
                    cost = cost.plus(self.size(other).part(TRAVERSE));
                }
                (cost, None)
            }
            ("validate", Some(_), [text]) => (self.size(text).part(TRAVERSE).part(FORMAT_REGEX * REGEX), None),
            ("slice", Some(list), [start, end]) => {
                let size = self.size(list);
                let (start, end) = (literal(start).unwrap_or(0), literal(end).unwrap_or(size.max));
                allocated(1.0, Range::exactly(end.wrapping_sub(start)))
            }
            ("lists.range", _, [count]) => allocated(1.0, Range::exactly(literal(count).unwrap_or(UNBOUNDED))),
            ("reverse", Some(list), []) if matches!(first, Some(Kind::List(_))) => allocated(1.0, self.size(list)),
            ("flatten", Some(list), _) => {
                let depth = args.first().map_or(1, |depth| literal(depth).unwrap_or(UNBOUNDED));
                allocated(depth as f64, self.size(list))
            }
            ("distinct", Some(list), []) => {
                let size = self.size(list);
                allocated(2.0, size.times(size))
            }
            ("sort", Some(list), []) => self.sorted(list),
            ("@sortByAssociatedKeys", Some(_), [keys]) => self.sorted(keys),
            ("sets.contains" | "sets.intersects" | "sets.equivalent", _, [a, b]) => {
                let factor = if name == "sets.equivalent" { 2.0 } else { 1.0 };
                (self.size(a).times(self.size(b)).part(factor).plus(one), None)
            }
            ("format", Some(text), _) => (self.size(text).part(TRAVERSE), None),
            ("bytes", _, [text]) if first == Some(Kind::String) => {
                let size = self.size(text);
                (size.part(TRAVERSE), Some(Range { min: size.min, max: size.max.wrapping_mul(4) }))
            }
            ("string", _, [bytes]) if first == Some(Kind::Bytes) => {
                let size = self.size(bytes);
                (size.part(TRAVERSE), Some(Range { min: size.min / 4, max: size.max }))
            }
            ("strings.quote", _, [text]) => {
                let size = self.size(text);
                let quoted = Range { min: size.min + 2, max: size.max.wrapping_mul(2).wrapping_add(2) };
                (size.part(TRAVERSE), Some(quoted))
            }
            ("startsWith" | "endsWith", Some(_), [part]) => (self.size(part).part(TRAVERSE), None),
            ("@in", _, [_, list]) if matches!(overload.params.get(1).map(|of| &of.kind), Some(Kind::List(_))) => {
                (self.size(list), None)
            }
            ("matches", Some(text), [pattern]) => {
                let cost = self.size(text).plus(one).part(TRAVERSE).times(self.size(pattern).part(REGEX));
                (cost, None)
            }
            ("contains", Some(text), [part]) => {
                (self.size(text).part(TRAVERSE).times(self.size(part).part(TRAVERSE)), None)
            }
            ("_+_", _, [a, b]) if is_sized(&overload.result.kind) => {
                let size = self.size(a).plus(self.size(b));
                let list = matches!(overload.result.kind, Kind::List(_));
                (if list { one } else { size.part(TRAVERSE) }, Some(size))
            }
            ("_==_", _, [a, b]) if of_constant_cost(self.type_of(a), self.type_of(b)) => plain,
            ("_==_" | "_!=_", _, [a, b]) => (self.compared(a, b), None),
            ("_<_" | "_<=_" | "_>_" | "_>=_", _, [a, b]) if matches!(first, Some(Kind::String | Kind::Bytes)) => {
                (self.compared(a, b), None)
            }
            _ => plain,
        }
    }

    fn sorted(&mut self, keys: &IdedExpr) -> CallCost {
        let size = self.size(keys);
        let text = matches!(self.type_of(keys), Kind::List(of) if matches!(of.kind, Kind::String | Kind::Bytes));
        allocated(if text { 2.0 + TRAVERSE } else { 2.0 }, size.times(size))
    }

    fn compared(&mut self, a: &IdedExpr, b: &IdedExpr) -> Range {
        // No more is compared than the shorter one has.
        let shorter = self.size(a).max.min(self.size(b).max);
        Range { min: shorter.min(1), max: shorter }.part(TRAVERSE)
    }

    /// The kind and size of a list's items; none for what is no list.
    fn items_of(&self, list: &IdedExpr) -> Option<(Kind, Range)> {
        let Kind::List(items) = self.type_of(list) else { return None };
        let declared = match self.path(list) {
            None => None,
            path => Self::declared(&self.below(path, "@items")),
        };
        Some((items.kind.clone(), declared.unwrap_or(Range::up_to(UNBOUNDED))))
    }

    fn comprehension(&mut self, node: &IdedExpr, comprehension: &ComprehensionExpr) -> Range {
        let (range, init) = (&comprehension.iter_range, &comprehension.accu_init);
        let mut sum = self.cost(range).plus(self.cost(init));
        let depth = self.locals.len();
        let (path, size, entries) = (self.path(init), self.known_size(init), self.entries_of(init));
        self.locals.push(Local { name: comprehension.accu_var.clone(), path, size, entries });
        if is_bind(comprehension) {
            sum = sum.plus(self.cost(&comprehension.result));
            let (size, entries) = (self.known_size(&comprehension.result), self.entries_of(&comprehension.result));
            self.locals.truncate(depth);
            self.set_size(node, size);
            self.set_entries(node, entries);
            return sum;
        }
        let of_range = self.entries_of(range);
        let list = of_range.map_or_else(|| matches!(self.type_of(range), Kind::List(_)), |entries| entries.list);
        let path = self.path(range);
        let mut variable = |name: &str, step: &str, size: Option<Range>| {
            let path = self.below(path.clone(), step);
            self.locals.push(Local { name: name.to_owned(), path, size, entries: None });
        };
        let (key, value) = (of_range.map(|of| of.key), of_range.map(|of| of.value));
        match (&comprehension.iter_var2, list) {
            (Some(second), list) => {
                variable(&comprehension.iter_var, if list { "@indices" } else { "@keys" }, key);
                variable(second, if list { "@items" } else { "@values" }, value);
            }
            (None, true) => variable(&comprehension.iter_var, "@items", value),
            (None, false) => variable(&comprehension.iter_var, "@keys", key),
        }
        let round = self.cost(&comprehension.loop_cond).plus(self.cost(&comprehension.loop_step));
        self.locals.truncate(depth + 1);
        sum = sum.plus(self.cost(&comprehension.result));
        self.locals.truncate(depth);
        let rounds = self.size(range);
        match &init.expr {
            Expr::Literal(_) => self.set_size(node, Some(Range::exactly(1))),
            Expr::List(_) | Expr::Map(_) => {
                self.set_size(node, Some(rounds));
                let entries = self.entries_of(&comprehension.loop_step);
                self.set_entries(node, entries);
            }
            _ => {}
        }
        sum.plus(rounds.times(round))
    }
}

fn united(a: Entries, b: Entries) -> Entries {
    Entries { list: a.list, key: a.key.or(b.key), value: a.value.or(b.value) }
}

/// Whether a comprehension only gives a name to a value.
fn is_bind(comprehension: &ComprehensionExpr) -> bool {
    let empty = matches!(&comprehension.iter_range.expr, Expr::List(list) if list.elements.is_empty());
    let never =
        matches!(&comprehension.loop_cond.expr, Expr::Literal(LiteralValue::Boolean(goes_on)) if !*goes_on.inner());
    empty && never
}

fn literal(node: &IdedExpr) -> Option<u64> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(value)) => Some(u64::try_from(*value.inner()).unwrap_or(0)),
        _ => None,
    }
}

/// A call that makes a list.
fn allocated(factor: f64, size: Range) -> CallCost {
    (size.part(factor).plus(Range::exactly(1 + LIST)), Some(size))
}

/// How long a text can become in which parts are replaced.
fn replaced(text: Range, from: Range, to: Range) -> Range {
    let (mut count, mut kept) = (Range::default(), Range::default());
    if from.min == 0 {
        // Without anything to look for, what is put in surrounds every character.
        (count.max, kept.max) = (text.max.saturating_add(1), text.max);
    } else if to.max <= from.min {
        kept.max = text.max;
    } else {
        count.max = (text.max as f64 / from.min as f64).ceil() as u64;
    }
    if from.max == 0 {
        (count.min, kept.min) = (text.min.saturating_add(1), text.min);
    } else if from.max <= to.min {
        kept.min = text.min;
    } else {
        count.min = (text.min as f64 / from.max as f64).ceil() as u64;
    }
    count.times(to).plus(kept)
}

fn is_sized(kind: &Kind) -> bool {
    matches!(kind, Kind::String | Kind::Bytes | Kind::List(_))
}

fn is_scalar(kind: &Kind) -> bool {
    match kind {
        Kind::Bool | Kind::Double | Kind::Duration | Kind::Int | Kind::Timestamp | Kind::Uint => true,
        Kind::Optional(of) => is_scalar(&of.kind),
        _ => false,
    }
}

/// Types of libraries whose values are compared at once.
fn of_constant_cost(a: &Kind, b: &Kind) -> bool {
    a == b && matches!(a, Kind::Opaque(name) if !matches!(*name, "kubernetes.URL" | "kubernetes.NamedFormat"))
}
