//! 合约: what a job promises to put out, frozen before it runs.
//!
//! The operator writes a job file; [`JobFile::parse`] reads it, and
//! [`Contract`] is what is left when every name in it has been resolved against
//! the agreement and the catalogue: declared domains, clamps, noise scale and
//! cost. The contract's cost depends on the contract and the published roster
//! size alone. Its digest is what everybody signs.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    Digest,
    agreement::ProductForm,
    catalogue::{ColumnType, Key},
    id::{AgreementId, ScenarioId},
    lang::text,
    refusal::{Kind, Refusal},
};

/// A job file as written by the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// Name, agreement, scenario, guest.
    pub job: JobHead,
    /// What the inner room is given, by name: unit-preserving SQL over views.
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    /// Free parameters handed to the guest.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What comes out.
    #[serde(rename = "table")]
    pub tables: Vec<TableFile>,
    /// How it is delivered.
    pub product: ProductTerms,
    /// Reserved limits; the rule pack's defaults where absent.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// The `[job]` part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobHead {
    /// Name for people.
    pub name: String,
    /// The agreement it runs under.
    pub agreement: AgreementId,
    /// Must be the agreement's scenario (R25).
    pub scenario: ScenarioId,
    /// Path of the guest component, beside the job file; none for pure route C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<String>,
}

/// One input of the inner room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Unit-preserving SQL over one authorised view.
    pub sql: String,
}

/// One `[[table]]`, by its route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "route", deny_unknown_fields)]
pub enum TableFile {
    /// Per-unit map, clamped sums, noise.
    A(TableFileA),
    /// Host tabulation with disclosure control.
    C {
        /// Name of the table.
        name: String,
        /// `SELECT dims, aggregates FROM view WHERE … GROUP BY dims`.
        sql: String,
        /// What happens to the margins.
        #[serde(default)]
        totals: Totals,
    },
}

/// A `[[table]]` of route A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFileA {
    /// Name of the table.
    pub name: String,
    /// Columns of the catalogue whose code lists are the table's keys.
    pub dimensions: Vec<String>,
    /// Measures, in output order of the guest.
    pub measures: BTreeMap<String, SumSpec>,
    /// L0: how many keys one unit may touch.
    #[serde(default = "one")]
    pub keys_per_unit: u32,
    /// zCDP cost of the table.
    pub rho: f64,
    /// Which noise.
    #[serde(default)]
    pub noise: Law,
    /// Ratios of two measures, computed from the noised sums: they cost nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, [String; 2]>,
}

fn one() -> u32 {
    1
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

/// A clamped sum of route A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumSpec {
    /// `[lowest, highest]` that one unit may add to one key.
    pub sum: [f64; 2],
    /// Grid units per 1: values are rounded to multiples of 1/grid.
    #[serde(default = "one")]
    pub grid: u32,
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

/// The `[limits]` part: what the job reserves, and is priced by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Fuel per invocation (about one per wasm instruction).
    pub fuel: Option<u64>,
    /// Linear memory per instance, MiB.
    pub memory_mib: Option<u32>,
    /// Rows that one unit's output may have.
    pub rows_max: Option<u32>,
    /// Wall time of the whole run, seconds; also the release tick.
    pub wall_seconds: Option<u32>,
}

/// Limits with every number filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Fuel per invocation.
    pub fuel: u64,
    /// Linear memory per instance, MiB.
    pub memory_mib: u32,
    /// Rows that one unit's output may have.
    pub rows_max: u32,
    /// Wall time of the whole run and the release tick, seconds after acceptance.
    pub wall_seconds: u32,
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
    /// Parameters handed to the guest.
    pub params: BTreeMap<String, String>,
    /// Inputs of the inner room.
    pub inputs: BTreeMap<String, ContractInput>,
    /// What comes out.
    pub tables: Vec<Table>,
    /// Reserved limits.
    pub limits: Limits,
    /// How it is delivered.
    pub product: ProductTerms,
    /// zCDP cost, charged to every dataset root the inputs touch.
    pub rho: f64,
}

/// An input with its resolved, public schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContractInput {
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
    /// Route C.
    C(TableC),
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
    /// zCDP cost.
    pub rho: f64,
    /// Which noise.
    pub noise: Law,
    /// Ratios of two measures, computed from the noised sums.
    pub shares: Vec<Share>,
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

/// One clamped sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureA {
    /// Name.
    pub name: String,
    /// Lowest contribution of one unit to one key, in grid units.
    pub lo: i64,
    /// Highest contribution of one unit to one key, in grid units.
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
    pub view: crate::id::ViewId,
    /// Grouping columns with their declared domains.
    pub dimensions: Vec<Dimension>,
    /// What is computed per cell, in SELECT order.
    pub measures: Vec<MeasureC>,
    /// Rows kept: every named dimension must have one of the listed keys.
    pub filter: Vec<(Dimension, Vec<Key>)>,
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

/// Aggregates that route C knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// `count(*)`: rows.
    Rows,
    /// `count(DISTINCT unit)`: privacy units.
    Units,
    /// `count(column)`: rows with a value.
    Count,
    /// `sum(column)`.
    Sum,
    /// `avg(column)`: over rows with a value.
    Mean,
}

impl JobFile {
    /// Reads a job file. Names are resolved later, against the agreement.
    ///
    /// # Errors
    /// `job.form` with the line.
    pub fn parse(toml: &str) -> Result<Self, Refusal> {
        toml::from_str(toml).map_err(|e| {
            Refusal::new(
                Kind::Usage,
                "job.form",
                text(
                    format!("作业文件格式有误：{}", e.message()),
                    format!("the job file is not well formed: {}", e.message()),
                ),
                text("按 docs/job.md 的样例改正", "correct it after the example in docs/job.md"),
            )
            .at(line_of(toml, e.span()))
        })
    }
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

    /// The route-A table, if the job has one.
    pub fn table_a(&self) -> Option<&TableA> {
        self.tables.iter().find_map(|t| match t {
            Table::A(a) => Some(a),
            Table::C(_) => None,
        })
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

/// `line 3, column 5` of a byte range in `text`.
pub fn line_of(text: &str, span: Option<Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |s| s.start)).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
