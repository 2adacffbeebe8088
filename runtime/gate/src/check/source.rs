//! The microdata of a case: CSV in, rows ordered by unit out. Keys compare as the
//! strings of the file; a blank is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};
use sluice_domain::{
    Kind, Refusal,
    catalogue::Key,
    contract::{Base, Dimension},
    id::ViewId,
    text,
};

use super::case::{CaseFile, JobFile, bad, word};
use crate::{
    lineage::{Ledger, Microdata, ledger::Case},
    refusals,
};

/// Most fields that a case's microdata may have.
const FIELDS_MAX: usize = 20_000_000;

/// Largest value: sums of squares of as many as there may be stay finite.
const VALUE_MAX: f64 = 1e140;

/// Rows of a case, a unit's rows adjacent.
pub(super) struct Source {
    /// The rows, and what the jobs so far entered.
    pub(super) ledger: Ledger,
    codes: BTreeMap<String, Vec<String>>,
    /// Of each column of codes, all that the file or a job's domain has, in order.
    known: BTreeMap<String, Vec<String>>,
    measures: BTreeMap<String, usize>,
}

impl Source {
    /// Reads the columns that the case names.
    ///
    /// # Errors
    /// `case.data` with the line, `case.form` for a column that is not there.
    pub(super) fn read(csv: &[u8], case: &CaseFile) -> Result<Self, Refusal> {
        let file = &case.data.file;
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let mut reader = csv::ReaderBuilder::new().from_reader(csv);
        let fault = |e: &csv::Error| {
            let line = e.position().map_or(1, csv::Position::line);
            unreadable(file, line, "every line holds the header's fields, in UTF-8")
        };
        let header: Vec<String> = reader.headers().map_err(|e| fault(&e))?.iter().map(str::to_owned).collect();
        let find = |column: &str, place: &str| {
            let mut found = header.iter().enumerate().filter(|(_, name)| *name == column).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (Some(at), None) => Ok(at),
                (None, _) => Err(bad(place, &format!("the data file has no column `{column}`"))),
                (Some(_), Some(_)) => Err(bad(place, &format!("the data file has two columns `{column}`"))),
            }
        };
        let unit = case.data.unit.as_deref().map(|column| find(column, "/data/unit")).transpose()?;
        let (mut code_columns, mut measure_columns) = (BTreeMap::new(), BTreeMap::new());
        for (i, job) in case.jobs.iter().enumerate() {
            for (j, name) in job.dimensions.iter().enumerate() {
                code_columns.insert(name.clone(), find(name, &format!("/jobs/{i}/dimensions/{j}"))?);
            }
            for name in job.filter.iter().flatten().map(|(name, _)| name) {
                code_columns.insert(name.clone(), find(name, &format!("/jobs/{i}/filter/{name}"))?);
            }
            for (name, field) in job.of_model() {
                code_columns.insert(name.clone(), find(name, &format!("/jobs/{i}/{field}"))?);
            }
            for name in job.of_regression() {
                measure_columns.insert(name.clone(), find(name, &format!("/jobs/{i}/regression"))?);
            }
            for (j, measure) in job.measures.iter().enumerate() {
                if let Some(name) = &measure.column {
                    measure_columns.insert(name.clone(), find(name, &format!("/jobs/{i}/measures/{j}/column"))?);
                }
            }
        }
        let mut records: Vec<(u32, Vec<String>, Vec<Option<f64>>)> = Vec::new();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let numeric = numeric(case);
        for record in reader.records() {
            let record = record.map_err(|e| fault(&e))?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |at: usize| record.get(at).unwrap_or_default();
            let next = u32::try_from(if unit.is_some() { numbers.len() } else { records.len() });
            let next = next.map_err(|_| unreadable(file, line, "too many rows"))?;
            let unit = match unit {
                None => next,
                Some(at) if field(at).is_empty() => return Err(unreadable(file, line, "a row without its unit")),
                Some(at) => *numbers.entry(field(at).to_owned()).or_insert(next),
            };
            let codes = code_columns.values().map(|at| field(*at).to_owned()).collect();
            let values = measure_columns.iter().map(|(name, at)| match number(field(*at)) {
                Err(()) if numeric.contains(&name.as_str()) => {
                    Err(unreadable(file, line, &format!("column `{name}` holds something that is no number")))
                }
                // Nothing is added up: any text is a value.
                Err(()) => Ok(Some(1.0)),
                Ok(value) => Ok(value),
            });
            records.push((unit, codes, values.collect::<Result<_, _>>()?));
            if records.len().saturating_mul(header.len()) > FIELDS_MAX {
                return Err(unreadable(file, line, "too many rows"));
            }
        }
        records.sort_by_key(|(unit, ..)| *unit);
        let columns = (0..measure_columns.len())
            .map(|c| records.iter().map(|(_, _, values)| values.get(c).copied().flatten()).collect())
            .collect();
        let codes = code_columns.keys().enumerate().map(|(c, name)| {
            (name.clone(), records.iter().map(|(_, codes, _)| codes.get(c).cloned().unwrap_or_default()).collect())
        });
        let codes: BTreeMap<String, Vec<String>> = codes.collect();
        let data = Microdata::new(records.iter().map(|(unit, ..)| *unit).collect(), columns, row_hash);
        let root = "case".parse().ok().zip("snap-000001".parse().ok());
        let (Some(root), Some(view)) = (root, view()) else {
            return Err(refusals::host_fault("case", "内部名称有误", "a name is wrong"));
        };
        let ledger = Ledger::of_case(root, view, Case { columns: measure_columns.keys().cloned().collect(), data });
        let measures = measure_columns.into_keys().enumerate().map(|(i, name)| (name, i)).collect();
        let known = known(&codes, case)?;
        Ok(Self { ledger, codes, known, measures })
    }

    /// The rows.
    pub(super) fn data(&self) -> &Microdata {
        self.ledger.data()
    }

    /// The codes `domain` of `column` as a dimension; the parts are all codes that are
    /// known of it, so that jobs with different domains of one column speak of the same.
    pub(super) fn dimension(&self, column: &str, domain: &[String]) -> Dimension {
        let known = self.known.get(column).map_or(&[][..], Vec::as_slice);
        let place = |code: &String| domain.iter().position(|of| of == code);
        let place = |code| place(code).and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX);
        Dimension {
            name: column.to_owned(),
            title: column.to_owned(),
            domain: domain.iter().map(|code| (Key::Text(code.clone()), code.clone())).collect(),
            base: Some(Base { name: column.to_owned(), of_part: known.iter().map(place).collect() }),
        }
    }

    /// A job's filter as a contract has it.
    pub(super) fn filter(&self, job: &JobFile) -> Vec<(Dimension, Vec<Key>)> {
        let filters = job.filter.iter().flatten().map(|(name, value)| {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let keys = values.iter().filter_map(|v| word(v, name).ok()).map(Key::Text).collect();
            (self.dimension(name, self.known.get(name).map_or(&[][..], Vec::as_slice)), keys)
        });
        filters.collect()
    }

    /// The code of `column` in every row.
    pub(super) fn codes(&self, column: &str) -> &[String] {
        self.codes.get(column).map_or(&[], Vec::as_slice)
    }

    /// The number of a measure column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.measures.get(name).copied()
    }
}

/// The view that stands for the case's rows.
pub(super) fn view() -> Option<ViewId> {
    "case".parse().ok()
}

/// All codes of each column: those of the file, and those that a job declares.
fn known(codes: &BTreeMap<String, Vec<String>>, case: &CaseFile) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut known: BTreeMap<&String, BTreeSet<String>> =
        codes.iter().map(|(name, codes)| (name, codes.iter().cloned().collect())).collect();
    for (name, values) in case.jobs.iter().flat_map(|job| job.domain.iter().flatten()) {
        for value in values {
            known.entry(name).or_default().insert(word(value, name)?);
        }
    }
    Ok(known.into_iter().map(|(name, codes)| (name.clone(), codes.into_iter().collect())).collect())
}

/// Columns whose values are added up: elsewhere (a count of values) any text is a value.
fn numeric(case: &CaseFile) -> Vec<&str> {
    let measures = case.jobs.iter().flat_map(|job| &job.measures);
    let added = measures.filter(|m| ["sum", "mean", "quantile"].contains(&m.agg.as_str()));
    let fitted = case.jobs.iter().flat_map(JobFile::of_regression).map(String::as_str);
    added.filter_map(|m| m.column.as_deref()).chain(fitted).collect()
}

/// A blank is missing; infinities, what is not a number, and what nobody can add up are none.
pub(super) fn number(field: &str) -> Result<Option<f64>, ()> {
    let field = field.trim();
    if field.is_empty() {
        return Ok(None);
    }
    field.parse::<f64>().ok().filter(|v| v.abs() <= VALUE_MAX).map(Some).ok_or(())
}

/// The file is the reader's own, so the key is no secret here; in a domain it is.
fn row_hash(row: u64) -> u128 {
    let digest = Sha256::new().chain_update(b"sluice case row").chain_update(row.to_le_bytes()).finalize();
    digest.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

fn unreadable(file: &str, line: u64, what: &str) -> Refusal {
    Refusal::new(
        Kind::Usage,
        "case.data",
        text(format!("微观数据有误：{what}"), format!("the microdata cannot be read: {what}")),
        text("改正数据文件的这一行", "correct that line of the data file"),
    )
    .at(format!("{file} line {line}"))
}
