//! Keyed pseudonyms (R05): stable within an agreement, so that an operator can
//! follow a unit through its own products; unlinkable across agreements.

use std::fmt;

use data_encoding::HEXLOWER;
use sluice_domain::id::AgreementId;

use crate::{crypt::Key, vault::Vault};

/// Makes the pseudonyms of one agreement.
pub struct PseudonymKey(Key);

impl Vault {
    /// The pseudonym key of an agreement: derived, so it is the same after a restart.
    pub fn pseudonym_key(&self, agreement: &AgreementId) -> PseudonymKey {
        PseudonymKey(self.keys.pseudonyms.derive(&[b"sluice pseudonyms v1", agreement.as_str().as_bytes()]))
    }
}

impl PseudonymKey {
    /// 16 hex digits (64 bits of HMAC-SHA-256) that stand for `value`. Among n
    /// values two share a pseudonym with a chance of about n²/2⁶⁵.
    pub fn pseudonym(&self, value: &[u8]) -> String {
        let mac = self.0.mac(&[b"value", value]);
        HEXLOWER.encode(mac.first_chunk::<8>().unwrap_or(&[0; 8]))
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use crate::vault::tests::new_vault;

    #[test]
    fn stable_within_an_agreement_and_unlinkable_across() {
        let (_dir, vault) = new_vault();
        let key = |name: &str| vault.pseudonym_key(&name.parse().unwrap());
        let one = key("a").pseudonym(b"125024");
        assert_eq!(one, key("a").pseudonym(b"125024"));
        assert_ne!(one, key("b").pseudonym(b"125024"));
        assert_ne!(one, key("a").pseudonym(b"125025"));
        assert!(one.len() == 16 && one.bytes().all(|b| b.is_ascii_hexdigit()));
        let (_dir, other) = new_vault();
        assert_ne!(one, other.pseudonym_key(&"a".parse().unwrap()).pseudonym(b"125024"));
        assert_eq!(format!("{:?}", key("a")), "PseudonymKey(withheld)");
    }
}
