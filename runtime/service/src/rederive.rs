//! 再推一遍: with the domain at hand, everything that a receipt rests on is worked out
//! again and compared: the contract, the snapshots, the votes, the files, the verdict on
//! every table of route C (rules, suppression, and the comparison with what had been
//! released by then), and the exact answers of routes A, B and D, by replay.
//!
//! It says *same* or *different* and nothing else; no noise is drawn, nothing is
//! recorded or changed. What cannot be read any more is different.

use serde::Serialize;
use sluice_domain::{
    Refusal,
    approval::Approval,
    candidate::{CandidateTable, Route},
    contract::Contract,
    decide,
    event::Event,
    id::RunId,
    person::Role,
    state::{Authorised, GrantedView, JobState, RunState, State},
};
use sluice_gate::{Answer, Cleared, GateInput, lineage::Record};
use sluice_ledger::Checkpoint;

use crate::{
    Receipt, Replayed, Service, SignedIn,
    record::ledger_fault,
    run::{Fault, no_such_job, sensitivity},
    submit::roster_size,
};

/// One thing that was worked out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rederived {
    /// What.
    pub part: Part,
    /// Whether it came out as the receipt says.
    pub outcome: Replayed,
}

/// What a receipt rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The ledger continues the receipt's checkpoint.
    Ledger,
    /// The job's frozen contract.
    Contract,
    /// The snapshots that were read.
    Snapshots,
    /// The sealed candidate.
    Candidate,
    /// The votes, recomputed.
    Votes,
    /// The files that the domain hands out.
    Files,
    /// Every table of route C, cell by cell with its reasons, and what it entered in the
    /// release ledger, from the sealed snapshot and the ledger as it stood then.
    RouteC,
    /// The exact answers of routes A and B, in every round, by their commitment.
    RoutesAAndB,
    /// Every held table, by its commitment and cell by cell.
    RouteD,
}

impl Service {
    /// Works out again what `receipt` rests on. For the bureau and auditors.
    ///
    /// # Errors
    /// `account.role`; `job.unknown` when the receipt is of no run of this domain.
    pub async fn rederive(&self, who: &SignedIn, receipt: &Receipt) -> Result<Vec<Rederived>, Refusal> {
        let state = self.snapshot().await?;
        decide::require(&state, &who.person().id, &[Role::Bureau, Role::Auditor])?;
        let unknown = || no_such_job(&receipt.job);
        let run = state.run(&receipt.run).filter(|r| r.job == receipt.job).ok_or_else(unknown)?;
        let job = state.job(&run.job).ok_or_else(unknown)?;
        let mut parts = vec![
            (Part::Ledger, self.continues(receipt).await?),
            (Part::Contract, job.contract == receipt.contract && job.contract_digest == receipt.contract_digest),
            (Part::Snapshots, snapshots_hold(&state, run, receipt)),
            (Part::Candidate, self.candidate(&state, &run.id).is_ok() && run.candidate == Some(receipt.candidate)),
            (Part::Votes, votes_hold(&state, receipt)),
            (Part::Files, self.files_hold(&state, receipt)),
        ];
        if job.contract.tables.iter().any(|t| !t.is_answered()) {
            parts.push((Part::RouteC, matches!(self.verdict_holds(run, job).await, Ok(true))));
        }
        if job.contract.held().next().is_some() {
            parts.push((Part::RouteD, matches!(self.answer_holds(run).await, Ok(true))));
        } else if run.pre_noise.is_some() {
            parts.push((Part::RoutesAAndB, matches!(self.replay(&run.id).await, Ok(Replayed::Same))));
        }
        let told = |(part, same)| {
            let outcome = if same { Replayed::Same } else { Replayed::Different };
            Rederived { part, outcome }
        };
        Ok(parts.into_iter().map(told).collect())
    }

    async fn continues(&self, receipt: &Receipt) -> Result<bool, Refusal> {
        let key = self.ledger.public_key();
        let known = Checkpoint::verify(&receipt.checkpoint, &key).ok().filter(|_| receipt.ledger_key == key);
        match known {
            Some(known) => self.ledger.extends(&known).await.map_err(ledger_fault),
            None => Ok(false),
        }
    }

    /// The released files as they lie there now; the receipt itself is not among its own.
    fn files_hold(&self, state: &State, receipt: &Receipt) -> bool {
        let Some(product) = state.product(&receipt.product) else { return false };
        let there = |name: &str| std::fs::read(self.home.product(&product.id).join(name)).ok();
        receipt.files.iter().all(|(name, digest)| {
            product.files.contains(&(name.clone(), *digest))
                && there(name).is_some_and(|bytes| sluice_domain::Digest::of(&bytes) == *digest)
        })
    }

    /// Whether the guest answers the run's held tables as it did, and the candidate is that.
    async fn answer_holds(&self, run: &RunState) -> Result<bool, Refusal> {
        let (replayed, answers) = self.replay_answer(&run.id).await?;
        let table = |answer: &Answer| if let Answer::Held(exact) = answer { Some(exact.table()) } else { None };
        let again: Option<Vec<CandidateTable>> = answers.iter().map(table).collect();
        let candidate = self.candidate(&self.snapshot().await?, &run.id)?;
        Ok(replayed == Replayed::Same && again.as_ref() == Some(&candidate.for_review().tables))
    }

    /// Whether the gate says of the run's tables of route C, now, what it said then.
    async fn verdict_holds(&self, run: &RunState, job: &JobState) -> Result<bool, Fault> {
        let then = self.before_the_end_of(&run.id).await?;
        let (cleared, entered) = self.verdict(&job.contract, &then.authorise_run(run)?, &then).await?;
        let entered = entered.to_bytes().map(|bytes| self.vault.commit("lineage", &bytes));
        let candidate = self.candidate(&self.snapshot().await?, &run.id)?;
        let of_c = candidate.for_review().tables.iter().filter(|t| t.route == Route::C);
        let again: &Vec<CandidateTable> = cleared.get();
        Ok(entered == run.lineage && of_c.eq(again))
    }

    /// What the gate says of the tables of route C among those of `contract`, against what
    /// was released by `then`. Nothing is cleared by it for anybody.
    pub(crate) async fn verdict(
        &self,
        contract: &Contract,
        granted: &Authorised<Vec<GrantedView>>,
        then: &State,
    ) -> Result<(Cleared<Vec<CandidateTable>>, Record), Fault> {
        let mut contract = contract.clone();
        contract.tables.retain(|t| !t.is_answered());
        let reader = self.reader(granted)?;
        let rules = then.rulepack();
        let (tabulated, fits) = self.tabulate(&contract, &reader, rules).await?;
        let (ledgers, _) = self.ledgers(&contract, granted, &reader, Some(then)).await?;
        let input = GateInput {
            contract: &contract,
            rulepack: rules,
            roster_size: roster_size(granted.get(), &contract.inputs),
            tabulated: &tabulated,
            fits: &fits,
            answers: Vec::new(),
            sensitivity: sensitivity(granted.get()),
            ledgers: &ledgers,
            behind: sluice_gate::Behind::default(),
        };
        Ok(sluice_gate::clear(input)?)
    }

    /// What the ledger meant just before `run` ended: what its tables were compared with.
    async fn before_the_end_of(&self, run: &RunId) -> Result<State, Refusal> {
        let mut then = State::new(self.snapshot().await?.rulepack().clone());
        for entry in self.ledger.read_from(0).await.map_err(ledger_fault)? {
            if matches!(&entry.event, Event::RunFinished { run: ended, .. } if ended == run) {
                break;
            }
            then.apply(&entry);
        }
        Ok(then)
    }
}

fn snapshots_hold(state: &State, run: &RunState, receipt: &Receipt) -> bool {
    let told = receipt.snapshots.iter().all(|told| {
        let found = state.dataset(&told.dataset).and_then(|d| d.snapshots.iter().find(|s| s.id == told.snapshot));
        found.is_some_and(|s| {
            (s.commitment, s.sealed_file, s.roster_size) == (told.commitment, told.sealed_file, told.roster_size)
        })
    });
    told && run.snapshots.iter().eq(receipt
        .snapshots
        .iter()
        .map(|s| (s.dataset.clone(), s.snapshot.clone()))
        .collect::<Vec<_>>()
        .iter())
}

fn votes_hold(state: &State, receipt: &Receipt) -> bool {
    let approval = Approval::of(state, &receipt.run);
    approval.is_ok_and(|a| a.votes().iter().eq(receipt.votes.iter().map(|(vote, _)| vote)))
}
