//! The expected values were made with the Python package `cryptography`, and put into messages by hand.

use super::*;

const PLAIN: &[u8] = br#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#;
const KEY_IN_ETCD: &[u8] = b"/registry/secrets/default/a";
const OF_SEED: &str = "0a77404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6465666768696a6b6c6d6e6f2afaeb\
                       a40abec3801d6897161b5885d7d4605c1ecbba5960e2eab803bb531fdbf2226475da1fca5af76db6ed7ef27d97f4f9fb\
                       b3858063f86e164ec5375cc8e7052a7967d8108541a8b15712056b65792d311a0b7365616c6564207365656422110a09\
                       612e6578616d706c6512046e6f74652801";
const OF_KEY: &str = "0a576465666768696a6b6c6d6e6f3339b50f178d74a41c313a8ba8001edf6ee0677ae23a9600d4b8c326d999873ea5cb6ce\
                      22177ef6599920c5edf78b1ed753af58202706349d88cd162c155eb9afa6aaaa01809e91f3e39dc12056b65792d311a0a\
                      7365616c6564206b6579";

fn opened(stored: &str, key: Vec<u8>) -> (Envelope, Result<Vec<u8>, CipherError>) {
    let stored = hex::decode(stored).unwrap();
    let envelope = Envelope::decode(&stored).unwrap();
    let mut again = Vec::new();
    envelope.encode(&mut again);
    assert_eq!(again, stored);
    let key = Key::new(envelope.source_type, key).unwrap();
    let plain = key.open(&envelope.data, KEY_IN_ETCD);
    assert_eq!(key.open(&envelope.data, b"/registry/secrets/default/b"), Err(CipherError::Authentication));
    (envelope, plain)
}

#[test]
fn known_values() {
    let (envelope, plain) = opened(OF_SEED, (32..64).collect());
    assert_eq!(plain.unwrap(), PLAIN);
    assert_eq!((envelope.key_id.as_str(), envelope.source.as_slice()), ("key-1", &b"sealed seed"[..]));
    assert_eq!(envelope.annotations["a.example"], b"note");
    assert_eq!(envelope.source_type, SEED);
    let (envelope, plain) = opened(OF_KEY, (0..32).collect());
    assert_eq!(plain.unwrap(), PLAIN);
    assert_eq!(envelope.source_type, KEY);
    let seed = Key::Seed((32..64).collect());
    let sealed = seed.seal(PLAIN, KEY_IN_ETCD).unwrap();
    assert_eq!(seed.open(&sealed, KEY_IN_ETCD).unwrap(), PLAIN);
    assert_eq!(seed.open(&sealed[..31], KEY_IN_ETCD), Err(CipherError::Short));
    assert!(Key::new(SEED, vec![0; 31]).is_err());
    assert!(Key::new(KEY, vec![0; 31]).is_err());
}

#[test]
fn what_a_plugin_may_say() {
    let sound = Envelope {
        data: vec![1],
        key_id: "k".into(),
        source: vec![1],
        annotations: BTreeMap::from([("a.example.com".to_owned(), b"x".to_vec())]),
        source_type: SEED,
    };
    let check = |change: &dyn Fn(&mut Envelope), expected: &str| {
        let mut envelope = sound.clone();
        change(&mut envelope);
        let mut stored = Vec::new();
        envelope.encode(&mut stored);
        let found = Envelope::decode(&stored).err().unwrap_or_default();
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{expected:?}: {found:?}");
    };
    check(&|_| {}, "");
    check(&|envelope| envelope.data.clear(), "encrypted data is empty");
    check(&|envelope| envelope.key_id.clear(), "failed to validate key id: keyID is empty");
    check(&|envelope| envelope.key_id = "k".repeat(1025), "keyID is 1025 bytes, which exceeds the max size of 1024");
    check(&|envelope| envelope.source.clear(), "encrypted DEK source is empty");
    check(&|envelope| envelope.source = vec![0; 1025], "encrypted DEK source is 1025 bytes");
    check(&|envelope| envelope.source_type = 2, "unknown encryptedDEKSourceType: 2");
    let annotate = |key: &str, size: usize| {
        let key = key.to_owned();
        move |envelope: &mut Envelope| drop(envelope.annotations.insert(key.clone(), vec![0; size]))
    };
    check(&annotate("plain", 1), "failed to validate annotations: annotations: Invalid value: \"plain\"");
    check(&annotate("b.example.com", 32 << 10), "which exceeds the max size of 32768");
    assert!(Envelope::decode(&[0xff]).is_err());
}
