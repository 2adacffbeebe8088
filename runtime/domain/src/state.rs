//! What the ledger means now: a pure fold over its entries.
//!
//! Nothing else holds state. Start-up replays; a command is decided against this,
//! recorded, applied to this, and only then acted on.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Digest, Timestamp,
    agreement::{Agreement, View},
    approval::Vote,
    catalogue::CatalogueEntry,
    contract::Contract,
    day_of,
    event::{Actor, DomainKind, Entry, Event},
    id::{AgreementId, DatasetId, JobId, OrgId, PersonId, ProductId, RunId, SnapshotId, ViewId},
    lang::text,
    person::{Person, PublicKey},
    refusal::Refusal,
    rulepack::RulePack,
};

/// The projection of a ledger.
#[derive(Debug, Clone)]
pub struct State {
    rulepack: RulePack,
    next_seq: u64,
    at: Timestamp,
    last_number: u64,
    domain: Option<DomainInfo>,
    people: BTreeMap<PersonId, Person>,
    datasets: BTreeMap<DatasetId, DatasetState>,
    agreements: BTreeMap<AgreementId, Agreement>,
    jobs: BTreeMap<JobId, JobState>,
    refused: Vec<RefusedJob>,
    runs: BTreeMap<RunId, RunState>,
    products: BTreeMap<ProductId, ProductState>,
    spent: BTreeMap<(DatasetId, i16), Spent>,
    spent_by_agreement: BTreeMap<(AgreementId, i16), f64>,
    closed: BTreeSet<i16>,
}

/// What a dataset root has paid.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// zCDP.
    pub rho: f64,
    /// Chance that what ρ bounds does not hold.
    pub delta: f64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.rho += other.rho;
        self.delta += other.delta;
    }
}

/// The domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: DomainKind,
    /// Signs checkpoints and receipts.
    pub ledger_key: PublicKey,
    /// The rule pack that it began with, and its digest.
    pub rules: (String, Digest),
}

/// Proof that the ledger belongs to a domain made by `sluice demo` over public
/// data. Only [`State::demo`] makes one; what may never run on real people's data
/// (measuring an attacker's advantage) asks for it.
#[derive(Debug)]
pub struct DemoDomain(());

/// A dataset and its snapshots.
#[derive(Debug, Clone)]
pub struct DatasetState {
    /// The catalogue entry in force.
    pub entry: CatalogueEntry,
    /// How many versions the entry has had.
    pub version: u32,
    /// Oldest first.
    pub snapshots: Vec<SnapshotState>,
}

impl DatasetState {
    /// The entry in force, as it holds of `snapshot`: rows that were held to another one
    /// may have combinations that this one says are impossible.
    pub(crate) fn entry_for(&self, snapshot: &SnapshotState) -> CatalogueEntry {
        let mut entry = self.entry.clone();
        if snapshot.version != self.version {
            entry.impossible.clear();
        }
        entry
    }
}

/// One sealed ingest.
#[derive(Debug, Clone)]
pub struct SnapshotState {
    /// Its name.
    pub id: SnapshotId,
    /// Rows.
    pub rows: u64,
    /// Units on the published roster.
    pub roster_size: u64,
    /// Keyed commitment to the content.
    pub commitment: Digest,
    /// SHA-256 of the sealed file.
    pub sealed_file: Digest,
    /// Which version of the catalogue entry its rows were held to.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// Who took it in.
    pub by: Actor,
}

/// A job that was taken in.
#[derive(Debug, Clone)]
pub struct JobState {
    /// Its name.
    pub id: JobId,
    /// Who submitted it.
    pub person: PersonId,
    /// For whom.
    pub operator: OrgId,
    /// The frozen contract.
    pub contract: Contract,
    /// Its digest.
    pub contract_digest: Digest,
    /// When it was accepted: the release tick counts from here.
    pub at: Timestamp,
    /// Its run, once there is one.
    pub run: Option<RunId>,
}

/// A submission that was turned away.
#[derive(Debug, Clone)]
pub struct RefusedJob {
    /// For whom.
    pub operator: OrgId,
    /// The job's name as submitted.
    pub name: String,
    /// Code of the refusal.
    pub code: String,
    /// When.
    pub at: Timestamp,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Under way, or interrupted and not yet cleared up.
    Started,
    /// A candidate waits for votes.
    InReview,
    /// A reviewer returned or rejected it.
    Declined,
    /// Approved, not yet released.
    Approved,
    /// A product is out.
    Released,
    /// Ended without a candidate.
    Void,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunState {
    /// Its name.
    pub id: RunId,
    /// Its job.
    pub job: JobId,
    /// What it read.
    pub snapshots: Vec<(DatasetId, SnapshotId)>,
    /// ρ charged per dataset root.
    pub charges: Vec<(DatasetId, f64)>,
    /// δ charged to each of them.
    pub delta: f64,
    /// How far it has come.
    pub stage: Stage,
    /// When it started.
    pub at: Timestamp,
    /// Keyed commitment to the candidate.
    pub candidate: Option<Digest>,
    /// SHA-256 of the sealed candidate object.
    pub sealed_object: Option<Digest>,
    /// Keyed commitment to all answers before noise.
    pub pre_noise: Option<Digest>,
    /// Keyed commitments to the cleared tables of every round but the last.
    pub rounds: Vec<Digest>,
    /// Keyed commitment to what it entered in the release ledger of route C.
    pub lineage: Option<Digest>,
    /// Keyed commitment to the evidence for its reviewers.
    pub evidence: Option<Digest>,
    /// Votes in the order they were cast.
    pub votes: Vec<Vote>,
    /// Reviewers who opened the candidate.
    pub opened_by: BTreeSet<PersonId>,
    /// Position of the entry that approved it.
    pub approved_at_seq: Option<u64>,
    /// Its product, once released.
    pub product: Option<ProductId>,
    /// Code of the reason it is void.
    pub void: Option<String>,
}

/// A product that is out.
#[derive(Debug, Clone)]
pub struct ProductState {
    /// Its name.
    pub id: ProductId,
    /// The run it came from.
    pub run: RunId,
    /// Files and their SHA-256.
    pub files: Vec<(String, Digest)>,
    /// When it was released.
    pub at: Timestamp,
}

/// Proof that an agreement in force grants something. Only [`State::authorise`]
/// makes one.
#[derive(Debug)]
pub struct Authorised<T> {
    agreement: AgreementId,
    inner: T,
}

impl<T> Authorised<T> {
    /// What is granted.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// The agreement that grants it.
    pub fn agreement(&self) -> &AgreementId {
        &self.agreement
    }
}

/// A view with the catalogue entry and snapshot it reads.
#[derive(Debug, Clone)]
pub struct GrantedView {
    /// The view's name in SQL.
    pub id: ViewId,
    /// Columns, filter, masks.
    pub view: View,
    /// The dataset's catalogue entry; of impossible combinations those that the snapshot
    /// was found not to have.
    pub entry: CatalogueEntry,
    /// The newest snapshot.
    pub snapshot: SnapshotId,
    /// Units on its published roster.
    pub roster_size: u64,
}

impl State {
    /// The state of an empty ledger.
    pub fn new(rulepack: RulePack) -> Self {
        Self {
            rulepack,
            next_seq: 0,
            at: Timestamp::MIN,
            last_number: 0,
            domain: None,
            people: BTreeMap::new(),
            datasets: BTreeMap::new(),
            agreements: BTreeMap::new(),
            jobs: BTreeMap::new(),
            refused: Vec::new(),
            runs: BTreeMap::new(),
            products: BTreeMap::new(),
            spent: BTreeMap::new(),
            spent_by_agreement: BTreeMap::new(),
            closed: BTreeSet::new(),
        }
    }

    /// Folds one entry in. Entries come in order, each once.
    pub fn apply(&mut self, entry: &Entry) {
        self.next_seq = entry.seq.saturating_add(1);
        let at = entry.at;
        self.at = self.at.max(at);
        match entry.event.clone() {
            Event::DomainCreated { name, kind, ledger_key, rulepack, rulepack_digest } => {
                self.domain = Some(DomainInfo { name, kind, ledger_key, rules: (rulepack, rulepack_digest) })
            }
            Event::PersonEnrolled { person } => {
                self.people.insert(person.id.clone(), person);
            }
            Event::DatasetRegistered { entry } => {
                let dataset = self.datasets.entry(entry.dataset.id.clone()).or_insert_with(|| DatasetState {
                    entry: entry.clone(),
                    version: 0,
                    snapshots: Vec::new(),
                });
                dataset.version += u32::from(dataset.version == 0 || dataset.entry != entry);
                dataset.entry = entry;
            }
            Event::SnapshotSealed { dataset, snapshot, rows, roster_size, commitment, sealed_file } => {
                if let Some(d) = self.datasets.get_mut(&dataset) {
                    let by = entry.actor.clone();
                    // One ingest at a time: the entry in force is its own.
                    let version = d.version;
                    d.snapshots.push(SnapshotState {
                        id: snapshot,
                        rows,
                        roster_size,
                        commitment,
                        sealed_file,
                        version,
                        at,
                        by,
                    });
                }
            }
            Event::AgreementSigned { agreement } => {
                self.agreements.insert(agreement.agreement.id.clone(), agreement);
            }
            Event::JobAccepted { job, person, operator, contract, contract_digest, .. } => {
                let contract = *contract;
                self.last_number = self.last_number.max(job.number());
                self.jobs.insert(
                    job.clone(),
                    JobState { id: job, person, operator, contract, contract_digest, at, run: None },
                );
            }
            Event::JobRefused { operator, name, code, .. } => {
                self.refused.push(RefusedJob { operator, name, code, at })
            }
            Event::RunStarted { run, job, snapshots, charges, delta } => {
                self.last_number = self.last_number.max(run.number());
                self.start_run(run, job, snapshots, (charges, delta), at)
            }
            Event::RunFinished { run, candidate, pre_noise, rounds, lineage, evidence, sealed_object } => {
                self.on_run(&run, |r| {
                    r.stage = Stage::InReview;
                    r.candidate = Some(candidate);
                    r.pre_noise = pre_noise;
                    r.rounds = rounds;
                    r.lineage = lineage;
                    r.evidence = evidence;
                    r.sealed_object = Some(sealed_object);
                })
            }
            Event::RunVoid { run, code } => self.on_run(&run, |r| {
                r.stage = Stage::Void;
                r.void = Some(code);
            }),
            Event::CandidateOpened { run, reviewer } => self.on_run(&run, |r| {
                r.opened_by.insert(reviewer);
            }),
            Event::VoteCast { vote } => self.on_run(&vote.run.clone(), |r| {
                if vote.decision != crate::approval::Decision::Approve {
                    r.stage = Stage::Declined;
                }
                r.votes.push(vote);
            }),
            Event::Approved { run, .. } => self.on_run(&run, |r| {
                r.stage = Stage::Approved;
                r.approved_at_seq = Some(entry.seq);
            }),
            Event::ProductReleased { product, run, files } => {
                self.on_run(&run, |r| {
                    r.stage = Stage::Released;
                    r.product = Some(product.clone());
                });
                self.products.insert(product.clone(), ProductState { id: product, run, files, at });
            }
            Event::DomainRestored { years, charges, agreements, .. } => {
                // What the lost entries numbered is not numbered anew.
                self.last_number = self.last_number.max(entry.seq);
                self.closed.extend(years);
                for charge in charges {
                    let spent = Spent { rho: charge.rho, delta: charge.delta };
                    *self.spent.entry((charge.root, charge.year)).or_default() += spent;
                }
                for (agreement, year, rho) in agreements {
                    *self.spent_by_agreement.entry((agreement, year)).or_default() += rho;
                }
            }
            Event::SignedIn { .. }
            | Event::SignInFailed { .. }
            | Event::ProductDownloaded { .. }
            | Event::MarkTraced { .. }
            | Event::LedgerExported { .. } => {}
        }
    }

    fn start_run(
        &mut self,
        run: RunId,
        job: JobId,
        snapshots: Vec<(DatasetId, SnapshotId)>,
        (charges, delta): (Vec<(DatasetId, f64)>, f64),
        at: Timestamp,
    ) {
        let year = day_of(at).year();
        for (root, rho) in &charges {
            *self.spent.entry((root.clone(), year)).or_default() += Spent { rho: *rho, delta };
        }
        if let Some(j) = self.jobs.get_mut(&job) {
            j.run = Some(run.clone());
            let most = charges.iter().map(|(_, rho)| *rho).fold(0.0, f64::max);
            *self.spent_by_agreement.entry((j.contract.agreement.clone(), year)).or_default() += most;
        }
        self.runs.insert(
            run.clone(),
            RunState {
                id: run,
                job,
                snapshots,
                charges,
                delta,
                stage: Stage::Started,
                at,
                candidate: None,
                sealed_object: None,
                pre_noise: None,
                rounds: Vec::new(),
                lineage: None,
                evidence: None,
                votes: Vec::new(),
                opened_by: BTreeSet::new(),
                approved_at_seq: None,
                product: None,
                void: None,
            },
        );
    }

    fn on_run(&mut self, run: &RunId, change: impl FnOnce(&mut RunState)) {
        if let Some(r) = self.runs.get_mut(run) {
            change(r);
        }
    }

    /// The rule pack in force.
    pub fn rulepack(&self) -> &RulePack {
        &self.rulepack
    }

    /// The number of the next job, and of its run: jobs are counted, not entries. An
    /// operator sees it, and entries tell when runs start and end.
    pub fn next_number(&self) -> u64 {
        self.last_number.saturating_add(1)
    }

    /// The moment of what is recorded at `now`: a clock that was set back stands still, or a
    /// year that is over would have budget again, and an agreement that has ended be in force.
    pub fn moment(&self, now: Timestamp) -> Timestamp {
        self.at.max(now)
    }

    /// Position of the next entry.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The domain, once created.
    pub fn domain(&self) -> Option<&DomainInfo> {
        self.domain.as_ref()
    }

    /// The proof that this is a demo domain, if it is one.
    pub fn demo(&self) -> Option<DemoDomain> {
        self.domain.as_ref().filter(|d| d.kind == DomainKind::Demo).map(|_| DemoDomain(()))
    }

    /// A person.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.get(id)
    }

    /// Everybody with an account.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// A dataset.
    pub fn dataset(&self, id: &DatasetId) -> Option<&DatasetState> {
        self.datasets.get(id)
    }

    /// Every dataset.
    pub fn datasets(&self) -> impl Iterator<Item = &DatasetState> {
        self.datasets.values()
    }

    /// An agreement, in force or not.
    pub fn agreement(&self, id: &AgreementId) -> Option<&Agreement> {
        self.agreements.get(id)
    }

    /// Every agreement.
    pub fn agreements(&self) -> impl Iterator<Item = &Agreement> {
        self.agreements.values()
    }

    /// A job.
    pub fn job(&self, id: &JobId) -> Option<&JobState> {
        self.jobs.get(id)
    }

    /// Every job, oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = &JobState> {
        self.jobs.values()
    }

    /// Submissions that were turned away.
    pub fn refused(&self) -> &[RefusedJob] {
        &self.refused
    }

    /// A run.
    pub fn run(&self, id: &RunId) -> Option<&RunState> {
        self.runs.get(id)
    }

    /// Every run, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = &RunState> {
        self.runs.values()
    }

    /// A product.
    pub fn product(&self, id: &ProductId) -> Option<&ProductState> {
        self.products.get(id)
    }

    /// Every product, oldest first.
    pub fn products(&self) -> impl Iterator<Item = &ProductState> {
        self.products.values()
    }

    /// What a dataset root has paid in a calendar year.
    pub fn spent(&self, root: &DatasetId, year: i16) -> Spent {
        self.spent.get(&(root.clone(), year)).copied().unwrap_or_default()
    }

    /// What a dataset root has paid since its first ingest.
    pub fn spent_ever(&self, root: &DatasetId) -> Spent {
        let years = self.spent.iter().filter(|((of, _), _)| of == root);
        years.fold(Spent::default(), |mut sum, (_, year)| {
            sum += *year;
            sum
        })
    }

    /// ρ per year that agreements in force at some time of `year` are allotted over a
    /// dataset root.
    pub fn allotted(&self, root: &DatasetId, year: i16) -> f64 {
        let over = |a: &&Agreement| a.views.values().any(|v| v.dataset == *root);
        let in_force = |a: &&Agreement| a.agreement.in_year(year);
        self.agreements.values().filter(over).filter(in_force).map(|a| a.agreement.rho_per_year).sum()
    }

    /// ρ spent under an agreement in a calendar year.
    pub fn spent_under(&self, agreement: &AgreementId, year: i16) -> f64 {
        self.spent_by_agreement.get(&(agreement.clone(), year)).copied().unwrap_or(0.0)
    }

    /// Whether a restore closed the budgets of a calendar year.
    pub fn is_closed(&self, year: i16) -> bool {
        self.closed.contains(&year)
    }

    /// Whether a restore lost entries: then nobody knows any more what had been released.
    pub fn forgot(&self) -> bool {
        !self.closed.is_empty()
    }

    /// The agreement `id` of `operator`. Another operator's, in force or not,
    /// answers as if there were none.
    ///
    /// # Errors
    /// `agreement.unknown`.
    pub fn agreement_of(&self, operator: &OrgId, id: &AgreementId) -> Result<&Agreement, Refusal> {
        self.agreements.get(id).filter(|a| a.agreement.operator == *operator).ok_or_else(|| unknown_agreement(id))
    }

    /// The views of an agreement, if it is in force on the day of `now`.
    ///
    /// # Errors
    /// `agreement.unknown`, `agreement.not-in-force`, `view.no-snapshot`.
    pub fn authorise(&self, id: &AgreementId, now: Timestamp) -> Result<Authorised<Vec<GrantedView>>, Refusal> {
        let agreement = self.agreements.get(id).ok_or_else(|| unknown_agreement(id))?;
        let (today, terms) = (day_of(now), &agreement.agreement);
        if today < terms.from || terms.to < today {
            return Err(Refusal::refused(
                "agreement.not-in-force",
                text(
                    format!("授权协议的期限是 {} 至 {}", terms.from, terms.to),
                    format!("the agreement runs from {} to {}", terms.from, terms.to),
                ),
                text("续期须重新申请", "a renewal is a new application"),
            )
            .at(id.as_str()));
        }
        let views = agreement.views.iter().map(|(view_id, view)| {
            let missing = || {
                Refusal::refused(
                    "view.no-snapshot",
                    text("视图所指的数据集尚无快照", "the view's dataset has no snapshot yet"),
                    text("等待数据提供单位入库", "wait for the provider's ingest"),
                )
                .at(view_id.as_str())
            };
            let dataset = self.datasets.get(&view.dataset).ok_or_else(missing)?;
            let snapshot = dataset.snapshots.last().ok_or_else(missing)?;
            Ok(GrantedView {
                id: view_id.clone(),
                view: view.clone(),
                entry: dataset.entry_for(snapshot),
                snapshot: snapshot.id.clone(),
                roster_size: snapshot.roster_size,
            })
        });
        Ok(Authorised { agreement: id.clone(), inner: views.collect::<Result<_, Refusal>>()? })
    }

    /// Those of the authorised views that read `dataset`, on another of its snapshots: for
    /// the release ledger alone, which holds what is asked now against what was cleared
    /// then. None if the dataset has no such snapshot.
    pub fn on_snapshot(
        &self,
        granted: &Authorised<Vec<GrantedView>>,
        dataset: &DatasetId,
        snapshot: &SnapshotId,
    ) -> Option<Authorised<Vec<GrantedView>>> {
        let other = self.datasets.get(dataset)?.snapshots.iter().find(|s| s.id == *snapshot)?;
        let on = |view: &GrantedView| GrantedView {
            snapshot: other.id.clone(),
            roster_size: other.roster_size,
            ..view.clone()
        };
        let views = granted.inner.iter().filter(|v| v.view.dataset == *dataset).map(on).collect();
        Some(Authorised { agreement: granted.agreement.clone(), inner: views })
    }

    /// The views of a recorded run, on the snapshots it was charged for, whatever
    /// has been ingested since: what a run reads, and what its replay reads again.
    ///
    /// # Errors
    /// As [`State::authorise`] at the moment the run started.
    pub fn authorise_run(&self, run: &RunState) -> Result<Authorised<Vec<GrantedView>>, Refusal> {
        let no = || {
            Refusal::refused(
                "run.unknown",
                text("没有这次运行的记录", "there is no record of this run"),
                text("查看运行列表", "look at the list of runs"),
            )
            .at(run.id.as_str())
        };
        let job = self.jobs.get(&run.job).ok_or_else(no)?;
        let mut granted = self.authorise(&job.contract.agreement, run.at)?;
        for view in &mut granted.inner {
            let (_, pinned) = run.snapshots.iter().find(|(dataset, _)| *dataset == view.view.dataset).ok_or_else(no)?;
            let dataset = self.datasets.get(&view.view.dataset).ok_or_else(no)?;
            let snapshot = dataset.snapshots.iter().find(|s| s.id == *pinned).ok_or_else(no)?;
            view.snapshot = snapshot.id.clone();
            view.entry = dataset.entry_for(snapshot);
            view.roster_size = snapshot.roster_size;
        }
        Ok(granted)
    }
}

fn unknown_agreement(id: &AgreementId) -> Refusal {
    Refusal::refused(
        "agreement.unknown",
        text("没有这份授权协议", "there is no such agreement"),
        text("请向主管部门查询授权协议", "ask the bureau about the agreement"),
    )
    .at(id.as_str())
}
