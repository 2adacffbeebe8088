//! 出域凭证: a signed statement of everything a product rests on. It can be
//! checked with no domain and no network, and it pins a ledger checkpoint, so
//! that a later rewrite of the log is found by whoever holds the receipt.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sluice_domain::{
    Digest, Kind, Refusal,
    agreement::View,
    approval::{Decision, Vote, vote_message},
    contract::Contract,
    id::{AgreementId, DatasetId, JobId, OrgId, PersonId, ProductId, RunId, ScenarioId, SnapshotId, ViewId},
    person::{PublicKey, Signature},
    state::State,
    text,
};

use crate::{
    Service,
    account::{self, RootAccount},
    copies::MarkReceipt,
    product::Bundle,
    record::ledger_fault,
};

/// What a released product rests on. Nothing in it depends on rows but keyed
/// commitments and the digests of what is public already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Form of this document.
    pub version: u32,
    /// The product.
    pub product: ProductId,
    /// The run it came from.
    pub run: RunId,
    /// The job.
    pub job: JobId,
    /// Who submitted it.
    pub person: PersonId,
    /// For whom.
    pub operator: OrgId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// For which scenario.
    pub scenario: ScenarioId,
    /// The frozen contract, whole: inputs, tables, clamps, limits, ρ.
    pub contract: Contract,
    /// Its SHA-256.
    pub contract_digest: Digest,
    /// SHA-256 of the guest component.
    pub guest: Option<Digest>,
    /// Version of the rule pack that decided.
    pub rulepack: String,
    /// The views it could read.
    pub views: Vec<(ViewId, View)>,
    /// What it read.
    pub snapshots: Vec<SnapshotReceipt>,
    /// ρ charged per dataset root.
    pub charges: Vec<(DatasetId, f64)>,
    /// δ charged to each of them.
    #[serde(default, skip_serializing_if = "nothing")]
    pub delta: f64,
    /// What each of them has paid since its first ingest, this product included, when
    /// this was issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<RootAccount>,
    /// Keyed commitment to the approved candidate.
    pub candidate: Digest,
    /// The votes, with the keys that check them.
    pub votes: Vec<(Vote, PublicKey)>,
    /// Files and their SHA-256.
    pub files: Vec<(String, Digest)>,
    /// How the recipients' copies are marked, if they are.
    pub marks: Option<MarkReceipt>,
    /// Signs this receipt and the ledger's checkpoints.
    pub ledger_key: PublicKey,
    /// The ledger's newest checkpoint when this was issued (C2SP signed note).
    pub checkpoint: String,
}

/// One snapshot that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotReceipt {
    /// The dataset.
    pub dataset: DatasetId,
    /// Who provided it.
    pub provider: OrgId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Keyed commitment to its content.
    pub commitment: Digest,
    /// SHA-256 of the sealed file.
    pub sealed_file: Digest,
    /// Units on its published roster.
    pub roster_size: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    receipt: Receipt,
    signature: Signature,
}

/// Issues the signed receipt of a product that is about to be released.
pub(crate) async fn issue(
    service: &Service,
    state: &State,
    run: &RunId,
    product: &ProductId,
    bundle: &Bundle,
    marks: Option<MarkReceipt>,
    votes: Vec<Vote>,
) -> Result<Vec<u8>, Refusal> {
    let gone = crate::run::host_fault;
    let record = state.run(run).ok_or_else(gone)?;
    let job = state.job(&record.job).ok_or_else(gone)?;
    let agreement = state.agreement(&job.contract.agreement).ok_or_else(gone)?;
    let key = service.ledger.key();
    let checkpoint = service.ledger.checkpoint().await.map_err(ledger_fault)?;
    let snapshots = record.snapshots.iter().map(|(id, snapshot)| {
        let dataset = state.dataset(id)?;
        let found = dataset.snapshots.iter().find(|s| s.id == *snapshot)?;
        Some(SnapshotReceipt {
            dataset: id.clone(),
            provider: dataset.entry.dataset.provider.clone(),
            snapshot: snapshot.clone(),
            commitment: found.commitment,
            sealed_file: found.sealed_file,
            roster_size: found.roster_size,
        })
    });
    let votes =
        votes.into_iter().map(|v| Some((state.person(&v.reviewer)?.key, v))).map(|pair| pair.map(|(k, v)| (v, k)));
    let receipt = Receipt {
        version: 1,
        product: product.clone(),
        run: run.clone(),
        job: job.id.clone(),
        person: job.person.clone(),
        operator: job.operator.clone(),
        agreement: job.contract.agreement.clone(),
        scenario: job.contract.scenario.clone(),
        contract_digest: job.contract_digest,
        guest: job.contract.guest,
        rulepack: job.contract.rulepack.clone(),
        contract: job.contract.clone(),
        views: agreement.views.clone().into_iter().collect(),
        snapshots: snapshots.collect::<Option<_>>().ok_or_else(gone)?,
        charges: record.charges.clone(),
        delta: record.delta,
        accounts: record.charges.iter().map(|(root, _)| account::of(state, root, Service::now())).collect(),
        candidate: record.candidate.ok_or_else(gone)?,
        votes: votes.collect::<Option<_>>().ok_or_else(gone)?,
        files: bundle.digests(),
        marks,
        ledger_key: key.public_key(),
        checkpoint: checkpoint.note().to_owned(),
    };
    let signature = key.sign(&canonical(&receipt));
    serde_json::to_vec_pretty(&Signed { receipt, signature }).map_err(|_| gone())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn nothing(delta: &f64) -> bool {
    *delta == 0.0
}

/// The bytes that are signed: the receipt as compact JSON, behind a fixed first line.
fn canonical(receipt: &Receipt) -> Vec<u8> {
    let mut bytes = b"sluice receipt v1\n".to_vec();
    bytes.extend(serde_json::to_vec(receipt).unwrap_or_default());
    bytes
}

/// Checks a receipt offline: its signature, the contract's digest, every vote, and
/// the files that lie beside it in `folder`.
///
/// # Errors
/// `receipt.*` of kind verification, naming what does not hold.
pub fn verify_receipt(json: &[u8], folder: Option<&Path>, pinned: Option<&PublicKey>) -> Result<Receipt, Refusal> {
    let no = |code, place: &str, zh: &str, en: &str| {
        Err(Refusal::new(
            Kind::Verification,
            code,
            text(zh, en),
            text("向主管部门索取原件", "ask the bureau for the original"),
        )
        .at(place))
    };
    // Nothing beside what is signed: a field that nobody signed would be read as if it were.
    let signed = serde_json::from_slice::<Signed>(json).ok();
    let whole = signed.as_ref().and_then(|signed| serde_json::to_value(signed).ok());
    let (Some(Signed { receipt, signature }), true) = (signed, whole == serde_json::from_slice(json).ok()) else {
        return no("receipt.form", "receipt", "凭证格式有误", "the receipt is not well formed");
    };
    if pinned.is_some_and(|key| *key != receipt.ledger_key) {
        return no(
            "receipt.key",
            "ledger_key",
            "凭证不是由所指定的域签发的",
            "the receipt is not from the domain you named",
        );
    }
    if !receipt.ledger_key.verifies(&canonical(&receipt), &signature) {
        return no("receipt.signature", "signature", "凭证签名不符", "the receipt's signature does not hold");
    }
    if receipt.contract.digest() != receipt.contract_digest {
        return no("receipt.contract", "contract", "合约与其摘要不符", "the contract is not the one that was signed");
    }
    let distinct: std::collections::BTreeSet<_> = receipt.votes.iter().map(|(v, _)| &v.reviewer).collect();
    let votes_hold = receipt.votes.iter().all(|(v, key)| {
        let message = vote_message(&v.run, &v.candidate, &v.reviewer, v.decision, &v.comment, v.at);
        v.decision == Decision::Approve
            && v.run == receipt.run
            && v.candidate == receipt.candidate
            && key.verifies(&message, &v.signature)
    });
    if distinct.len() < 2 || distinct.len() != receipt.votes.len() || !votes_hold {
        return no("receipt.votes", "votes", "审核投票不成立", "the votes do not make an approval");
    }
    for (name, digest) in folder.map(|_| receipt.files.as_slice()).unwrap_or_default() {
        let path = folder.unwrap_or(Path::new(".")).join(name);
        if name.contains(['/', '\\']) || std::fs::read(&path).map(|bytes| Digest::of(&bytes)).ok() != Some(*digest) {
            return no("receipt.file", name, "文件与凭证所载摘要不符", "the file is not the one that was released");
        }
    }
    Ok(receipt)
}
