//! A codec for any resource whose values are JSON.
use super::{CachedObject, ObjectCodec, splice_resource_version};
use crate::KeyValue;
/// Reads names, labels and selectable fields out of JSON values without building them up.
pub struct JsonCodec {}
impl JsonCodec {
    /// A codec for a resource with these selectable fields: the selector's name and the path of the value, member by
    /// member. Absent values read as the empty text; numbers and booleans as their JSON text.
    #[must_use]
    pub fn new(_fields: &[(&str, &[&str])]) -> Self { todo!() }
    /// Keeps parsed forms, see [`CachedObject::keeping_value`].
    #[must_use]
    pub fn keep_values(self, _keep: bool) -> Self { todo!() }
}
impl ObjectCodec for JsonCodec {
    fn decode(&self, kv: &KeyValue) -> Result<CachedObject, String> {
        let spliced = splice_resource_version(&kv.value, kv.mod_revision)?;
        Ok(CachedObject::new(kv, spliced, "", ""))
    }
}
