//! Keys of ServiceAccount tokens: ES256 and RS256 (RFC 7518).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_machinery::Value;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair};
use serde_json::json;
use sha2::{Digest, Sha256};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("not a usable ServiceAccount key: {0}")]
pub struct KeyError(pub String);

/// The DER of a P-256 SubjectPublicKeyInfo (RFC 5480) up to the point.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The DER of the algorithm rsaEncryption (RFC 3279).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

fn rsa_spki(key: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = std::iter::once(0).chain(key.iter().copied()).collect();
    let content: Vec<u8> = RSA_ALGORITHM.into_iter().chain(der(0x03, &bits)).collect();
    der(0x30, &content)
}

fn p256_spki(point: &[u8]) -> Vec<u8> {
    P256_PREFIX.iter().chain(point).copied().collect()
}

#[derive(Clone, Debug)]
enum Kind {
    P256,
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

/// A key that checks tokens.
#[derive(Clone, Debug)]
pub struct PublicKey {
    /// What tokens' `kid` names: the base64url of the SHA-256 of the key's DER, as in the reference.
    pub id: String,
    /// SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    kind: Kind,
    /// The point, or the RSAPublicKey in DER.
    raw: Vec<u8>,
}

impl PublicKey {
    fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let bad = |why: &str| KeyError(why.to_owned());
        let (_, info) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| bad("not a public key"))?;
        let raw = info.subject_public_key.data.to_vec();
        let kind = match info.parsed() {
            Ok(Parsed::RSA(key)) => {
                let strip = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                Kind::Rsa { modulus: strip(key.modulus), exponent: strip(key.exponent) }
            }
            Ok(Parsed::EC(_)) if spki.starts_with(&P256_PREFIX) && raw.len() == 65 => Kind::P256,
            _ => return Err(bad("neither RSA nor ECDSA with P-256")),
        };
        Ok(Self { id: URL_SAFE_NO_PAD.encode(Sha256::digest(spki)), spki: spki.to_vec(), kind, raw })
    }

    /// All keys of a PEM text; a private key stands for its public one.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let blocks = pem::parse_many(text).map_err(|error| KeyError(error.to_string()))?;
        let mut keys = Vec::new();
        for block in blocks {
            keys.push(match block.tag() {
                "PUBLIC KEY" => Self::from_spki(block.contents())?,
                "RSA PUBLIC KEY" => Self::from_spki(&rsa_spki(block.contents()))?,
                "CERTIFICATE" => {
                    let (_, certificate) = x509_parser::parse_x509_certificate(block.contents())
                        .map_err(|error| KeyError(error.to_string()))?;
                    Self::from_spki(certificate.public_key().raw)?
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" => Signer::from_block(&block)?.public()?,
                _ => continue,
            });
        }
        if keys.is_empty() { Err(KeyError("no key in the file".to_owned())) } else { Ok(keys) }
    }

    /// The JOSE name of what it checks.
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::P256 => "ES256",
            Kind::Rsa { .. } => "RS256",
        }
    }

    /// The key as JWK (RFC 7517).
    pub fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.kind {
            Kind::P256 => {
                let (x, y) = self.raw.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256", "x": encode(x), "y": encode(y)})
            }
            Kind::Rsa { modulus, exponent } => {
                json!({"use": "sig", "kty": "RSA", "kid": self.id, "alg": "RS256", "n": encode(modulus), "e": encode(exponent)})
            }
        }
    }
}

/// A key that signs tokens.
pub enum Signer {
    /// ECDSA with P-256.
    P256(EcdsaKeyPair),
    /// RSA with PKCS#1 padding.
    Rsa(RsaKeyPair),
}

impl Signer {
    fn from_block(block: &pem::Pem) -> Result<Self, KeyError> {
        let bytes = block.contents();
        if block.tag() == "RSA PRIVATE KEY" {
            return RsaKeyPair::from_der(bytes).map(Self::Rsa).map_err(|error| KeyError(error.to_string()));
        }
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &random) {
            return Ok(Self::P256(key));
        }
        RsaKeyPair::from_pkcs8(bytes).map(Self::Rsa).map_err(|error| KeyError(error.to_string()))
    }

    /// The first private key of a PEM text: PKCS#8 (ECDSA with P-256, or RSA), or PKCS#1.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let blocks = pem::parse_many(text).map_err(|error| KeyError(error.to_string()))?;
        let block = blocks.iter().find(|block| matches!(block.tag(), "PRIVATE KEY" | "RSA PRIVATE KEY"));
        Self::from_block(block.ok_or_else(|| KeyError("no PKCS#8 or PKCS#1 private key in the file".to_owned()))?)
    }

    /// The JOSE name of what it makes.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki(&match self {
            Self::P256(key) => p256_spki(key.public_key().as_ref()),
            Self::Rsa(key) => rsa_spki(key.public_key().as_ref()),
        })
    }

    /// Signs.
    pub fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, String> {
        match self {
            Self::P256(key) => {
                key.sign(random, message).map(|signature| signature.as_ref().to_vec()).map_err(|e| e.to_string())
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, random, message, &mut signature).map_err(|e| e.to_string())?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signer = Signer::from_pem(&key.serialize_pem()).unwrap();
        let public = signer.public().unwrap();
        assert_eq!(public.spki, pem::parse(key.public_key_pem()).unwrap().into_contents());
        let parsed = PublicKey::all_from_pem(&key.public_key_pem()).unwrap();
        assert_eq!(parsed.first().map(|key| key.id.clone()), Some(public.id.clone()));
        let signature = signer.sign(b"message", &SystemRandom::new()).unwrap();
        let sets = portcullis_policy::KeySets::default();
        sets.replace("s", vec![portcullis_policy::PublicKey::from_spki_der(Some(&public.id), &public.spki).unwrap()]);
        let verify = |message: &[u8]| sets.verify("s", "", signer.algorithm(), message, &signature);
        assert_eq!((verify(b"message"), verify(b"massage")), (Ok(true), Ok(false)));
        assert_eq!(public.jwk()["kty"], "EC");
        assert!(PublicKey::all_from_pem("nothing").is_err());
    }
}
