//! Lists and sets.

use std::cmp::Ordering;

use super::{Outcome, failed, operators};
use crate::program::EvalError;
use crate::value::Val;

/// The longest list of numbers: what one expression may cost.
const LONGEST_RANGE: i64 = 1_000_000;

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let (list, rest) = args.split_first()?;
    let items = || list.items();
    let extreme = |wanted: Ordering, word: &str| -> Option<Outcome<'a>> {
        let mut items = items()?.into_iter();
        let Some(mut best) = items.next() else { return Some(failed(format!("{word} called on empty list"))) };
        for item in items {
            match item.compare(&best) {
                Some(order) if order == wanted => best = item,
                Some(_) => {}
                None => return Some(failed("no such overload")),
            }
        }
        Some(Ok(best))
    };
    match (name, rest) {
        ("isSorted", []) => {
            let items = items()?;
            Some(Ok(Val::Bool(items.windows(2).all(|pair| pair[0].compare(&pair[1]) != Some(Ordering::Greater)))))
        }
        ("sum", []) => {
            let mut items = items()?.into_iter();
            let first = items.next().unwrap_or(Val::Int(0));
            Some(items.try_fold(first, |sum, item| {
                operators::call("_+_", &[sum, item]).unwrap_or_else(|| failed("no such overload"))
            }))
        }
        ("min", []) => extreme(Ordering::Less, "min"),
        ("max", []) => extreme(Ordering::Greater, "max"),
        ("indexOf", [item]) => Some(Ok(position(items()?.iter().position(|one| one.equals(item))))),
        ("lastIndexOf", [item]) => Some(Ok(position(items()?.iter().rposition(|one| one.equals(item))))),
        ("distinct", []) => {
            let mut kept: Vec<Val<'a>> = Vec::new();
            for item in items()? {
                if !kept.iter().any(|one| one.equals(&item)) {
                    kept.push(item);
                }
            }
            Some(Ok(Val::list(kept)))
        }
        ("reverse", []) => Some(Ok(Val::list(items()?.into_iter().rev().collect()))),
        ("sort", []) => Some(sorted(&items()?, &items()?)),
        ("@sortByAssociatedKeys", [keys]) => Some(sorted(&items()?, &keys.items()?)),
        ("first", []) => Some(Ok(Val::Optional(items()?.into_iter().next().map(Into::into)))),
        ("last", []) => Some(Ok(Val::Optional(items()?.into_iter().next_back().map(Into::into)))),
        ("lists.range", []) => {
            let Val::Int(count) = list else { return None };
            // Nothing may make lists that are larger than what they may cost.
            if *count > LONGEST_RANGE {
                return Some(Err(EvalError::TooCostly));
            }
            Some(Ok(Val::list((0..*count).map(Val::Int).collect())))
        }
        ("slice", [Val::Int(start), Val::Int(end)]) => {
            let items = items()?;
            let refuse = |why: &str| Some(failed(format!("cannot slice({start}, {end}), {why}")));
            let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
                return refuse("negative indexes not supported");
            };
            if from > to {
                return refuse("start index must be less than or equal to end index");
            }
            match items.get(from..to) {
                Some(part) => Some(Ok(Val::list(part.to_vec()))),
                None => refuse(&format!("list is length {}", items.len())),
            }
        }
        ("flatten", depth) => {
            let depth = match depth {
                [] => 1,
                [Val::Int(depth)] if *depth >= 0 => *depth,
                [Val::Int(_)] => return Some(failed("level must be non-negative")),
                _ => return None,
            };
            let mut flat = Vec::new();
            flatten(items()?, depth, &mut flat);
            Some(Ok(Val::list(flat)))
        }
        ("sets.contains" | "sets.equivalent" | "sets.intersects", [other]) => {
            let (a, b) = (items()?, other.items()?);
            let within = |small: &[Val<'a>], large: &[Val<'a>]| {
                small.iter().all(|item| large.iter().any(|one| one.equals(item)))
            };
            Some(Ok(Val::Bool(match name {
                "sets.contains" => within(&b, &a),
                "sets.equivalent" => within(&a, &b) && within(&b, &a),
                _ => a.iter().any(|item| b.iter().any(|one| one.equals(item))),
            })))
        }
        _ => None,
    }
}

fn flatten<'a>(items: Vec<Val<'a>>, depth: i64, into: &mut Vec<Val<'a>>) {
    for item in items {
        match item.items() {
            Some(inner) if depth > 0 => flatten(inner, depth - 1, into),
            _ => into.push(item),
        }
    }
}

/// Items in the order of their keys, which must all be of one type that has an order.
fn sorted<'a>(items: &[Val<'a>], keys: &[Val<'a>]) -> Outcome<'a> {
    if items.len() != keys.len() {
        return failed(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} \
             elements respectively",
            items.len(),
            keys.len()
        ));
    }
    if let Some(first) = keys.first() {
        if first.compare(first).is_none() {
            return failed("list elements must be comparable");
        }
        if keys.iter().any(|key| key.type_name() != first.type_name()) {
            return failed("list elements must have the same type");
        }
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| keys[*a].compare(&keys[*b]).unwrap_or(Ordering::Equal));
    Ok(Val::list(order.into_iter().map(|at| items[at].clone()).collect()))
}

fn position<'a>(found: Option<usize>) -> Val<'a> {
    Val::Int(found.map_or(-1, |at| at as i64))
}
