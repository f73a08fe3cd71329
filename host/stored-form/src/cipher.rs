//! The ciphers, byte for byte as kube-apiserver has them. What a value is bound to (its key in etcd) is authenticated
//! where the cipher can do that: by AES-GCM, and not by AES-CBC and secretbox.

use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::generic_array::typenum::{U12, U16};
use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::{AesGcm, Nonce};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, InnerIvInit as _};
use cbc::{Decryptor, Encryptor};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::secretbox::Secretbox;

/// The size of an AES block, of its padding and of a CBC initialization vector.
const BLOCK: usize = 16;
/// The sizes of GCM's nonce and tag.
const NONCE: usize = 12;
const TAG: usize = 16;

/// Why a cipher did not do it, in the reference's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CipherError {
    #[error("the stored data was shorter than the required size")]
    Short,
    #[error("the stored data is not a multiple of the block size")]
    BlockSize,
    #[error("invalid PKCS7 data (empty or not padded)")]
    Unpadded,
    #[error("invalid padding on input")]
    Padding,
    #[error("cipher: message authentication failed")]
    Authentication,
    #[error("output array was not large enough for encryption")]
    Secretbox,
    #[error("crypto/aes: invalid key size {0}")]
    KeySize(usize),
    #[error("unable to read sufficient random bytes")]
    Random,
}

/// Random bytes of the system's.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CipherError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| CipherError::Random)?;
    Ok(bytes)
}

/// AES-GCM with a key of any of the three sizes.
pub(crate) enum Gcm {
    Aes128(Box<AesGcm<aes::Aes128, U12>>),
    Aes192(Box<AesGcm<aes::Aes192, U12>>),
    Aes256(Box<AesGcm<aes::Aes256, U12>>),
}

impl Gcm {
    pub(crate) fn new(key: &[u8]) -> Result<Self, CipherError> {
        let wrong = || CipherError::KeySize(key.len());
        match key.len() {
            16 => AesGcm::new_from_slice(key).map(|cipher| Self::Aes128(Box::new(cipher))).map_err(|_| wrong()),
            24 => AesGcm::new_from_slice(key).map(|cipher| Self::Aes192(Box::new(cipher))).map_err(|_| wrong()),
            32 => AesGcm::new_from_slice(key).map(|cipher| Self::Aes256(Box::new(cipher))).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    /// Appends nonce, cipher text and tag to `out`.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], bound_to: &[u8]) -> Result<(), CipherError> {
        self.seal_with(random::<NONCE>()?, out, plain, bound_to)
    }

    fn seal_with(&self, nonce: [u8; NONCE], out: &mut Vec<u8>, plain: &[u8], aad: &[u8]) -> Result<(), CipherError> {
        out.reserve(NONCE + plain.len() + TAG);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let (nonce, buffer) = (Nonce::from(nonce), &mut out[start..]);
        let tag = match self {
            Self::Aes128(cipher) => cipher.encrypt_in_place_detached(&nonce, aad, buffer),
            Self::Aes192(cipher) => cipher.encrypt_in_place_detached(&nonce, aad, buffer),
            Self::Aes256(cipher) => cipher.encrypt_in_place_detached(&nonce, aad, buffer),
        };
        out.extend_from_slice(&tag.map_err(|_| CipherError::Authentication)?);
        Ok(())
    }

    pub(crate) fn open(&self, data: &[u8], aad: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, sealed) = data.split_at_checked(NONCE).ok_or(CipherError::Short)?;
        let length = sealed.len().checked_sub(TAG).ok_or(CipherError::Authentication)?;
        let (text, tag) = sealed.split_at(length);
        let (nonce, tag) = (Nonce::from_slice(nonce), GenericArray::<u8, U16>::from_slice(tag));
        let mut plain = text.to_vec();
        let opened = match self {
            Self::Aes128(cipher) => cipher.decrypt_in_place_detached(nonce, aad, &mut plain, tag),
            Self::Aes192(cipher) => cipher.decrypt_in_place_detached(nonce, aad, &mut plain, tag),
            Self::Aes256(cipher) => cipher.decrypt_in_place_detached(nonce, aad, &mut plain, tag),
        };
        opened.map_err(|_| CipherError::Authentication)?;
        Ok(plain)
    }
}

/// AES-CBC with a padding of PKCS #7.
pub(crate) enum Cbc {
    Aes128(Box<aes::Aes128>),
    Aes192(Box<aes::Aes192>),
    Aes256(Box<aes::Aes256>),
}

impl Cbc {
    pub(crate) fn new(key: &[u8]) -> Result<Self, CipherError> {
        let wrong = |_| CipherError::KeySize(key.len());
        match key.len() {
            16 => aes::Aes128::new_from_slice(key).map(|cipher| Self::Aes128(Box::new(cipher))).map_err(wrong),
            24 => aes::Aes192::new_from_slice(key).map(|cipher| Self::Aes192(Box::new(cipher))).map_err(wrong),
            32 => aes::Aes256::new_from_slice(key).map(|cipher| Self::Aes256(Box::new(cipher))).map_err(wrong),
            length => Err(CipherError::KeySize(length)),
        }
    }

    /// Appends the initialization vector and the cipher text to `out`.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), CipherError> {
        self.seal_with(random::<BLOCK>()?, out, plain)
    }

    fn seal_with(&self, iv: [u8; BLOCK], out: &mut Vec<u8>, plain: &[u8]) -> Result<(), CipherError> {
        let padding = BLOCK - plain.len() % BLOCK;
        out.reserve(BLOCK + plain.len() + padding);
        out.extend_from_slice(&iv);
        let start = out.len();
        out.extend_from_slice(plain);
        out.resize(out.len() + padding, u8::try_from(padding).unwrap_or(0));
        let (iv, buffer) = (GenericArray::from(iv), &mut out[start..]);
        let length = buffer.len();
        // The buffer is whole blocks already, so there is no padding that could lack room.
        let done = match self {
            Self::Aes128(cipher) => Encryptor::inner_iv_init(cipher.as_ref().clone(), &iv)
                .encrypt_padded_mut::<NoPadding>(buffer, length)
                .is_ok(),
            Self::Aes192(cipher) => Encryptor::inner_iv_init(cipher.as_ref().clone(), &iv)
                .encrypt_padded_mut::<NoPadding>(buffer, length)
                .is_ok(),
            Self::Aes256(cipher) => Encryptor::inner_iv_init(cipher.as_ref().clone(), &iv)
                .encrypt_padded_mut::<NoPadding>(buffer, length)
                .is_ok(),
        };
        if done { Ok(()) } else { Err(CipherError::BlockSize) }
    }

    pub(crate) fn open(&self, data: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (iv, text) = data.split_at_checked(BLOCK).ok_or(CipherError::Short)?;
        if text.len() % BLOCK != 0 {
            return Err(CipherError::BlockSize);
        }
        let (iv, mut plain) = (GenericArray::from_slice(iv), text.to_vec());
        let done = match self {
            Self::Aes128(cipher) => Decryptor::inner_iv_init(cipher.as_ref().clone(), iv)
                .decrypt_padded_mut::<NoPadding>(&mut plain)
                .is_ok(),
            Self::Aes192(cipher) => Decryptor::inner_iv_init(cipher.as_ref().clone(), iv)
                .decrypt_padded_mut::<NoPadding>(&mut plain)
                .is_ok(),
            Self::Aes256(cipher) => Decryptor::inner_iv_init(cipher.as_ref().clone(), iv)
                .decrypt_padded_mut::<NoPadding>(&mut plain)
                .is_ok(),
        };
        if !done {
            return Err(CipherError::BlockSize);
        }
        let padding = plain.last().copied().ok_or(CipherError::Unpadded)?;
        let length = usize::from(padding);
        if length == 0 || length > plain.len() {
            return Err(CipherError::Unpadded);
        }
        let kept = plain.len() - length;
        if plain[kept..].iter().any(|byte| *byte != padding) {
            return Err(CipherError::Padding);
        }
        plain.truncate(kept);
        Ok(plain)
    }
}

/// A cipher with its key.
pub(crate) enum Cipher {
    Gcm(Gcm),
    Cbc(Cbc),
    Secretbox(Secretbox),
}

impl Cipher {
    /// Appends the sealed value to `out`.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], bound_to: &[u8]) -> Result<(), CipherError> {
        match self {
            Self::Gcm(cipher) => cipher.seal(out, plain, bound_to),
            Self::Cbc(cipher) => cipher.seal(out, plain),
            Self::Secretbox(cipher) => cipher.seal(out, plain),
        }
    }

    pub(crate) fn open(&self, data: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, CipherError> {
        match self {
            Self::Gcm(cipher) => cipher.open(data, bound_to),
            Self::Cbc(cipher) => cipher.open(data),
            Self::Secretbox(cipher) => cipher.open(data),
        }
    }
}

#[cfg(test)]
mod tests;
