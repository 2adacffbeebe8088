//! The two kinds of signing key (Ed25519, RFC 8032). They are types of their own, so
//! that a person's key cannot end up signing checkpoints.
//!
//! No `Clone`, no `Serialize`, and a `Debug` that shows the public half only. Where
//! the seed comes from and how it is wrapped at rest is the vault's business.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use sluice_domain::person::{PublicKey, Signature};
use zeroize::Zeroizing;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(SigningKey);

        impl $name {
            /// The key of a 32-byte seed. The seed is wiped here, the key when it is dropped.
            pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
                Self(SigningKey::from_bytes(&seed))
            }

            /// Checks what this key signs.
            pub fn public_key(&self) -> PublicKey {
                PublicKey::from_bytes(self.0.verifying_key().to_bytes())
            }

            /// Signs `message`. Deterministic: the same message, the same signature.
            pub fn sign(&self, message: &[u8]) -> Signature {
                Signature::from_bytes(self.sign_bytes(message))
            }

            fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
                self.0.sign(message).to_bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?}, secret withheld)"), self.public_key())
            }
        }
    )*};
}

keys! {
    /// Signs checkpoints and receipts.
    ///
    /// Whatever else it signs must start with a word and a space: a checkpoint starts
    /// with its origin and a newline, and an origin has no space, so neither can pass
    /// for the other.
    LedgerKey;
    /// Signs a person's votes and submissions.
    PersonKey;
}

impl LedgerKey {
    /// The 64 bytes of a signature, for a signed note.
    pub(crate) fn sign_note(&self, text: &[u8]) -> Vec<u8> {
        self.sign_bytes(text).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_what_its_public_key_verifies() {
        let key = PersonKey::from_seed(Zeroizing::new([7; 32]));
        let signature = key.sign(b"sluice vote v1\n");
        assert!(key.public_key().verifies(b"sluice vote v1\n", &signature));
        assert!(!key.public_key().verifies(b"sluice vote v2\n", &signature));
    }

    /// RFC 8032 §7.1, test 1.
    #[test]
    fn agrees_with_rfc_8032() {
        let hex = |s: &str| data_encoding::HEXLOWER.decode(s.as_bytes()).unwrap();
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = LedgerKey::from_seed(Zeroizing::new(seed.try_into().unwrap()));
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public_key().as_bytes().as_slice(), public);
        let signature = hex(concat!(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ));
        assert_eq!(key.sign_note(b""), signature);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = LedgerKey::from_seed(Zeroizing::new([0x5a; 32]));
        assert!(!format!("{key:?}").contains("5a5a5a"));
    }
}
