//! The rows of a table's inner cells, noted as they come.
//!
//! They come in ascending order, so noting one is a push of its low half. The set that the
//! release ledger works with is made at the end, through its serialised form: to push row
//! by row into the set itself is slower, and was a fifth of a tabulation.

use roaring::RoaringBitmap;

use crate::ViewError;

/// Most members of a container that lists them; above, it is a bit each.
const LISTED_MAX: usize = 4096;
/// Bytes of a container with a bit for each of its 65 536 numbers.
const BITS: usize = 8192;
/// "No run containers", the first word of the form.
const COOKIE: u32 = 12346;

/// Row numbers of one cell, ascending.
#[derive(Default)]
pub(crate) struct Noted {
    /// The low halves of all of them.
    lows: Vec<u16>,
    /// Each high half, and where its low halves begin.
    blocks: Vec<(u16, usize)>,
    /// The last of them, here because every row is compared with it.
    open: Option<u16>,
}

impl Noted {
    /// Adds row numbers, ascending and above those before.
    pub(crate) fn add(&mut self, rows: &[u32]) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        if high(*first) == high(*last) {
            self.add_block(high(*first), rows);
        } else {
            rows.iter().for_each(|row| self.add_block(high(*row), &[*row]));
        }
    }

    fn add_block(&mut self, block: u16, rows: &[u32]) {
        if self.open != Some(block) {
            self.blocks.push((block, self.lows.len()));
            self.open = Some(block);
        }
        self.lows.extend(rows.iter().map(|row| low(*row)));
    }

    /// The set of them.
    ///
    /// # Errors
    /// [`ViewError::Order`] if they did not come in ascending order.
    pub(crate) fn finish(self) -> Result<RoaringBitmap, ViewError> {
        let ascending = self.blocks().all(|(_, lows)| lows.is_sorted_by(|a, b| a < b));
        if !ascending || !self.blocks.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(ViewError::Order);
        }
        RoaringBitmap::deserialize_from(self.form().as_slice()).map_err(|_| ViewError::Read)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lows.is_empty()
    }

    /// Each high half with its low halves.
    fn blocks(&self) -> impl Iterator<Item = (u16, &[u16])> {
        let ends = self.blocks.iter().skip(1).map(|(_, from)| *from).chain([self.lows.len()]);
        self.blocks.iter().zip(ends).map(|((block, from), to)| (*block, self.lows.get(*from..to).unwrap_or_default()))
    }

    /// Source: the Roaring bitmap format specification, without run containers.
    fn form(&self) -> Vec<u8> {
        let mut form = Vec::with_capacity(8 + self.blocks.len() * 8 + self.lows.len() * 2);
        form.extend(COOKIE.to_le_bytes());
        form.extend(word(self.blocks.len()).to_le_bytes());
        for (block, lows) in self.blocks() {
            form.extend(block.to_le_bytes());
            form.extend(low(word(lows.len()).wrapping_sub(1)).to_le_bytes());
        }
        let mut at = 8 + self.blocks.len() * 8;
        for (_, lows) in self.blocks() {
            form.extend(word(at).to_le_bytes());
            at += if lows.len() > LISTED_MAX { BITS } else { lows.len() * 2 };
        }
        for (_, lows) in self.blocks() {
            if lows.len() > LISTED_MAX {
                let mut bits = [0u8; BITS];
                for low in lows {
                    let byte = bits.get_mut(usize::from(low >> 3));
                    byte.into_iter().for_each(|byte| *byte |= 1 << (low & 7));
                }
                form.extend(bits);
            } else {
                form.extend(lows.iter().flat_map(|low| low.to_le_bytes()));
            }
        }
        form
    }
}

fn high(row: u32) -> u16 {
    let [.., c, d] = row.to_le_bytes();
    u16::from_le_bytes([c, d])
}

fn low(row: u32) -> u16 {
    let [a, b, ..] = row.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Nothing here is longer than the rows of a snapshot, which have 32 bits.
fn word(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_set_is_what_was_noted(
            first in 0..200_000u32,
            steps in proptest::collection::vec(prop_oneof![20 => 1..3u32, 1 => 1..90_000u32], 0..9_000),
            each in 1..50usize,
        ) {
            let rows: Vec<u32> = steps.iter().scan(first, |at, step| { *at += step; Some(*at) }).collect();
            let mut noted = Noted::default();
            rows.chunks(each).for_each(|rows| noted.add(rows));
            let set = noted.finish().unwrap();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn another_order_is_refused() {
        for rows in [&[2, 1][..], &[70_000, 5], &[7, 7], &[1, 70_000, 2]] {
            let mut noted = Noted::default();
            rows.iter().for_each(|row| noted.add(&[*row]));
            assert_eq!(noted.finish(), Err(ViewError::Order), "{rows:?}");
        }
        let mut dense = Noted::default();
        dense.add(&(0..6_000).chain([9]).collect::<Vec<_>>());
        assert_eq!(dense.finish(), Err(ViewError::Order));
    }
}
