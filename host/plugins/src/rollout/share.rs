//! Which requests a canary decides.

use portcullis_policy::Digest;

use super::spec::CanarySpec;

/// The part of the requests that a candidate decides.
///
/// An object belongs to it or not by its namespace and name alone, with the candidate's own name mixed in so that two
/// canaries do not meet the same objects: every server comes to the same answer, and an object's updates meet the version
/// that let it in. An object whose name is yet to be generated goes by the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many of a hundred names.
    Percent {
        /// How many.
        percent: u64,
        /// What is mixed in: the candidate's revision.
        salt: String,
    },
    /// All requests of some namespaces.
    Namespaces(Vec<String>),
}

impl Share {
    /// The share that a spec describes, for a candidate.
    pub fn new(canary: &CanarySpec, revision: &str) -> Self {
        match canary.percent {
            Some(percent) => {
                Self::Percent { percent: u64::try_from(percent).unwrap_or_default(), salt: revision.to_owned() }
            }
            None => Self::Namespaces(canary.namespaces.clone()),
        }
    }

    /// Whether an object belongs to it; `id` stands in for a name that is not known yet.
    pub fn contains(&self, namespace: &str, name: &str, id: &str) -> bool {
        match self {
            Self::Namespaces(list) => list.iter().any(|entry| entry == namespace),
            Self::Percent { percent, salt } => {
                let name = if name.is_empty() { id } else { name };
                // Names of objects have no slash, so that no two keys are the same text.
                let hash = Digest::of(format!("{salt}/{namespace}/{name}").as_bytes()).leading_u64();
                hash % 100 < *percent
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: i64) -> Share {
        Share::new(&CanarySpec { percent: Some(percent), ..CanarySpec::default() }, "teams-1")
    }

    #[test]
    fn a_percentage_is_one_of_names_and_always_the_same() {
        let check = |of_100: i64| {
            let share = percent(of_100);
            let count = (0..10_000).filter(|n| share.contains("default", &format!("web-{n}"), "")).count();
            let expected = usize::try_from(of_100).unwrap() * 100;
            assert!(count.abs_diff(expected) < 250, "{count} of 10000 for {of_100} %");
        };
        [1, 10, 50, 100].into_iter().for_each(check);
        let known: Vec<bool> = ["a", "b", "c", "d", "e", "f"].map(|name| percent(50).contains("x", name, "")).into();
        // The same on every server, in every release: a change of the hash would send objects to the other version.
        assert_eq!(known, KNOWN);
    }

    const KNOWN: [bool; 6] = [false, true, true, true, true, true];

    #[test]
    fn a_larger_share_contains_the_smaller_one() {
        let all =
            |share: &Share| -> Vec<u32> { (0..1000).filter(|n| share.contains("", &n.to_string(), "")).collect() };
        let (small, large) = (all(&percent(10)), all(&percent(30)));
        assert!(small.iter().all(|n| large.contains(n)));
    }

    #[test]
    fn namespaces_and_generated_names() {
        let share = Share::new(&CanarySpec { namespaces: vec!["red".into()], ..CanarySpec::default() }, "teams-1");
        assert!(share.contains("red", "x", "") && !share.contains("blue", "x", "") && !share.contains("", "red", ""));
        let by_id: Vec<bool> = (0..50).map(|n| percent(50).contains("x", "", &n.to_string())).collect();
        assert!(by_id.contains(&true) && by_id.contains(&false));
    }
}
