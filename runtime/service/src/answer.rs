//! From an accepted job to what the gate is given: the tabulations of route C and
//! the clamped sums of route A, before noise. Deterministic, so that a run can be
//! replayed. What happens here stays inside the domain.

use std::sync::Arc;

use futures::StreamExt;
use sluice_domain::{
    Digest, Refusal,
    contract::{Contract, Table},
    rulepack::RulePack,
    state::{Authorised, GrantedView},
};
use sluice_gate::{intake, route_a};
use sluice_rows::{RowBatch, cells::Cells};
use sluice_vault::ObjectKind;
use sluice_view::ViewReader;
use sluice_worker::{CacheKey, Compiled, Programs, Room, RoomLimits, UnitOutcome};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::{Service, record::vault_fault, run::Fault, submit::inspect_limits};

/// Units under way between the reader and the room: enough to keep both busy.
const UNITS_IN_FLIGHT: usize = 256;

/// What the gate is given.
pub(crate) struct Answer {
    /// One per route-C table, in contract order.
    pub(crate) tabulated: Vec<Cells>,
    /// The route-A table's sums, if there is one.
    pub(crate) sums: Option<route_a::PreNoise>,
    /// Units on the published roster of the view that route A reads.
    pub(crate) roster_size: u64,
}

impl Service {
    /// Computes the answer of `contract` over the views it was granted.
    pub(crate) async fn answer(
        &self,
        contract: &Contract,
        granted: &Authorised<Vec<GrantedView>>,
        rules: &RulePack,
    ) -> Result<Answer, Fault> {
        let reader = ViewReader::open(&self.vault, granted).map_err(|e| Fault::host("view.open", &e))?;
        let mut tabulated = Vec::new();
        for table in &contract.tables {
            if let Table::C(c) = table {
                let cells = reader.tabulate(&c.plan, c.totals, rules.disclosure.dominance_n).await;
                tabulated.push(cells.map_err(|e| Fault::host("view.tabulate", &e))?);
            }
        }
        let roster_size = granted.get().iter().map(|v| v.roster_size).max().unwrap_or(0);
        let sums = match contract.table_a() {
            Some(table) => {
                let limits = RoomLimits::of(&contract.limits, rules.limits.unit_rows_max);
                let compiled = self.compile(contract.guest.ok_or(Fault::Host("job.guest"))?, &limits, rules).await?;
                let reducer = route_a::Reducer::new(table, roster_size, contract.limits.rows_max)?;
                Some(self.map_units(contract, granted.get(), &reader, compiled, limits, reducer).await?)
            }
            None => None,
        };
        Ok(Answer { tabulated, sums, roster_size })
    }

    /// Route A: every unit's rows through a fresh instance of the guest, summed
    /// and clamped by the gate. The reader and the room work at the same time.
    async fn map_units(
        &self,
        contract: &Contract,
        views: &[GrantedView],
        reader: &ViewReader,
        compiled: Compiled,
        limits: RoomLimits,
        reducer: route_a::Reducer,
    ) -> Result<route_a::PreNoise, Fault> {
        let (name, input) = contract.inputs.first_key_value().ok_or(Fault::Host("job.inputs"))?;
        let plan = sluice_view::plan_input(views, &input.sql)?;
        let mut params: Vec<_> = contract.params.clone().into_iter().collect();
        params.push(sluice_worker::schema_param(name, &input.columns));

        let (sender, receiver) = mpsc::channel(UNITS_IN_FLIGHT);
        let programs = self.programs.clone();
        let room = tokio::task::spawn_blocking(move || {
            reduce_in_room(&programs, &compiled, &limits, &params, receiver, reducer)
        });
        let mut units = std::pin::pin!(reader.units(&plan, limits.unit_rows_max));
        while let Some(rows) = units.next().await {
            let rows = rows.map_err(|e| Fault::host("view.read", &e))?;
            if sender.send(rows).await.is_err() {
                break; // the room is gone; its own error says why
            }
        }
        drop(sender);
        room.await.map_err(|e| Fault::host("room.thread", &e))?
    }

    async fn compile(&self, guest: Digest, limits: &RoomLimits, rules: &RulePack) -> Result<Compiled, Fault> {
        let (vault, cache, programs) = (Arc::clone(&self.vault), self.home.compiled(), self.programs.clone());
        let (profile, inspect) = (limits.profile, inspect_limits(limits.memory_bytes, rules));
        let job = move || -> Result<Compiled, Fault> {
            let bytes = vault.unseal(ObjectKind::Guest, &guest.to_string()).map_err(vault_fault)?;
            let inspected = sluice_worker::inspect(&bytes, inspect)?;
            // The compiled code is as sensitive as code gets: whoever could write the
            // cache could run anything. So it is authenticated with a key of the vault.
            let key = CacheKey::new(Zeroizing::new(*vault.commit("compiled-cache-key", b"v1").as_bytes()));
            sluice_worker::compile(&programs, &inspected, profile, &cache, &key)
                .map_err(|e| Fault::host("room.compile", &e))
        };
        tokio::task::spawn_blocking(job).await.map_err(|e| Fault::host("compile.thread", &e))?
    }
}

fn reduce_in_room(
    programs: &Programs,
    compiled: &Compiled,
    limits: &RoomLimits,
    params: &[(String, String)],
    mut units: mpsc::Receiver<RowBatch>,
    mut reducer: route_a::Reducer,
) -> Result<route_a::PreNoise, Fault> {
    let mut room = Room::open(programs, compiled, limits, params).map_err(|e| Fault::host("room.open", &e))?;
    let rows = std::iter::from_fn(|| units.blocking_recv());
    room.map_all(rows, |outcome| match outcome {
        UnitOutcome::Output(batch) => reducer.add(Some(&into_gate(batch))),
        UnitOutcome::Failed => reducer.add(None),
    })
    .map_err(|e| Fault::host("room.map", &e))?;
    room.close();
    Ok(reducer.finish()?)
}

/// The gate does not know the worker; the same bytes under the gate's name.
fn into_gate(batch: sluice_worker::RawBatch) -> intake::RawBatch {
    let columns = batch.columns.into_iter();
    let columns =
        columns.map(|c| intake::RawColumn { nulls: c.nulls, validity: c.validity, offsets: c.offsets, data: c.data });
    intake::RawBatch { rows: batch.rows, columns: columns.collect() }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
