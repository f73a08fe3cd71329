//! The engine in the process.
use std::path::Path;
use crate::StoreError;
/// The embedded engine.
pub struct EmbeddedStore {}
/// How an embedded store is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// How often to compact, keeping the history of one interval; `None` leaves it to the caller.
    pub compact_every: Option<std::time::Duration>,
}
impl EmbeddedStore {
    /// Opens the store in a directory, making it if there is none.
    pub async fn open(_directory: &Path, _options: EmbeddedOptions) -> Result<std::sync::Arc<dyn crate::Store>, StoreError> { todo!() }
}
