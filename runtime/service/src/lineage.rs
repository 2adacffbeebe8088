//! 发布台账: what every earlier run cleared of a snapshot, for the gate of the next one.
//!
//! A run's numbers are entered when it ends, as if published, whether or not reviewers
//! let them out: sealed under the run's id, committed to in the ledger. An object that
//! was sealed and not recorded belongs to a run that is void, and is never read. All
//! operators and agreements share one history.
//!
//! Rows are numbered per snapshot, so histories of two snapshots are not compared: once
//! a table of route C was cleared on a dataset, its later snapshots get none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    time::Duration,
};

use sluice_domain::{
    Digest, Kind, Refusal,
    contract::{Contract, TableC},
    id::{DatasetId, OrgId, RunId, SnapshotId, ViewId},
    state::{GrantedView, RunState, Stage, State},
};
use sluice_gate::lineage::{Ledger, Number, Record};
use sluice_rows::cells::SnapshotRows;
use sluice_vault::ObjectKind;
use sluice_view::ViewReader;

use crate::{Service, record::vault_fault, run::Fault};

/// Between two looks whether another run is done with the release ledger.
const WAIT: Duration = Duration::from_millis(50);

impl Service {
    /// The release ledgers that the contract's tables of route C are held against, and
    /// the lock under which they stay complete; neither without such a table. With
    /// `as_of`, those of that moment, and no lock: for looking, not for clearing.
    pub(crate) async fn ledgers(
        &self,
        contract: &Contract,
        granted: &[GrantedView],
        reader: &ViewReader,
        as_of: Option<&State>,
    ) -> Result<(Vec<Ledger>, Option<File>), Fault> {
        let mut roots: BTreeMap<(DatasetId, SnapshotId), BTreeMap<ViewId, BTreeSet<String>>> = BTreeMap::new();
        for table in tables(contract) {
            let view = granted.iter().find(|v| v.id == table.plan.view).ok_or(Fault::Host("view.open"))?;
            let root = roots.entry((view.entry.dataset.id.clone(), view.snapshot.clone())).or_default();
            let columns = table.plan.measures.iter().filter_map(|m| m.column.clone());
            root.entry(view.id.clone()).or_default().extend(columns);
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
        for (root, views) in roots {
            let past = self.past(&state, &root)?;
            let names = views.keys().cloned().collect();
            let (columns, rows) = rows(reader, views).await?;
            let key = self.vault.commit("lineage-rows", root.1.as_str().as_bytes());
            ledgers.push(Ledger::new(root, names, columns, rows, |row| row_hash(&key, row), past));
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

    /// Every number that earlier runs entered on the root. Nothing is passed over: where
    /// a record is missing, damaged or of another snapshot, no further table is cleared.
    fn past(&self, state: &State, (dataset, snapshot): &(DatasetId, SnapshotId)) -> Result<Vec<Number>, Fault> {
        let mut past = Vec::new();
        for run in state.runs().filter(|r| !matches!(r.stage, Stage::Started | Stage::Void)) {
            let of_c = state.job(&run.job).is_some_and(|j| tables(&j.contract).next().is_some());
            if !of_c || !run.snapshots.iter().any(|(of, _)| of == dataset) {
                continue;
            }
            let record = self.lineage_of(run)?.ok_or(Fault::Host("lineage.missing"))?;
            for root in record.roots.into_iter().filter(|r| r.dataset == *dataset) {
                if root.snapshot != *snapshot {
                    return Err(Fault::Host("lineage.snapshot"));
                }
                past.extend(root.numbers);
            }
        }
        Ok(past)
    }

    /// What a run entered; none when it has no table of route C.
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

    /// Bits that the withheld places of all runs of `operator` may have told.
    pub(crate) fn pattern_bits(&self, state: &State, operator: &OrgId) -> Result<f64, Refusal> {
        let theirs = |r: &&RunState| state.job(&r.job).is_some_and(|j| j.operator == *operator);
        let records = state.runs().filter(theirs).map(|run| self.lineage_of(run).map_err(|_| crate::run::host_fault()));
        records.map(|r| Ok(r?.map_or(0.0, |r| r.pattern_bits))).sum()
    }
}

/// Whether the code of a void run may depend on data: each that its operator sees costs
/// one bit (gate.md §2).
pub(crate) fn depends_on_data(code: &str) -> bool {
    matches!(code, "gate.nothing-left" | "run.tick-missed")
}

fn tables(contract: &Contract) -> impl Iterator<Item = TableC> {
    contract.tables_c().into_iter().map(|(table, _)| table)
}

/// The snapshot's rows with the columns of all views on it.
async fn rows(
    reader: &ViewReader,
    views: BTreeMap<ViewId, BTreeSet<String>>,
) -> Result<(Vec<String>, SnapshotRows), Fault> {
    let mut all: Option<(Vec<String>, SnapshotRows)> = None;
    for (view, columns) in views {
        let columns: Vec<String> = columns.into_iter().collect();
        let rows = reader.snapshot_rows(&view, &columns).await.map_err(|e| Fault::host("view.lineage", &e))?;
        match &mut all {
            None => all = Some((columns, rows)),
            Some((names, held)) => {
                for ((name, values), zeros) in columns.into_iter().zip(rows.columns).zip(rows.zeros) {
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
