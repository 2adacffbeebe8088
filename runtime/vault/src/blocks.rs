//! Which block of route B a unit falls into: a keyed function of its number, which is
//! itself a keyed pseudonym of its id. It depends on nobody else's data, is the same
//! in every round and replay, and cannot be foretold without the vault.

use std::fmt;

use sluice_domain::Digest;

use crate::{crypt::Key, vault::Vault};

/// Deals units into the blocks of one contract.
pub struct BlockKey(Key);

impl Vault {
    /// The dealing of one contract's units: derived, so it is the same after a restart.
    pub fn block_key(&self, contract: &Digest) -> BlockKey {
        BlockKey(self.keys.pseudonyms.derive(&[b"sluice blocks v1", contract.to_string().as_bytes()]))
    }
}

impl BlockKey {
    /// The block of unit number `unit`, of `blocks` (at least 1). 64 bits modulo a
    /// small number: no block is favoured by more than 2⁻⁵⁰.
    pub fn block(&self, unit: u64, blocks: u32) -> u32 {
        let mac = self.0.mac(&[b"unit", &unit.to_be_bytes()]);
        let drawn = u64::from_be_bytes(*mac.first_chunk().unwrap_or(&[0; 8]));
        u32::try_from(drawn % u64::from(blocks.max(1))).unwrap_or(0)
    }
}

impl fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockKey(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Digest;

    use crate::vault::tests::new_vault;

    #[test]
    fn a_unit_stays_in_its_block_and_blocks_are_about_equal() {
        let (_dir, vault) = new_vault();
        let key = vault.block_key(&Digest::of(b"contract"));
        let mut counts = [0u32; 10];
        for unit in 0..10_000u64 {
            let block = key.block(unit, 10);
            assert_eq!(block, vault.block_key(&Digest::of(b"contract")).block(unit, 10));
            counts[block as usize] += 1;
        }
        // 1000 ± 30: eight standard deviations.
        assert!(counts.iter().all(|n| (760..1240).contains(n)), "{counts:?}");
        let other = vault.block_key(&Digest::of(b"another"));
        assert!((0..100).any(|unit| key.block(unit, 10) != other.block(unit, 10)));
    }
}
