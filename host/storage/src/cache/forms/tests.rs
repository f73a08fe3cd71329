use super::*;
use crate::KeyValue;
use crate::cache::{JsonCodec, ObjectCodec};

fn object(version: &str, revision: u64) -> Arc<CachedObject> {
    let value = format!(r#"{{"kind":"K","apiVersion":"{version}","metadata":{{"name":"n"}}}}"#);
    let kv = KeyValue {
        key: "/k/n".into(),
        value: value.into(),
        create_revision: 1,
        mod_revision: revision,
        unreadable: None,
    };
    Arc::new(JsonCodec::new(&[]).decode(&kv).unwrap())
}

fn key(version: &str, maker: u64) -> FormKey {
    FormKey { version: version.into(), maker }
}

fn mine(object: &Arc<CachedObject>, key: &FormKey) -> FormMaking {
    match object.claim_form(key) {
        Claim::Mine(making) => making,
        Claim::Made(_) | Claim::Others(_) => panic!("{key:?} is taken"),
    }
}

fn others(object: &Arc<CachedObject>, key: &FormKey) -> FormWait {
    match object.claim_form(key) {
        Claim::Others(wait) => wait,
        Claim::Made(_) | Claim::Mine(_) => panic!("nobody makes {key:?}"),
    }
}

#[tokio::test]
async fn a_form_is_made_once_and_kept() {
    let stored = object("g/v1", 7);
    assert_eq!(stored.api_version(), "g/v1");
    let v2 = key("g/v2", 1);
    let (making, wait) = (mine(&stored, &v2), others(&stored, &v2));
    assert!(stored.form(&v2).is_none());
    making.done(object("g/v2", 7));
    assert_eq!(wait.wait().await.unwrap().unwrap().api_version(), "g/v2");
    assert_eq!(stored.form(&v2).unwrap().api_version(), "g/v2");
    assert!(matches!(stored.claim_form(&v2), Claim::Made(_)));

    // A deletion's event has the forms too, at its own revision.
    let gone = stored.deleted_at(9);
    assert_eq!(gone.form(&v2).unwrap().revision, 9);

    // What another maker makes takes its place.
    mine(&stored, &key("g/v2", 2)).done(object("g/v2", 7));
    assert!(stored.form(&v2).is_none());
}

#[tokio::test]
async fn who_fails_or_gives_up_leaves_it_to_the_next() {
    let stored = object("g/v1", 7);
    let v2 = key("g/v2", 1);
    let (making, wait) = (mine(&stored, &v2), others(&stored, &v2));
    making.failed("no".into());
    assert_eq!(&*wait.wait().await.unwrap().unwrap_err(), "no");
    let (making, wait) = (mine(&stored, &v2), others(&stored, &v2));
    drop(making);
    assert!(wait.wait().await.is_none());
    drop(mine(&stored, &v2));
}
