//! The checker that others can use: a case file and its microdata in, the gate's
//! verdict on every cell out (`sluice gate check`). No domain, no keys, no values.
//!
//! The jobs of a case run in order against one fresh release ledger, each through what
//! the tables of a run go through: primary rules, then suppression and history in turns.
//! Only class disclosure is off, what the rules send to a person is marked *review* here
//! instead of being withheld, and counts are of rows alone.

mod case;
mod models;
mod source;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sluice_domain::{Refusal, candidate::Reason, contract::Dimension};

use self::{
    case::{CaseFile, CaseRules},
    models::model,
    source::Source,
    table::{JobRefused, JobTable, for_a_person},
};
use crate::{
    disclosure::together::{Against, Keys, Member, Protected, Role, Together},
    lineage::{History, Ledger, Record},
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
    let mut source = Source::read(&read(&case.data.file)?, &case)?;
    let mut jobs = Vec::new();
    for (i, job) in case.jobs.iter().enumerate() {
        let (name, place) = (job.name(i), format!("/jobs/{i}"));
        let (report, entered) = if job.measures.is_empty() {
            model(name, job, &place, &source, &rules)?
        } else {
            match JobTable::of(job, &place, &source, &rules)? {
                Err(JobRefused(reason)) => {
                    let refused = Some(reason);
                    (JobReport { name, status: Status::Fail, cells: Vec::new(), refused }, Record::default())
                }
                Ok(table) => clear(name, table, &source, &rules)?,
            }
        };
        source.ledger.enter(entered.roots.into_iter().flat_map(|root| root.numbers));
        jobs.push(report);
    }
    let status = jobs.iter().map(|job| job.status).max().unwrap_or(Status::Pass);
    Ok(CaseReport { status, jobs })
}

/// Suppression and history over one job, and what it enters in the ledger.
fn clear(name: String, mut table: JobTable, source: &Source, case: &CaseRules) -> Result<(JobReport, Record), Refusal> {
    // What a person may let out counts as published in everything else.
    let mut for_person = BTreeSet::new();
    for (i, cell) in table.judged.cells.iter_mut().enumerate() {
        let before = cell.reasons.len();
        cell.reasons.retain(|r| !for_a_person(*r));
        if cell.reasons.len() < before {
            cell.looked_at = cell.key.iter().all(Option::is_some);
            for_person.insert(i);
        }
    }
    let rules = case.against();
    let histories = [(&source.ledger, source.ledger.history(&rules))];
    let against = Against { rules: &rules, dominance_n: case.dominance_n, keys: Keys::Observed, histories: &histories };
    let members = vec![Member { table: &table.plan, cells: &table.rows, role: Role::Own(0) }];
    let Protected { judged, added, record } = Together { members, against: &against }.protect(vec![table.judged])?;
    for_person.extend(record.review.iter().filter_map(|(_, cell)| usize::try_from(*cell).ok()));
    let taken = taken(&histories);
    let cells = judged
        .iter()
        .zip(&added)
        .flat_map(|(judged, added)| judged.cells.iter().enumerate().map(move |of| (of, added)));
    let cells = cells.map(|((i, cell), added)| {
        let (mut status, reasons) = fate(cell.reasons.iter().copied(), taken);
        if status == CellStatus::Safe && added.contains(&i) {
            status = CellStatus::Secondary;
        } else if status == CellStatus::Safe && for_person.contains(&i) {
            status = CellStatus::Review;
        }
        CellReport { key: names(&table.plan.plan.dimensions, &cell.key), status, reasons }
    });
    Ok((report(name, cells.collect()), record))
}

/// Without history nothing is a difference: what goes then protects its own table.
fn taken(histories: &[(&Ledger, History)]) -> CellStatus {
    let fresh = histories.iter().all(|(_, history)| history.is_empty());
    if fresh { CellStatus::Secondary } else { CellStatus::Differencing }
}

/// What became of a cell by these reasons, and those of them that are its own; `taken`
/// if history took it.
fn fate(all: impl Iterator<Item = Reason>, taken: CellStatus) -> (CellStatus, Vec<Reason>) {
    let all: BTreeSet<Reason> = all.collect();
    let others = [Reason::Differencing, Reason::AsBefore, Reason::Secondary];
    let own: Vec<Reason> = all.iter().copied().filter(|r| !others.contains(r)).collect();
    let status = if !own.is_empty() {
        CellStatus::Primary
    } else if all.contains(&Reason::Differencing) {
        taken
    } else if all.is_empty() {
        CellStatus::Safe
    } else {
        CellStatus::Secondary
    };
    (status, own)
}

/// The verdict on a job by those on its cells.
fn report(name: String, cells: Vec<CellReport>) -> JobReport {
    let any = |wanted: &dyn Fn(CellStatus) -> bool| cells.iter().any(|c| wanted(c.status));
    let withheld = |s| !matches!(s, CellStatus::Safe | CellStatus::Review);
    let status = match (any(&withheld), any(&|s| s == CellStatus::Review)) {
        (true, _) => Status::Fail,
        (false, true) => Status::Review,
        (false, false) => Status::Pass,
    };
    let nothing_left = any(&|s| s == CellStatus::Differencing) && !any(&|s| !withheld(s));
    let refused = nothing_left.then(|| "differencing leaves nothing of it".to_owned());
    JobReport { name, status, cells, refused }
}

fn names(dimensions: &[Dimension], key: &[Option<u32>]) -> BTreeMap<String, String> {
    let part = |(dimension, part): (&Dimension, &Option<u32>)| {
        let (_, code) = dimension.domain.get(usize::try_from((*part)?).ok()?)?;
        Some((dimension.name.clone(), code.clone()))
    };
    dimensions.iter().zip(key).filter_map(part).collect()
}
