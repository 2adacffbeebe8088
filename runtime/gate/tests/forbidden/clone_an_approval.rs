//! error: E0599

use sluice_domain::approval::Approval;

pub fn twice(approval: Approval) -> (Approval, Approval) {
    (approval.clone(), approval)
}
