//! error: E0618

use sluice_service::pages::JobStatus;

pub fn status(reason: &'static str) -> JobStatus {
    JobStatus::Void(reason)
}
