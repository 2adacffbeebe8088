//! 候选产品: what the gate lets stand before the reviewers. It holds published
//! numbers and marks, never a withheld value.

use serde::{Deserialize, Serialize};

use crate::{
    artefact::Report,
    catalogue::Key,
    contract::{Dimension, ProductTerms},
    id::{JobId, RunId},
};

/// A product that waits for its two votes. Only `gate` makes one, inside `Quarantined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Form of this document.
    pub version: u32,
    /// The job.
    pub job: JobId,
    /// The run that made it.
    pub run: RunId,
    /// How it is to be delivered.
    pub product: ProductTerms,
    /// Its tables, in contract order.
    pub tables: Vec<CandidateTable>,
    /// What an outer room composed of them.
    pub report: Report,
}

/// One table of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateTable {
    /// Name of the table.
    pub name: String,
    /// Which route its numbers took.
    pub route: Route,
    /// Key columns.
    pub dimensions: Vec<Dimension>,
    /// Number columns.
    pub measures: Vec<CandidateMeasure>,
    /// Every cell of the declared domain, in canonical order, margins last.
    pub cells: Vec<Cell>,
}

/// The routes of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// Per-unit map, clamped sums, noise.
    A,
    /// Sample and aggregate: a noised mean over blocks of units.
    B,
    /// Host tabulation with disclosure control.
    C,
    /// Held: what a guest made straight from rows, in a declared form.
    D,
}

/// A number column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateMeasure {
    /// Heading.
    pub name: String,
    /// Standard deviation of the noise, in the measure's own unit (route A); none for
    /// what is computed from noised numbers.
    pub sigma: Option<f64>,
    /// Half-width of the 95 % interval, in the measure's own unit (route A); of a cell,
    /// [`CandidateTable::error_95`] has it for margins too.
    pub error_95: Option<f64>,
    /// How the numbers came about, where they are not simply noised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

/// How numbers came about that are not simply noised sums and means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// Post-processed: what was below zero is zero.
    NonNegative,
    /// Post-processed: margins are the sums of the noised cells.
    AddsUp,
    /// A private median of block answers: with 95 %, no more than half the blocks and
    /// `rank_error_95` more lie on either side.
    Median {
        /// l.
        blocks: u32,
        /// In blocks.
        rank_error_95: f64,
    },
    /// Noised units of a key that came out above the threshold τ: such numbers lean
    /// upwards.
    AboveThreshold {
        /// τ.
        tau: i64,
    },
}

/// √(2·ln 40): P[|X| ≥ t] ≤ 2e^(−t²/2σ²) is 5 % at t = σ·√(2 ln 40), for any sum of
/// discrete Gaussians (Canonne, Kamath and Steinke 2020, corollary 17).
pub const SUB_GAUSSIAN_95: f64 = 2.716_203_031_481_239;

impl CandidateTable {
    /// Half-width of the 95 % interval of one number, in its own unit. A margin of
    /// noised cells sums n independent noises: σ·√n, held by the sub-Gaussian bound.
    pub fn error_95(&self, cell: &Cell, measure: usize) -> Option<f64> {
        if cell.key.iter().all(Option::is_some) {
            return self.measures.get(measure)?.error_95;
        }
        self.sigma(cell, measure).map(|sigma| SUB_GAUSSIAN_95 * sigma)
    }

    /// Standard deviation of the noise in one number, in its own unit: σ·√n in a margin
    /// of n noised cells.
    pub fn sigma(&self, cell: &Cell, measure: usize) -> Option<f64> {
        let over = cell.key.iter().zip(&self.dimensions).filter(|(key, _)| key.is_none());
        let cells: usize = over.map(|(_, dimension)| dimension.domain.len()).product();
        #[expect(clippy::cast_precision_loss, reason = "a number of cells")]
        let root = (cells as f64).sqrt();
        self.measures.get(measure)?.sigma.map(|sigma| sigma * root)
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// One entry per dimension; `None` is the margin over that dimension.
    pub key: Vec<Option<Key>>,
    /// The numbers, or the mark.
    pub value: CellValue,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellValue {
    /// One number per measure; `None` where there is nothing to divide by.
    Published(Vec<Option<f64>>),
    /// The one mark that everybody sees; the reasons are for reviewers only.
    Withheld(Vec<Reason>),
}

/// Why a cell is withheld. Never shown to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer than k units.
    Threshold,
    /// An empty cell of a declared domain.
    Zero,
    /// The largest n contribute a share of k or more.
    Dominance,
    /// The second largest could estimate the largest within p.
    PPercent,
    /// The largest contributes more than the allowed share.
    LargestShare,
    /// Every unit has the same value.
    AllSame,
    /// Negative contributions: a person must look.
    Negative,
    /// Values are missing: a person must look.
    Missing,
    /// With what was released before, it would show a few units.
    Differencing,
    /// Protected another withheld cell in an earlier run, and still does.
    AsBefore,
    /// Nearly all of its line is in this cell, or one unit is all that is elsewhere.
    Class,
    /// A regression with too few units for its coefficients.
    Degrees,
    /// A regression that one unit pulls too far.
    Leverage,
    /// Protects another withheld cell.
    Secondary,
    /// The margins are redacted by contract.
    Redacted,
}

impl Candidate {
    /// The bytes that are sealed, committed to and voted on.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes back. `None` unless encoding the result again gives
    /// exactly `bytes`: one candidate has one form, so a digest means one thing.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        let candidate: Self = serde_json::from_slice(bytes).ok()?;
        (candidate.canonical_bytes() == bytes).then_some(candidate)
    }
}

/// The bytes that the cleared tables of one round are sealed as.
pub fn round_bytes(tables: &[CandidateTable]) -> Vec<u8> {
    // Plain data with string keys has no way to fail.
    serde_json::to_vec(tables).unwrap_or_default()
}

/// Reads [`round_bytes`] back.
pub fn round_of(bytes: &[u8]) -> Option<Vec<CandidateTable>> {
    serde_json::from_slice(bytes).ok()
}
