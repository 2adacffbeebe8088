//! 隔离区: a cleared product waits here for its approval, and leaves by one door.
//!
//! [`quarantine`] closes it in, [`Quarantined::for_review`] shows it to reviewers,
//! [`Quarantined::reopen`] takes up a sealed one again after a restart, and
//! [`Quarantined::release`] consumes a recorded approval of exactly these bytes.
//! There is no other way to a [`Released`].
//!
//! None of the types has `Clone`, `Default` or any form of serialisation; the fields
//! are private to this file. The key of the commitment never comes in here: a
//! function does.

use std::fmt;

use sluice_domain::{
    Digest, Refusal,
    approval::Approval,
    artefact::Report,
    candidate::{Candidate, CandidateTable},
    contract::ProductTerms,
    id::{JobId, RunId},
};
use sluice_ledger::Recorded;

use crate::{clear::Cleared, refusals};

/// Form of the candidate document.
const VERSION: u32 = 2;

/// A product that waits for its votes. Nobody but the reviewers may see it.
pub struct Quarantined<T> {
    inner: T,
}

/// A product that two people approved: it may leave the domain.
pub struct Released<T> {
    inner: T,
}

/// Closes cleared tables, and what an outer room composed of them, in as the
/// candidate of `run`.
pub fn quarantine(
    tables: Cleared<Vec<CandidateTable>>,
    report: Report,
    job: JobId,
    run: RunId,
    product: ProductTerms,
) -> Quarantined<Candidate> {
    Quarantined { inner: Candidate { version: VERSION, job, run, product, tables: tables.into_inner(), report } }
}

impl Quarantined<Candidate> {
    /// Takes up a sealed candidate again: `bytes` as they were sealed, `recorded` the
    /// keyed commitment that the ledger holds.
    ///
    /// # Errors
    /// `gate.not-the-candidate` when the bytes are not canonical or not the ones
    /// that were committed to.
    pub fn reopen(bytes: &[u8], recorded: &Digest, commit: &dyn Fn(&[u8]) -> Digest) -> Result<Self, Refusal> {
        if commit(bytes) != *recorded {
            return Err(refusals::not_the_candidate(
                "candidate",
                "封存的候选产品与账本所记不符",
                "the sealed candidate is not the one the ledger records",
            ));
        }
        let inner = Candidate::from_canonical_bytes(bytes).filter(|c| c.version == VERSION).ok_or_else(|| {
            refusals::not_the_candidate(
                "candidate",
                "封存的候选产品不是规范格式",
                "the sealed candidate is not in canonical form",
            )
        })?;
        Ok(Self { inner })
    }

    /// What the reviewers look at.
    pub fn for_review(&self) -> &Candidate {
        &self.inner
    }

    /// The bytes to seal and to commit to.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        self.inner.canonical_bytes()
    }

    /// Lets the candidate out, if `approval` is of this run and of exactly these
    /// bytes under the domain's commitment key. The approval is used up.
    ///
    /// # Errors
    /// Gives the candidate back with `gate.not-the-candidate`.
    #[expect(clippy::result_large_err, reason = "a refused candidate goes back into quarantine whole")]
    pub fn release(
        self,
        approval: Recorded<Approval>,
        commit: &dyn Fn(&[u8]) -> Digest,
    ) -> Result<Released<Candidate>, (Self, Refusal)> {
        let (approval, _entry) = approval.into_parts();
        let run = self.inner.run.clone();
        let same = *approval.run() == run && *approval.candidate() == commit(&self.inner.canonical_bytes());
        if !same {
            let refusal = refusals::not_the_candidate(
                run.as_str(),
                "审核通过的内容与隔离区中的候选产品不符",
                "what was approved is not the candidate in quarantine",
            );
            return Err((self, refusal));
        }
        Ok(Released { inner: self.inner })
    }
}

impl<T> Released<T> {
    /// What may leave.
    pub fn get(&self) -> &T {
        &self.inner
    }
}

impl<T> fmt::Debug for Quarantined<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quarantined(withheld)")
    }
}

impl<T> fmt::Debug for Released<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Released(content not shown)")
    }
}
