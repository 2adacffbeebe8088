//! What a run leaves in the release ledger: the rows behind every number that it
//! cleared or withheld for its own sake, as bytes to seal and back.
//!
//! Decoding is strict: one form, and nothing but what encoding writes. Columns go by
//! name, for the numbers that [`Microdata`](super::Microdata) gives them are a run's own.

use std::fmt;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use sluice_domain::id::{DatasetId, SnapshotId};

use super::{Place, Standing};

/// First bytes of the only form there is.
const MAGIC: &[u8] = b"SLLN\x02";

/// Everything that one run enters.
#[derive(Default)]
pub struct Record {
    /// Per dataset root that a table of route C reads.
    pub roots: Vec<Root>,
    /// Published cells that a person must look at: positions of table and cell.
    pub review: Vec<(u32, u32)>,
    /// Whether a work limit kept something from being looked at.
    pub limit_reached: bool,
    /// Bits that the places of withheld cells may tell: Σ log₂ C(n, w) over its tables.
    pub pattern_bits: f64,
}

/// The numbers of one run on one snapshot.
pub struct Root {
    /// Whose snapshot.
    pub dataset: DatasetId,
    /// On whose numbering of rows.
    pub snapshot: SnapshotId,
    /// The numbers.
    pub numbers: Vec<Number>,
}

/// One number of one cell.
pub struct Number {
    /// What adds up.
    pub quantity: Named,
    /// The rows of the cell; those with a value where it reads a column.
    pub rows: RoaringBitmap,
    /// The part that adds up over disjoint cells.
    pub value: f64,
    /// What became of it.
    pub standing: Standing,
    /// Which cell it is by its contract.
    pub place: Place,
}

/// What a number says, with its column's name; a derived measure goes by `=` and its
/// formula, for two agreements may use one name for two formulas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// Count of rows.
    Rows,
    /// Count of units.
    Units,
    /// Count of the values of a column.
    Values(String),
    /// Total of a column.
    Sum(String),
    /// Mean of a column; its value here is the total.
    Mean(String),
    /// Sum of the squares of a column.
    Squares(String),
    /// A quantile of a column.
    Quantile(String),
    /// An input of a held product: nothing of it adds up.
    Held,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    roots: Vec<HeadRoot>,
    review: Vec<(u32, u32)>,
    limit_reached: bool,
    /// An f64 by its bits: no digit is lost.
    pattern_bits: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadRoot {
    dataset: DatasetId,
    snapshot: SnapshotId,
    /// Quantity, place, bits of the value, standing, bytes of the bitmap that follows.
    numbers: Vec<(Named, Place, u64, Standing, u32)>,
}

impl Record {
    /// The bytes to seal: the magic, the head's length, the head, then every bitmap.
    /// None when it is beyond what the form can hold.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let number = |n: &Number| {
            let size = u32::try_from(n.rows.serialized_size()).ok()?;
            Some((n.quantity.clone(), n.place.clone(), n.value.to_bits(), n.standing, size))
        };
        let root = |r: &Root| {
            let numbers = r.numbers.iter().map(number).collect::<Option<_>>()?;
            Some(HeadRoot { dataset: r.dataset.clone(), snapshot: r.snapshot.clone(), numbers })
        };
        let head = Head {
            roots: self.roots.iter().map(root).collect::<Option<_>>()?,
            review: self.review.clone(),
            limit_reached: self.limit_reached,
            pattern_bits: self.pattern_bits.to_bits(),
        };
        let head = serde_json::to_vec(&head).ok()?;
        let mut bytes = [MAGIC, &u32::try_from(head.len()).ok()?.to_le_bytes(), &head].concat();
        for number in self.roots.iter().flat_map(|r| &r.numbers) {
            number.rows.serialize_into(&mut bytes).ok()?;
        }
        Some(bytes)
    }

    /// Reads what [`Record::to_bytes`] wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let (head, mut rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let mut roots = Vec::new();
        for root in head.roots {
            let mut numbers = Vec::new();
            for (quantity, place, value, standing, size) in root.numbers {
                let (set, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
                rest = after;
                let rows = RoaringBitmap::deserialize_from(set).ok()?;
                numbers.push(Number { quantity, rows, value: f64::from_bits(value), standing, place });
            }
            roots.push(Root { dataset: root.dataset, snapshot: root.snapshot, numbers });
        }
        let pattern_bits = f64::from_bits(head.pattern_bits);
        let record = Self { roots, review: head.review, limit_reached: head.limit_reached, pattern_bits };
        (record.to_bytes()? == bytes).then_some(record)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} roots, withheld)", self.roots.len())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(withheld)")
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({} numbers, withheld)", self.numbers.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(sets: Vec<Vec<u32>>, value: f64) -> Record {
        let number = |(i, rows): (usize, Vec<u32>)| Number {
            quantity: if i % 2 == 0 { Named::Rows } else { Named::Sum("花费 \"x\"".into()) },
            rows: rows.into_iter().collect(),
            value,
            standing: if i % 3 == 0 { Standing::Withheld } else { Standing::Published },
            place: Place::default(),
        };
        let (dataset, snapshot) = ("d".parse().unwrap(), "snap-000001".parse().unwrap());
        let root = Root { dataset, snapshot, numbers: sets.into_iter().enumerate().map(number).collect() };
        Record { roots: vec![root], review: vec![(0, 7)], limit_reached: true, pattern_bits: value }
    }

    proptest! {
        #[test]
        fn bytes_come_back_and_nothing_else_is_read(
            sets in proptest::collection::vec(proptest::collection::vec(any::<u32>(), 0..40), 0..6),
            value in any::<f64>(),
            at in any::<proptest::sample::Index>(),
            flip in 1u8..,
            noise in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = record(sets.clone(), value).to_bytes().unwrap();
            let back = Record::from_bytes(&bytes).unwrap();
            prop_assert_eq!(back.to_bytes().unwrap(), bytes.clone());
            let rows: Vec<RoaringBitmap> = back.roots[0].numbers.iter().map(|n| n.rows.clone()).collect();
            let expected: Vec<RoaringBitmap> = sets.into_iter().map(|s| s.into_iter().collect()).collect();
            prop_assert_eq!(rows, expected);
            // Cut, lengthened or changed bytes are another record or none; nothing panics.
            prop_assert!(Record::from_bytes(&bytes[..at.index(bytes.len())]).is_none());
            prop_assert!(Record::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_none());
            let mut changed = bytes;
            let i = at.index(changed.len());
            changed[i] ^= flip;
            if let Some(other) = Record::from_bytes(&changed) {
                prop_assert_eq!(other.to_bytes().unwrap(), changed);
            }
            prop_assert!(Record::from_bytes(&noise).is_none());
        }
    }
}
