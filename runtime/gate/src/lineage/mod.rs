//! The release ledger of routes C and D (gate.md §6): what was cleared before decides what
//! may be cleared now. A pure module: history in, verdicts on new cells out.
//!
//! Every cleared number is entered with the set of rows it sums. Against history on
//! one numbering of rows, per quantity (counts of rows, of units, or the total of one
//! column):
//! - the same rows must give the same number, and add nothing;
//! - every difference of nested cells, and every atom of the partition refinement and
//!   union of up to three atoms that would follow from all that is published, must
//!   pass all the rules by itself, as if it were a cell;
//! - nothing may follow about the rows of fewer than k units, in however many atoms
//!   they lie ([`few`]);
//! - what was withheld for its own sake must not follow, nor be bounded too closely
//!   ([`bounds`]);
//! - cells that differ by fewer than k units without nesting go to a person; between
//!   two snapshots such a cell is withheld;
//! - a quantile is not linear: a difference of fewer than k units withholds it. A
//!   derived measure is compared so with the columns that it is computed from; a product
//!   of route D with all others of route D, by rows and by units, and with whatever reads a
//!   column, alone and together ([`held`]).
//!
//! A set that followed from history alone is not held against a new cell. Beyond the
//! work limits the new cells go to a person, and the answer says so.

mod bounds;
mod examine;
mod few;
mod held;
pub(crate) mod ledger;
mod microdata;
mod place;
mod record;
mod refine;
mod snapshots;

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    sync::Arc,
};

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use sluice_domain::contract::Combination;

pub(crate) use bounds::bounds;
pub use examine::{Examined, People, Work, examine};
pub use ledger::{Ledger, derived_name};
pub use microdata::{Microdata, SetHash};
pub use place::Place;
pub use record::{Named, Number, Record, Root};

/// What adds up over disjoint sets of rows, or does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Counts of rows; of units where each has one row.
    Count,
    /// Counts of units, each standing for itself by its first row; counts of rows beside
    /// them, by as many of each unit's first rows ([`Microdata::stairs`]).
    Units,
    /// Count of the values of a column.
    Values(usize),
    /// Total of a column; a mean counts as one: whoever reads it is taken to know the
    /// count under it.
    Total(usize),
    /// Sum of the squares of a column.
    Squares(usize),
    /// A quantile of a column.
    Quantile(usize),
    /// The rows that a held product was made of.
    Held,
    /// The units of those rows, each by its first row.
    HeldUnits,
}

impl Quantity {
    /// Whether disjoint sets add up to their union, so that one follows from others.
    pub(crate) fn adds_up(&self) -> bool {
        !matches!(self, Self::Quantile(_) | Self::Held | Self::HeldUnits)
    }

    /// The column it reads.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Count | Self::Units | Self::Held | Self::HeldUnits => None,
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
    /// Withheld for its own sake: it must not follow from anything, nor must the others.
    Withheld,
    /// Withheld for what it shows beside earlier releases.
    Differencing,
    /// Withheld for another cell's sake.
    Complement,
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
    place: Option<Arc<Place>>,
    of: Origin,
}

/// Which snapshot a number was cleared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Current,
    Earlier,
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
        let units = data.units(&rows);
        Self { quantity, hash, blocks, units, rows, value, standing, place: None, of: Origin::Current }
    }

    /// The same number of the cell at `place`.
    #[must_use]
    fn at(self, place: Arc<Place>, of: Origin) -> Self {
        Self { place: Some(place), of, ..self }
    }

    fn is_in(&self, places: &HashSet<Arc<Place>>) -> bool {
        self.place.as_ref().is_some_and(|place| places.contains(place))
    }

    fn is_published(&self) -> bool {
        self.standing == Standing::Published
    }

    /// The keyed digest of its rows.
    pub fn hash(&self) -> SetHash {
        self.hash
    }
}

/// Most cells among which combinations are looked for that say what is known already.
const TOLD_MAX: usize = 1_000;

/// Most blocks of a sketch; for a larger k every pair is looked at.
const BLOCKS_MAX: usize = 64;

/// Everything cleared on one numbering of rows, by anybody.
#[derive(Default, Clone)]
pub struct History {
    entries: Vec<Arc<Entry>>,
    seen: HashSet<(Quantity, SetHash, Standing, Option<Arc<Place>>)>,
}

impl History {
    /// Enters cleared numbers; one that is there already adds nothing.
    pub fn enter(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if self.seen.insert((entry.quantity.clone(), entry.hash, entry.standing, entry.place.clone())) {
                self.entries.push(Arc::new(entry));
            }
        }
    }

    /// The cells of which every number was published before, as the same cell of these
    /// rows, or is a combination of such by contract, where nobody is in what is
    /// `impossible`: to publish them adds nothing, and to withhold them protects nothing. Of
    /// another cell the same number would say that nobody is between the two.
    pub(crate) fn known(&self, new: &[(usize, Entry)], impossible: &[Combination]) -> BTreeSet<usize> {
        let cells: BTreeSet<usize> = new.iter().map(|(cell, _)| *cell).collect();
        let fresh: Vec<&(usize, Entry)> = new.iter().filter(|(_, e)| !self.was(e, Standing::Published)).collect();
        let quantities: BTreeSet<&Quantity> = fresh.iter().map(|(_, e)| &e.quantity).collect();
        let told: Vec<_> =
            quantities.into_iter().filter_map(|quantity| self.told(quantity, &fresh, impossible)).collect();
        let fresh =
            fresh.into_iter().filter(|(_, e)| !told.iter().any(|(q, places)| *q == e.quantity && e.is_in(places)));
        let fresh: BTreeSet<usize> = fresh.map(|(cell, _)| *cell).collect();
        &cells - &fresh
    }

    /// Of the declared cells of `new`, those whose `quantity` is a combination of published
    /// ones whatever the rows are. None where it does not add up over declared combinations
    /// (distinct units do not), and above the work limit.
    fn told(
        &self,
        quantity: &Quantity,
        new: &[&(usize, Entry)],
        impossible: &[Combination],
    ) -> Option<(Quantity, HashSet<Arc<Place>>)> {
        if !quantity.adds_up() || *quantity == Quantity::Units {
            return None;
        }
        let out = self.entries.iter().filter(|e| e.is_published() && e.of == Origin::Current);
        let out: HashSet<&Arc<Place>> =
            out.filter(|e| e.quantity == *quantity).filter_map(|e| e.place.as_ref()).collect();
        let asked = new.iter().filter(|(_, e)| e.quantity == *quantity).filter_map(|(_, e)| e.place.as_ref());
        let asked: HashSet<&Arc<Place>> = asked.collect();
        if out.is_empty() || out.len() + asked.len() > TOLD_MAX {
            return None;
        }
        let places: Vec<&Arc<Place>> = out.iter().chain(&asked).copied().collect();
        let kinds = Place::kinds(&places.iter().map(|place| place.as_ref()).collect::<Vec<_>>(), impossible)?;
        let mut sets: Vec<Vec<u32>> = vec![Vec::new(); places.len()];
        for (kind, holders) in (0u32..).zip(&kinds) {
            for place in holders {
                if let Some(set) = sets.get_mut(*place) {
                    set.push(kind);
                }
            }
        }
        let (of_out, of_asked) = sets.split_at(out.len());
        let mut published = refine::Published::default();
        of_out.iter().for_each(|set| published.add(set));
        let world = published.world(kinds.len());
        let told = asked.into_iter().zip(of_asked).filter(|(_, set)| world.tells(set.iter().copied()));
        Some((quantity.clone(), told.map(|(place, _)| Arc::clone(place)).collect()))
    }

    /// What became of the cell at `place` that sums these rows, if it was asked for and
    /// never published.
    pub(crate) fn unpublished(&self, entry: &Entry) -> Option<Standing> {
        if self.was(entry, Standing::Published) {
            return None;
        }
        [Standing::Complement, Standing::Differencing].into_iter().find(|standing| self.was(entry, *standing))
    }

    fn was(&self, entry: &Entry, standing: Standing) -> bool {
        self.seen.contains(&(entry.quantity.clone(), entry.hash, standing, entry.place.clone()))
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
        self.entries.iter().map(|e| of(e)).sum()
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
