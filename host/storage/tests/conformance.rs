//! The suite against the embedded engine.

use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage_testing::Fixture;

async fn open() -> Option<Fixture> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = EmbeddedOptions::default();
    let store = EmbeddedStore::open(directory.path(), options).await.expect("the store opens");
    Some(Fixture::new(store, directory))
}

portcullis_storage_testing::conformance!(open);
