//! The second round of mutation.
//!
//! What mutates an object cannot know who does so after it. So the steps of mutation are gone through once more if one of
//! them that is of the cluster's users, a policy or a webhook, changed the object ([`Reinvocation::ask`]). In that round
//! the components mutate anew, and of the policies and webhooks those whose `reinvocationPolicy` is `IfNeeded`, and only
//! if the object has changed since they had it ([`Invoked`], which each of the two steps has for itself).

use std::collections::HashSet;
use std::hash::Hash;

use portcullis_machinery::Value;

/// What one request's mutation knows of its rounds.
#[derive(Debug, Default)]
pub struct Reinvocation {
    again: bool,
    wanted: bool,
    /// The policies' step: policy, binding, and the parameter's namespace and name.
    pub policies: Invoked<(String, String, String)>,
    /// The webhooks' step: the configuration and the webhook's name, with whatever else tells two apart.
    pub webhooks: Invoked<(String, String, String)>,
}

impl Reinvocation {
    /// Whether this is the second round.
    pub fn is_again(&self) -> bool {
        self.again
    }

    /// The object was changed: a second round is wanted.
    pub fn ask(&mut self) {
        self.wanted = true;
    }

    /// Goes on to the second round, if one is wanted and this is not it.
    pub fn go_on(&mut self) -> bool {
        let goes_on = self.wanted && !self.again;
        self.again = true;
        goes_on
    }
}

/// Who has been invoked by one step, and who of them is to be invoked again.
#[derive(Debug)]
pub struct Invoked<K> {
    last_output: Option<Value>,
    before: HashSet<K>,
    again: HashSet<K>,
}

impl<K> Default for Invoked<K> {
    fn default() -> Self {
        Self { last_output: None, before: HashSet::new(), again: HashSet::new() }
    }
}

impl<K: Eq + Hash> Invoked<K> {
    /// The step begins, with this object; `again` is whether it is the second round. If others have changed the object
    /// meanwhile, all who may be are invoked again.
    pub fn begin(&mut self, again: bool, object: &Value) {
        if again && self.last_output.as_ref() != Some(object) {
            self.changed();
        }
    }

    /// The step ends, having made this of the object.
    pub fn end(&mut self, object: &Value) {
        self.last_output = Some(object.clone());
    }

    /// Whether one is to be invoked in the second round.
    pub fn is_due(&self, key: &K) -> bool {
        self.again.contains(key)
    }

    /// The object was changed: all who were invoked before and may be invoked again are due.
    pub fn changed(&mut self) {
        self.again.extend(self.before.drain());
    }

    /// One was invoked that may be invoked again.
    pub fn invoked(&mut self, key: K) {
        self.before.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_may_be_is_invoked_again_if_the_object_has_changed_since() {
        let mut rounds = Reinvocation::default();
        let key = |name: &str| (name.to_owned(), String::new(), String::new());
        rounds.policies.begin(false, &json!(1));
        rounds.policies.invoked(key("a"));
        rounds.policies.changed();
        rounds.policies.invoked(key("b"));
        rounds.policies.end(&json!(2));
        assert!(!rounds.go_on(), "nobody asked for it");
        let mut rounds = Reinvocation { again: false, ..rounds };
        rounds.ask();
        assert!(rounds.go_on() && rounds.is_again());
        rounds.policies.begin(true, &json!(2));
        assert!(rounds.policies.is_due(&key("a")) && !rounds.policies.is_due(&key("b")));
        rounds.policies.begin(true, &json!(3));
        assert!(rounds.policies.is_due(&key("b")) && !rounds.policies.is_due(&key("c")));
        assert!(!rounds.go_on(), "there are two rounds at most");
    }
}
