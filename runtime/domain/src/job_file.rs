//! 作业文件: the TOML that an operator writes, and where in it something stands.
//!
//! Names are not resolved here and no number is judged: [`crate::decide::freeze`]
//! does, and what it refuses is pointed at with [`JobFile::line`].

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::{
    catalogue::Key,
    contract::{Combine, Consistent, KeyKind, Law, ProductTerms, Profile, Totals},
    held::ModelKind,
    id::{AgreementId, ScenarioId, ViewId},
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
    /// Inputs are numbered in the order of their names.
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    /// Free parameters handed to the guest.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What comes out.
    #[serde(rename = "table")]
    pub tables: Vec<TableFile>,
    /// Inner room, outer room, inner room …; absent for one pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsFile>,
    /// Texts and charts that an outer room composes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportFile>,
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
    /// How floating point is compiled.
    #[serde(default)]
    pub profile: Profile,
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
    /// Sample and aggregate: an answer per block of units, combined with noise.
    B(TableFileB),
    /// Host tabulation with disclosure control.
    C {
        /// Name of the table.
        name: String,
        /// `SELECT dims, aggregates FROM view WHERE … GROUP BY dims`; empty for a
        /// regression or a survival curve.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        sql: String,
        /// What happens to the margins.
        #[serde(default)]
        totals: Totals,
        /// A regression in place of `sql`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regression: Option<RegressionFile>,
        /// A survival curve in place of `sql`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        survival: Option<SurvivalFile>,
    },
    /// Held: made by a guest straight from all rows, in a declared form.
    D(TableFileD),
}

/// A `[[table]]` of route D: cells of declared keys, or a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFileD {
    /// Name of the table.
    pub name: String,
    /// The table's keys; none for one number per measure, or for a model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<DimensionFile>,
    /// Measures, by name; none for a model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, RangeSpec>,
    /// A model in place of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFile>,
}

/// A model of route D.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// One of the kinds that the host can read ([`crate::held::ModelKind`]).
    pub kind: String,
    /// Number columns of the job's only input that explain.
    pub features: Vec<String>,
    /// The number column that is explained.
    pub outcome: String,
    /// `[lowest, highest]` of a coefficient, or of a tree's value.
    pub range: [f64; 2],
    /// Grid units per 1 of those.
    #[serde(default = "one")]
    pub grid: u32,
    /// Of a tree: how many nodes it may have, leaves included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Of a tree: what a threshold may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<RangeSpec>,
}

/// A regression of route C.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionFile {
    /// The view it reads.
    pub view: ViewId,
    /// The measure that is explained.
    pub outcome: String,
    /// Measures, and dimensions as dummies.
    pub terms: Vec<String>,
    /// Rows kept: dimension → codes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Vec<Key>>,
}

/// A survival curve of route C.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurvivalFile {
    /// The view it reads.
    pub view: ViewId,
    /// The measure, or dimension of numbers, that says how long a unit was followed.
    pub time: String,
    /// What says whether the event ended it.
    pub event: EventFile,
    /// Dimensions: a curve for each combination of their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// The times at which the curve may be shown, ascending.
    pub steps: Vec<f64>,
    /// Rows kept: dimension → codes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Vec<Key>>,
}

/// The event of a survival curve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventFile {
    /// A measure that is above 0.
    Measure(String),
    /// A dimension, and its codes that are the event: `{ plan = [1, 2] }`.
    Codes(BTreeMap<String, Vec<Key>>),
}

/// A `[[table]]` of route A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFileA {
    /// Name of the table.
    pub name: String,
    /// The table's keys, if they are declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<DimensionFile>,
    /// Whether the keys are declared.
    #[serde(default)]
    pub keys: KeysFile,
    /// The key column, if its keys are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyFile>,
    /// Chance that a key of one unit alone is released, if keys are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Measures, by name.
    #[serde(default)]
    pub measures: BTreeMap<String, SumSpec>,
    /// L0: how many keys one unit may touch.
    #[serde(default = "one")]
    pub keys_per_unit: u32,
    /// zCDP cost of one pass.
    pub rho: f64,
    /// Which noise.
    #[serde(default)]
    pub noise: Law,
    /// Ratios of two measures, computed from the noised sums: they cost nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, [String; 2]>,
    /// What is made of the noised sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent: Option<Consistent>,
}

/// Whether route A's keys are declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeysFile {
    /// By `dimensions`.
    #[default]
    Declared,
    /// The guest names them; a key that few units share stays unknown.
    Unknown,
}

/// A key column whose keys nobody declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Column name in the product.
    pub name: String,
    /// Name for people; the column name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the keys are.
    #[serde(rename = "type")]
    pub kind: KeyKind,
}

/// A `[[table]]` of route B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFileB {
    /// Name of the table.
    pub name: String,
    /// The table's keys; none for one number per measure.
    #[serde(default)]
    pub dimensions: Vec<DimensionFile>,
    /// Measures, by name.
    pub measures: BTreeMap<String, RangeSpec>,
    /// How many blocks the units are dealt into.
    pub blocks: u32,
    /// How the blocks' answers become one.
    #[serde(default)]
    pub combine: Combine,
    /// zCDP cost of one pass.
    pub rho: f64,
}

/// A dimension: a column of the catalogue, or a code list of the job's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DimensionFile {
    /// A column whose code list the catalogue declares.
    Column(String),
    /// Keys that the guest makes up, such as a model's terms: public, because they
    /// stand in the contract.
    Declared(DeclaredDimension),
}

/// A dimension declared in the job file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredDimension {
    /// Column name in the product.
    pub name: String,
    /// Name for people; the column name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// All keys, in order.
    pub codes: Vec<Key>,
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

/// A clamped answer of route B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// `[lowest, highest]` that one block may answer.
    pub range: [f64; 2],
    /// Grid units per 1: answers are rounded to multiples of 1/grid.
    #[serde(default = "one")]
    pub grid: u32,
}

fn one() -> u32 {
    1
}

/// The `[rounds]` part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundsFile {
    /// How often every table of A and B is computed, and charged.
    pub count: u32,
    /// Path of the component that updates the state between two rounds.
    pub guest: String,
}

/// The `[report]` part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFile {
    /// Path of the component that composes.
    pub guest: String,
    /// Handed to it.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// The `[limits]` part: what the job reserves, and what its tick follows from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named after the fields of `Limits`")]
pub struct LimitsFile {
    pub fuel: Option<u64>,
    pub outer_fuel: Option<u64>,
    pub memory_mib: Option<u32>,
    pub stack_kib: Option<u32>,
    pub input_rows: Option<u32>,
    pub rows_max: Option<u32>,
    pub output_kib: Option<u32>,
    pub instances: Option<u32>,
    pub wall_seconds: Option<u32>,
}

impl JobFile {
    /// Reads a job file. Names are resolved later, against the agreement.
    ///
    /// # Errors
    /// `job.form` with the line; `job.model-kind` for a model that the host cannot read.
    pub fn parse(toml: &str) -> Result<Self, Refusal> {
        let file: Self = toml::from_str(toml).map_err(|e| {
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
        })?;
        for table in &file.tables {
            let TableFile::D(TableFileD { name, model: Some(model), .. }) = table else { continue };
            let field = format!("table.{name}.model.kind");
            let place = Self::line(toml, &field).map_or(field.clone(), |line| format!("{line}: {field}"));
            ModelKind::named(&model.kind).map_err(|refusal| refusal.at(place))?;
        }
        Ok(file)
    }

    /// Where `field` stands: a path such as `table.rose.measures.rise` or
    /// `limits.fuel`; a table goes by its name. The deepest part that is written
    /// down counts, so that a missing field points at what it is missing from. In a
    /// text, `: line L, column C` after the field counts from where the text begins.
    pub fn line(toml: &str, field: &str) -> Option<String> {
        let root = DeTable::parse(toml).ok()?;
        let mut table: Option<&DeTable<'_>> = Some(root.get_ref());
        let (mut found, mut inside) = (None, None);
        let mut words = field.split(['.', ':', ' ']);
        while let (Some(here), Some(word)) = (table, words.next()) {
            let Some((key, value)) = here.iter().find(|(key, _)| key.get_ref() == word) else { break };
            found = Some(key.span());
            inside = value.get_ref().as_str().map(|_| value.span());
            table = match value.get_ref() {
                DeValue::Table(inner) => Some(inner),
                DeValue::Array(items) => {
                    let name = words.next();
                    let named = items.iter().find_map(|item| {
                        let inner = item.get_ref().as_table()?;
                        let is = inner.iter().any(|(k, v)| k.get_ref() == "name" && v.get_ref().as_str() == name);
                        is.then_some((item.span(), inner))
                    });
                    found = named.as_ref().map_or(found, |(span, _)| Some(span.clone()));
                    named.map(|(_, inner)| inner)
                }
                _ => None,
            };
        }
        let inside = inside.and_then(|span| within(toml, span, field));
        inside.or_else(|| found.map(|span| line_of(toml, Some(span))))
    }
}

/// The place `: line L, column C` of the text that stands at `span`, in the whole file.
/// Escapes are not unfolded: a text that has some is pointed at a little early.
fn within(toml: &str, span: Range<usize>, field: &str) -> Option<String> {
    let (line, column) = field.split_once(": line ")?.1.split_once(", column ")?;
    let digits = |s: &str| s.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let (line, column) = (digits(line)?, digits(column)?);
    let written = toml.get(span.clone())?;
    let long = written.starts_with("\"\"\"") || written.starts_with("'''");
    let body = written.get(if long { 3 } else { 1 }..)?;
    // A line break right after the opening quotes is not part of the text.
    let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n')).filter(|_| long).unwrap_or(body);
    let before = body.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let ahead = body.get(before..)?.chars().take(column.checked_sub(1)?).map(char::len_utf8).sum::<usize>();
    let start = span.end - body.len() + before + ahead;
    Some(line_of(toml, Some(start..start)))
}

/// `line 3, column 5` of a byte range in `text`.
pub fn line_of(text: &str, span: Option<Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |s| s.start)).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::JobFile;

    const JOB: &str = "[job]\nname = \"x\"\n\n[[table]]\nname = \"a\"\nrho = 1\n\n[[table]]\nname = \"b\"\nmeasures = { n = { sum = [0, 1] } }\nrho = 9\n";

    /// kNN, support vectors, weights of anything: what the host cannot read has no form.
    #[test]
    fn a_product_straight_from_rows_has_a_form_that_the_host_reads_or_none() {
        let job = |table: &str| {
            format!(
                "[job]\nname = \"x\"\nagreement = \"a\"\nscenario = \"s\"\nguest = \"g.wasm\"\n[inputs.i]\nsql = \"SELECT x FROM v\"\n[product]\ntitle = \"t\"\nform = \"data-model\"\n[[table]]\nname = \"m\"\nroute = \"D\"\n{table}\n"
            )
        };
        let model = |kind: &str| {
            job(&format!("model = {{ kind = \"{kind}\", features = [\"x\"], outcome = \"y\", range = [0, 9] }}"))
        };
        JobFile::parse(&model("linear")).unwrap();
        JobFile::parse(&job("measures = { w = { range = [0, 1] } }")).unwrap();
        for kind in ["knn", "svm", "neural-network"] {
            let refusal = JobFile::parse(&model(kind)).unwrap_err();
            assert_eq!(refusal.code, "job.model-kind");
            assert_eq!(refusal.place.as_deref(), Some("line 14, column 11: table.m.model.kind"));
        }
        for none in ["measures = { w = { sum = [0, 1] } }", "measures = { w = { range = [0, 1] } }\nrho = 0.01"] {
            assert_eq!(JobFile::parse(&job(none)).unwrap_err().code, "job.form");
        }
    }

    #[test]
    fn a_field_is_pointed_at_by_its_line() {
        assert_eq!(JobFile::line(JOB, "table.b.rho").unwrap(), "line 11, column 1");
        assert_eq!(JobFile::line(JOB, "table.b.measures.n").unwrap(), "line 10, column 14");
        assert_eq!(JobFile::line(JOB, "table.b.shares").unwrap(), "line 8, column 1");
        assert_eq!(JobFile::line(JOB, "limits.fuel"), None);
    }

    #[test]
    fn a_place_in_sql_is_a_place_in_the_file() {
        let job = "[[table]]\nname = \"c\"\nsql = \"\"\"\nSELECT x,\n  max(y)\n\"\"\"\n\n[[table]]\nname = \"d\"\nsql = \"SELECT max(y)\"\n";
        assert_eq!(JobFile::line(job, "table.c.sql: line 2, column 3: max(y)").unwrap(), "line 5, column 3");
        assert_eq!(JobFile::line(job, "table.d.sql: line 1, column 8: max(y)").unwrap(), "line 10, column 15");
        assert_eq!(JobFile::line(job, "table.d.sql: SELECT").unwrap(), "line 10, column 1");
    }
}
