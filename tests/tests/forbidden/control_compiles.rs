//! Compiles: what the others do wrong, done right, and every field by name.

use sluice_domain::{
    Text, Timestamp,
    candidate::Candidate,
    id::{JobId, OrgId, ProductId},
};
use sluice_gate::Quarantined;
use sluice_rows::{RowBatch, cells::Cells};
use sluice_service::pages::{Inbox, JobStatus, OperatorJob, ProductLine};

/// Plain words without a payload: whoever has one has nothing else.
const fn plain<T: Copy + Eq + 'static>() {}
const _: () = plain::<JobStatus>();
const _: () = assert!(size_of::<JobStatus>() == 1);

/// No `..`: a field that is added must be added here.
pub fn fields(seen: OperatorJob) -> (JobId, String, OrgId, Text, [Timestamp; 2], Vec<String>, Option<ProductId>) {
    let OperatorJob { job, name, operator, status, holder, since, tick, comments, product } = seen;
    let _: Text = status.text();
    (job, name, operator, holder, [since, tick], comments, product)
}

pub fn lists(inbox: Inbox) -> Vec<OperatorJob> {
    inbox.jobs
}

/// What the others try to hand on exists, and can be named.
pub fn there_is(_: &Quarantined<Candidate>, _: &RowBatch, _: &Cells, _: &ProductLine) {}

pub fn comment(seen: &mut OperatorJob, words: String) {
    seen.comments.push(words);
    seen.status = JobStatus::Void;
}
