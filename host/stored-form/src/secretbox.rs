//! NaCl's secretbox: XSalsa20, whose first 32 bytes of stream are the key of a Poly1305 over the cipher text. The tag comes
//! before the text, and as kube-apiserver stores it the nonce comes before both.

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};

use super::cipher::{CipherError, random};

const NONCE: usize = 24;
const TAG: usize = 16;

/// A key.
pub(crate) struct Secretbox([u8; 32]);

impl Secretbox {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The stream after the part that is the tag's key, and the tag's maker.
    fn begin(&self, nonce: &[u8; NONCE]) -> (XSalsa20, Poly1305) {
        let mut stream = XSalsa20::new(&self.0.into(), nonce.into());
        let mut key = [0; 32];
        stream.apply_keystream(&mut key);
        (stream, Poly1305::new(&key.into()))
    }

    /// Appends nonce, tag and cipher text to `out`.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), CipherError> {
        self.seal_with(&random::<NONCE>()?, out, plain);
        Ok(())
    }

    pub(crate) fn seal_with(&self, nonce: &[u8; NONCE], out: &mut Vec<u8>, plain: &[u8]) {
        let (mut stream, mac) = self.begin(nonce);
        out.reserve(NONCE + TAG + plain.len());
        out.extend_from_slice(nonce);
        let start = out.len();
        out.extend_from_slice(&[0; TAG]);
        out.extend_from_slice(plain);
        stream.apply_keystream(&mut out[start + TAG..]);
        let tag = mac.compute_unpadded(&out[start + TAG..]);
        out[start..start + TAG].copy_from_slice(&tag);
    }

    pub(crate) fn open(&self, data: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, sealed) = data.split_first_chunk::<NONCE>().ok_or(CipherError::Short)?;
        let (tag, text) = sealed.split_at_checked(TAG).ok_or(CipherError::Short)?;
        let (mut stream, mac) = self.begin(nonce);
        let found = mac.compute_unpadded(text);
        // In constant time: where the two differ is nobody's to learn.
        if found.iter().zip(tag).fold(0, |differs, (a, b)| differs | (a ^ b)) != 0 {
            return Err(CipherError::Secretbox);
        }
        let mut plain = text.to_vec();
        stream.apply_keystream(&mut plain);
        Ok(plain)
    }
}
