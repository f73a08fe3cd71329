use super::*;
use crate::config::{KeyConfig, ProviderConfig};

const VALUE: &[u8] = br#"{"kind":"Secret"}"#;
const PLACE: &[u8] = b"/registry/secrets/a/b";

fn key(name: &str, fill: u8) -> KeyConfig {
    KeyConfig { name: name.into(), secret: STANDARD.encode([fill; 32]) }
}

fn gcm(keys: &[KeyConfig]) -> ProviderConfig {
    ProviderConfig { aesgcm: Some(keys.to_vec()), ..ProviderConfig::default() }
}

fn cbc(keys: &[KeyConfig]) -> ProviderConfig {
    ProviderConfig { aescbc: Some(keys.to_vec()), ..ProviderConfig::default() }
}

fn secretbox(keys: &[KeyConfig]) -> ProviderConfig {
    ProviderConfig { secretbox: Some(keys.to_vec()), ..ProviderConfig::default() }
}

fn plain() -> ProviderConfig {
    ProviderConfig { identity: true, ..ProviderConfig::default() }
}

fn chain(configs: &[ProviderConfig]) -> Chain {
    Chain::new(configs, &mut Vec::new()).unwrap()
}

/// `current`, `stale`, or why it cannot be read.
fn read(chain: &Chain, stored: &Bytes) -> String {
    match chain.read(stored, PLACE, &Refusals::default()) {
        Ok(read) => {
            assert_eq!(read.value, VALUE);
            if read.stale { "stale" } else { "current" }.to_owned()
        }
        Err(Unread::Failed(why)) => why,
        Err(Unread::Asks(..)) => "asks".to_owned(),
    }
}

/// What was written with some providers, read with others.
#[test]
fn the_first_writes_and_all_read() {
    let check = |writers: &[ProviderConfig], prefix: &str, readers: &[ProviderConfig], expected: &str| {
        let stored = chain(writers).write(Bytes::from_static(VALUE), PLACE).unwrap();
        assert!(stored.starts_with(prefix.as_bytes()), "{prefix}");
        assert_eq!(read(&chain(readers), &stored), expected, "{prefix}");
    };
    let (a, b) = (key("a", 1), key("b", 2));
    let of_a = [gcm(std::slice::from_ref(&a))];
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &of_a, "current");
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &[gcm(&[a.clone(), b.clone()])], "current");
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &[gcm(&[b.clone(), a.clone()])], "stale");
    let no_key = "no matching key was found for the provided AES transformer";
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &[gcm(std::slice::from_ref(&b))], no_key);
    let other_secret = [gcm(&[key("a", 9)])];
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &other_secret, "cipher: message authentication failed");
    // The same provider twice, rotated from the one to the other.
    let twice = [gcm(std::slice::from_ref(&b)), gcm(std::slice::from_ref(&a))];
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &twice, "stale");
    let twice = [gcm(&[key("a", 9)]), gcm(std::slice::from_ref(&a))];
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &twice, "stale");
    let neither = [gcm(&[key("a", 9)]), gcm(std::slice::from_ref(&b))];
    check(&of_a, "k8s:enc:aesgcm:v1:a:", &neither, &format!("[cipher: message authentication failed, {no_key}]"));

    let of_cbc = [cbc(std::slice::from_ref(&a)), plain()];
    check(&of_cbc, "k8s:enc:aescbc:v1:a:", &of_cbc, "current");
    check(&of_cbc, "k8s:enc:aescbc:v1:a:", &[plain(), of_cbc[0].clone()], "stale");
    check(&of_cbc, "k8s:enc:aescbc:v1:a:", &of_a, "no matching prefix found");
    check(&of_cbc, "k8s:enc:aescbc:v1:a:", &[plain()], "no matching prefix found");
    let of_box = [secretbox(std::slice::from_ref(&a))];
    check(&of_box, "k8s:enc:secretbox:v1:a:", &of_box, "current");
    check(&[plain()], "{", &of_cbc, "stale");
    check(&[plain()], "{", &[plain()], "current");
    check(&[plain()], "{", &of_box, "no matching prefix found");
}

#[test]
fn a_value_belongs_to_its_place() {
    let chain = chain(&[gcm(&[key("a", 1)])]);
    let stored = chain.write(Bytes::from_static(VALUE), b"/registry/secrets/a/c").unwrap();
    assert_eq!(read(&chain, &stored), "cipher: message authentication failed");
    assert!(identity(&stored).is_err());
}
