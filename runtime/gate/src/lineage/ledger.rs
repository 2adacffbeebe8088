//! The release ledger of one dataset root as one run sees it: the rows of its snapshot,
//! what every earlier run on it cleared, whoever asked for it, and the same of every
//! earlier snapshot, all on one numbering of rows.
//!
//! A count of units is not a count of rows: people with several rows may be in several
//! cells. So counts are held twice. Counts of rows add up over disjoint cells, and so do
//! counts of values, which are counts of fewer rows. Counts of units are compared as
//! sets of people, and counts of rows beside them as stairs ([`Microdata::stairs`]): what
//! is left of a cell's rows without one for each unit is a cell like any other.
//! A published mean stands for its total, and with a published total of the same rows
//! for the count under it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use roaring::RoaringBitmap;
use sluice_domain::{
    candidate::Reason,
    contract::{Aggregate, MeasureC, Part, TableC},
    id::{DatasetId, SnapshotId, ViewId},
};
use sluice_rows::cells::{Cells, SnapshotRows};

use super::{
    Entry, History, Microdata, Named, Number, Origin, People, Place, Quantity, Root, SetHash, Standing,
    snapshots::{Renumbered, join},
};
use crate::route_c::{
    JudgedTable, Rules,
    primary::{JudgedCell, amount},
};

/// One dataset root, opened for one run.
pub struct Ledger {
    dataset: DatasetId,
    snapshot: SnapshotId,
    /// Each view that the run reads it through, with the view's row filter.
    views: BTreeMap<ViewId, Option<String>>,
    /// Names of columns; those that only history knows come last and have no values.
    columns: Vec<String>,
    data: Microdata,
    now: Renumbered,
    /// Rows of earlier snapshots by the ones that a count may take for them.
    replaced: HashMap<u32, u32>,
    past: Vec<(Number, Origin)>,
    known: Known,
    counting: Counting,
}

/// What a count says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counting {
    /// How many rows there are, and how many people.
    People,
    /// How many rows: a case file has no count of units beside one of rows.
    Rows,
}

/// A table of the job with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) table: &'a TableC,
    pub(crate) cells: &'a Cells,
    pub(crate) judged: &'a JudgedTable,
    /// Withheld for other cells' sake.
    pub(crate) added: &'a BTreeSet<usize>,
}

/// The rows of a case file, and the names of their measure columns.
pub(crate) struct Case {
    pub(crate) columns: Vec<String>,
    pub(crate) data: Microdata,
}

/// Of which rows the total and of which the mean of a column is published.
#[derive(Default, Clone)]
struct Known {
    sums: HashSet<(usize, SetHash)>,
    means: HashSet<(usize, SetHash)>,
}

/// The name of a derived measure in the ledger: its formula.
pub fn derived_name(formula: &str) -> String {
    format!("={formula}")
}

impl Ledger {
    /// The ledger of `dataset`, read through `views` (each with its row filter): all rows
    /// of the snapshot with the values of `columns` (a derived measure by
    /// [`derived_name`]) and the numbers of every earlier run on it, the same of every
    /// earlier snapshot, and the `key` of the set digest.
    pub fn new(
        (dataset, snapshot): (DatasetId, SnapshotId),
        views: BTreeMap<ViewId, Option<String>>,
        mut columns: Vec<String>,
        (rows, past): (SnapshotRows, Vec<Number>),
        earlier: Vec<(SnapshotRows, Vec<Number>)>,
        key: impl Fn(u64) -> u128,
    ) -> Self {
        let (older, numbers): (Vec<SnapshotRows>, Vec<Vec<Number>>) = earlier.into_iter().unzip();
        let joined = join(std::iter::once(rows).chain(older).collect());
        let (replaced, zeros) = (joined.replaced, joined.zeros);
        let (mut renumbered, mut all) = (joined.numbers.into_iter(), Vec::new());
        let now = renumbered.next().unwrap_or(Renumbered::Same);
        let mut enter = |numbers: Vec<Number>, by: &Renumbered, of| {
            all.extend(numbers.into_iter().map(|n| (Number { rows: by.rows(&n.rows), ..n }, of)));
        };
        enter(past, &now, Origin::Current);
        for (numbers, by) in numbers.into_iter().zip(renumbered) {
            enter(numbers, &by, Origin::Earlier);
        }
        for name in all.iter().filter_map(|(n, _)| n.quantity.column()) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let parts = |formula: &String| {
            let inside = |name: &String| !name.starts_with('=') && formula.contains(name.as_str());
            columns.iter().enumerate().filter(|(_, name)| inside(name)).map(|(i, _)| i).collect()
        };
        let derived = columns.iter().enumerate().filter(|(_, name)| name.starts_with('='));
        let derived = derived.map(|(i, formula)| (i, parts(formula))).collect();
        let data = Microdata::new(joined.units, joined.columns, key).with_zeros(zeros).deriving(derived);
        let (past, known, counting) = (all, Known::default(), Counting::People);
        let mut ledger = Self { dataset, snapshot, views, columns, data, now, replaced, past, known, counting };
        ledger.known = ledger.knowing(ledger.past.iter().map(|(number, _)| (number, &number.rows)));
        ledger
    }

    /// An empty ledger of the rows of a case file, read through `view` alone.
    pub(crate) fn of_case((dataset, snapshot): (DatasetId, SnapshotId), view: ViewId, case: Case) -> Self {
        let Case { columns, data } = case;
        Self {
            dataset,
            snapshot,
            views: BTreeMap::from([(view, None)]),
            columns,
            data,
            now: Renumbered::Same,
            replaced: HashMap::new(),
            past: Vec::new(),
            known: Known::default(),
            counting: Counting::Rows,
        }
    }

    /// Takes up what a job of a case file entered.
    pub(crate) fn enter(&mut self, numbers: impl IntoIterator<Item = Number>) {
        self.past.extend(numbers.into_iter().map(|number| (number, Origin::Current)));
        self.known = self.knowing(self.past.iter().map(|(number, _)| (number, &number.rows)));
    }

    /// Its rows.
    pub(crate) fn data(&self) -> &Microdata {
        &self.data
    }

    /// Whether the root is read through `view`.
    pub(crate) fn reads(&self, view: &ViewId) -> bool {
        self.views.contains_key(view)
    }

    /// The views that the run reads it through.
    pub(crate) fn views(&self) -> impl Iterator<Item = &ViewId> {
        self.views.keys()
    }

    /// Everything cleared before.
    pub(crate) fn history(&self, rules: &Rules) -> History {
        let mut history = History::default();
        for (number, of) in &self.past {
            history.enter(self.entries(number, &number.rows, &self.known, *of, rules));
        }
        history
    }

    /// The rows and the rules that judge a difference.
    pub(crate) fn people<'a>(&'a self, rules: &'a Rules, dominance_n: usize) -> People<'a> {
        People { data: &self.data, rules, dominance_n }
    }

    /// What new numbers say, each with its cell.
    pub(crate) fn read(&self, numbers: &[(usize, Number)], rules: &Rules) -> Vec<(usize, Entry)> {
        let rows: Vec<RoaringBitmap> = numbers.iter().map(|(_, number)| self.now.rows(&number.rows)).collect();
        let new = self.knowing(numbers.iter().map(|(_, number)| number).zip(&rows));
        let known = Known { sums: &self.known.sums | &new.sums, means: &self.known.means | &new.means };
        let said = numbers.iter().zip(&rows).flat_map(|((cell, number), rows)| {
            let entries = self.entries(number, rows, &known, Origin::Current, rules);
            entries.into_iter().map(|entry| (*cell, entry))
        });
        said.collect()
    }

    /// What a table enters, each number with its cell.
    pub(crate) fn numbers(&self, member: Member<'_>, rules: &Rules, dominance_n: usize) -> Vec<(usize, Number)> {
        let plan = &member.table.plan;
        let filter = self.views.get(&plan.view).and_then(Option::as_deref);
        let mut numbers = Vec::new();
        // Where nobody can be, that nobody is says nothing.
        for (i, cell) in member.judged.cells.iter().enumerate().filter(|(_, cell)| !cell.impossible) {
            let Some(place) = Place::of(member.table, filter, &cell.key) else { continue };
            let stored = member.cells.rows(&cell.key);
            let rows = self.now.rows(&stored);
            let mut seen = BTreeSet::new();
            for measure in &plan.measures {
                for (part, quantity) in named(measure, member.table) {
                    if !seen.insert(quantity.clone()) {
                        continue;
                    }
                    let column = self.column(quantity.column());
                    let fate = Fate { cell, complement: member.added.contains(&i), part };
                    let standing = self.standing(fate, measure.aggregate, column, &rows, rules, dominance_n);
                    let Some((standing, value)) = standing else { continue };
                    let valued = |row: &u32| {
                        column.is_none_or(|c| self.now.row(*row).is_some_and(|row| self.data.has_value(row, c)))
                    };
                    let rows = stored.iter().filter(valued).collect();
                    numbers.push((i, Number { quantity, rows, value, standing, place: place.clone() }));
                }
            }
        }
        numbers
    }

    /// What an input of held products enters: the rows that it has. It is no cell, and
    /// stands for itself whatever the product is.
    pub(crate) fn held(rows: &RoaringBitmap) -> Number {
        let (rows, place) = (rows.clone(), Place::default());
        Number { quantity: Named::Held, rows, value: 0.0, standing: Standing::Published, place }
    }

    /// What this run leaves behind on this root.
    pub(crate) fn root(&self, numbers: Vec<Number>) -> Root {
        Root { dataset: self.dataset.clone(), snapshot: self.snapshot.clone(), numbers }
    }

    /// What became of a number, and its value; none where its cell is withheld for
    /// another of its numbers.
    fn standing(
        &self,
        fate: Fate<'_>,
        aggregate: Aggregate,
        column: Option<usize>,
        rows: &RoaringBitmap,
        rules: &Rules,
        dominance_n: usize,
    ) -> Option<(Standing, f64)> {
        let (cell, measure) = self.data.stats_for(aggregate, rows, column, dominance_n);
        // Nothing follows from a quantile, so it is no secret of its own.
        let (value, own) = fate.part.map_or((0.0, false), |part| {
            // Where no threshold is on, an empty cell is unsafe for being empty alone.
            let own = !rules.judge_part(part, &cell, &measure).is_empty() || fate.cell.reasons.contains(&Reason::Zero);
            (amount(part, &cell, &measure).value, own)
        });
        let reasons = &fate.cell.reasons;
        let class = fate.part.is_some_and(Part::is_count) && reasons.contains(&Reason::Class);
        let standing = if reasons.is_empty() && !fate.complement {
            Standing::Published
        } else if class || own {
            Standing::Withheld
        } else if reasons.contains(&Reason::Differencing) {
            Standing::Differencing
        } else if reasons.iter().all(|r| *r == Reason::AsBefore) {
            Standing::Complement
        } else {
            return None;
        };
        Some((standing, value))
    }

    fn column(&self, name: Option<&String>) -> Option<usize> {
        name.and_then(|name| self.columns.iter().position(|c| c == name))
    }

    /// Which totals and means are published among `numbers`, each over these rows.
    fn knowing<'a>(&self, numbers: impl Iterator<Item = (&'a Number, &'a RoaringBitmap)>) -> Known {
        let mut known = Known::default();
        for (number, rows) in numbers.filter(|(number, _)| number.standing == Standing::Published) {
            let Some(column) = self.column(number.quantity.column()) else { continue };
            match number.quantity {
                Named::Sum(_) => known.sums.insert((column, self.data.sketch(rows, 0).0)),
                Named::Mean(_) => known.means.insert((column, self.data.sketch(rows, 0).0)),
                _ => continue,
            };
        }
        known
    }

    /// A number as the examination takes it: each set that it is the size or the total of.
    fn entries(&self, number: &Number, rows: &RoaringBitmap, known: &Known, of: Origin, rules: &Rules) -> Vec<Entry> {
        let column = self.column(number.quantity.column()).unwrap_or(usize::MAX);
        let counted = |mut sets: Vec<(Quantity, RoaringBitmap)>, rows: &RoaringBitmap| {
            let rows: RoaringBitmap = rows.iter().map(|row| self.replaced.get(&row).copied().unwrap_or(row)).collect();
            if self.counting == Counting::People {
                sets.push((Quantity::Units, self.data.stairs(&rows)));
            }
            sets.push((Quantity::Count, rows));
            sets
        };
        let other = match &number.quantity {
            Named::Sum(_) => Some(&known.means),
            Named::Mean(_) => Some(&known.sums),
            _ => None,
        };
        let told = other.is_some_and(|known| known.contains(&(column, self.data.sketch(rows, 0).0)));
        let sets = match &number.quantity {
            Named::Values(_) if self.counting == Counting::Rows => vec![(Quantity::Values(column), rows.clone())],
            Named::Rows | Named::Values(_) => counted(Vec::new(), rows),
            Named::Units if rows.len() == self.data.units(rows) => counted(Vec::new(), rows),
            Named::Units => vec![(Quantity::Units, self.data.first_rows(rows))],
            Named::Sum(_) | Named::Mean(_) if told && number.standing == Standing::Published => {
                counted(vec![(Quantity::Total(column), rows.clone())], rows)
            }
            Named::Sum(_) | Named::Mean(_) => vec![(Quantity::Total(column), rows.clone())],
            Named::Squares(_) => vec![(Quantity::Squares(column), rows.clone())],
            Named::Quantile(_) => vec![(Quantity::Quantile(column), rows.clone())],
            Named::Held => {
                vec![(Quantity::Held, rows.clone()), (Quantity::HeldUnits, self.data.first_rows(rows))]
            }
        };
        let place = Arc::new(number.place.clone());
        let entry = |(quantity, rows): (Quantity, RoaringBitmap)| {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let value = if quantity.column().is_some() { number.value } else { rows.len() as f64 };
            let entry = Entry::new(quantity, rows, value, number.standing, &self.data, rules.threshold);
            entry.at(Arc::clone(&place), of)
        };
        sets.into_iter().map(entry).collect()
    }
}

/// A cell's verdict.
#[derive(Clone, Copy)]
struct Fate<'a> {
    cell: &'a JudgedCell,
    complement: bool,
    /// The sum that it is asked about; none for a quantile.
    part: Option<Part>,
}

/// What a measure says, by the name of its column that no other agreement can mean
/// otherwise, each with the sum that it is; a quantile is none.
fn named(measure: &MeasureC, table: &TableC) -> Vec<(Option<Part>, Named)> {
    let name = || {
        let column = measure.column.clone().unwrap_or_default();
        table.plan.derived.get(&column).map_or(column, |formula| derived_name(formula))
    };
    if measure.aggregate.is_curved() {
        return vec![(None, Named::Quantile(name()))];
    }
    let of_part = |part: &Part| match part {
        Part::Rows => Named::Rows,
        Part::Units => Named::Units,
        Part::Values => Named::Values(name()),
        Part::Total if measure.aggregate == Aggregate::Mean => Named::Mean(name()),
        Part::Total => Named::Sum(name()),
        Part::Squares => Named::Squares(name()),
    };
    measure.aggregate.parts().iter().map(|part| (Some(*part), of_part(part))).collect()
}

impl Named {
    /// The column that it reads.
    pub fn column(&self) -> Option<&String> {
        match self {
            Self::Rows | Self::Units | Self::Held => None,
            Self::Values(column)
            | Self::Sum(column)
            | Self::Mean(column)
            | Self::Squares(column)
            | Self::Quantile(column) => Some(column),
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} numbers of {}, withheld)", self.past.len(), self.dataset)
    }
}
