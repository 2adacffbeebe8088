//! A domain without its host: jobs of route C through the gate itself, one after another
//! over one release ledger, with every rule on. What it leaves out is reading, sealing
//! and people; `tests/tests/thread/lineage.rs` has those.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue, Reason},
    catalogue::Key,
    contract::{Dimension, Table, TableC},
    rulepack::RulePack,
};
use sluice_gate::{
    GateInput, Sensitivity, clear,
    lineage::{Ledger, Number, Record},
};
use sluice_rows::cells::{SnapshotRows, Zeros};

use crate::common::{Row, contract, tabulate};

/// Jobs, and what they left behind.
pub(crate) struct Office {
    /// The snapshots' rows, the newest last, each with what was cleared on it.
    snapshots: Vec<(Vec<Row>, Vec<Record>)>,
    /// Row filters of views, by name.
    filters: BTreeMap<&'static str, String>,
}

/// Whether a job is held against the ones before it. Without is for showing the leak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    Kept,
    LeftOut,
}

impl Office {
    pub(crate) fn over(rows: Vec<Row>) -> Self {
        Self { snapshots: vec![(by_unit(rows), Vec::new())], filters: BTreeMap::new() }
    }

    /// A later snapshot of the same table.
    pub(crate) fn ingest(&mut self, rows: Vec<Row>) {
        self.snapshots.push((by_unit(rows), Vec::new()));
    }

    /// Says which rows a view keeps; the tables on it must filter alike.
    pub(crate) fn filtered(&mut self, view: &'static str, filter: &str) {
        self.filters.insert(view, filter.to_owned());
    }

    /// Runs a job.
    pub(crate) fn ask(&mut self, history: History, tables: &[TableC]) -> Result<Vec<CandidateTable>, Refusal> {
        let columns = columns(tables);
        let mut rows: Vec<(SnapshotRows, Vec<Number>)> =
            self.snapshots.iter().map(|(rows, records)| (stored(rows, &columns), numbers(records, history))).collect();
        let now = rows.pop().unwrap();
        let views = tables.iter().map(|t| (t.plan.view.clone(), self.filters.get(t.plan.view.as_str()).cloned()));
        let root = ("people".parse().unwrap(), "snap-000001".parse().unwrap());
        let earlier = if history == History::Kept { rows } else { Vec::new() };
        let ledger = Ledger::new(root, views.collect(), columns, now, earlier, |row| {
            u128::from(digest(&(row, 1))) << 64 | u128::from(digest(&(row, 2)))
        });
        let (rows, records) = self.snapshots.last_mut().unwrap();
        let contract = contract(tables.iter().cloned().map(Table::C).collect());
        let (cleared, record) = clear(GateInput {
            contract: &contract,
            rulepack: &RulePack::shipped().unwrap(),
            roster_size: 1_000,
            tabulated: &tables.iter().map(|t| tabulate(t, rows, 2)).collect::<Vec<_>>(),
            fits: &[],
            answers: Vec::new(),
            sensitivity: Sensitivity::Ordinary,
            ledgers: &[ledger],
            behind: sluice_gate::Behind::default(),
        })?;
        // The ledger holds sealed bytes, not what a run had in memory.
        records.push(Record::from_bytes(&record.to_bytes().unwrap()).unwrap());
        Ok(cleared.get().clone())
    }

    /// Every job in turn; what is refused publishes nothing.
    pub(crate) fn run(rows: Vec<Row>, history: History, jobs: &[TableC]) -> Vec<Option<CandidateTable>> {
        let mut office = Self::over(rows);
        let one = |job: &TableC| office.ask(history, std::slice::from_ref(job)).ok().map(|mut tables| tables.remove(0));
        jobs.iter().map(one).collect()
    }
}

/// The number of a measure in the published cell at `key`.
pub(crate) fn read(table: Option<&CandidateTable>, key: &[Option<i64>], measure: usize) -> Option<f64> {
    let key: Vec<Option<Key>> = key.iter().map(|part| part.map(Key::Int)).collect();
    match &table?.cells.iter().find(|cell| cell.key == key)?.value {
        CellValue::Published(values) => values[measure],
        CellValue::Withheld(_) => None,
    }
}

/// Why the cell at `key` is withheld.
pub(crate) fn reasons(table: &CandidateTable, key: &[Option<i64>]) -> Vec<Reason> {
    let key: Vec<Option<Key>> = key.iter().map(|part| part.map(Key::Int)).collect();
    match &table.cells.iter().find(|cell| cell.key == key).unwrap().value {
        CellValue::Published(_) => Vec::new(),
        CellValue::Withheld(reasons) => reasons.clone(),
    }
}

/// A filter of one dimension.
pub(crate) fn only(dimension: &Dimension, keys: &[i64]) -> Vec<(Dimension, Vec<Key>)> {
    vec![(dimension.clone(), keys.iter().copied().map(Key::Int).collect())]
}

fn by_unit(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| digest(&row.unit));
    rows
}

fn columns(tables: &[TableC]) -> Vec<String> {
    let columns: BTreeSet<String> =
        tables.iter().flat_map(|t| &t.plan.measures).filter_map(|m| m.column.clone()).collect();
    columns.into_iter().collect()
}

fn stored(rows: &[Row], columns: &[String]) -> SnapshotRows {
    let content = |row: &Row| {
        let values: Vec<_> = row.values.iter().map(|(name, value)| (name, value.to_bits())).collect();
        digest(&(format!("{:?}", row.codes), values))
    };
    SnapshotRows {
        units: rows.iter().map(|row| digest(&row.unit)).collect(),
        contents: rows.iter().map(content).collect(),
        zeros: vec![Zeros::Count; columns.len()],
        columns: columns.iter().map(|c| rows.iter().map(|row| row.values.get(c).copied()).collect()).collect(),
    }
}

fn numbers(records: &[Record], history: History) -> Vec<Number> {
    let kept = records.iter().filter(|_| history == History::Kept);
    // Read back from bytes: numbers are no values to be cloned.
    let back = kept.map(|record| Record::from_bytes(&record.to_bytes().unwrap()).unwrap());
    back.flat_map(|record| record.roots).flat_map(|root| root.numbers).collect()
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
