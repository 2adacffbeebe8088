//! 留置的佐证: the guest of a held product run again inside the run, on changed people, and
//! what the gate's checks make of its answers.
//!
//! Each replay is one call with a fresh instance under the contract's limits, as the
//! product's own was; which answer belongs to which is known by the call's number, so that
//! it needs no word from a guest. The release tick counts them all in.

use std::sync::Arc;

use sluice_domain::{
    candidate::CandidateTable,
    contract::{Contract, Table},
    evidence::Check,
    held::Held,
    id::RunId,
};
use sluice_gate::{
    evidence::held::{People, Replays, of_product},
    held::Judged,
    route_c::Rules,
    route_d::{Exact, Reducer},
};
use sluice_worker::{Compiled, Interface, UnitOutcome};
use tokio::sync::mpsc;

use crate::{
    Service,
    answer::{Work, answer_of},
    evidence::Subject,
    run::Fault,
};

/// What the evidence of a held product rests on: everybody, and the verdicts on its models.
pub(crate) type Standing<'a> = (&'a People, &'a [Judged]);

impl Service {
    /// The checks of the held tables of a run.
    pub(crate) async fn held_evidence(
        &self,
        run: &RunId,
        subject: &Subject<'_>,
        (people, judged): Standing<'_>,
    ) -> Result<Vec<Check>, Fault> {
        let Subject { contract, rules, sensitivity, work, candidate, .. } = subject;
        let guest = contract.guest.ok_or(Fault::Host("held.guest"))?;
        let compiled = Arc::new(self.compile(guest, Interface::Inner, &work.limits, rules).await?);
        let tables = held_tables(contract, &candidate.tables);
        let mut checks = Vec::new();
        for (table, held, published) in &tables {
            let seed = self.vault.commit("held-replays", format!("{run} {}", held.name).as_bytes());
            let replays = Replays::new(held, people, &rules.evidence, seed);
            let answers = self.again(work, &compiled, (table, held), &replays).await?;
            checks.extend(replays.checks(published, &answers, judged)?);
        }
        let tables: Vec<_> = tables.into_iter().map(|(_, held, published)| (held, published)).collect();
        let disclosure = Rules::of(&rules.disclosure, *sensitivity);
        checks.extend(of_product(&tables, people, &rules.evidence, &disclosure));
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
        let limits = &work.contract.limits;
        let rooms = (limits.instances as usize).clamp(1, replays.count().max(1));
        let sinks = (0..rooms).map(|_| Answers { held: held.clone(), rows_max: limits.rows_max, said: Vec::new() });
        let (sender, calls) = mpsc::channel(rooms);
        let answering = self.in_rooms(work, compiled, (table, 0, &[]), calls, sinks.collect(), Answers::take);
        for replay in 0..replays.count() {
            if sender.send(replays.call(replay)?).await.is_err() {
                break; // the rooms are gone; their own errors say why
            }
        }
        drop(sender);
        let mut said: Vec<_> = answering.whole().await?.into_iter().flat_map(|answers| answers.said).collect();
        said.sort_by_key(|(replay, _)| *replay);
        let all = said.len() == replays.count();
        all.then(|| said.into_iter().map(|(_, answer)| answer).collect()).ok_or(Fault::Host("held.answers"))
    }
}

/// What one room's replays came to, by their numbers.
struct Answers {
    held: Held,
    rows_max: u32,
    said: Vec<(u64, Option<Exact>)>,
}

impl Answers {
    /// By the same intake as the product's own answer.
    fn take(&mut self, replay: u64, outcome: UnitOutcome) {
        let read = |mut reducer: Reducer| {
            reducer.add(answer_of(outcome).as_ref());
            reducer.finish().ok()
        };
        self.said.push((replay, Reducer::new(&self.held, self.rows_max).ok().and_then(read)));
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
