//! error: E0308

use sluice_domain::candidate::Candidate;
use sluice_service::pages::OperatorJob;

pub fn tell(seen: &mut OperatorJob, candidate: Candidate) {
    seen.comments.push(candidate);
}
