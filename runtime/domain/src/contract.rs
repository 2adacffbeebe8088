//! 合约: what a job promises to put out, frozen before it runs.
//!
//! The operator writes a job file ([`crate::job_file`]); [`Contract`] is what is left when every name in it has been resolved against
//! the agreement and the catalogue: declared domains, clamps, noise scale and
//! cost. The contract's cost depends on the contract and the published roster
//! size alone. Its digest is what everybody signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::aggregate::{Aggregate, Grid, Part, Quantile, Rank};
pub use crate::impossible::Combination;
pub use crate::job_file::{
    DeclaredDimension, DimensionFile, EventFile, Input, JobFile, JobHead, KeyFile, KeysFile, LimitsFile, ModelFile,
    RangeSpec, RegressionFile, ReportFile, RoundsFile, SumSpec, SurvivalFile, TableFile, TableFileA, TableFileB,
    TableFileD, line_of,
};
pub use crate::regression::{Levels, Regression, Term};
pub use crate::survival::{Event, Survival};
use crate::{
    Digest,
    agreement::ProductForm,
    catalogue::{ColumnType, Key},
    held::Held,
    id::{AgreementId, ScenarioId, ViewId},
};

/// How floating point is compiled. Part of the contract and of the compiled code's
/// identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The bits of a NaN may differ between machines.
    #[default]
    Standard,
    /// NaNs are canonical: the same bits everywhere, at 2.5–3× on scalar float code.
    Reproducible,
}

impl Profile {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Reproducible => "reproducible",
        }
    }
}

/// How the answers of route B's blocks become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The mean of the clamped answers.
    #[default]
    Mean,
    /// The private median of the clamped answers, one by one per number.
    Median,
}

/// What is made of route A's noised numbers before anybody sees them: post-processing,
/// so it costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistent {
    /// Numbers below zero become zero.
    NonNegative,
    /// Margins are there, and are the sums of the noised cells.
    AddsUp,
}

/// What keys are that nobody declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// 64-bit whole numbers.
    Int,
    /// Text.
    Text,
}

/// The distribution of integer noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Discrete Gaussian: the least noise where a unit touches many numbers.
    #[default]
    Gaussian,
    /// Discrete Laplace: pure ε-DP, ε = √(2ρ).
    Laplace,
}

/// Every limit of a job, in one place, with every number filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Fuel per invocation of the inner room (about one per wasm instruction).
    pub fuel: u64,
    /// Fuel per call of the outer room, which sees no rows.
    pub outer_fuel: u64,
    /// Linear memory per instance, MiB.
    pub memory_mib: u32,
    /// Stack per instance, KiB.
    pub stack_kib: u32,
    /// Rows of one unit or block that are handed in; one with more has failed.
    pub input_rows: u32,
    /// Rows that one output may have.
    pub rows_max: u32,
    /// Bytes that one output may have, KiB.
    pub output_kib: u32,
    /// Rooms side by side; the tick counts on so many.
    pub instances: u32,
    /// Most wall time of the whole run, seconds.
    pub wall_seconds: u32,
}

/// What happens to the margins of a route-C table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Totals {
    /// No margins.
    #[default]
    None,
    /// Margins with their true values where safe.
    True,
    /// Margins present, every one withheld.
    Redacted,
}

/// The `[product]` part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductTerms {
    /// Title for people.
    pub title: String,
    /// One of the agreement's forms.
    pub form: ProductForm,
    /// Who will hold it.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Recipient marks.
    #[serde(default)]
    pub mark: MarkPolicy,
}

/// Whether released copies carry a recipient's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkPolicy {
    /// No marks: the published numbers are exact.
    #[default]
    None,
    /// Counts and sums are rounded to multiples of this base, differently for each
    /// recipient (数据水印, R32).
    Rounding(u32),
}

/// A dimension with its declared domain, in canonical (code list) order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Column name.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Declared keys and their labels.
    pub domain: Vec<(Key, String)>,
    /// What it is a coarsening of; none for a domain that is its own finest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

/// The finest parts that a coarser dimension is made of. Dimensions over one base are
/// levels of a hierarchy, or cut across each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The column's name.
    pub name: String,
    /// For each part, the place of its key in the domain.
    pub of_part: Vec<u32>,
}

impl Dimension {
    /// The name of its finest domain.
    pub fn base_name(&self) -> &str {
        self.base.as_ref().map_or(&self.name, |base| &base.name)
    }

    /// How many finest parts there are.
    pub fn parts(&self) -> usize {
        self.base.as_ref().map_or(self.domain.len(), |base| base.of_part.len())
    }

    /// The place in the domain of the key that holds a part.
    pub fn place_of(&self, part: usize) -> Option<usize> {
        match &self.base {
            Some(base) => base.of_part.get(part).and_then(|place| usize::try_from(*place).ok()),
            None => Some(part),
        }
    }
}

/// The frozen contract of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Form of this document.
    pub version: u32,
    /// Name for people.
    pub name: String,
    /// Agreement it runs under.
    pub agreement: AgreementId,
    /// Scenario of that agreement.
    pub scenario: ScenarioId,
    /// Rule pack in force when it was frozen.
    pub rulepack: String,
    /// SHA-256 of the guest component, for routes that have one.
    pub guest: Option<Digest>,
    /// How floating point is compiled.
    pub profile: Profile,
    /// Parameters handed to the guest.
    pub params: BTreeMap<String, String>,
    /// Inputs of the inner room.
    pub inputs: BTreeMap<String, ContractInput>,
    /// What comes out.
    pub tables: Vec<Table>,
    /// How often, and what happens in between; none for one pass.
    pub rounds: Option<Rounds>,
    /// What an outer room composes; none for tables alone.
    pub report: Option<Report>,
    /// Reserved limits.
    pub limits: Limits,
    /// The release tick: seconds after acceptance, from the contract and the
    /// published rosters alone.
    pub tick_seconds: u32,
    /// How it is delivered.
    pub product: ProductTerms,
    /// zCDP cost, rounds × Σ ρ, charged to every dataset root the agreement touches.
    pub rho: f64,
    /// Rounds × Σ δ of the tables whose keys nobody declared, charged likewise.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub delta: f64,
}

/// For what is not written down where there is none of it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_nothing(amount: &f64) -> bool {
    *amount == 0.0
}

/// Inner room, cleared cells, outer room, and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// How often every table of A and B is computed, and charged.
    pub count: u32,
    /// SHA-256 of the component that updates the state.
    pub guest: Digest,
}

/// What an outer room composes of the cleared tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// SHA-256 of the component that composes.
    pub guest: Digest,
    /// Handed to it.
    pub params: BTreeMap<String, String>,
}

/// An input with its resolved, public schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContractInput {
    /// The view it reads.
    pub view: ViewId,
    /// The SQL, as written.
    pub sql: String,
    /// Names and types of the columns that land in the room.
    pub columns: Vec<(String, ColumnType)>,
}

/// A table with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "route")]
pub enum Table {
    /// Route A.
    A(TableA),
    /// Route B.
    B(TableB),
    /// Route C.
    C(TableC),
    /// Route C: a regression.
    #[serde(rename = "C-regression")]
    Regression(Regression),
    /// Route C: a survival curve.
    #[serde(rename = "C-survival")]
    Survival(Survival),
    /// Route A with keys that nobody declared.
    #[serde(rename = "A-unknown-keys")]
    Open(OpenTable),
    /// Route D: made straight from rows, and held.
    D(Held),
}

/// Route A: keys × clamped, noised sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableA {
    /// Name of the table.
    pub name: String,
    /// Declared keys.
    pub dimensions: Vec<Dimension>,
    /// Measures in alphabetical order; the guest's output columns follow the
    /// dimensions in this order.
    pub measures: Vec<MeasureA>,
    /// L0.
    pub keys_per_unit: u32,
    /// zCDP cost of one pass.
    pub rho: f64,
    /// Which noise.
    pub noise: Law,
    /// Ratios of two measures, computed from the noised sums.
    pub shares: Vec<Share>,
    /// What is made of the noised sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent: Option<Consistent>,
}

/// Route A where the guest names the keys, and a key is released only if enough units
/// share it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenTable {
    /// Name of the table.
    pub name: String,
    /// Name of the key column.
    pub key: String,
    /// Its name for people.
    pub title: String,
    /// What the keys are.
    pub keys: KeyKind,
    /// Clamped sums per key, in alphabetical order; may be none: the number of units
    /// is always there.
    pub measures: Vec<MeasureA>,
    /// L0.
    pub keys_per_unit: u32,
    /// Which noise.
    pub law: Law,
    /// zCDP cost of one pass; half of it finds the keys where there are measures, else
    /// all of it.
    pub rho: f64,
    /// Chance that a key of one unit alone is released; τ follows from it.
    pub delta: f64,
}

/// Route B: disjoint blocks of units by keyed hash, one answer per block and key,
/// combined with noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableB {
    /// Name of the table.
    pub name: String,
    /// Declared keys.
    pub dimensions: Vec<Dimension>,
    /// Measures in alphabetical order: what one block may answer for one key.
    pub measures: Vec<MeasureA>,
    /// l: how many blocks. Public; every mean is over so many.
    pub blocks: u32,
    /// How the answers become one.
    pub combine: Combine,
    /// zCDP cost of one pass.
    pub rho: f64,
}

/// A ratio of two noised sums: post-processing, so it costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Name.
    pub name: String,
    /// The measure above the line.
    pub of: String,
    /// The measure below it.
    pub per: String,
}

/// One clamped number: a unit's contribution (A) or a block's answer (B).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureA {
    /// Name.
    pub name: String,
    /// Lowest value for one key, in grid units.
    pub lo: i64,
    /// Highest value for one key, in grid units.
    pub hi: i64,
    /// Grid units per 1.
    pub grid: u32,
}

/// Route C: a tabulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableC {
    /// Name of the table.
    pub name: String,
    /// The SQL, as written.
    pub sql: String,
    /// What it was reduced to.
    pub plan: Tabulation,
    /// What happens to the margins.
    pub totals: Totals,
}

/// What route C's SQL is reduced to; nothing else of it is ever executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tabulation {
    /// The view it reads.
    pub view: ViewId,
    /// Grouping columns with their declared domains.
    pub dimensions: Vec<Dimension>,
    /// What is computed per cell, in SELECT order.
    pub measures: Vec<MeasureC>,
    /// Rows kept: every named dimension must have one of the listed keys.
    pub filter: Vec<(Dimension, Vec<Key>)>,
    /// The approved measures among its columns and what they are computed from. A
    /// unit whose contribution to one is zero does not count for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derived: BTreeMap<String, String>,
    /// What no row of the dataset has, by its catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impossible: Vec<Combination>,
}

/// Whose cells a table of route C holds: its place among the contract's regressions or
/// survival curves where one of them gives it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A table that was asked for.
    Own,
    /// What a regression tells.
    Regression(usize),
    /// What a survival curve may tell.
    Survival(usize),
}

/// One aggregate of route C.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureC {
    /// Column heading in the product.
    pub name: String,
    /// Which aggregate.
    pub aggregate: Aggregate,
    /// The measure column; none for counts of rows and of units.
    pub column: Option<String>,
}

impl Contract {
    /// The bytes that are digested and signed: JSON with fields in declared order.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Serialising plain data with string keys to memory has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// SHA-256 of [`Self::canonical_bytes`]. A contract is public to its parties.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical_bytes())
    }

    /// The first route-A table, if the job has one.
    pub fn table_a(&self) -> Option<&TableA> {
        self.tables.iter().find_map(|t| if let Table::A(a) = t { Some(a) } else { None })
    }

    /// The tables of route C, in order, with those that regressions and survival curves
    /// give away.
    pub fn tables_c(&self) -> Vec<(TableC, Whose)> {
        let (mut regressions, mut curves) = (0usize.., 0usize..);
        let of = |table: &Table| match table {
            Table::C(c) => vec![(c.clone(), Whose::Own)],
            Table::Regression(r) => {
                let whose = Whose::Regression(regressions.next().unwrap_or_default());
                r.tables().into_iter().map(|t| (t, whose)).collect()
            }
            Table::Survival(s) => vec![(s.table(), Whose::Survival(curves.next().unwrap_or_default()))],
            Table::A(_) | Table::B(_) | Table::Open(_) | Table::D(_) => Vec::new(),
        };
        self.tables.iter().flat_map(of).collect()
    }

    /// The regressions, in order.
    pub fn regressions(&self) -> impl Iterator<Item = &Regression> {
        self.tables.iter().filter_map(|t| if let Table::Regression(r) = t { Some(r) } else { None })
    }

    /// The survival curves, in order.
    pub fn survivals(&self) -> impl Iterator<Item = &Survival> {
        self.tables.iter().filter_map(|t| if let Table::Survival(s) = t { Some(s) } else { None })
    }

    /// The held tables, in order.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.tables.iter().filter_map(|t| if let Table::D(held) = t { Some(held) } else { None })
    }

    /// How often every noised table is computed.
    pub fn passes(&self) -> u32 {
        self.rounds.as_ref().map_or(1, |r| r.count)
    }
}

impl Table {
    /// The table's name.
    pub fn name(&self) -> &str {
        match self {
            Self::A(a) => &a.name,
            Self::B(b) => &b.name,
            Self::C(c) => &c.name,
            Self::Regression(r) => &r.name,
            Self::Survival(s) => &s.name,
            Self::Open(o) => &o.name,
            Self::D(held) => &held.name,
        }
    }

    /// zCDP cost of one pass; none for routes C and D, which make no such claim.
    pub fn rho(&self) -> f64 {
        match self {
            Self::A(a) => a.rho,
            Self::B(b) => b.rho,
            Self::C(_) | Self::Regression(_) | Self::Survival(_) | Self::D(_) => 0.0,
            Self::Open(o) => o.rho,
        }
    }

    /// Chance of one pass that what ρ bounds does not hold.
    pub fn delta(&self) -> f64 {
        if let Self::Open(o) = self { o.delta } else { 0.0 }
    }

    /// Whether a guest answers it and noise covers it.
    pub fn is_noised(&self) -> bool {
        matches!(self, Self::A(_) | Self::B(_) | Self::Open(_))
    }

    /// Whether a guest answers it.
    pub fn is_answered(&self) -> bool {
        self.is_noised() || matches!(self, Self::D(_))
    }
}

impl TableC {
    /// Units that a cell needs for a threshold of `k`: as many to either side of a quantile.
    pub fn units_needed(&self, k: u64) -> u64 {
        let needed = |m: &MeasureC| match m.aggregate {
            Aggregate::Quantile(quantile) => quantile.rank.units_needed(k),
            _ => k,
        };
        self.plan.measures.iter().map(needed).fold(k, u64::max)
    }
}

impl OpenTable {
    /// The column that is always there: how many units share the key.
    pub const UNITS: &'static str = "units";
}

impl TableB {
    /// The clamped sums beneath the mean: each block's answers, shifted to start at
    /// zero, added up. A unit is in one block, and that block's answer may move
    /// anywhere in its range for every key: as a route-A table over blocks with
    /// L0 = all keys, Δ₂² = cells · Σ (hi − lo)², which is the true sensitivity.
    /// `None` on overflow.
    pub fn as_sums(&self) -> Option<TableA> {
        let shifted =
            |m: &MeasureA| Some(MeasureA { name: m.name.clone(), lo: 0, hi: m.hi.checked_sub(m.lo)?, grid: m.grid });
        let mut sums = TableA {
            name: self.name.clone(),
            dimensions: self.dimensions.clone(),
            measures: self.measures.iter().map(shifted).collect::<Option<_>>()?,
            keys_per_unit: 0,
            rho: self.rho,
            noise: Law::Gaussian,
            shares: Vec::new(),
            consistent: None,
        };
        sums.keys_per_unit = u32::try_from(sums.cells()?).ok()?;
        Some(sums)
    }
}

impl TableA {
    /// Δ₂² in grid units: L0 · Σ max(|lo|,|hi|)² (gate.md §4, exact integer arithmetic).
    /// `None` on overflow.
    pub fn sensitivity_l2_squared(&self) -> Option<u128> {
        let sum = self.measures.iter().try_fold(0u128, |acc, m| {
            let bound = u128::from(m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
            acc.checked_add(bound.checked_mul(bound)?)
        })?;
        sum.checked_mul(u128::from(self.keys_per_unit))
    }

    /// Δ₁ in grid units: L0 · Σ max(|lo|,|hi|). `None` on overflow.
    pub fn sensitivity_l1(&self) -> Option<u128> {
        let bound = |m: &MeasureA| u128::from(m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
        let sum = self.measures.iter().try_fold(0u128, |acc, m| acc.checked_add(bound(m)))?;
        sum.checked_mul(u128::from(self.keys_per_unit))
    }

    /// The discrete Gaussian's scale σ in grid units: Δ₂/√(2ρ).
    pub fn sigma(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "the gate asks the mechanism's own map afterwards and widens σ")]
        let squared = self.sensitivity_l2_squared()? as f64;
        Some((squared / (2.0 * self.rho)).sqrt())
    }

    /// Number of cells: the product of the domains' sizes.
    pub fn cells(&self) -> Option<usize> {
        self.dimensions.iter().try_fold(1usize, |n, d| n.checked_mul(d.domain.len()))
    }
}
