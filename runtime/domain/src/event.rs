//! What can happen. An event that is not in the ledger did not happen.
//!
//! Events carry ids, counts that are public, and digests; never a value from the
//! data, and nothing data-dependent that an operator may read.

use serde::{Deserialize, Serialize};

use crate::{
    Digest, Timestamp,
    agreement::Agreement,
    approval::Vote,
    catalogue::CatalogueEntry,
    contract::Contract,
    id::{AgreementId, DatasetId, JobId, OrgId, PersonId, ProductId, RunId, SnapshotId},
    person::{Person, PublicKey, Signature},
};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position, from 0.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub event: Event,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A person, signed in.
    Person(PersonId),
    /// Sluice itself: recovery, ticks, runs.
    System,
}

/// Something that may be recorded: it knows its own event.
pub trait Recordable {
    /// The event that records it.
    fn event(&self) -> Event;
}

impl Recordable for Event {
    fn event(&self) -> Event {
        self.clone()
    }
}

/// What a domain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainKind {
    /// Real people's data.
    Production,
    /// Made by `sluice demo` over public data, bound to loopback. The only kind
    /// on which an attacker's advantage may be measured.
    Demo,
}

/// Everything that can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The first entry of every ledger.
    DomainCreated {
        /// Name of the domain.
        name: String,
        /// What it is for.
        kind: DomainKind,
        /// Signs checkpoints and receipts.
        ledger_key: PublicKey,
        /// Version of the rule pack in force.
        rulepack: String,
        /// SHA-256 of the rule pack's text.
        rulepack_digest: Digest,
    },
    /// A person got an account.
    PersonEnrolled {
        /// Who.
        person: Person,
    },
    /// Somebody signed in to the console.
    SignedIn {
        /// Who.
        person: PersonId,
    },
    /// Somebody tried to sign in with a wrong name or password.
    SignInFailed {
        /// The account, when it exists.
        person: Option<PersonId>,
    },
    /// A dataset entered the catalogue, or its entry changed.
    DatasetRegistered {
        /// The entry, whole.
        entry: CatalogueEntry,
    },
    /// An ingest was sealed. The files become visible after this is recorded.
    SnapshotSealed {
        /// The dataset.
        dataset: DatasetId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// Rows taken in.
        rows: u64,
        /// Units on the public roster, published once per snapshot by the bureau.
        roster_size: u64,
        /// Keyed commitment (HMAC-SHA-256) to the content.
        commitment: Digest,
        /// SHA-256 of the sealed file.
        sealed_file: Digest,
    },
    /// An agreement was signed.
    AgreementSigned {
        /// The agreement, whole.
        agreement: Agreement,
    },
    /// A job was taken in. Its contract is frozen from here on.
    JobAccepted {
        /// The job.
        job: JobId,
        /// Who submitted it.
        person: PersonId,
        /// For whom.
        operator: OrgId,
        /// The contract, whole.
        contract: Box<Contract>,
        /// Its digest.
        contract_digest: Digest,
        /// The submitter's signature over [`job_message`].
        signature: Signature,
    },
    /// A submission was turned away.
    JobRefused {
        /// For whom.
        operator: OrgId,
        /// The job's name, as submitted.
        name: String,
        /// SHA-256 of the guest, if one was sent.
        guest: Option<Digest>,
        /// Code of the refusal.
        code: String,
    },
    /// The charge was made and the run may start. Never refunded.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
        /// What it reads.
        snapshots: Vec<(DatasetId, SnapshotId)>,
        /// ρ charged to each dataset root.
        charges: Vec<(DatasetId, f64)>,
        /// δ charged to each of them.
        #[serde(default, skip_serializing_if = "crate::contract::is_nothing")]
        delta: f64,
    },
    /// The run ended and its candidate is sealed.
    RunFinished {
        /// The run.
        run: RunId,
        /// Keyed commitment to the sealed candidate.
        candidate: Digest,
        /// Keyed commitment to all answers before noise, of every table and round
        /// (routes A and B).
        pre_noise: Option<Digest>,
        /// Keyed commitments to the cleared tables of every round but the last.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rounds: Vec<Digest>,
        /// Keyed commitment to what the run enters in the release ledger of route C, as if
        /// published; none without a table of route C.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lineage: Option<Digest>,
        /// Keyed commitment to the evidence for the reviewers; none for routes A and B.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Digest>,
        /// SHA-256 of the sealed candidate object.
        sealed_object: Digest,
    },
    /// The run ended without a candidate. The charge stands.
    RunVoid {
        /// The run.
        run: RunId,
        /// Why, as a fixed code that no data can choose.
        code: String,
    },
    /// A reviewer opened a candidate.
    CandidateOpened {
        /// The run.
        run: RunId,
        /// Who.
        reviewer: PersonId,
    },
    /// A reviewer voted.
    VoteCast {
        /// The vote, signed.
        vote: Vote,
    },
    /// Two reviewers said yes to the same bytes.
    Approved {
        /// The run.
        run: RunId,
        /// Keyed commitment to the candidate.
        candidate: Digest,
        /// The votes it rests on.
        votes: Vec<Vote>,
    },
    /// A product is out. The files are written after this is recorded.
    ProductReleased {
        /// The product.
        product: ProductId,
        /// The run it came from.
        run: RunId,
        /// File names and their SHA-256.
        files: Vec<(String, Digest)>,
    },
    /// Somebody took a product's file away.
    ProductDownloaded {
        /// The product.
        product: ProductId,
        /// Which file.
        file: String,
        /// Who.
        person: PersonId,
    },
    /// Somebody asked which recipient's copy a found file is.
    MarkTraced {
        /// SHA-256 of the file.
        file: Digest,
    },
    /// Old files took over. What their ledger may have forgotten counts as charged, unless
    /// its later entries were presented.
    DomainRestored {
        /// How many entries the ledger held.
        entries: u64,
        /// The newest checkpoint that was known (C2SP signed note).
        checkpoint: String,
        /// Calendar years in which nothing more is charged to anybody; none where the
        /// later entries were presented.
        years: Vec<i16>,
        /// What that cost each dataset root.
        charges: Vec<RestoreCharge>,
        /// ρ that it cost each agreement, by year.
        agreements: Vec<(AgreementId, i16, f64)>,
    },
    /// The ledger was exported for an auditor.
    LedgerExported {
        /// How many entries it held.
        entries: u64,
    },
}

/// What a restore charges a dataset root for one calendar year.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreCharge {
    /// The root.
    pub root: DatasetId,
    /// The calendar year.
    pub year: i16,
    /// zCDP.
    pub rho: f64,
    /// δ.
    pub delta: f64,
}

/// The bytes that a submitter signs.
pub fn job_message(contract: &Digest, person: &PersonId) -> Vec<u8> {
    format!("sluice job v1\n{contract}\n{person}\n").into_bytes()
}
