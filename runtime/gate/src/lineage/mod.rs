//! The release ledger of route C (gate.md §6): what was cleared before decides what
//! may be cleared now. A pure module: history in, verdicts on new cells out.
//!
//! Every cleared number is entered with the set of rows it sums. Against history on
//! the same snapshot, per quantity (counts, or the total of one column):
//! - the same rows must give the same number, and add nothing;
//! - every difference of nested cells, and every atom of the partition refinement and
//!   union of up to three atoms that would follow from all that is published, must
//!   pass all the rules by itself, as if it were a cell;
//! - what was withheld for its own sake must not follow;
//! - cells that differ by fewer than k units without nesting go to a person;
//! - a quantile is not linear: a difference of fewer than k units withholds it.
//!
//! A set that followed from history alone is not held against a new cell. Beyond the
//! work limits the new cells go to a person, and the answer says so.

mod examine;
pub(crate) mod ledger;
mod microdata;
mod record;
mod refine;

use std::{collections::HashSet, fmt};

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

pub use examine::{Examined, People, Work, examine};
pub use ledger::Ledger;
pub use microdata::{Microdata, SetHash};
pub use record::{Named, Number, Record, Root};

/// What adds up over disjoint sets of rows, or does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Counts of rows; of units where each has one row.
    Count,
    /// Counts of units, each standing for itself by its first row.
    Units,
    /// Count of the values of a column.
    Values(usize),
    /// Total of a column; a mean counts as one.
    Total(usize),
    /// Sum of the squares of a column.
    Squares(usize),
    /// A quantile of a column.
    Quantile(usize),
}

impl Quantity {
    /// The column it reads.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Count | Self::Units => None,
            Self::Values(column) | Self::Total(column) | Self::Squares(column) | Self::Quantile(column) => {
                Some(*column)
            }
        }
    }
}

/// Whether a number is out, or must stay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Cleared: counts as published.
    Published,
    /// Withheld for its own sake: it must not follow from anything.
    Withheld,
}

/// One number of one cell.
pub struct Entry {
    quantity: Quantity,
    rows: RoaringBitmap,
    hash: SetHash,
    blocks: Box<[u32]>,
    units: u64,
    value: f64,
    standing: Standing,
}

impl Entry {
    /// The number `value` of the cell that sums `rows`; `k` of the threshold rule.
    pub fn new(
        quantity: Quantity,
        rows: RoaringBitmap,
        value: f64,
        standing: Standing,
        data: &Microdata,
        k: Option<u64>,
    ) -> Self {
        let rows = quantity.column().map_or(rows.clone(), |column| data.valued(&rows, column));
        let blocks = usize::try_from(k.unwrap_or(0)).unwrap_or(BLOCKS_MAX).min(BLOCKS_MAX);
        let (hash, blocks) = data.sketch(&rows, blocks);
        Self { quantity, hash, blocks, units: data.units(&rows), rows, value, standing }
    }

    /// The keyed digest of its rows.
    pub fn hash(&self) -> SetHash {
        self.hash
    }
}

/// Most blocks of a sketch; for a larger k every pair is looked at.
const BLOCKS_MAX: usize = 64;

/// Everything cleared on one snapshot, by anybody.
#[derive(Default)]
pub struct History {
    entries: Vec<Entry>,
    seen: HashSet<(Quantity, SetHash, Standing)>,
}

impl History {
    /// Enters cleared numbers; one that is there already adds nothing.
    pub fn enter(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if self.seen.insert((entry.quantity.clone(), entry.hash, entry.standing)) {
                self.entries.push(entry);
            }
        }
    }

    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was cleared yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of its sets, sketches and records, about.
    pub fn bytes(&self) -> usize {
        let of = |e: &Entry| e.rows.serialized_size() + e.blocks.len() * 4 + size_of::<Entry>();
        self.entries.iter().map(of).sum()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(withheld)")
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "History({} entries, withheld)", self.entries.len())
    }
}
