//! The suite against the layer over the embedded engine, with everything encrypted.

use std::io::Write as _;

use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage_testing::Fixture;
use portcullis_stored_form::{Encryption, StoredForm};

const CONFIG: &str = r#"{"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [{
    "resources": ["*.*"],
    "providers": [{"aesgcm": {"keys": [{"name": "a", "secret": "AAAAAAAAAAAAAAAAAAAAAA=="}]}}]
}]}"#;

async fn open() -> Option<Fixture> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut config = tempfile::NamedTempFile::new().expect("a temporary file");
    config.write_all(CONFIG.as_bytes()).expect("the file is written");
    let encryption = Encryption::load(config.path(), false).await.expect("the configuration is sound");
    let engine = EmbeddedStore::open(directory.path(), EmbeddedOptions::default()).await.expect("the store opens");
    Some(Fixture::new(StoredForm::over(engine, Some(encryption)), directory))
}

portcullis_storage_testing::conformance!(open);
