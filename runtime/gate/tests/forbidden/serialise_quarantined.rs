//! error: E0277

use sluice_domain::candidate::Candidate;
use sluice_gate::Quarantined;

fn to_json<T: serde::Serialize>(_value: &T) {}

pub fn out(closed: &Quarantined<Candidate>) {
    to_json(closed);
}
