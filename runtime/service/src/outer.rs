//! 外室: an operator's code over what the gate has cleared, and nothing else. Both
//! verbs take a [`Cleared`], which only the gate makes: no row, no exact answer and no
//! withheld number can get in here.
//!
//! A guest that fails leaves the state as it was, or the report absent; it depends on
//! cleared cells alone, so reviewers may be told.

use std::collections::BTreeMap;

use sluice_domain::{
    artefact::Report,
    candidate::{CandidateTable, CellValue, Route},
    catalogue::Key,
    contract::Contract,
    rulepack::RulePack,
};
use sluice_gate::Cleared;
use sluice_worker::{Interface, OuterRoom, RoomLimits, Table};

use crate::{Service, run::Fault};

impl Service {
    /// The state after `round`: what the guest of `[rounds]` makes of the round's first
    /// noised table.
    pub(crate) async fn update(
        &self,
        contract: &Contract,
        rules: &RulePack,
        round: u32,
        state: Vec<u8>,
        cleared: &Cleared<Vec<CandidateTable>>,
    ) -> Result<Vec<u8>, Fault> {
        let Some(rounds) = &contract.rounds else { return Ok(state) };
        let first = of_round(cleared.get());
        let limits = RoomLimits::outer(contract);
        let compiled = self.compile(rounds.guest, Interface::Outer, &limits, rules).await?;
        let programs = self.programs.clone();
        let ask = move || -> Result<Vec<u8>, sluice_worker::WorkerError> {
            let mut room = OuterRoom::open(&programs, &compiled, &limits)?;
            Ok(room.update(round, &state, &first)?.unwrap_or(state))
        };
        let asked = tokio::task::spawn_blocking(ask).await.map_err(|e| Fault::host("outer.thread", &e))?;
        asked.map_err(|e| Fault::host("outer.update", &e))
    }

    /// What the guest of `[report]` composes of the final state and all tables.
    pub(crate) async fn compose(
        &self,
        contract: &Contract,
        rules: &RulePack,
        state: Vec<u8>,
        cleared: &Cleared<Vec<CandidateTable>>,
    ) -> Result<Report, Fault> {
        let Some(report) = &contract.report else { return Ok(Report::None) };
        let tables = of_report(&report.params, cleared.get());
        let limits = RoomLimits::outer(contract);
        let compiled = self.compile(report.guest, Interface::Outer, &limits, rules).await?;
        let programs = self.programs.clone();
        let ask = move || OuterRoom::open(&programs, &compiled, &limits)?.compose(&state, &tables);
        let asked = tokio::task::spawn_blocking(ask).await.map_err(|e| Fault::host("outer.thread", &e))?;
        let sent = asked.map_err(|e| Fault::host("outer.compose", &e))?;
        Ok(sent.map_or(Report::Failed, |sent| Report::parse(&sent)))
    }
}

/// What `update` is given of a round: its first noised table.
pub(crate) fn of_round(cleared: &[CandidateTable]) -> Table {
    cleared.iter().find(|t| matches!(t.route, Route::A | Route::B)).map(batch).unwrap_or_default()
}

/// What `compose` is given: the report's parameters, then every table.
pub(crate) fn of_report(own: &BTreeMap<String, String>, cleared: &[CandidateTable]) -> Vec<(String, Table)> {
    let tables = cleared.iter().map(|table| (table.name.clone(), batch(table)));
    std::iter::once(("params".to_owned(), params(own, cleared))).chain(tables).collect()
}

/// The report's parameters, and each table's columns as `table.<name>` =
/// `column:type,…`: two columns of words.
fn params(own: &BTreeMap<String, String>, tables: &[CandidateTable]) -> Table {
    let mut all: Vec<(String, String)> = own.clone().into_iter().collect();
    for table in tables {
        let dimensions = table.dimensions.iter().enumerate();
        let keys = dimensions.map(|(i, d)| format!("{}:{}", d.name, if numeric(table, i) { "int" } else { "text" }));
        let measures = table.measures.iter().map(|m| format!("{}:float", m.name));
        all.push((format!("table.{}", table.name), keys.chain(measures).collect::<Vec<_>>().join(",")));
    }
    let mut batch = Table::default();
    batch.texts(&all.iter().map(|(name, _)| Some(name.as_str())).collect::<Vec<_>>());
    batch.texts(&all.iter().map(|(_, value)| Some(value.as_str())).collect::<Vec<_>>());
    batch
}

/// A cleared table: dimensions (null in a margin), then numbers (null where withheld).
/// Why a cell is withheld does not get in.
fn batch(table: &CandidateTable) -> Table {
    let mut batch = Table::default();
    for i in 0..table.dimensions.len() {
        let keys = || table.cells.iter().map(|cell| cell.key.get(i).and_then(Option::as_ref));
        if numeric(table, i) {
            batch.ints(&keys().map(|k| if let Some(Key::Int(n)) = k { Some(*n) } else { None }).collect::<Vec<_>>());
        } else {
            let word = |k: Option<&Key>| -> Option<String> {
                if let Some(Key::Text(word)) = k { Some(word.clone()) } else { None }
            };
            let words: Vec<Option<String>> = keys().map(word).collect();
            batch.texts(&words.iter().map(Option::as_deref).collect::<Vec<_>>());
        }
    }
    for i in 0..table.measures.len() {
        let number = |value: &CellValue| match value {
            CellValue::Published(numbers) => numbers.get(i).copied().flatten(),
            CellValue::Withheld(_) => None,
        };
        batch.floats(&table.cells.iter().map(|cell| number(&cell.value)).collect::<Vec<_>>());
    }
    batch
}

fn numeric(table: &CandidateTable, dimension: usize) -> bool {
    let keys = table.dimensions.get(dimension).map(|d| d.domain.as_slice()).unwrap_or_default();
    keys.iter().all(|(key, _)| matches!(key, Key::Int(_)))
}
