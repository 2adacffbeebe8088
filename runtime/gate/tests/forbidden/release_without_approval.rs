//! error: E0308

use sluice_domain::{Digest, approval::Approval, candidate::Candidate};
use sluice_gate::Quarantined;

pub fn release(closed: Quarantined<Candidate>, approval: Approval, commit: &dyn Fn(&[u8]) -> Digest) {
    // An approval that the ledger does not hold is not enough.
    let _ = closed.release(approval, commit);
}
