//! 重放: a run executed again inside the domain reproduces every exact answer of every
//! table of routes A, B and D, in every round. Nobody sees a number: two keyed commitments are compared.

use serde::Serialize;
use sluice_domain::{Refusal, decide, id::RunId, person::Role, state::DemoDomain, text};
use sluice_gate::{Answer, route_a::PreNoise};

use crate::{Service, SignedIn, run::Fault};

/// What a replay found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replayed {
    /// The same answer before noise.
    Same,
    /// Another answer: the host, the guest or the snapshot is not what it was.
    Different,
}

impl Service {
    /// Whether `who` may replay runs: the bureau and auditors.
    ///
    /// # Errors
    /// `account.role`.
    pub async fn may_replay(&self, who: &SignedIn) -> Result<(), Refusal> {
        decide::require(&self.snapshot().await?, &who.person().id, &[Role::Bureau, Role::Auditor]).map(drop)
    }

    /// Executes `run` again and compares commitments. No noise is drawn.
    ///
    /// # Errors
    /// `run.no-replay` when there is no pre-noise answer to compare with.
    pub async fn replay(&self, run: &RunId) -> Result<Replayed, Refusal> {
        self.replay_answer(run).await.map(|(found, _)| found)
    }

    /// The first answer before noise of a demo run over public data, for measuring an
    /// attacker's advantage. Takes the proof that this is a demo domain.
    ///
    /// # Errors
    /// As [`Service::replay`]; `run.no-replay` also when the answers differ.
    pub async fn demo_answer(&self, _demo: &DemoDomain, run: &RunId) -> Result<PreNoise, Refusal> {
        match self.replay_answer(run).await? {
            (Replayed::Same, answers) => match answers.into_iter().next() {
                Some(Answer::Sums(exact)) => Ok(exact),
                _ => Err(no_replay(run)),
            },
            (Replayed::Different, _) => Err(no_replay(run)),
        }
    }

    pub(crate) async fn replay_answer(&self, run: &RunId) -> Result<(Replayed, Vec<Answer>), Refusal> {
        let state = self.snapshot().await?;
        let record = state.run(run).ok_or_else(|| no_replay(run))?;
        let job = state.job(&record.job).ok_or_else(|| no_replay(run))?;
        let recorded = record.pre_noise.ok_or_else(|| no_replay(run))?;
        let granted = state.authorise_run(record)?;
        let (contract, rules) = (&job.contract, state.rulepack());
        let answered = async {
            let reader = self.reader(&granted)?;
            // What the gate cleared in each round is taken as it was sealed: no noise.
            let cleared = |round, _| self.sealed_round(record, round);
            self.passes(&self.work(contract, granted.get(), &reader, rules)?, rules, cleared).await
        };
        let answered = answered.await.map_err(Fault::told)?;
        let same = answered.commitment == Some(recorded);
        Ok((if same { Replayed::Same } else { Replayed::Different }, answered.answers))
    }
}

fn no_replay(run: &RunId) -> Refusal {
    Refusal::refused(
        "run.no-replay",
        text("这次运行无法重放", "this run cannot be replayed"),
        text("查看运行记录", "look at the run's record"),
    )
    .at(run.as_str())
}
