//! error: E0609

use sluice_service::pages::OperatorJob;

pub fn took(seen: &OperatorJob) -> u64 {
    seen.took
}
