//! From an accepted job to what the gate is given: the tabulations of route C, and
//! the exact answers of routes A, B and D, one pass per table and round, before noise.
//! Deterministic, so that a run can be replayed. What happens here stays inside the
//! domain.

use std::{num::NonZeroUsize, sync::Arc};

use futures::{StreamExt, stream::BoxStream};
use sluice_domain::{
    Digest, Refusal,
    candidate::CandidateTable,
    contract::{Contract, Table, Whose},
    rulepack::RulePack,
    state::{Authorised, GrantedView},
};
use sluice_gate::{Answer, Cleared, intake, route_a, route_a::open, route_b, route_d};
use sluice_rows::{cells::Cells, fit::Fit};
use sluice_vault::{BlockKey, ObjectKind};
use sluice_view::{Blocks, Call, InputPlan, ViewError, ViewReader};
use sluice_worker::{
    CacheKey, Compiled, Interface, Invocation, RoomLimits, Rooms, UnitOutcome, WorkerError, error::ChildFault,
};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::{
    Service,
    record::vault_fault,
    run::Fault,
    submit::{inspect_limits, roster_size},
};

/// Calls under way between the reader and the rooms: enough to keep them busy, few
/// enough that no table is ever held whole.
pub(crate) const CALLS_IN_FLIGHT: usize = 256;

/// What the passes of a run came to.
pub(crate) struct Answered {
    /// The last round's exact answers, one per table of routes A, B and D.
    pub(crate) answers: Vec<Answer>,
    /// Keyed commitment to every exact answer of every round; none without any.
    pub(crate) commitment: Option<Digest>,
    /// The state that the last round began with.
    pub(crate) state: Vec<u8>,
}

/// What every pass of a run needs.
pub(crate) struct Work<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) reader: &'a ViewReader,
    pub(crate) plans: Vec<InputPlan>,
    pub(crate) limits: RoomLimits,
    blocks: BlockKey,
    blocks_bytes: usize,
    /// Units on the published rosters.
    pub(crate) roster_size: u64,
}

impl Service {
    /// Opens the granted views on the run's snapshots.
    pub(crate) fn reader(&self, granted: &Authorised<Vec<GrantedView>>) -> Result<ViewReader, Fault> {
        ViewReader::open(&self.vault, granted).map_err(|e| Fault::host("view.open", &e))
    }

    /// The tabulations and regressions of route C, in contract order; of a survival curve
    /// its counts.
    pub(crate) async fn tabulate(
        &self,
        contract: &Contract,
        reader: &ViewReader,
        rules: &RulePack,
    ) -> Result<(Vec<Cells>, Vec<Fit>), Fault> {
        let (mut tabulated, mut fits) = (Vec::new(), Vec::new());
        let curves: Vec<_> = contract.survivals().collect();
        for (c, whose) in contract.tables_c() {
            let curve = if let Whose::Survival(at) = whose { curves.get(at) } else { None };
            let cells = match curve {
                Some(curve) => reader.follow(curve).await,
                None => reader.tabulate(&c.plan, c.totals, rules.disclosure.dominance_n).await,
            };
            tabulated.push(cells.map_err(|e| Fault::host("view.tabulate", &e))?);
        }
        for regression in contract.regressions() {
            let fit = reader.regress(regression).await;
            fits.push(fit.map_err(|e| Fault::host("view.regress", &e))?);
        }
        Ok((tabulated, fits))
    }

    /// Every pass of routes A, B and D. Between two rounds, `clear` says what the gate
    /// made of a round's answers, and the outer room makes the next state of that.
    pub(crate) async fn passes(
        &self,
        work: &Work<'_>,
        rules: &RulePack,
        mut clear: impl FnMut(u32, Vec<Answer>) -> Result<Cleared<Vec<CandidateTable>>, Fault>,
    ) -> Result<Answered, Fault> {
        let contract = work.contract;
        let Some(guest) = contract.guest else {
            return Ok(Answered { answers: Vec::new(), commitment: None, state: Vec::new() });
        };
        let compiled = Arc::new(self.compile(guest, Interface::Inner, &work.limits, rules).await?);
        let (mut state, mut committed) = (Vec::new(), Vec::new());
        let last = contract.passes().saturating_sub(1);
        for round in 0..=last {
            let mut answers = Vec::new();
            for table in contract.tables.iter().filter(|t| t.is_answered()) {
                answers.push(self.pass(work, &compiled, (table, round), &state).await?);
            }
            for answer in &answers {
                committed.extend(answer.commitment(&|bytes| self.commit_pre_noise(bytes)).to_string().into_bytes());
            }
            if round == last {
                let commitment = Some(self.commit_pre_noise(&committed));
                return Ok(Answered { answers, commitment, state });
            }
            let cleared = clear(round, answers)?;
            state = self.update(contract, rules, round, state, &cleared).await?;
        }
        Err(Fault::Host("run.rounds"))
    }

    /// What the passes of `contract` read, and under which limits.
    pub(crate) fn work<'a>(
        &self,
        contract: &'a Contract,
        views: &[GrantedView],
        reader: &'a ViewReader,
        rules: &RulePack,
    ) -> Result<Work<'a>, Fault> {
        let plans = contract.inputs.values().map(|input| sluice_view::plan_input(views, &input.sql));
        Ok(Work {
            contract,
            reader,
            plans: plans.collect::<Result<_, Refusal>>()?,
            limits: RoomLimits::inner(contract),
            blocks: self.vault.block_key(&contract.digest()),
            blocks_bytes: (rules.limits.blocks_mib as usize) << 20,
            roster_size: roster_size(views, &contract.inputs),
        })
    }

    /// One table in one round: its calls are dealt to the rooms as they get free. Sums
    /// are whole numbers, so it does not matter which room a call went to.
    async fn pass(
        &self,
        work: &Work<'_>,
        compiled: &Arc<Compiled>,
        (table, round): (&Table, u32),
        state: &[u8],
    ) -> Result<Answer, Fault> {
        let contract = work.contract;
        let rooms = if matches!(table, Table::D(_)) { 1 } else { contract.limits.instances };
        let reducers = (0..rooms)
            .map(|_| Reducer::new(table, work.roster_size, contract.limits.rows_max))
            .collect::<Result<Vec<_>, _>>()?;
        let (sender, calls) = mpsc::channel(CALLS_IN_FLIGHT);
        let reducing = self.in_rooms(work, compiled, (table, round, state), calls, reducers, Reducer::take);
        feed(work, table, sender).await?;
        let mut parts = reducing.whole().await?.into_iter();
        let first = parts.next().ok_or(Fault::Host("room.none"))?;
        parts.try_fold(first, Reducer::merge)?.finish().map_err(Fault::from)
    }

    /// Deals the calls for one table in one round to as many rooms as there are `sinks`, one
    /// each, as they get free; `take` gives a sink what came of which call. It goes on
    /// beside whoever sends the calls.
    pub(crate) fn in_rooms<T: Send + 'static>(
        &self,
        work: &Work<'_>,
        compiled: &Arc<Compiled>,
        (table, round, state): (&Table, u32, &[u8]),
        mut calls: mpsc::Receiver<Call>,
        mut sinks: Vec<T>,
        take: fn(&mut T, u64, UnitOutcome),
    ) -> InRooms<T> {
        let (programs, compiled, limits) = (self.programs.clone(), Arc::clone(compiled), work.limits);
        let (params, state) = (params(work.contract, table, round), state.to_vec());
        InRooms(tokio::task::spawn_blocking(move || {
            let count = NonZeroUsize::new(sinks.len()).ok_or(Fault::Host("room.none"))?;
            let rooms = Rooms::open(&programs, &compiled, &limits, &params, &state, count);
            let mut rooms = rooms.map_err(|e| Fault::host("room.open", &e))?;
            let calls = std::iter::from_fn(|| calls.blocking_recv().map(Invocation::new));
            let each = sinks.iter_mut().map(|sink| move |number, outcome| take(sink, number, outcome));
            rooms.map_numbered(calls, each).map_err(|e| Fault::host("room.map", &e))?;
            Ok(sinks)
        }))
    }

    /// Compiled code of a sealed guest, from the cache where it is there.
    pub(crate) async fn compile(
        &self,
        guest: Digest,
        interface: Interface,
        limits: &RoomLimits,
        rules: &RulePack,
    ) -> Result<Compiled, Fault> {
        let (vault, cache, programs) = (Arc::clone(&self.vault), self.home.compiled(), self.programs.clone());
        let (profile, inspect) = (limits.profile, inspect_limits(limits.memory_bytes, rules));
        let job = move || -> Result<Compiled, Fault> {
            // The compiled code is as sensitive as code gets: whoever could write the
            // cache could run anything. So it is authenticated with a key of the vault.
            let key = CacheKey::new(Zeroizing::new(*vault.commit("compiled-cache-key", b"v1").as_bytes()));
            // What lies there was inspected when it was compiled, by this very code.
            if let Some(compiled) = sluice_worker::cached(guest, interface, inspect, profile, &cache, &key) {
                return Ok(compiled);
            }
            let bytes = vault.unseal(ObjectKind::Guest, &guest.to_string()).map_err(vault_fault)?;
            let inspected = sluice_worker::inspect_for(interface, &bytes, inspect)?;
            sluice_worker::compile(&programs, &inspected, profile, &cache, &key).map_err(|e| match e {
                WorkerError::Child(ChildFault::Compile) => e.refusal().into(),
                _ => Fault::host("room.compile", &e),
            })
        };
        tokio::task::spawn_blocking(job).await.map_err(|e| Fault::host("compile.thread", &e))?
    }
}

/// What `start` is told: the job's parameters, the inputs' schemas, and which table of
/// which round is wanted. Nothing of it depends on data.
pub(crate) fn params(contract: &Contract, table: &Table, round: u32) -> Vec<(String, String)> {
    let mut params: Vec<_> = contract.params.clone().into_iter().collect();
    params.extend(contract.inputs.iter().map(|(name, input)| sluice_worker::schema_param(name, &input.columns)));
    params.push(("table".to_owned(), table.name().to_owned()));
    params.push(("round".to_owned(), round.to_string()));
    params
}

/// Sends a table's calls: one per unit, one per block, or one with everybody. Waits where
/// the rooms are behind.
pub(crate) async fn feed(work: &Work<'_>, table: &Table, calls: mpsc::Sender<Call>) -> Result<(), Fault> {
    let rows_max = work.limits.unit_rows_max;
    let (of_block, of_all);
    let blocks;
    let mut stream: BoxStream<'_, Result<Call, ViewError>> = match table {
        Table::B(b) => {
            of_block = |unit: u64| work.blocks.block(unit, b.blocks);
            blocks = Blocks { count: b.blocks, rows_max, bytes_max: work.blocks_bytes, of: &of_block };
            work.reader.block_calls(&work.plans, &blocks).boxed()
        }
        Table::D(_) => {
            of_all = |_: u64| 0;
            blocks = Blocks { count: 1, rows_max, bytes_max: work.blocks_bytes, of: &of_all };
            work.reader.block_calls(&work.plans, &blocks).boxed()
        }
        _ => work.reader.unit_calls(&work.plans, rows_max).boxed(),
    };
    while let Some(call) = stream.next().await {
        let call = call.map_err(|e| Fault::host("view.read", &e))?;
        if calls.send(call).await.is_err() {
            break; // the rooms are gone; their own errors say why
        }
    }
    Ok(())
}

/// Rooms at work, and what their sinks will have got.
pub(crate) struct InRooms<T>(tokio::task::JoinHandle<Result<Vec<T>, Fault>>);

impl<T> InRooms<T> {
    /// The sinks, once no call is left and nobody sends another.
    pub(crate) async fn whole(self) -> Result<Vec<T>, Fault> {
        self.0.await.map_err(|e| Fault::host("room.thread", &e))?
    }
}

/// The reduction of each route.
enum Reducer {
    A(route_a::Reducer),
    B(route_b::Reducer),
    Open(open::Reducer),
    D(route_d::Reducer),
}

impl Reducer {
    fn new(table: &Table, roster_size: u64, rows_max: u32) -> Result<Self, Fault> {
        match table {
            Table::A(a) => Ok(Self::A(route_a::Reducer::new(a, roster_size, rows_max)?)),
            Table::B(b) => Ok(Self::B(route_b::Reducer::new(b, rows_max)?)),
            Table::Open(o) => Ok(Self::Open(open::Reducer::new(o, roster_size, rows_max)?)),
            Table::D(held) => Ok(Self::D(route_d::Reducer::new(held, rows_max)?)),
            Table::C(_) | Table::Regression(_) | Table::Survival(_) => Err(Fault::Host("room.table")),
        }
    }

    /// What came of a call. Sums are whole numbers: it does not matter which.
    fn take(&mut self, _: u64, outcome: UnitOutcome) {
        let output = answer_of(outcome);
        let output = output.as_ref();
        match self {
            Self::A(a) => a.add(output),
            Self::B(b) => b.add(output),
            Self::Open(o) => o.add(output),
            Self::D(d) => d.add(output),
        }
    }

    fn merge(self, other: Self) -> Result<Self, Fault> {
        match (self, other) {
            (Self::A(a), Self::A(b)) => Ok(Self::A(a.merge(b)?)),
            (Self::B(a), Self::B(b)) => Ok(Self::B(a.merge(b)?)),
            (Self::Open(a), Self::Open(b)) => Ok(Self::Open(a.merge(b)?)),
            _ => Err(Fault::Host("room.table")),
        }
    }

    fn finish(self) -> Result<Answer, Refusal> {
        match self {
            Self::A(a) => a.finish().map(Answer::Sums),
            Self::B(b) => b.finish(),
            Self::Open(o) => o.finish().map(Answer::Open),
            Self::D(d) => d.finish().map(Answer::Held),
        }
    }
}

/// What the gate reads of an outcome; none of a call that failed.
pub(crate) fn answer_of(outcome: UnitOutcome) -> Option<intake::RawBatch> {
    if let UnitOutcome::Output(batch) = outcome { Some(into_gate(batch)) } else { None }
}

/// The gate does not know the worker; the same bytes under the gate's name.
pub(crate) fn into_gate(batch: sluice_worker::RawBatch) -> intake::RawBatch {
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
