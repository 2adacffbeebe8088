//! The checker that others can use: a case file and its microdata in, the gate's
//! verdict on every cell out (`sluice gate check`). No domain, no keys, no values.
//!
//! The jobs of a case run in order against one fresh release ledger: primary rules,
//! secondary suppression, then differencing against everything cleared before. A
//! cell that goes for differencing sends the table through suppression again. The
//! verdicts are computed by the same rules, suppression and lineage as in a domain;
//! only class disclosure is off, and what the rules send to a person is marked
//! *review* here instead of being withheld.

mod case;
mod models;
mod source;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sluice_domain::{Refusal, candidate::Reason};

use self::{
    case::{CaseFile, CaseRules},
    models::Against,
    source::Source,
    table::{JobRefused, JobTable, for_a_person},
};
use crate::{
    lineage::{Examined, History, People, Standing, Work, examine},
    route_c::{Depth, frame::Frame, primary::JudgedCell, secondary::suppress},
};

/// The verdict on a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The worst of the jobs.
    pub status: Status,
    /// One per job, in order.
    pub jobs: Vec<JobReport>,
}

/// The verdict on one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobReport {
    /// Its name.
    pub name: String,
    /// The verdict.
    pub status: Status,
    /// Every cell, inner cells first; a margin's key leaves out the summed dimensions.
    pub cells: Vec<CellReport>,
    /// Why nothing of it may go out, if so.
    pub refused: Option<String>,
}

/// The verdict on one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellReport {
    /// Dimension → code.
    pub key: BTreeMap<String, String>,
    /// The verdict.
    pub status: CellStatus,
    /// The primary rules that it breaks.
    pub reasons: Vec<Reason>,
}

/// Verdict on a job or a case, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is withheld.
    Pass,
    /// A person must look at some cells.
    Review,
    /// A cell is withheld, or the job is refused.
    Fail,
}

/// Verdict on a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellStatus {
    /// It may go out.
    Safe,
    /// It breaks a rule by itself.
    Primary,
    /// It protects another cell of its table.
    Secondary,
    /// A person must look.
    Review,
    /// With what was released before, it would show too few units.
    Differencing,
}

/// Checks the case `json`; `read` fetches the data file by the name in the case.
///
/// # Errors
/// `case.form` and `case.data` with the place; what `read` answers;
/// `gate.too-many-cells` for a table beyond the checker's limits.
pub fn check_case(json: &str, read: impl FnOnce(&str) -> Result<Vec<u8>, Refusal>) -> Result<CaseReport, Refusal> {
    let case = CaseFile::parse(json)?;
    let rules = case.rules()?;
    let source = Source::read(&read(&case.data.file)?, &case)?;
    let mut history = History::default();
    let mut jobs = Vec::new();
    for (i, job) in case.jobs.iter().enumerate() {
        let (name, place) = (job.name(i), format!("/jobs/{i}"));
        let mut against = Against { source: &source, rules: &rules, history: &mut history };
        if let Some(file) = &job.survival {
            jobs.push(against.survival(name, job, file, &place)?);
            continue;
        }
        if let Some(file) = &job.regression {
            jobs.push(against.regression(name, job, file, &place)?);
            continue;
        }
        jobs.push(match JobTable::of(job, &place, &source, &rules)? {
            Err(JobRefused(reason)) => {
                JobReport { name, status: Status::Fail, cells: Vec::new(), refused: Some(reason) }
            }
            Ok(table) => clear(name, &job.dimensions, table, &source, &rules, &mut history)?,
        });
    }
    let status = jobs.iter().map(|job| job.status).max().unwrap_or(Status::Pass);
    Ok(CaseReport { status, jobs })
}

/// Suppression and history over one job, and its entries in the ledger.
fn clear(
    name: String,
    dimensions: &[String],
    mut table: JobTable,
    source: &Source,
    case: &CaseRules,
    history: &mut History,
) -> Result<JobReport, Refusal> {
    // Without history nothing is a difference: what goes then protects its own table.
    let taken = if history.is_empty() { CellStatus::Secondary } else { CellStatus::Differencing };
    // What a person may let out counts as published in everything else.
    let mut for_person = BTreeSet::new();
    for (i, cell) in table.judged.cells.iter_mut().enumerate() {
        let before = cell.reasons.len();
        cell.reasons.retain(|r| !for_a_person(*r));
        if cell.reasons.len() < before {
            for_person.insert(i);
        }
    }
    // The same question has the same answer, for the same reason; what is out stays out.
    let all = table.entries(&BTreeMap::new(), source, case.rules.threshold);
    let (known, mut differencing) = (history.known(&all), BTreeSet::new());
    for (i, entry) in &all {
        let Some(cell) = table.judged.cells.get_mut(*i) else { continue };
        cell.known = known.contains(i);
        match history.unpublished(entry) {
            Some(Standing::Differencing) if differencing.insert(*i) => cell.reasons.insert(Reason::Differencing),
            Some(Standing::Complement) => cell.reasons.insert(Reason::AsBefore),
            _ => continue,
        };
    }
    let frame = Frame::of_one(&table.judged);
    let people = People { data: &source.data, rules: &case.rules, dominance_n: case.dominance_n };
    let (secondary, examined, entries) = loop {
        let secondary = suppress(Depth::Audited, &frame, &[(&table.plan, &table.judged)], &case.rules);
        let cells = table.judged.cells.iter().enumerate();
        let standing = |(i, cell): (usize, &JudgedCell)| {
            let differs = cell.reasons.contains(&Reason::Differencing);
            let standing = if differs { Standing::Differencing } else { Standing::Complement };
            (!cell.reasons.is_empty() || secondary.contains(&i)).then_some((i, standing))
        };
        let entries = table.entries(&cells.filter_map(standing).collect(), source, case.rules.threshold);
        let examined: Examined = examine(history, &entries, &people, &Work::default())?;
        let found: Vec<usize> = examined.withhold.difference(&differencing).copied().collect();
        if found.is_empty() {
            break (secondary, examined, entries);
        }
        for i in found {
            differencing.insert(i);
            if let Some(cell) = table.judged.cells.get_mut(i) {
                cell.reasons.insert(Reason::Differencing);
            }
        }
    };
    history.enter(entries.into_iter().map(|(_, entry)| entry));
    let cells: Vec<CellReport> = table
        .judged
        .cells
        .iter()
        .enumerate()
        .map(|(i, cell)| {
            let own = cell.reasons.iter().filter(|r| !matches!(r, Reason::Differencing | Reason::AsBefore));
            let reasons: Vec<Reason> = own.copied().collect();
            let status = if !reasons.is_empty() {
                CellStatus::Primary
            } else if differencing.contains(&i) {
                taken
            } else if secondary.contains(&i) || cell.reasons.contains(&Reason::AsBefore) {
                CellStatus::Secondary
            } else if for_person.contains(&i) || examined.review.contains(&i) {
                CellStatus::Review
            } else {
                CellStatus::Safe
            };
            CellReport { key: names(dimensions, &table.domains, &cell.key), status, reasons }
        })
        .collect();
    let any = |wanted: &dyn Fn(CellStatus) -> bool| cells.iter().any(|c| wanted(c.status));
    let withheld = |s| matches!(s, CellStatus::Primary | CellStatus::Secondary | CellStatus::Differencing);
    let status = if any(&withheld) {
        Status::Fail
    } else if any(&|s| s == CellStatus::Review) {
        Status::Review
    } else {
        Status::Pass
    };
    let nothing_left = any(&|s| s == CellStatus::Differencing) && !any(&|s| !withheld(s));
    let refused = nothing_left.then(|| "differencing leaves nothing of it".to_owned());
    Ok(JobReport { name, status, cells, refused })
}

fn names(dimensions: &[String], domains: &[Vec<String>], key: &[Option<u32>]) -> BTreeMap<String, String> {
    let part = |((name, domain), part): ((&String, &Vec<String>), &Option<u32>)| {
        let code = domain.get((*part)? as usize)?;
        Some((name.clone(), code.clone()))
    };
    dimensions.iter().zip(domains).zip(key).filter_map(part).collect()
}
