//! The sizes of a Deployment's ReplicaSets on the way from one revision to the next.

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;

use super::replicas;
use super::template::DESIRED;
use crate::common::part_of;

/// Surge and unavailability; if both come out as zero, one may be unavailable, for nothing would ever move.
fn bounds(deployment: &Value) -> (i64, i64) {
    if deployment.str_at(&["spec", "strategy", "type"]) == "Recreate" {
        return (0, 0);
    }
    let total = replicas(deployment);
    let of = |field: &str| deployment.at(&["spec", "strategy", "rollingUpdate", field]);
    let surge = part_of(of("maxSurge"), total, "25%", true);
    let unavailable = part_of(of("maxUnavailable"), total, "25%", false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable.min(total)) }
}

/// How many pods over the wished number there may be.
pub(super) fn max_surge(deployment: &Value) -> i64 {
    bounds(deployment).0
}

/// How many of the wished pods may be missing.
pub(super) fn max_unavailable(deployment: &Value) -> i64 {
    bounds(deployment).1
}

/// The size of a new ReplicaSet beside the old ones.
pub(super) fn first_size(deployment: &Value, old: &[Object]) -> i64 {
    let wanted = replicas(deployment);
    let there: i64 = old.iter().map(|set| replicas(set)).sum();
    (wanted + max_surge(deployment) - there).clamp(0, wanted)
}

fn available(set: &Value) -> i64 {
    set.int_at(&["status", "availableReplicas"]).unwrap_or(0)
}

/// The next sizes of a rolling update; empty if nothing can move now.
pub(super) fn plan(deployment: &Value, new: Option<&Object>, old: &[Object]) -> Vec<(Object, i64)> {
    let Some(new) = new else { return Vec::new() };
    let wanted = replicas(deployment);
    let size = replicas(new);
    if size > wanted {
        return vec![(new.clone(), wanted)];
    }
    let in_old: i64 = old.iter().map(|set| replicas(set)).sum();
    let (surge, unavailable) = bounds(deployment);
    if size < wanted {
        let room = wanted + surge - in_old - size;
        if room > 0 {
            return vec![(new.clone(), (size + room).min(wanted))];
        }
    }
    if in_old == 0 {
        return Vec::new();
    }
    // Pods of the new set that are not up yet count as missing.
    let at_least = wanted - unavailable;
    let not_up = (size - available(new)).max(0);
    let mut removable = in_old + size - at_least - not_up;
    if removable <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<i64> = old.iter().map(|set| replicas(set)).collect();
    // First those that are not available anyway ...
    for (size, set) in sizes.iter_mut().zip(old) {
        let step = (*size - available(set)).clamp(0, removable.min(*size));
        *size -= step;
        removable -= step;
    }
    // ... then as many available ones as may go.
    let up: i64 = old.iter().chain([new]).map(|set| available(set)).sum();
    let mut spare = (up - at_least).min(removable).max(0);
    for size in &mut sizes {
        let step = (*size).min(spare);
        *size -= step;
        spare -= step;
    }
    let changed = old.iter().zip(sizes).filter(|(set, size)| replicas(set) != *size);
    changed.map(|(set, size)| (set.clone(), size)).collect()
}

/// Whether the Deployment's size is another one than its ReplicaSets were last scaled for.
pub(super) fn was_resized<'a>(deployment: &Value, mut sets: impl Iterator<Item = &'a Object>) -> bool {
    let wanted = replicas(deployment);
    sets.any(|set| {
        replicas(set) > 0
            && set.annotation(DESIRED).and_then(|text| text.parse::<i64>().ok()).is_some_and(|size| size != wanted)
    })
}

/// The sizes after the Deployment's own changed: one running set takes it all; several share it by their sizes, so
/// that a rollout under way keeps its balance.
pub(super) fn rescale(deployment: &Value, new: Option<&Object>, old: &[Object]) -> Vec<(Object, i64)> {
    let wanted = replicas(deployment);
    let all: Vec<&Object> = old.iter().chain(new).collect();
    let running: Vec<&Object> = all.iter().copied().filter(|set| replicas(set) > 0).collect();
    match running.as_slice() {
        [] => all.last().map(|newest| vec![((*newest).clone(), wanted)]).unwrap_or_default(),
        [only] => vec![((*only).clone(), wanted)],
        several => {
            let total: i64 = several.iter().map(|set| replicas(set)).sum();
            let target = if wanted == 0 { 0 } else { wanted + max_surge(deployment) };
            let mut left = target;
            let mut sizes = Vec::new();
            for (at, set) in several.iter().enumerate() {
                // The last one, which is the newest, gets what rounding left over.
                let share = if at + 1 == several.len() { left } else { (replicas(set) * target / total).min(left) };
                left -= share;
                sizes.push(((*set).clone(), share));
            }
            sizes
        }
    }
}
