//! 发布台账: what every earlier run cleared of a snapshot, for the gate of the next one.
//!
//! A run's numbers are entered when it ends, as if published, whether or not reviewers
//! let them out: sealed under the run's id, committed to in the ledger. An object that
//! was sealed and not recorded belongs to a run that is void, and is never read. All
//! operators and agreements share one history.
//!
//! Rows are numbered per snapshot; where earlier runs read another snapshot of the same
//! dataset, its rows are read again under the views of this run, to see who changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    time::Duration,
};

use sluice_domain::{
    Digest, Kind, Refusal, Text,
    catalogue::ColumnType,
    contract::{Contract, Table, TableC},
    id::{DatasetId, OrgId, RunId, SnapshotId, ViewId},
    state::{Authorised, GrantedView, RunState, Stage, State},
    text,
};
use sluice_gate::lineage::{Ledger, Number, Record, derived_name};
use sluice_rows::cells::SnapshotRows;
use sluice_vault::ObjectKind;
use sluice_view::ViewReader;

use crate::{Service, record::vault_fault, run::Fault};

/// Between two looks whether another run is done with the release ledger.
const WAIT: Duration = Duration::from_millis(50);

impl Service {
    /// The release ledgers that the contract's tables of routes C and D are held against, and
    /// the lock under which they stay complete; neither without such a table. With
    /// `as_of`, those of that moment, and no lock: for looking, not for clearing.
    pub(crate) async fn ledgers(
        &self,
        contract: &Contract,
        granted: &Authorised<Vec<GrantedView>>,
        reader: &ViewReader,
        as_of: Option<&State>,
    ) -> Result<(Vec<Ledger>, Option<File>), Fault> {
        let mut roots: BTreeMap<(DatasetId, SnapshotId), BTreeMap<ViewId, Reading>> = BTreeMap::new();
        for table in tables(contract) {
            let view = granted.get().iter().find(|v| v.id == table.plan.view).ok_or(Fault::Host("view.open"))?;
            let root = roots.entry((view.entry.dataset.id.clone(), view.snapshot.clone())).or_default();
            root.entry(view.id.clone()).or_insert_with(|| Reading::of(view)).add(&table, view);
        }
        for input in contract.held().next().iter().flat_map(|_| contract.inputs.values()) {
            let view = granted.get().iter().find(|v| v.id == input.view).ok_or(Fault::Host("view.open"))?;
            let root = roots.entry((view.entry.dataset.id.clone(), view.snapshot.clone())).or_default();
            root.entry(view.id.clone()).or_insert_with(|| Reading::of(view));
        }
        if roots.is_empty() {
            return Ok((Vec::new(), None));
        }
        let held = if as_of.is_none() { Some(self.hold_lineage().await?) } else { None };
        let state = match as_of {
            Some(state) => state.clone(),
            None => self.snapshot().await?,
        };
        let mut ledgers = Vec::new();
        for (root, mut views) in roots {
            let mut past = self.past(&state, &root.0)?;
            if contract.held().next().is_some() {
                let known: BTreeSet<&String> = past.values().flatten().filter_map(|n| n.quantity.column()).collect();
                for view in granted.get() {
                    views.entry(view.id.clone()).and_modify(|reading| reading.recall(&known, view));
                }
            }
            let (columns, now) = rows(reader, &views).await?;
            let now = (now, past.remove(&root.1).unwrap_or_default());
            let mut earlier = Vec::new();
            for (snapshot, numbers) in past {
                let other = || Fault::Host("lineage.snapshot");
                let views_then = state.on_snapshot(granted, &root.0, &snapshot).ok_or_else(other)?;
                let (_, then) = rows(&self.reader(&views_then)?, &views).await?;
                earlier.push((then, numbers));
            }
            let filters = views.into_iter().map(|(view, reading)| (view, reading.filter)).collect();
            let key = self.vault.commit("lineage-rows", root.1.as_str().as_bytes());
            ledgers.push(Ledger::new(root, filters, columns, now, earlier, |row| row_hash(&key, row)));
        }
        Ok((ledgers, held))
    }

    /// Waits for its turn; the run's tick bounds the wait.
    async fn hold_lineage(&self) -> Result<File, Fault> {
        loop {
            match self.lock(&self.home.lineage_lock(), "run.busy") {
                Ok(held) => return Ok(held),
                Err(refusal) if refusal.kind == Kind::Refused => tokio::time::sleep(WAIT).await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Every number that earlier runs entered on the root, by snapshot. Nothing is passed
    /// over: where a record is missing or damaged, no further table is cleared.
    fn past(&self, state: &State, dataset: &DatasetId) -> Result<BTreeMap<SnapshotId, Vec<Number>>, Fault> {
        let mut past: BTreeMap<SnapshotId, Vec<Number>> = BTreeMap::new();
        for run in state.runs().filter(|r| !matches!(r.stage, Stage::Started | Stage::Void)) {
            let enters = state.job(&run.job).is_some_and(|j| !j.contract.tables.iter().all(Table::is_noised));
            if !enters || !run.snapshots.iter().any(|(of, _)| of == dataset) {
                continue;
            }
            let record = self.lineage_of(run)?.ok_or(Fault::Host("lineage.missing"))?;
            for root in record.roots.into_iter().filter(|r| r.dataset == *dataset) {
                past.entry(root.snapshot).or_default().extend(root.numbers);
            }
        }
        Ok(past)
    }

    /// What a run entered; none when it has no table of route C or D.
    pub(crate) fn lineage_of(&self, run: &RunState) -> Result<Option<Record>, Fault> {
        let Some(recorded) = run.lineage else { return Ok(None) };
        let damaged = || Fault::Host("lineage.damaged");
        let bytes = self.vault.unseal(ObjectKind::Lineage, run.id.as_str());
        let bytes = bytes.map_err(|e| Fault::host("lineage.damaged", &e))?;
        let whole = self.vault.commit("lineage", &bytes) == recorded;
        whole.then(|| Record::from_bytes(&bytes)).flatten().map(Some).ok_or_else(damaged)
    }

    /// Seals what a run enters, and commits to it.
    pub(crate) fn seal_lineage(&self, run: &RunId, record: &Record) -> Result<Digest, Fault> {
        let bytes = record.to_bytes().ok_or(Fault::Host("lineage.too-large"))?;
        self.vault.seal(ObjectKind::Lineage, run.as_str(), &bytes).map_err(vault_fault)?;
        Ok(self.vault.commit("lineage", &bytes))
    }

    /// What an operator can know before a run, without data: the dataset of a table of route
    /// C has more than one snapshot, so a cell that changed by too few is withheld.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn note_on_snapshots(&self, contract: &Contract) -> Result<Option<Text>, Refusal> {
        let state = self.snapshot().await?;
        let Some(agreement) = state.agreement(&contract.agreement) else { return Ok(None) };
        let dataset = |table: TableC| Some(agreement.views.get(&table.plan.view)?.dataset.clone());
        let several = |of: &DatasetId| state.dataset(of).is_some_and(|d| d.snapshots.len() > 1);
        Ok(tables(contract).filter_map(dataset).find(several).map(|of| {
            text(
                format!("{of} 已有多个快照：与此前快照上发布的同一格相比，变动单位不足 k 个的格将被隐去；按期产品请用路线 A"),
                format!(
                    "{of} has several snapshots: a cell of which fewer than k units changed since an earlier one is withheld; use route A for periodic products"
                ),
            )
        }))
    }

    /// Bits that the withheld places of all runs of `operator` may have told.
    pub(crate) fn pattern_bits(&self, state: &State, operator: &OrgId) -> Result<f64, Refusal> {
        let theirs = |r: &&RunState| state.job(&r.job).is_some_and(|j| j.operator == *operator);
        let records = state.runs().filter(theirs).map(|run| self.lineage_of(run).map_err(|_| crate::run::host_fault()));
        let bits = records.map(|r| Ok(r?.map_or(0.0, |r| r.pattern_bits))).sum::<Result<f64, Refusal>>()?;
        // A sum of nothing is −0, which reads badly.
        Ok(bits + 0.0)
    }
}

/// Whether the code of a void run may depend on data: each that its operator sees costs
/// one bit (gate.md §2). Whatever is not known to come from the host's own state does:
/// an operator sees one word for all of them.
pub(crate) fn depends_on_data(code: &str) -> bool {
    !matches!(code, "run.interrupted" | "lineage.missing" | "lineage.damaged")
}

fn tables(contract: &Contract) -> impl Iterator<Item = TableC> {
    contract.tables_c().into_iter().map(|(table, _)| table)
}

/// What the release ledger reads through one view.
struct Reading {
    /// The view's row filter.
    filter: Option<String>,
    /// The ledger's name of a column, and its name in the view.
    columns: BTreeMap<String, String>,
}

impl Reading {
    fn of(view: &GrantedView) -> Self {
        Self { filter: view.view.filter.clone(), columns: BTreeMap::new() }
    }

    /// Columns that earlier releases read, for a held product: which rows have a value there.
    fn recall(&mut self, known: &BTreeSet<&String>, view: &GrantedView) {
        let plain = |name: &&&String| {
            let kind = view.entry.column(name).map(|c| c.kind);
            view.view.columns.contains(name)
                && !view.view.masks.contains_key(**name)
                && matches!(kind, Some(ColumnType::Int | ColumnType::Float))
        };
        self.columns.extend(known.iter().filter(plain).map(|name| ((*name).clone(), (*name).clone())));
    }

    /// The columns of a table's measures; with a derived measure, those that it may be
    /// computed from, too.
    fn add(&mut self, table: &TableC, view: &GrantedView) {
        for name in table.plan.measures.iter().filter_map(|m| m.column.as_ref()) {
            let Some(formula) = table.plan.derived.get(name) else {
                self.columns.insert(name.clone(), name.clone());
                continue;
            };
            self.columns.insert(derived_name(formula), name.clone());
            let number = |name: &&String| {
                let kind = view.entry.column(name).map(|c| c.kind);
                formula.contains(name.as_str()) && matches!(kind, Some(ColumnType::Int | ColumnType::Float))
            };
            self.columns.extend(view.view.columns.iter().filter(number).map(|name| (name.clone(), name.clone())));
        }
    }
}

/// The snapshot's rows with the columns of all views on it.
async fn rows(reader: &ViewReader, views: &BTreeMap<ViewId, Reading>) -> Result<(Vec<String>, SnapshotRows), Fault> {
    let mut all: Option<(Vec<String>, SnapshotRows)> = None;
    for (view, reading) in views {
        let asked: Vec<String> = reading.columns.values().cloned().collect();
        let rows = reader.snapshot_rows(view, &asked).await.map_err(|e| Fault::host("view.lineage", &e))?;
        let named = reading.columns.keys().cloned();
        match &mut all {
            None => all = Some((named.collect(), rows)),
            Some((names, held)) => {
                // A row is unchanged if it is unchanged in every view.
                for (held, content) in held.contents.iter_mut().zip(rows.contents) {
                    *held = held.rotate_left(1) ^ content;
                }
                for ((name, values), zeros) in named.zip(rows.columns).zip(rows.zeros) {
                    if !names.contains(&name) {
                        names.push(name);
                        held.columns.push(values);
                        held.zeros.push(zeros);
                    }
                }
            }
        }
    }
    all.ok_or(Fault::Host("view.lineage"))
}

/// 128 bits of a row under the snapshot's key.
fn row_hash(key: &Digest, row: u64) -> u128 {
    let digest = Digest::of(&[key.as_bytes().as_slice(), &row.to_le_bytes()].concat());
    digest.as_bytes().iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
