//! error: E0277

use sluice_domain::candidate::Candidate;
use sluice_gate::Quarantined;
use sluice_service::pages::OperatorJob;

pub fn tell(seen: &mut OperatorJob, closed: &Quarantined<Candidate>) {
    seen.comments.push(format!("{closed}"));
}
