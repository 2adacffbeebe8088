//! The case file: read whole, every name resolved, before anything is computed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use sluice_domain::{Kind, Refusal, text};

use super::models::{RegressionFile, SurvivalFile};
use crate::route_c::{Rules, Switch};

/// A case as written. What the checker does not need (title, expectations) is passed over.
#[derive(Debug, Deserialize)]
pub(super) struct CaseFile {
    schema: String,
    pub(super) data: DataFile,
    #[serde(default)]
    rules: RulesFile,
    pub(super) jobs: Vec<JobFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataFile {
    pub(super) file: String,
    #[serde(default)]
    pub(super) unit: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    threshold: Option<u64>,
    #[serde(default)]
    dominance: Option<Dominance>,
    #[serde(default)]
    p_percent: Option<f64>,
    #[serde(default)]
    largest_share: Option<f64>,
    #[serde(default)]
    all_same: Option<bool>,
    #[serde(default)]
    zeros: Option<Zeros>,
    #[serde(default)]
    missing: Option<Missing>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dominance {
    n: usize,
    k: f64,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Zeros {
    Unsafe,
    Safe,
}

/// What becomes of a cell with missing values.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Missing {
    Review,
    Ignore,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobFile {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) dimensions: Vec<String>,
    #[serde(default)]
    pub(super) measures: Vec<MeasureFile>,
    #[serde(default)]
    pub(super) survival: Option<SurvivalFile>,
    #[serde(default)]
    pub(super) regression: Option<RegressionFile>,
    #[serde(default)]
    pub(super) filter: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) domain: Option<BTreeMap<String, Vec<Value>>>,
    #[serde(default)]
    pub(super) totals: TotalsFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasureFile {
    pub(super) agg: String,
    #[serde(default)]
    pub(super) column: Option<String>,
    #[serde(default)]
    pub(super) q: Option<f64>,
    #[serde(default)]
    pub(super) grid: Option<f64>,
}

/// `"true"` is the word of the format; a bare boolean is understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum TotalsFile {
    #[default]
    None,
    True,
    Redacted,
}

impl TryFrom<Value> for TotalsFile {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Null | Value::Bool(false) => Ok(Self::None),
            Value::Bool(true) => Ok(Self::True),
            Value::String(word) => match word.as_str() {
                "none" => Ok(Self::None),
                "true" => Ok(Self::True),
                "redacted" => Ok(Self::Redacted),
                _ => Err("`totals` is `none`, `true` or `redacted`".to_owned()),
            },
            _ => Err("`totals` is `none`, `true` or `redacted`".to_owned()),
        }
    }
}

/// The rules of a case.
pub(super) struct CaseRules {
    pub(super) rules: Rules,
    pub(super) dominance_n: usize,
    pub(super) missing: Missing,
    /// Whether it may follow of a combination that nobody asked for that it is empty.
    pub(super) across: Switch,
}

impl CaseRules {
    /// The rules for what follows, beside what each cell says by itself.
    pub(super) fn against(&self) -> Rules {
        let zeros = if self.across == Switch::On { self.rules.zeros } else { Switch::Off };
        Rules { zeros, ..self.rules.clone() }
    }
}

impl CaseFile {
    /// Reads a case.
    ///
    /// # Errors
    /// `case.form` with the line, or with a pointer to the entry.
    pub(super) fn parse(json: &str) -> Result<Self, Refusal> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let case: Self = serde_json::from_str(json).map_err(|e| {
            // serde's own words end with the position, which is the place here.
            let words = e.to_string();
            let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            bad(&format!("line {}, column {}", e.line(), e.column()), words)
        })?;
        if case.schema != "sluice-gate-case/1" {
            return Err(bad("/schema", "the schema is `sluice-gate-case/1`"));
        }
        if case.jobs.is_empty() {
            return Err(bad("/jobs", "a case has at least one job"));
        }
        let mut names = BTreeSet::new();
        for (i, job) in case.jobs.iter().enumerate() {
            if !names.insert(job.name(i)) {
                return Err(bad(&format!("/jobs/{i}/name"), "two jobs have the same name"));
            }
            let kinds = [!job.measures.is_empty(), job.survival.is_some(), job.regression.is_some()];
            if kinds.iter().filter(|is| **is).count() != 1 {
                let one = "a job has at least one measure, or a `survival`, or a `regression`";
                return Err(bad(&format!("/jobs/{i}/measures"), one));
            }
        }
        Ok(case)
    }

    /// Whether empty combinations that nobody asked for are a secret: only where every
    /// column has a declared domain, for observed keys say where nobody is.
    fn across(&self) -> Switch {
        let declared: BTreeSet<&String> =
            self.jobs.iter().flat_map(|job| job.domain.iter().flatten()).map(|(dimension, _)| dimension).collect();
        let declares = |job: &JobFile| {
            let own = |d: &String| job.domain.as_ref().is_some_and(|domain| domain.contains_key(d));
            let filtered = job.filter.iter().flatten().all(|(column, _)| declared.contains(column));
            job.dimensions.iter().all(own) && filtered && !job.measures.is_empty()
        };
        if self.jobs.iter().all(declares) { Switch::On } else { Switch::Off }
    }

    /// The rules that are on.
    ///
    /// # Errors
    /// `case.form` for a parameter outside its range.
    pub(super) fn rules(&self) -> Result<CaseRules, Refusal> {
        let file = &self.rules;
        let share = |name: &str, value: Option<f64>| match value {
            Some(v) if !v.is_finite() || v < 0.0 => Err(bad(&format!("/rules/{name}"), "a share is not negative")),
            _ => Ok(value),
        };
        if file.dominance.as_ref().is_some_and(|d| d.n == 0) {
            return Err(bad("/rules/dominance/n", "n is at least 1"));
        }
        let on = |yes: bool| if yes { Switch::On } else { Switch::Off };
        let rules = Rules {
            threshold: file.threshold,
            p_percent: share("p_percent", file.p_percent)?,
            dominance_share: share("dominance/k", file.dominance.as_ref().map(|d| d.k))?,
            largest_share: share("largest_share", file.largest_share)?,
            all_same: on(file.all_same == Some(true)),
            zeros: on(file.zeros == Some(Zeros::Unsafe)),
            negatives: Switch::On,
            class: None,
        };
        let dominance_n = file.dominance.as_ref().map_or(2, |d| d.n);
        let missing = file.missing.unwrap_or(Missing::Ignore);
        Ok(CaseRules { rules, dominance_n, missing, across: self.across() })
    }
}

impl JobFile {
    /// The columns of a model, each with its place: those that are looked at row by row.
    pub(super) fn of_model(&self) -> Vec<(&String, String)> {
        let survival = self.survival.iter().flat_map(|s| {
            let columns =
                [(&s.time, "time"), (&s.event, "event")].into_iter().chain(s.by.iter().map(|name| (name, "by")));
            columns.map(|(name, field)| (name, format!("survival/{field}")))
        });
        let regression = self.regression.iter().flat_map(|r| {
            let columns = [(&r.outcome, "outcome")].into_iter().chain(r.numbers.iter().map(|name| (name, "numbers")));
            let columns = columns.chain(r.levels.iter().map(|name| (name, "levels")));
            columns.map(|(name, field)| (name, format!("regression/{field}")))
        });
        survival.chain(regression).collect()
    }

    /// The columns that a regression adds up.
    pub(super) fn of_regression(&self) -> impl Iterator<Item = &String> {
        self.regression.iter().flat_map(|r| std::iter::once(&r.outcome).chain(&r.numbers))
    }

    /// Its name, or its place in the list.
    pub(super) fn name(&self, place: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("job{}", place + 1))
    }
}

/// A value of the case file as the string that the CSV would hold.
pub(super) fn word(value: &Value, place: &str) -> Result<String, Refusal> {
    match value {
        Value::String(s) => Ok(s.clone()),
        Value::Number(n) => Ok(n.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(bad(place, "a value is a string, a number or a boolean")),
    }
}

/// A case file that says something wrong.
pub(super) fn bad(place: &str, what: &str) -> Refusal {
    Refusal::new(
        Kind::Usage,
        "case.form",
        text(format!("用例文件有误：{what}"), format!("the case file is not well formed: {what}")),
        text("改正所指之处；格式见 tests/cases/README.md", "correct that place; tests/cases/README.md has the format"),
    )
    .at(place)
}
