//! 佐证: what the host found out about a candidate of route C or D beside the rules, for
//! its reviewers alone: plain sentences, small tables, a plot, and what each cannot show.
//!
//! None of it is a proof. It is computed inside the run, sealed, committed to in the
//! ledger, and has no way to an operator's page.

use serde::{Deserialize, Serialize};

use crate::{Text, artefact::Chart, id::RunId};

/// All evidence about one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Form of this document.
    pub version: u32,
    /// The run whose candidate it is about.
    pub run: RunId,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Which check.
    pub kind: CheckKind,
    /// The table it is about; none when about the whole product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// How much it should worry.
    pub grade: Grade,
    /// What was found, in one sentence.
    pub finding: Text,
    /// What it cannot show, in one sentence.
    pub cannot: Text,
    /// Headings of the small table; none without one.
    pub headings: Vec<Text>,
    /// Its rows.
    pub rows: Vec<Vec<Text>>,
    /// Drawn by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plot: Option<Chart>,
}

/// The checks that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// Rare values of the view, looked for in the candidate.
    ValueScan,
    /// The product computed again without a unit, and with another in its place.
    Influence,
    /// Synthetic people planted among the rows.
    Canaries,
    /// How many bits the product can hold.
    Capacity,
}

/// How much a check should worry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Needs a decision.
    Alarm,
    /// Worth a look.
    Look,
    /// Nothing was found.
    Clear,
}

/// Form of the document.
const VERSION: u32 = 1;

impl Evidence {
    /// The checks of `run`.
    pub fn new(run: RunId, checks: Vec<Check>) -> Self {
        Self { version: VERSION, run, checks }
    }

    /// The bytes that are sealed and committed to.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Plain data with string keys has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes back; `None` unless encoding them again gives the same.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        let this: Self = serde_json::from_slice(bytes).ok()?;
        (this.version == VERSION && this.canonical_bytes() == bytes).then_some(this)
    }
}

/// Parameters of the evidence, in the rule pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRules {
    /// Fewest significant digits of a number that is looked for.
    pub scan_digits_min: usize,
    /// Fewest bytes of a text that is looked for.
    pub scan_text_min: usize,
    /// Most distinct values that are held while rare ones are found.
    pub values_max: usize,
    /// Most units that are read, in the canonical order, which is keyed.
    pub units_max: u64,
    /// Synthetic people that are planted.
    pub canaries: u32,
    /// Synthetic people that each of them is ranked among.
    pub canary_candidates: u32,
    /// Bits that a product of route C can hold before reviewers are alerted.
    pub capacity_bits_alert: f64,
    /// Most bits that a product of route D may hold.
    pub held_capacity_bits_max: f64,
    /// Route D: how many units the guest is run again without, and how many replaced.
    pub held_replays: u32,
    /// Route D: runs of the guest on samples of units, from which membership is inferred.
    pub held_shadows: u32,
}

impl EvidenceRules {
    /// How often the guest of a held table runs: once for the product, and again for its
    /// evidence.
    pub fn held_calls(&self) -> u64 {
        1 + 2 * u64::from(self.held_replays) + u64::from(self.held_shadows)
    }
}
