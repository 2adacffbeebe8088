//! error: E0382

use sluice_domain::{Digest, approval::Approval, candidate::Candidate};
use sluice_gate::Quarantined;
use sluice_ledger::Recorded;

pub fn release(
    one: Quarantined<Candidate>,
    two: Quarantined<Candidate>,
    approval: Recorded<Approval>,
    commit: &dyn Fn(&[u8]) -> Digest,
) {
    let _ = one.release(approval, commit);
    let _ = two.release(approval, commit);
}
