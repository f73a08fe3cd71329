//! Signature checks with keys made here, and one published vector.

use super::*;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    },
};

/// The DER of one element.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

fn spki(oids: &[&[u8]], key: &[u8]) -> Vec<u8> {
    let oids: Vec<Vec<u8>> = oids.iter().map(|oid| der(OBJECT_ID, &[oid])).collect();
    let oids: Vec<&[u8]> = oids.iter().map(Vec::as_slice).collect();
    der(SEQUENCE, &[&der(SEQUENCE, &oids), &der(BIT_STRING, &[&[0], key])])
}

struct Signer {
    name: &'static str,
    key: PublicKey,
    sign: Box<dyn Fn(&[u8]) -> Vec<u8>>,
}

fn signers() -> Vec<Signer> {
    let random = SystemRandom::new();
    let mut signers = Vec::new();
    for (name, curve, oid) in
        [("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, OID_P256), ("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING, OID_P384)]
    {
        let secret = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, secret.as_ref(), &random).unwrap();
        let key = PublicKey::from_spki_der(Some(name), &spki(&[OID_EC, oid], pair.public_key().as_ref())).unwrap();
        let sign = Box::new(move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec());
        signers.push(Signer { name, key, sign });
    }
    let secret = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(secret.as_ref()).unwrap();
    let key = PublicKey::from_spki_der(Some("EdDSA"), &spki(&[OID_ED25519], pair.public_key().as_ref())).unwrap();
    signers.push(Signer { name: "EdDSA", key, sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()) });
    signers
}

#[test]
fn signatures_are_checked_with_the_keys_that_fit() {
    let signers = signers();
    let sets = KeySets::default();
    sets.replace("set", signers.iter().map(|signer| signer.key.clone()).collect());
    for signer in &signers {
        let good = (signer.sign)(b"message");
        let check = |key_id: &str, message: &[u8], signature: &[u8]| {
            sets.verify("set", key_id, signer.name, message, signature).unwrap()
        };
        assert!(check("", b"message", &good), "{}: any key", signer.name);
        assert!(check(signer.name, b"message", &good), "{}: named key", signer.name);
        assert!(!check("another", b"message", &good), "{}: another key's name", signer.name);
        assert!(!check("", b"massage", &good), "{}: another message", signer.name);
        assert!(!check("", b"message", &good[1..]), "{}: cut off", signer.name);
        assert!(!check("", b"message", b""), "{}: none", signer.name);
    }
}

#[test]
fn unknown_sets_and_algorithms_are_errors() {
    let sets = KeySets::default();
    let verify = |algorithm: &str| sets.verify("set", "", algorithm, b"", b"");
    assert_eq!(verify("ES256"), Err(VerifyError::UnknownKeySet("set".to_owned())));
    sets.replace("set", vec![signers().remove(0).key]);
    // `none` and HMAC would let anyone who knows the public key sign: they are never supported.
    for algorithm in ["none", "HS256", "ES512", "es256", "", "RS256"] {
        assert_eq!(verify(algorithm), Err(VerifyError::UnsupportedAlgorithm(algorithm.to_owned())), "{algorithm:?}");
    }
    sets.remove("set");
    assert!(verify("ES256").is_err());
}

#[test]
fn bad_keys_are_refused() {
    let good = spki(&[OID_ED25519], &[7; 32]);
    assert!(PublicKey::from_spki_der(None, &good).is_ok());
    for end in 0..good.len() {
        assert!(PublicKey::from_spki_der(None, &good[..end]).is_err(), "cut at {end}");
    }
    assert!(PublicKey::from_spki_der(None, &spki(&[&[0x2a, 0x03]], &[0; 32])).is_err(), "unknown algorithm");
    assert!(PublicKey::from_spki_pem(None, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
}

#[test]
fn key_ids_are_those_of_kubernetes() {
    assert_eq!(base64url(b""), "");
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    assert_eq!(base64url(b"foobar"), "Zm9vYmFy");
    let der = spki(&[OID_ED25519], &[7; 32]);
    let id = base64url(ring::digest::digest(&ring::digest::SHA256, &der).as_ref());
    assert_eq!(PublicKey::from_spki_der(None, &der).unwrap().id(), id);
    assert_eq!(id.len(), 43);
}
