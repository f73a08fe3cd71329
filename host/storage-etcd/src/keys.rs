//! Where the store's keys are in etcd.
//!
//! `/registry/…` is `<prefix>/…`, with kube-apiserver's own prefix byte for byte what kube-apiserver writes. The keys of
//! other tenants, `/tenants/<name>/…`, are `<prefix>/~tenants/<name>/…`, so that everything of one cluster is in one range
//! of etcd, whatever else is there. `~` sorts after every name of a resource or a group: the order of keys is the same on
//! both sides, and so a range is a range.

use std::sync::Arc;

use portcullis_storage::{StoreError, prefix_end};

/// What the keys of the default tenant begin with in the [`portcullis_storage::Store`] trait.
const REGISTRY: &str = "/registry/";
/// What those of all others do.
const TENANTS: &str = "/tenants/";

/// Translates keys.
#[derive(Debug)]
pub(crate) struct Keys {
    registry: String,
    tenants: String,
    touch: String,
    end: String,
}

impl Keys {
    /// `prefix` is what kube-apiserver's `--etcd-prefix` is; slashes at its end do not count.
    pub(crate) fn new(prefix: &str) -> Self {
        let registry = format!("/{}/", prefix.trim_matches('/'));
        let (tenants, touch) = (format!("{registry}~tenants/"), format!("{registry}~touch"));
        Self { end: prefix_end(&registry), registry, tenants, touch }
    }

    /// The key in etcd.
    pub(crate) fn outer(&self, key: &str) -> Result<String, StoreError> {
        if let Some(rest) = key.strip_prefix(REGISTRY) {
            return Ok(format!("{}{rest}", self.registry));
        }
        if let Some(rest) = key.strip_prefix(TENANTS) {
            return Ok(format!("{}{rest}", self.tenants));
        }
        Err(StoreError::Unsupported(format!("the key {key:?} begins neither with {REGISTRY} nor with {TENANTS}")))
    }

    /// The store's key of one in etcd; `None` if it is not one of the store's.
    pub(crate) fn inner(&self, key: &[u8]) -> Option<Arc<str>> {
        let key = std::str::from_utf8(key).ok()?;
        if key == self.touch {
            return None;
        }
        if let Some(rest) = key.strip_prefix(&self.tenants) {
            return Some(Arc::from(format!("{TENANTS}{rest}")));
        }
        let rest = key.strip_prefix(&self.registry)?;
        Some(if self.registry == REGISTRY { Arc::from(key) } else { Arc::from(format!("{REGISTRY}{rest}")) })
    }

    /// The bound in etcd of a bound of a range: the first key at or after it.
    fn bound(&self, bound: &str) -> String {
        if let Some(rest) = bound.strip_prefix(REGISTRY) {
            format!("{}{rest}", self.registry)
        } else if let Some(rest) = bound.strip_prefix(TENANTS) {
            format!("{}{rest}", self.tenants)
        } else if bound < REGISTRY {
            self.registry.clone()
        } else if bound < TENANTS {
            self.tenants.clone()
        } else {
            self.end.clone()
        }
    }

    /// The range in etcd from `start` to `end` (empty: to the end of everything). Empty if the two are the same.
    pub(crate) fn range(&self, start: &str, end: &str) -> (String, String) {
        (self.bound(start), if end.is_empty() { self.end.clone() } else { self.bound(end) })
    }

    /// The range in etcd of a prefix.
    pub(crate) fn prefix(&self, prefix: &str) -> (String, String) {
        self.range(prefix, &prefix_end(prefix))
    }

    /// A key within the range of everything, never shown to anyone, that is written to make the revision pass by.
    pub(crate) fn touch(&self) -> &str {
        &self.touch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_there_and_back_in_order() {
        for prefix in ["/registry", "registry/", "/clusters/a", "/"] {
            let keys = Keys::new(prefix);
            let inner = ["/registry/pods/a/b", "/registry/zz.example/things/x", "/tenants/a/registry/pods/a/b"];
            let outer: Vec<String> = inner.iter().map(|key| keys.outer(key).unwrap()).collect();
            assert!(outer.is_sorted(), "{outer:?}");
            for (inner, outer) in inner.iter().zip(&outer) {
                assert_eq!(keys.inner(outer.as_bytes()).as_deref(), Some(*inner), "{prefix}");
            }
        }
        assert_eq!(Keys::new("/registry").outer("/registry/pods/a/b").unwrap(), "/registry/pods/a/b");
        assert!(Keys::new("/registry").outer("/other").is_err());
        assert_eq!(Keys::new("/registry").inner(b"/registry/~touch"), None);
        assert_eq!(Keys::new("/registry").inner(b"/elsewhere/x"), None);
    }

    #[test]
    fn ranges_hold_what_they_held() {
        let keys = Keys::new("/a");
        let check = |prefix: &str, start: &str, end: &str| {
            assert_eq!(keys.prefix(prefix), (start.to_owned(), end.to_owned()), "{prefix:?}");
        };
        check("", "/a/", "/a0");
        check("/registry/", "/a/", "/a/~tenants/");
        check("/registry/pods/", "/a/pods/", "/a/pods0");
        check("/tenants/", "/a/~tenants/", "/a0");
        check("/tenants/x", "/a/~tenants/x", "/a/~tenants/y");
        check("/other/", "/a/", "/a/");
    }
}
