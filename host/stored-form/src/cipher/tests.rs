//! The expected values were made with the Python package `cryptography` (OpenSSL), and with PyNaCl (libsodium).

use super::*;

const PLAIN: &[u8] = br#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#;
const KEY_IN_ETCD: &[u8] = b"/registry/secrets/default/a";

fn key(size: u8) -> Vec<u8> {
    (0..size).collect()
}

fn hexed(out: &[u8]) -> String {
    hex::encode(out)
}

fn bytes<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|at| from + u8::try_from(at).unwrap())
}

#[test]
fn aes_gcm() {
    let check = |size: u8, expected: &str| {
        let cipher = Gcm::new(&key(size)).unwrap();
        let mut out = Vec::new();
        cipher.seal_with(bytes(100), &mut out, PLAIN, KEY_IN_ETCD).unwrap();
        assert_eq!(hexed(&out), expected, "{size}");
        assert_eq!(cipher.open(&out, KEY_IN_ETCD).unwrap(), PLAIN);
        assert_eq!(cipher.open(&out, b"/registry/secrets/default/b"), Err(CipherError::Authentication));
        for at in 0..out.len() {
            let mut damaged = out.clone();
            damaged[at] ^= 1;
            assert_eq!(cipher.open(&damaged, KEY_IN_ETCD), Err(CipherError::Authentication), "byte {at}");
            assert!(cipher.open(&out[..at], KEY_IN_ETCD).is_err(), "cut off at {at}");
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        cipher.seal(&mut one, PLAIN, KEY_IN_ETCD).unwrap();
        cipher.seal(&mut other, PLAIN, KEY_IN_ETCD).unwrap();
        assert_ne!(one, other, "two writes have the same nonce");
        assert_eq!(cipher.open(&one, KEY_IN_ETCD).unwrap(), PLAIN);
    };
    check(
        16,
        "6465666768696a6b6c6d6e6f614025ccb5669ac0b96d3273f4af5fce1caa198ffbffb8288706def99ec8d5858bde7e06e67d53f0ee3953\
         27afb83f25b5fc7016bf3c6349e1f37c9b5e5b3f1d361716bc177d902b58e4a3",
    );
    check(
        24,
        "6465666768696a6b6c6d6e6f924ad0153ccb2c02f18287628897ef9cf17b3fba93df149df22a27a49454ba366b762bbd357030d11af217\
         d00e385bce0e0f433da337807c9bec2bd0396d82a70cb453f6c3fdf7b691a13d",
    );
    check(
        32,
        "6465666768696a6b6c6d6e6f3339b50f178d74a41c313a8ba8001edf6ee0677ae23a9600d4b8c326d999873ea5cb6ce22177ef6599920c\
         5edf78b1ed753af58202706349d88cd162c155eb9afa6aaaa01809e91f3e39dc",
    );
    assert_eq!(Gcm::new(&key(20)).err(), Some(CipherError::KeySize(20)));
}

#[test]
fn aes_cbc() {
    let check = |size: u8, expected: &str| {
        let cipher = Cbc::new(&key(size)).unwrap();
        let mut out = Vec::new();
        cipher.seal_with(bytes(200), &mut out, PLAIN).unwrap();
        assert_eq!(hexed(&out), expected, "{size}");
        assert_eq!(cipher.open(&out).unwrap(), PLAIN);
        for length in [0, 1, 15, 16, 17, 32, 1000] {
            let (plain, mut out) = (vec![b'x'; length], Vec::new());
            cipher.seal(&mut out, &plain).unwrap();
            assert_eq!(out.len(), 16 + (length / 16 + 1) * 16);
            assert_eq!(cipher.open(&out).unwrap(), plain);
        }
        assert_eq!(cipher.open(&out[..15]), Err(CipherError::Short));
        assert_eq!(cipher.open(&out[..16]), Err(CipherError::Unpadded));
        assert_eq!(cipher.open(&out[..33]), Err(CipherError::BlockSize));
        // The last block's first byte is text, the padding is all that can be wrong about the rest.
        assert!(matches!(cipher.open(&out[..out.len() - 16]), Err(CipherError::Unpadded | CipherError::Padding)));
    };
    check(
        16,
        "c8c9cacbcccdcecfd0d1d2d3d4d5d6d77e9537b04c5ab19cafe1d0f8e510c3624c4e6886e31b58677cc4a2241c0f6543cf51b2f3022544\
         7340c2b462de0ebe95f4dea1426536057d67cb1b2a99a7f11a",
    );
    check(
        24,
        "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8f6b0370c427d3c5931dad0311989d6d19426f93e96e25459cb77510b3765c1cc0c5e855269c6\
         00633817bbd98fecb6c3ca1914ebc2ad7c3a11d0ebdf38cc3f",
    );
    check(
        32,
        "c8c9cacbcccdcecfd0d1d2d3d4d5d6d707d16fe6735d98b78b6abb88e36de898560ffaa52519d3084a81e5b254ab9935d31d034a8533c7\
         b661b6842fafc882dc2c22972af3b3e6774e1f03191a3ba09e",
    );
}

#[test]
fn secretbox() {
    let cipher = Secretbox::new(bytes(0));
    let check = |plain: &[u8], expected: &str| {
        let mut out = Vec::new();
        cipher.seal_with(&bytes(50), &mut out, plain);
        assert_eq!(hexed(&out), format!("32333435363738393a3b3c3d3e3f40414243444546474849{expected}"));
        assert_eq!(cipher.open(&out).unwrap(), plain);
        for at in 0..out.len() {
            let mut damaged = out.clone();
            damaged[at] ^= 0x80;
            assert_eq!(cipher.open(&damaged), Err(CipherError::Secretbox), "byte {at}");
        }
        assert_eq!(cipher.open(&out[..39]), Err(CipherError::Short));
    };
    check(
        PLAIN,
        "95e156687e68ab664e11afc81201e2f255263a9797afd05c400464c9d2fdb65408242c48e6b41f49e8f0b39ac934cd551f4a2c567bd25f\
         16a426a69b257859d201a3f16580bac8af2313a0",
    );
    check(b"", "972d4e6b0490b61f65acd2b4770eee63");
    check(b"x", "73c5e92fb8e61f206667cdef944d2b6b56");
    check(&[b'x'; 15], "4c5154e4f1303a6f1f6bd7123e1c497c567c298681b38a1e1a2f79d2d8e0ba");
    check(&[b'x'; 16], "21b508ea186df119fa73d94511c1024a567c298681b38a1e1a2f79d2d8e0ba0e");
    check(
        &[b'x'; 64],
        "78cd9abce84e6dd5524ca80066d7fcda567c298681b38a1e1a2f79d2d8e0ba0e5c7e3540f79a0243e3e1a48c9376975b5610780c6ecf53\
         0fb83faa827f3a5a8817bae478daf892b67916a5e1947a7da3",
    );
}
