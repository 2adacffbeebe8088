//! The two primitives that everything in the vault is made of: AES-256-GCM
//! (NIST SP 800-38D) with a fresh random nonce, and HMAC-SHA-256 (FIPS 198-1)
//! over length-prefixed parts. Files, names and policies live elsewhere.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use rand::{TryRng as _, rngs::SysRng};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::VaultError;

const NONCE: usize = 12;
const TAG: usize = 16;

/// What [`Key::seal`] adds to a text: nonce in front, tag behind.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

/// A 256-bit key. Erased when dropped; cannot be printed or copied.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

/// The bytes did not authenticate. The caller knows what they were meant to be.
#[derive(Debug)]
pub(crate) struct Unauthentic;

impl Key {
    /// A key from the operating system's generator.
    pub(crate) fn random() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// Takes 32 bytes that already are a key.
    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Reads a key out of opened bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The raw bytes, for wrapping under another key or handing to a cipher.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another key, bound to `parts`: HMAC as a key derivation (SP 800-108 in spirit,
    /// one block, the label and context length-prefixed).
    pub(crate) fn derive(&self, parts: &[&[u8]]) -> Self {
        Self(Zeroizing::new(self.mac(parts)))
    }

    /// HMAC-SHA-256 over the framed parts.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.stream();
        for part in parts {
            mac.frame(part);
        }
        mac.finish()
    }

    /// An HMAC that is fed piece by piece.
    pub(crate) fn stream(&self) -> MacStream {
        // HMAC fills a key up to the hash's block with zeros; doing it here cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = *from);
        MacStream(Hmac::new((&*block).into()))
    }

    /// nonce ‖ ciphertext ‖ tag. Nonces are random: a key must seal well under
    /// 2³² texts, which is why objects, people and columns have keys of their own.
    pub(crate) fn seal(&self, aad: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        let aad = frame(aad);
        let sealed = Aes256Gcm::new(self.bytes().into())
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| VaultError::TooLarge { what: "a text to seal" })?;
        Ok([&nonce, sealed.as_slice()].concat())
    }

    /// The text that [`Key::seal`] sealed with the same `aad`.
    pub(crate) fn open(&self, aad: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unauthentic> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(Unauthentic)?;
        let aad = frame(aad);
        Aes256Gcm::new(self.bytes().into())
            .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| Unauthentic)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(withheld)")
    }
}

/// An HMAC-SHA-256 in progress.
#[derive(Clone)]
pub(crate) struct MacStream(Hmac<Sha256>);

impl MacStream {
    /// Feeds bytes whose length the reader already knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Feeds the length (u64, little-endian) and then the bytes, so that no two
    /// lists of parts meet in the same byte string.
    pub(crate) fn frame(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The 32 bytes.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

/// Random bytes from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), VaultError> {
    SysRng.try_fill_bytes(bytes).map_err(|_| VaultError::Randomness)
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn opens_what_it_sealed_and_nothing_else(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            name in "[a-z]{1,8}",
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let key = Key::random().unwrap();
            let sealed = key.seal(&[b"kind", name.as_bytes()], &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(&**key.open(&[b"kind", name.as_bytes()], &sealed).unwrap(), &plain);
            prop_assert!(key.open(&[b"kin", b"d", name.as_bytes()], &sealed).is_err());
            prop_assert!(key.open(&[b"other", name.as_bytes()], &sealed).is_err());
            prop_assert!(Key::random().unwrap().open(&[b"kind", name.as_bytes()], &sealed).is_err());
            let mut flipped = sealed.clone();
            flipped[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(key.open(&[b"kind", name.as_bytes()], &flipped).is_err());
            prop_assert!(key.open(&[b"kind", name.as_bytes()], &sealed[..at.index(sealed.len())]).is_err());
        }
    }

    #[test]
    fn mac_is_the_published_hmac() {
        // RFC 4231 test case 2 uses the key "Jefe"; here case 1's key padded to
        // our 32 bytes is the same HMAC key, because HMAC pads with zeros.
        let mut key = [0_u8; 32];
        key[..20].fill(0x0b);
        let mut mac = Key::new(Zeroizing::new(key)).stream();
        mac.raw(b"Hi There");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&mac.finish()),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = Key::random().unwrap();
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_ne!(key.mac(&[b"ab"]), key.mac(&[b"ab", b""]));
        assert_eq!(format!("{key:?}"), "Key(withheld)");
    }
}
