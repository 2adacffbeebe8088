//! error: E0451

use sluice_domain::candidate::Candidate;
use sluice_gate::Released;

pub fn release(candidate: Candidate) -> Released<Candidate> {
    Released { inner: candidate }
}
