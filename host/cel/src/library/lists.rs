//! Lists and sets.

use std::cmp::Ordering;

use super::{Outcome, failed, operators};
use crate::value::Val;

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
        ("sort", []) => {
            let mut sorted = items()?;
            sorted.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
            Some(Ok(Val::list(sorted)))
        }
        ("slice", [Val::Int(start), Val::Int(end)]) => {
            let items = items()?;
            let bounds = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
            Some(match bounds.and_then(|(start, end)| items.get(start..end)) {
                Some(part) => Ok(Val::list(part.to_vec())),
                None => failed(format!("cannot slice({start}, {end}), list is length {}", items.len())),
            })
        }
        ("flatten", []) => {
            let parts: Option<Vec<Vec<Val<'a>>>> = items()?.iter().map(Val::items).collect();
            Some(Ok(Val::list(parts?.into_iter().flatten().collect())))
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

fn position<'a>(found: Option<usize>) -> Val<'a> {
    Val::Int(found.map_or(-1, |at| at as i64))
}
