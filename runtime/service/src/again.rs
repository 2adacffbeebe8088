//! 留置的佐证: the guest of a held product run again inside the run, on changed people, and
//! what the gate's checks make of its answers.
//!
//! Each replay is one call with a fresh instance under the contract's limits, as the
//! product's own was. They are dealt to the rooms in turn, so that which answer belongs to
//! which replay needs no word from a guest. The release tick counts them all in.

use std::{num::NonZeroUsize, sync::Arc};

use futures::StreamExt;
use sluice_domain::{
    candidate::CandidateTable,
    contract::{Contract, Table},
    evidence::Check,
    held::Held,
    id::RunId,
};
use sluice_gate::{
    evidence::held::{Gathering, People, Replays, judge, of_product},
    route_c::{Rules, regression::RegressionRules},
    route_d::{Exact, Reducer},
};
use sluice_view::Call;
use sluice_worker::{Compiled, Interface, Invocation, Rooms, UnitOutcome};
use tokio::sync::mpsc;

use crate::{
    Service,
    answer::{Work, into_gate, params},
    evidence::Subject,
    run::Fault,
};

impl Service {
    /// The checks of the held tables of a run.
    pub(crate) async fn held_evidence(&self, run: &RunId, subject: &Subject<'_>) -> Result<Vec<Check>, Fault> {
        let Subject { contract, rules, views, sensitivity, reader, candidate, .. } = subject;
        let work = self.work(contract, views, reader, rules)?;
        let guest = contract.guest.ok_or(Fault::Host("held.guest"))?;
        let compiled = Arc::new(self.compile(guest, Interface::Inner, &work.limits, rules).await?);
        let people = gather(&work).await?;
        let disclosure = Rules::of(&rules.disclosure, *sensitivity);
        let tables = held_tables(contract, &candidate.tables);
        let mut checks = Vec::new();
        for (table, held, published) in &tables {
            let judged = judge(held, published, &people, RegressionRules::of(&rules.disclosure, &disclosure))?;
            let seed = self.vault.commit("held-replays", format!("{run} {}", held.name).as_bytes());
            let replays = Replays::new(held, &people, &rules.evidence, seed);
            let answers = self.again(&work, &compiled, (table, held), &replays).await?;
            checks.extend(replays.checks(published, &answers, judged.as_ref())?);
        }
        let tables: Vec<_> = tables.into_iter().map(|(_, held, published)| (held, published)).collect();
        checks.extend(of_product(&tables, &people, &rules.evidence, &disclosure));
        Ok(checks)
    }

    /// What the guest answers in each replay; none where its contract does not allow it.
    async fn again(
        &self,
        work: &Work<'_>,
        compiled: &Arc<Compiled>,
        (table, held): (&Table, &Held),
        replays: &Replays<'_>,
    ) -> Result<Vec<Option<Exact>>, Fault> {
        let rooms = (work.contract.limits.instances as usize).clamp(1, replays.count().max(1));
        let (mut senders, mut rooms_at_work) = (Vec::new(), Vec::new());
        for _ in 0..rooms {
            let (sender, mut calls) = mpsc::channel::<Call>(1);
            let (programs, compiled, limits) = (self.programs.clone(), Arc::clone(compiled), work.limits);
            let (params, held, rows_max) =
                (params(work.contract, table, 0), held.clone(), work.contract.limits.rows_max);
            rooms_at_work.push(tokio::task::spawn_blocking(move || -> Result<Vec<Option<Exact>>, Fault> {
                let mut room = Rooms::open(&programs, &compiled, &limits, &params, &[], NonZeroUsize::MIN)
                    .map_err(|e| Fault::host("held.open", &e))?;
                let mut answers = Vec::new();
                let calls = std::iter::from_fn(|| calls.blocking_recv().map(Invocation::new));
                let sink = |outcome| answers.push(read(&held, rows_max, outcome));
                room.map_all(calls, [sink]).map_err(|e| Fault::host("held.map", &e))?;
                Ok(answers)
            }));
            senders.push(sender);
        }
        for (replay, sender) in (0..replays.count()).zip(senders.iter().cycle()) {
            if sender.send(replays.call(replay)?).await.is_err() {
                break; // the room is gone; its own error says why
            }
        }
        drop(senders);
        let mut answered = Vec::new();
        for room in rooms_at_work {
            answered.push(room.await.map_err(|e| Fault::host("held.thread", &e))??.into_iter());
        }
        // As they were dealt.
        let in_turn = (0..replays.count()).map(|replay| answered.get_mut(replay % rooms).and_then(Iterator::next));
        in_turn.collect::<Option<_>>().ok_or(Fault::Host("held.answers"))
    }
}

/// The held tables of a contract as they would be published.
fn held_tables<'a>(
    contract: &'a Contract,
    tables: &'a [CandidateTable],
) -> Vec<(&'a Table, &'a Held, &'a CandidateTable)> {
    let both = contract.tables.iter().zip(tables);
    both.filter_map(|(table, published)| if let Table::D(held) = table { Some((table, held, published)) } else { None })
        .collect()
}

/// Everybody's rows, as the product's own call had them.
async fn gather(work: &Work<'_>) -> Result<People, Fault> {
    let mut gathering = Gathering::new(work.plans.len());
    let mut units = Box::pin(work.reader.unit_calls(&work.plans, work.limits.unit_rows_max));
    while let Some(call) = units.next().await {
        gathering.unit(&call.map_err(|e| Fault::host("view.read", &e))?);
    }
    Ok(gathering.whole()?)
}

/// One answer, by the same intake as the product's.
fn read(held: &Held, rows_max: u32, outcome: UnitOutcome) -> Option<Exact> {
    let mut reducer = Reducer::new(held, rows_max).ok()?;
    match outcome {
        UnitOutcome::Output(batch) => reducer.add(Some(&into_gate(batch))),
        UnitOutcome::Failed => reducer.add(None),
    }
    reducer.finish().ok()
}
