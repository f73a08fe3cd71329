//! What an expression can cost, before it is run: the reference's cost model, with sizes from the schema's bounds.
//!
//! [`of_call`] is the model itself. The estimate asks it with what sizes can be, the evaluation with what they are.

use std::collections::HashMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::check::{Checked, qualified};
use crate::types::{Kind, UNBOUNDED};

/// Making a list, a map.
pub const LIST: u64 = 10;
/// Making a map.
pub const MAP: u64 = 30;

/// A cost or a size that is not known exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
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

    /// A part of it, in thousandths, rounded up.
    fn part(self, thousandths: u64) -> Self {
        let part = |value: u64| {
            if value == UNBOUNDED {
                return (u128::from(value) * u128::from(thousandths)).div_ceil(1000).min(u128::from(UNBOUNDED)) as u64;
            }
            (u128::from(value) * u128::from(thousandths)).div_ceil(1000).min(u128::from(UNBOUNDED)) as u64
        };
        Self { min: part(self.min), max: part(self.max) }
    }
}

/// The cost of reading text through: a tenth of its length.
const TRAVERSE: u64 = 100;
/// The cost of a regular expression: a quarter of its length.
const REGEX: u64 = 250;

/// What a call costs beside its arguments, and how large its result is if that is known. `sizes` are those of the
/// target (if there is one) and the arguments; `sized` is whether the first is text, bytes, a list or a map.
pub fn of_call(name: &str, sizes: &[Range], sized: bool) -> (Range, Option<Range>) {
    let size = |at: usize| sizes.get(at).copied().unwrap_or(Range::exactly(1));
    let one = Range::exactly(1);
    match name {
        "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => {
            if !sized {
                return (one, None);
            }
            // No more is compared than the shorter one has.
            let shorter = Range { min: size(0).min.min(size(1).min), max: size(0).max.min(size(1).max) };
            (shorter.part(TRAVERSE).or(one.part(1000)), None)
        }
        "_+_" if sized => {
            let both = size(0).plus(size(1));
            (both.part(TRAVERSE), Some(both))
        }
        "@merge" => (one, Some(size(0).plus(size(1)))),
        "@in" => (size(1).plus(one), None),
        "matches" | "find" | "findAll" => {
            let text = size(0).plus(one).part(TRAVERSE);
            (text.times(size(1).part(REGEX)), Some(Range::up_to(size(0).max)))
        }
        "contains" => (size(0).part(TRAVERSE).times(size(1).part(TRAVERSE)), None),
        "startsWith" | "endsWith" => (size(1).part(TRAVERSE).or(one), None),
        "lowerAscii" | "upperAscii" | "trim" | "charAt" | "substring" | "reverse" => {
            (size(0).part(TRAVERSE).or(one), Some(Range::up_to(size(0).max)))
        }
        "replace" => {
            let grown = size(0).max.saturating_mul(size(2).max.max(1));
            (size(0).part(2 * TRAVERSE).or(one), Some(Range::up_to(grown)))
        }
        "split" => (size(0).part(TRAVERSE).or(one), Some(Range::up_to(size(0).max))),
        "join" => {
            let text = size(0).times(size(1).plus(one));
            (text.part(TRAVERSE).plus(size(0)), Some(Range::up_to(UNBOUNDED)))
        }
        "indexOf" | "lastIndexOf" => (size(0).times(size(1)).part(TRAVERSE).or(one), None),
        "isSorted" | "sum" | "max" | "min" => (size(0).or(one), None),
        "distinct" | "sort" | "flatten" | "slice" => (size(0).or(one), Some(Range::up_to(size(0).max))),
        "sets.contains" | "sets.equivalent" | "sets.intersects" => (size(0).times(size(1)).or(one), None),
        "url" | "isURL" | "ip" | "isIP" | "ip.isCanonical" | "cidr" | "isCIDR" | "quantity" | "isQuantity"
        | "semver" | "isSemver" | "bytes" | "validate" => {
            (size(0).or(size(1)).part(TRAVERSE).or(one), Some(Range::up_to(size(0).max)))
        }
        "string" if sized => (size(0).part(TRAVERSE).or(one), Some(size(0))),
        // Asking an authorizer is dear.
        "check" => (Range::exactly(350_000), None),
        "format" => (size(0).plus(size(1)).part(TRAVERSE).or(one), None),
        _ => (one, None),
    }
}

/// The cost of a checked expression.
pub fn estimate(expr: &IdedExpr, checked: &Checked) -> Range {
    Estimator { checked, sizes: HashMap::new(), scope: Vec::new() }.cost(expr)
}

struct Estimator<'c> {
    checked: &'c Checked,
    /// Sizes that were computed, by the node's address: macros give several nodes one id.
    sizes: HashMap<*const IdedExpr, Range>,
    /// The sizes of the variables of comprehensions.
    scope: Vec<(String, Option<Range>)>,
}

impl Estimator<'_> {
    fn size(&self, node: &IdedExpr) -> Range {
        if let Some(size) = self.sizes.get(&std::ptr::from_ref(node)) {
            return *size;
        }
        if let Expr::Ident(name) = &node.expr
            && let Some((_, Some(size))) = self.scope.iter().rev().find(|(known, _)| known == name)
        {
            return *size;
        }
        match self.checked.types.get(&node.id) {
            Some(type_) if is_sized(&type_.kind) => Range::up_to(type_.max),
            Some(type_) if !matches!(type_.kind, Kind::Dyn) => Range::exactly(1),
            _ => Range::up_to(UNBOUNDED),
        }
    }

    fn sized(&self, node: &IdedExpr) -> bool {
        self.checked.types.get(&node.id).is_some_and(|type_| is_sized(&type_.kind) || type_.is_dyn())
    }

    fn cost(&mut self, node: &IdedExpr) -> Range {
        match &node.expr {
            Expr::Literal(literal) => {
                let size = match literal {
                    LiteralValue::String(text) => text.inner().len(),
                    LiteralValue::Bytes(bytes) => bytes.inner().len(),
                    _ => 1,
                };
                self.sizes.insert(std::ptr::from_ref(node), Range::exactly(size as u64));
                Range::default()
            }
            Expr::Ident(_) => Range::exactly(1),
            Expr::Select(select) => self.cost(&select.operand).plus(Range::exactly(1)),
            Expr::List(list) => {
                self.sizes.insert(std::ptr::from_ref(node), Range::exactly(list.elements.len() as u64));
                list.elements.iter().fold(Range::exactly(LIST), |sum, element| sum.plus(self.cost(element)))
            }
            Expr::Map(map) => {
                self.sizes.insert(std::ptr::from_ref(node), Range::exactly(map.entries.len() as u64));
                let mut sum = Range::exactly(MAP);
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        sum = sum.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
                    }
                }
                sum
            }
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::Struct(_) | Expr::Unspecified => Range::default(),
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Range {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b]) => {
                let (a, b) = (self.cost(a), self.cost(b));
                return Range { min: a.min, max: a.max.saturating_add(b.max) };
            }
            (operators::CONDITIONAL, [test, yes, no]) => {
                let size = self.size(yes).or(self.size(no));
                let cost = self.cost(test).plus(self.cost(yes).or(self.cost(no)));
                self.sizes.insert(std::ptr::from_ref(node), size);
                return cost;
            }
            (operators::NOT_STRICTLY_FALSE, [arg]) => return self.cost(arg),
            _ => {}
        }
        let spaced = call
            .target
            .as_ref()
            .and_then(|target| qualified(target))
            .map(|target| format!("{target}.{}", call.func_name));
        let namespaced = spaced.filter(|name| crate::functions::TABLE.contains_key(&(name.clone(), false)));
        let target = call.target.as_deref().filter(|_| namespaced.is_none());
        let args: Vec<&IdedExpr> = target.into_iter().chain(&call.args).collect();
        let mut sum = Range::default();
        for arg in &args {
            sum = sum.plus(self.cost(arg));
        }
        let sizes: Vec<Range> = args.iter().map(|arg| self.size(arg)).collect();
        let sized = args.first().is_some_and(|first| self.sized(first));
        let (cost, size) = of_call(namespaced.as_deref().unwrap_or(&call.func_name), &sizes, sized);
        if let Some(size) = size {
            self.sizes.insert(std::ptr::from_ref(node), size);
        }
        sum.plus(cost)
    }

    fn comprehension(&mut self, node: &IdedExpr, comprehension: &ComprehensionExpr) -> Range {
        let start = self.cost(&comprehension.iter_range).plus(self.cost(&comprehension.accu_init));
        let rounds = self.size(&comprehension.iter_range);
        let depth = self.scope.len();
        self.scope.push((comprehension.accu_var.clone(), Some(Range::up_to(1))));
        self.scope.push((comprehension.iter_var.clone(), None));
        if let Some(second) = &comprehension.iter_var2 {
            self.scope.push((second.clone(), None));
        }
        let round = self.cost(&comprehension.loop_cond).plus(self.cost(&comprehension.loop_step));
        self.scope.truncate(depth);
        self.scope.push((comprehension.accu_var.clone(), Some(rounds)));
        let end = self.cost(&comprehension.result);
        self.scope.truncate(depth);
        self.sizes.insert(std::ptr::from_ref(node), rounds);
        start.plus(rounds.times(round)).plus(end)
    }
}

fn is_sized(kind: &Kind) -> bool {
    matches!(kind, Kind::String | Kind::Bytes | Kind::List(_) | Kind::Map(..))
}
