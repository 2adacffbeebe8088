//! Jobs of a case that are no tabulation: survival curves and regressions, by the gate's
//! own rules, held against what the case cleared before.
//!
//! Groups and levels are the observed codes in order. A regression's first level of each
//! dimension is the reference; its own rules are those of the shipped rule pack, as a case
//! names none. Numbers are not shown, as everywhere in a case.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use serde::Deserialize;
use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Dimension, Event, Levels, Regression, Survival, TableC, Term, Whose},
    rulepack::RulePack,
};
use sluice_rows::{
    cells::{CellKey, CellStats, Cells},
    fit::{Products, Shape},
    follow::{Ended, Followed, Observation},
};

use super::{
    CellReport, CellStatus, JobReport,
    case::{CaseRules, JobFile, bad},
    fate, report,
    source::{Source, number, view},
    table::{CELLS_MAX, filtered},
    taken,
};
use crate::{
    disclosure::{
        models::{Plans, Settled, settle},
        together::{Against, Keys},
    },
    lineage::Record,
    refusals,
    route_c::{Rules, Switch, regression::RegressionRules},
};

/// Most coefficients of a regression.
const PARAMETERS_MAX: usize = 128;

/// A survival curve: `time` and `event` are columns of numbers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SurvivalFile {
    pub(super) time: String,
    pub(super) event: String,
    #[serde(default)]
    pub(super) by: Vec<String>,
    pub(super) steps: Vec<f64>,
}

/// A regression on columns of numbers and on columns of codes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegressionFile {
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) numbers: Vec<String>,
    #[serde(default)]
    pub(super) levels: Vec<String>,
}

/// A job that is a survival curve or a regression, and what it enters.
///
/// # Errors
/// `case.form` for what the case file says wrongly; as [`settle`].
pub(super) fn model(
    name: String,
    job: &JobFile,
    place: &str,
    source: &Source,
    case: &CaseRules,
) -> Result<(JobReport, Record), Refusal> {
    let asked = Asked { job, place, source, case };
    let cells = match (&job.survival, &job.regression) {
        (Some(file), _) => asked.survival(file)?,
        (None, Some(file)) => asked.regression(file)?,
        (None, None) => return Err(bad(place, "a job has at least one measure")),
    };
    Ok((report(name, cells.0), cells.1))
}

/// A job with what it is judged by.
struct Asked<'a> {
    job: &'a JobFile,
    place: &'a str,
    source: &'a Source,
    case: &'a CaseRules,
}

/// The verdict on each cell, and what the job enters.
type Judged = (Vec<CellReport>, Record);

impl Asked<'_> {
    /// What may be published of `plans`, and what a cell is that history takes.
    fn settle<'p>(&self, plans: Plans<'p>) -> Result<(Settled<'p>, CellStatus), Refusal> {
        // What a person may let out counts as published.
        let rules = Rules { negatives: Switch::Off, ..self.case.against() };
        let histories = [(&self.source.ledger, self.source.ledger.history(&rules))];
        let (dominance_n, keys) = (self.case.dominance_n, Keys::Declared(CELLS_MAX));
        let settled = settle(plans, &Against { rules: &rules, dominance_n, keys, histories: &histories })?;
        Ok((settled, taken(&histories)))
    }

    /// A survival curve.
    fn survival(&self, file: &SurvivalFile) -> Result<Judged, Refusal> {
        let rising = file.steps.array_windows().all(|[a, b]| a < b) && file.steps.iter().all(|s| *s > 0.0);
        if !rising || file.steps.is_empty() {
            return Err(bad(&format!("{}/survival/steps", self.place), "steps are numbers above zero, ascending"));
        }
        let (plan, counted) = self.follow(file)?;
        let tables = [(plan.table(), Whose::Survival(0))];
        let counted = [counted];
        let plans = Plans { tables: &tables, tabulated: &counted, regressions: Vec::new(), survivals: vec![&plan] };
        let (settled, taken) = self.settle(plans)?;
        let shown = if settled.review.is_empty() { CellStatus::Safe } else { CellStatus::Review };
        let cells = settled.followed.iter().flat_map(|followed| &followed.curves).flat_map(|curve| {
            plan.steps.iter().enumerate().map(|(step, time)| {
                let codes = plan.by.iter().zip(&curve.group).filter_map(|(dimension, at)| {
                    let (_, code) = dimension.domain.get(usize::try_from(*at).ok()?)?;
                    Some((dimension.name.clone(), code.clone()))
                });
                let key = codes.chain([(Survival::STEP.to_owned(), time.to_string())]).collect();
                let (status, reasons) = match curve.lost.get(&step) {
                    Some(lost) => fate(lost.iter().copied(), taken),
                    None if curve.ends.contains(&step) => (shown, vec![]),
                    None => (CellStatus::Primary, vec![Reason::Threshold]),
                };
                CellReport { key, status, reasons }
            })
        });
        Ok((cells.collect(), settled.record))
    }

    /// The plan of a curve over observed codes, and its counts.
    fn follow(&self, file: &SurvivalFile) -> Result<(Survival, Cells), Refusal> {
        let rows = filtered(self.job, self.place, self.source)?;
        let by: Vec<Dimension> = file.by.iter().map(|name| self.observed(name, &rows)).collect();
        let cells = by.iter().try_fold(file.steps.len(), |n, d| n.checked_mul(d.domain.len()));
        if cells.is_none_or(|n| n > CELLS_MAX) {
            return Err(refusals::too_many_cells(self.place, CELLS_MAX));
        }
        let plan = Survival {
            name: String::new(),
            view: view().ok_or_else(|| refusals::host_fault("case", "内部名称有误", "a name is wrong"))?,
            time: file.time.clone(),
            event: Event::Measure(file.event.clone()),
            by,
            steps: file.steps.clone(),
            grid: file.steps.clone(),
            filter: self.source.filter(self.job),
            impossible: Vec::new(),
        };
        let mut followed = Followed::new(&plan.steps);
        for row in rows {
            let number = |column: &str| self.number(column, row);
            let group = plan.by.iter().map(|d| self.code(d, row)).collect::<Option<Vec<u32>>>();
            let seen = number(&file.time).zip(number(&file.event).filter(|e| *e >= 0.0)).zip(group);
            if let (Some(((time, event), group)), Some(unit)) = (seen, self.source.data().unit_of(row)) {
                let event = if event > 0.0 { Ended::WithEvent } else { Ended::Otherwise };
                followed.add(unit.into(), Observation { row, group, time, event });
            }
        }
        Ok((plan, followed.finish()))
    }

    /// A regression: it is judged by the sums that it gives away.
    fn regression(&self, file: &RegressionFile) -> Result<Judged, Refusal> {
        let rows = filtered(self.job, self.place, self.source)?;
        let levels: Vec<Dimension> = file.levels.iter().map(|name| self.observed(name, &rows)).collect();
        let shape = Shape::new(file.numbers.len(), levels.iter().map(|d| d.domain.len()).collect());
        let parameters = shape.parameters();
        if parameters > PARAMETERS_MAX {
            return Err(bad(&format!("{}/regression", self.place), "a regression has at most 128 coefficients"));
        }
        let mut seen = Vec::new();
        for row in rows {
            let numbers = file.numbers.iter().map(|name| self.number(name, row)).collect::<Option<Vec<f64>>>();
            let places = levels.iter().map(|d| self.code(d, row)).collect::<Option<Vec<u32>>>();
            let outcome = self.number(&file.outcome, row).zip(self.source.data().unit_of(row));
            if let (Some(numbers), Some(places), Some((outcome, unit))) = (numbers, places, outcome) {
                seen.push((row, u64::from(unit), numbers, places, outcome));
            }
        }
        let dummies = |places: &[u32]| places.iter().filter_map(|at| usize::try_from(*at).ok()).collect::<Vec<_>>();
        let mut products = Products::new(shape);
        seen.iter().for_each(|(_, unit, x, places, y)| products.add(*unit, x, &dummies(places), *y));
        let mut residuals = products.solve();
        seen.iter().for_each(|(_, unit, x, places, y)| residuals.add(*unit, x, &dummies(places), *y));
        let pack = RulePack::shipped()
            .map_err(|_| refusals::host_fault("rulepack", "规则包有误", "the rule pack is wrong"))?
            .disclosure;
        let own = RegressionRules::of(&pack, &self.case.rules).judge(&residuals.finish(), parameters);

        let of_level = |d: Dimension| {
            let kept = d.domain.iter().map(|(key, _)| key.clone()).collect();
            Term::Levels(Levels { dimension: d, kept })
        };
        let plan = Regression {
            name: String::new(),
            view: view().ok_or_else(|| refusals::host_fault("case", "内部名称有误", "a name is wrong"))?,
            outcome: file.outcome.clone(),
            terms: file.numbers.iter().cloned().map(Term::Number).chain(levels.into_iter().map(of_level)).collect(),
            filter: self.source.filter(self.job),
            derived: BTreeMap::new(),
            impossible: Vec::new(),
        };
        let tables: Vec<(TableC, Whose)> = plan.tables().into_iter().map(|t| (t, Whose::Regression(0))).collect();
        let tabulated: Vec<Cells> = tables
            .iter()
            .enumerate()
            .map(|(at, (table, _))| {
                let mut rows: BTreeMap<CellKey, RoaringBitmap> = BTreeMap::new();
                for (row, _, _, places, _) in &seen {
                    // The total first, then each dimension by itself.
                    let key = at.checked_sub(1).and_then(|axis| places.get(axis)).map(|place| Some(*place));
                    rows.entry(key.into_iter().collect()).or_default().insert(*row);
                }
                let cells = rows.iter().map(|(key, rows)| (key.clone(), self.stats(table, rows)));
                Cells::new(cells.collect(), rows.clone().into_iter().collect())
            })
            .collect();
        let plans =
            Plans { tables: &tables, tabulated: &tabulated, regressions: vec![(&plan, own)], survivals: vec![] };
        let (settled, taken) = self.settle(plans)?;
        let (mut status, reasons) = fate(settled.fallen.iter().flatten().copied(), taken);
        if status == CellStatus::Safe && !settled.review.is_empty() {
            status = CellStatus::Review;
        }
        let cell = |term| CellReport { key: [("term".to_owned(), term)].into(), status, reasons: reasons.clone() };
        Ok((plan.parameters().into_iter().map(cell).collect(), settled.record))
    }

    /// What a cell of `table` holds.
    fn stats(&self, table: &TableC, rows: &RoaringBitmap) -> CellStats {
        let data = self.source.data();
        let of = |column: Option<&String>| column.and_then(|name| self.source.column(name));
        let columns: Vec<Option<usize>> = table.plan.measures.iter().map(|m| of(m.column.as_ref())).collect();
        data.stats(rows, &columns, self.case.dominance_n)
    }

    /// The codes of a column among `rows`, in order.
    fn observed(&self, name: &str, rows: &RoaringBitmap) -> Dimension {
        let codes = self.source.codes(name);
        let seen: BTreeSet<&String> =
            rows.iter().filter_map(|row| codes.get(row as usize)).filter(|code| !code.is_empty()).collect();
        self.source.dimension(name, &seen.into_iter().cloned().collect::<Vec<_>>())
    }

    fn code(&self, dimension: &Dimension, row: u32) -> Option<u32> {
        let code = self.source.codes(&dimension.name).get(row as usize)?;
        u32::try_from(dimension.domain.iter().position(|(_, known)| known == code)?).ok()
    }

    fn number(&self, column: &str, row: u32) -> Option<f64> {
        self.source.codes(column).get(row as usize).and_then(|field| number(field).ok().flatten())
    }
}
