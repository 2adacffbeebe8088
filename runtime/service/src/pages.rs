//! What the console shows, as plain types. Those for operators (`OperatorJob`,
//! `ProductPage`) have no field that could carry run data before its release:
//! no reasons, no durations, no sizes, no error text.

use serde::Serialize;
use sluice_domain::{
    Date, Digest, Text, Timestamp,
    agreement::{Agreement, ProductForm},
    approval::{Decision, Vote},
    artefact::{Artefact, Content},
    candidate::{Candidate, CandidateTable},
    contract::Contract,
    evidence::Check,
    id::{AgreementId, DatasetId, JobId, OrgId, PersonId, ProductId, RunId, SnapshotId},
};

use crate::RootAccount;

/// The first page after sign-in.
pub struct Inbox {
    /// Candidates that a reviewer may open, oldest first. Empty for other roles.
    pub waiting: Vec<Waiting>,
    /// Jobs: an operator's own, or all for the bureau. Newest first.
    pub jobs: Vec<OperatorJob>,
}

/// A candidate that waits for votes.
pub struct Waiting {
    /// Its run.
    pub run: RunId,
    /// The product's title.
    pub title: String,
    /// Who submitted it.
    pub operator: OrgId,
    /// The scenario's title.
    pub scenario: String,
    /// Form of the product.
    pub form: ProductForm,
    /// Since when it waits.
    pub since: Timestamp,
    /// How many votes are in. Whose and what they say stays hidden until all are.
    pub votes_cast: usize,
    /// How many it takes.
    pub votes_needed: usize,
    /// Whether the one who looks has voted.
    pub voted: bool,
}

/// A job as its operator sees it.
pub struct OperatorJob {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// For whom.
    pub operator: OrgId,
    /// Where it stands. Before the release tick it never depends on the data.
    pub status: JobStatus,
    /// Who has to act next.
    pub holder: Text,
    /// Since when.
    pub since: Timestamp,
    /// The release tick fixed with the contract.
    pub tick: Timestamp,
    /// What reviewers wrote on returning or rejecting it.
    pub comments: Vec<String>,
    /// The product, once it is out.
    pub product: Option<ProductId>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// From acceptance until the tick, whenever the run starts and however long it takes.
    Running,
    /// It was not started before its tick, and not charged.
    NotRun,
    /// Two reviewers decide.
    InReview,
    /// A reviewer sent it back.
    Returned,
    /// A reviewer rejected it.
    Rejected,
    /// A product is out.
    Released,
    /// The host failed; the charge stands.
    Void,
}

impl JobStatus {
    /// Its name for people.
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::Running => ("运行中", "Running"),
            Self::NotRun => ("未运行，未计费", "Not run, not charged"),
            Self::InReview => ("审核中", "In review"),
            Self::Returned => ("已退回", "Returned"),
            Self::Rejected => ("已驳回", "Rejected"),
            Self::Released => ("已出域", "Released"),
            Self::Void => ("作废", "Void"),
        };
        sluice_domain::text(zh, en)
    }
}

/// Everything a reviewer needs to decide about one candidate.
pub struct Workbench {
    /// Its run.
    pub run: RunId,
    /// Its job.
    pub job: JobId,
    /// The candidate: published numbers, marks, reasons.
    pub candidate: Candidate,
    /// The candidate's canonical bytes as text, exactly what is voted on.
    pub raw: String,
    /// Keyed commitment to those bytes; a vote is bound to it.
    pub commitment: Digest,
    /// The charts of its tables, none of models: (table name, SVG drawn by the host).
    pub charts: Vec<(String, String)>,
    /// What an outer room composed, drawn by the host.
    pub artefacts: Vec<Shown>,
    /// What the host found out beside the rules; none for routes A and B.
    pub evidence: Vec<ShownCheck>,
    /// What the numbers are, per table.
    pub said: Vec<Said>,
    /// The gate's findings, riskiest first.
    pub findings: Vec<Finding>,
    /// Since the last approved job of this name; none when there is none.
    pub changes: Option<Changes>,
    /// What withheld places and refusals have told so far.
    pub bits: Bits,
    /// The frozen contract.
    pub contract: Contract,
    /// Its digest.
    pub contract_digest: Digest,
    /// The agreement it runs under.
    pub agreement: Agreement,
    /// Who submitted it, for whom.
    pub submitted_by: (PersonId, OrgId),
    /// When it was submitted.
    pub submitted: Timestamp,
    /// Snapshots it read, with their keyed commitments.
    pub snapshots: Vec<(DatasetId, SnapshotId, Digest)>,
    /// ρ charged per dataset root.
    pub charges: Vec<(DatasetId, f64)>,
    /// The reader's own vote, once cast.
    pub my_vote: Option<Vote>,
    /// How many votes are in, of how many.
    pub votes: (usize, usize),
    /// All votes, once everything is decided; hidden before.
    pub decided: Option<Vec<Vote>>,
    /// Comments on earlier jobs of the same name by the same operator: (job, decision, comment).
    pub earlier: Vec<(JobId, Decision, String)>,
    /// The release tick.
    pub tick: Timestamp,
    /// The product, once it is out.
    pub product: Option<ProductId>,
}

/// What the numbers of a table are.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// The route and its claim.
    pub table: Text,
    /// Each noised column; none for route C.
    pub columns: Vec<ColumnSaid>,
}

/// What the numbers of a column are.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnSaid {
    /// The column.
    pub name: String,
    /// In a word, where they are not simply noised: post-processed, a median, a ratio.
    pub mark: Option<Text>,
    /// σ, the 95 % interval, and what they rest on.
    pub text: Text,
}

/// What is different since the last job of the same name that reviewers approved.
#[derive(Debug, Clone, Serialize)]
pub struct Changes {
    /// That job.
    pub since: JobId,
    /// When its run started.
    pub at: Timestamp,
    /// Field by field, in the contract's order; empty when only the time is another.
    pub fields: Vec<Change>,
}

/// One field of a contract that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its place, such as `tables.rose.rho`.
    pub field: String,
    /// What it was; none when it is new.
    pub before: Option<String>,
    /// What it is; none when it is gone.
    pub after: Option<String>,
    /// Both in one, word by word, where both are there.
    pub words: Vec<(Word, String)>,
}

/// What became of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It stayed.
    Kept,
    /// It is gone.
    Gone,
    /// It is new.
    New,
}

/// Bits that an agreement and its operator may have been told beside their products.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bits {
    /// Refusals of this calendar year that depend on data and were shown, one bit each.
    pub refusals: usize,
    /// Most that may be shown.
    pub refusals_max: usize,
    /// Places of withheld cells over all runs of the operator.
    pub pattern: f64,
    /// Where reviewers are alerted.
    pub pattern_alert: f64,
}

/// An artefact, ready to be shown: a text to be escaped, or a chart.
pub struct Shown {
    /// Its file name.
    pub name: String,
    /// The text; empty for a chart.
    pub text: String,
    /// The chart as SVG drawn by the host.
    pub svg: Option<String>,
}

impl Shown {
    /// Shows `artefact`.
    pub fn of(artefact: &Artefact) -> Self {
        let (text, svg) = match &artefact.content {
            Content::Text(text) => (text.clone(), None),
            Content::Chart(chart) => (String::new(), Some(crate::chart::draw_spec(chart))),
        };
        Self { name: artefact.name.clone(), text, svg }
    }
}

/// One check of the evidence, ready to be shown.
pub struct ShownCheck {
    /// The check.
    pub check: Check,
    /// Its plot as SVG drawn by the host.
    pub svg: Option<String>,
}

impl ShownCheck {
    /// Shows `check`.
    pub fn of(check: Check) -> Self {
        let svg = check.plot.as_ref().map(crate::chart::draw_spec);
        Self { check, svg }
    }
}

/// One sentence of the gate for the reviewers.
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// The sentence.
    pub text: Text,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Look at this first.
    Risk,
    /// Good to know.
    Note,
    /// What the checks above cannot show.
    Limit,
}

/// What a reviewer hands in.
pub struct Ballot {
    /// The run.
    pub run: RunId,
    /// The commitment shown on the page the reviewer looked at.
    pub seen: Digest,
    /// The decision.
    pub decision: Decision,
    /// Why.
    pub comment: String,
}

/// What came of a vote.
pub enum Voted {
    /// More votes are needed.
    Counted,
    /// It was returned or rejected.
    Declined,
    /// Approved; it is released at the tick.
    ApprovedUntil(Timestamp),
    /// Approved and released.
    Released(ProductId),
}

/// A line of the product list.
pub struct ProductLine {
    /// The product.
    pub id: ProductId,
    /// Its title.
    pub title: String,
    /// Its form.
    pub form: ProductForm,
    /// For whom it was made.
    pub operator: OrgId,
    /// When it was released.
    pub released: Timestamp,
}

/// 隐私账: every dataset root and what its agreements may still spend.
#[derive(Debug, Clone, Serialize)]
pub struct AccountPage {
    /// The calendar year.
    pub year: i16,
    /// One per dataset root.
    pub roots: Vec<RootLine>,
}

/// One dataset root's account.
#[derive(Debug, Clone, Serialize)]
pub struct RootLine {
    /// The dataset's title.
    pub title: String,
    /// What it has paid.
    pub account: RootAccount,
    /// δ spent this year.
    pub delta_of_year: f64,
    /// δ left this year.
    pub delta_left: f64,
    /// ρ of this year that agreements in force are allotted.
    pub allotted: f64,
    /// Its agreements, in force or not.
    pub agreements: Vec<AgreementLine>,
}

/// What one agreement may spend and has been told.
#[derive(Debug, Clone, Serialize)]
pub struct AgreementLine {
    /// The agreement.
    pub id: AgreementId,
    /// Its operator.
    pub operator: OrgId,
    /// First and last day.
    pub term: (Date, Date),
    /// Whether it is in force today.
    pub in_force: bool,
    /// ρ a year.
    pub allotted: f64,
    /// ρ charged this year.
    pub charged: f64,
    /// ρ it can still be charged this year: no more than any of its roots has left.
    pub left: f64,
    /// What refusals and withheld places have told.
    pub bits: Bits,
}

/// A released product.
pub struct ProductPage {
    /// The line above.
    pub line: ProductLine,
    /// Its tables; withheld cells carry the one mark and no reasons.
    pub tables: Vec<CandidateTable>,
    /// What the numbers are, per table.
    pub said: Vec<Said>,
    /// The charts of its tables, none of models: (table name, SVG).
    pub charts: Vec<(String, String)>,
    /// What an outer room composed, drawn by the host.
    pub artefacts: Vec<Shown>,
    /// Files: (name, SHA-256, bytes).
    pub files: Vec<(String, Digest, u64)>,
    /// What to do about withheld cells, computed without the data.
    pub next_steps: Vec<Text>,
}

/// A file of a product.
pub struct ProductFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A page of the ledger, newest first.
pub struct LedgerPage {
    /// The lines.
    pub lines: Vec<LedgerLine>,
    /// How many entries there are.
    pub total: u64,
    /// The newest signed checkpoint.
    pub checkpoint: String,
    /// The position to ask for next, if there are older entries.
    pub older: Option<u64>,
}

/// A line of the ledger.
pub struct LedgerLine {
    /// Position.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a person, or Sluice itself.
    pub actor: Option<PersonId>,
    /// What, in a few words.
    pub summary: Text,
    /// The entry as it stands in the log.
    pub json: String,
}
