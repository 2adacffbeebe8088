//! Compiles: what the others do wrong, done right, so that each of them fails for its
//! own reason. It also pins that all crates it is given belong together.

use sluice_domain::{Digest, Refusal, approval::Approval, candidate::Candidate, contract::TableC};
use sluice_gate::{Quarantined, Released, route_c};
use sluice_ledger::Recorded;

pub fn release(
    closed: Quarantined<Candidate>,
    approval: Recorded<Approval>,
    commit: &dyn Fn(&[u8]) -> Digest,
) -> Result<Released<Candidate>, Refusal> {
    closed.release(approval, commit).map_err(|(_, refusal)| refusal)
}

pub fn judge(table: &TableC, cells: &sluice_rows::cells::Cells) -> Result<route_c::JudgedTable, Refusal> {
    route_c::primary(table, cells, &route_c::Rules::none())
}

fn to_json<T: serde::Serialize>(_value: &T) {}

fn from_json<'a, T: serde::Deserialize<'a>>(_json: &'a str) -> Option<T> {
    None
}

/// A candidate by itself is plain data; closed in, it is not.
pub fn plain(candidate: &Candidate, json: &str) -> Option<Candidate> {
    to_json(candidate);
    from_json(json)
}
