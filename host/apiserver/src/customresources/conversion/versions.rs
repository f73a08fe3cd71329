//! Conversions for the bookkeeping of fields' owners, which is pure code and cannot wait.
//!
//! Where the server or a component converts, that is done on the spot. A webhook's answers are looked up in a memo; what
//! is not there is noted, fetched when the code has run to its end, and the code is run again. It asks for the same things
//! each time, so it ends after as many rounds as there are versions to ask about, two conversions each.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::apply::Versions;
use portcullis_machinery::definition::{CustomResource, split_api_version};
use portcullis_machinery::schema::SchemaRef;
use portcullis_machinery::{Status, Value, object};

use super::{Maker, failure, on_the_spot, one};
use crate::handlers::Scope;

/// Whether the request's kind has versions between which fields may have to be found again.
pub fn has_versions(scope: &Scope) -> bool {
    scope.definition.custom.as_ref().is_some_and(|custom| custom.types.len() > 1)
}

/// Runs `act` with the other versions of the request's kind, if it has any.
///
/// # Errors
/// Those of `act`, and 500 if an object cannot be converted.
pub async fn in_versions<T>(
    scope: &Scope,
    act: impl Fn(Option<&dyn Versions>) -> Result<T, Status>,
) -> Result<T, Status> {
    let Some(custom) = scope.definition.custom.as_ref().filter(|custom| custom.types.len() > 1) else {
        return act(None);
    };
    let mut versions = Memo { scope, custom, memo: Vec::new(), missing: Mutex::default() };
    loop {
        let result = act(Some(&versions));
        match versions.missing.get_mut().take() {
            None => return result,
            Some(Missing::Failed(why)) => return Err(failure(&why)),
            Some(Missing::Unknown(object, version)) => {
                let converted = one(&scope.server, &scope.definition, object.clone(), &version).await?;
                versions.memo.push((object, version, converted));
            }
        }
    }
}

enum Missing {
    /// What nobody has converted yet.
    Unknown(Value, String),
    /// What cannot be converted.
    Failed(Arc<str>),
}

struct Memo<'a> {
    scope: &'a Scope,
    custom: &'a CustomResource,
    memo: Vec<(Value, String, Value)>,
    missing: Mutex<Option<Missing>>,
}

impl std::fmt::Debug for Memo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("known", &self.memo.len()).finish_non_exhaustive()
    }
}

impl Versions for Memo<'_> {
    fn schema(&self, api_version: &str) -> Option<&SchemaRef> {
        let (group, version) = split_api_version(api_version);
        self.custom.types.get(version).filter(|_| group == self.scope.definition.group)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        if object::api_version(object) == api_version {
            return Some(object.clone());
        }
        let known = self.memo.iter().find(|(from, to, _)| to == api_version && from == object);
        if let Some((_, _, converted)) = known {
            return Some(converted.clone());
        }
        let definition = &self.scope.definition;
        let made = Maker::of(&self.scope.server, definition)
            .map(|maker| on_the_spot(definition, self.custom, &maker, vec![object.clone()], api_version));
        let missing = match made {
            Ok(Some(Ok(mut converted))) => return converted.pop(),
            Ok(Some(Err(why))) | Err(why) => Missing::Failed(why),
            Ok(None) => Missing::Unknown(object.clone(), api_version.to_owned()),
        };
        self.missing.lock().get_or_insert(missing);
        None
    }
}
