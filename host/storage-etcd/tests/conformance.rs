//! The suite against real servers, of each version that is installed: Debian's 3.4, whose progress requests cannot be
//! trusted, an early 3.5, of which the same is true, and one that can be trusted.

use portcullis_storage_etcd::{EtcdOptions, EtcdStore};
use portcullis_storage_testing::Fixture;
use portcullis_storage_testing::etcd::{Etcd, find};

async fn open(version: &str, prefix: &str) -> Option<Fixture> {
    let etcd = Etcd::start(&find(version)?, 1, false);
    let options = EtcdOptions { prefix: prefix.to_owned(), ..EtcdOptions::new(etcd.urls()) };
    let store = EtcdStore::open(options).await.expect("the store opens");
    Some(Fixture::new(store, etcd))
}

/// A module of tests for a version.
macro_rules! against {
    ($module:ident, $version:literal, $prefix:literal) => {
        mod $module {
            async fn open() -> Option<portcullis_storage_testing::Fixture> {
                super::open($version, $prefix).await
            }
            portcullis_storage_testing::conformance!(open);
        }
    };
}

against!(v3_4, "3.4", "/registry");
against!(v3_5_1, "3.5.1", "/registry");
against!(v3_5_16, "3.5.16", "/registry");
against!(v3_5_16_with_a_prefix, "3.5.16", "/clusters/one");
