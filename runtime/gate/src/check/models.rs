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
    catalogue::Key,
    contract::{Aggregate, Dimension, Event, Survival},
    rulepack::RulePack,
};
use sluice_rows::{
    cells::Cells,
    fit::{Products, Shape},
    follow::{Ended, Followed, Observation},
};

use super::{
    CellReport, CellStatus, JobReport, Status,
    case::{CaseRules, JobFile, bad},
    source::{Source, number},
    table::{CELLS_MAX, filtered, for_a_person},
};
use crate::{
    lineage::{Entry, History, People, Quantity, Standing, Work, examine},
    refusals,
    route_c::{primary, regression::RegressionRules, survival::Curve, survival::keep_unsaid},
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

/// What the jobs of a case are judged with.
pub(super) struct Against<'a> {
    pub(super) source: &'a Source,
    pub(super) rules: &'a CaseRules,
    pub(super) history: &'a mut History,
}

impl Against<'_> {
    fn examined(&self, entries: &[(usize, Entry)]) -> Result<(BTreeSet<usize>, bool), Refusal> {
        let people = People { data: &self.source.data, rules: &self.rules.rules, dominance_n: self.rules.dominance_n };
        let examined = examine(self.history, entries, &people, &Work::default())?;
        Ok((examined.withhold, !examined.review.is_empty()))
    }

    fn entry(&self, quantity: Quantity, rows: RoaringBitmap, value: f64, standing: Standing) -> Entry {
        Entry::new(quantity, rows, value, standing, &self.source.data, self.rules.rules.threshold)
    }

    /// A survival curve, and what it enters.
    pub(super) fn survival(
        &mut self,
        name: String,
        job: &JobFile,
        file: &SurvivalFile,
        place: &str,
    ) -> Result<JobReport, Refusal> {
        let rising = file.steps.array_windows().all(|[a, b]| a < b) && file.steps.iter().all(|s| *s > 0.0);
        if !rising || file.steps.is_empty() {
            return Err(bad(&format!("{place}/survival/steps"), "steps are numbers above zero, ascending"));
        }
        let (plan, counted) = self.follow(job, file, place)?;
        let k = self.rules.rules.threshold.unwrap_or(1);
        let mut curves = Curve::of(&plan, &counted, k);
        let (entries, review) = loop {
            let mut unsaid = primary(&plan.table(), &counted, &self.rules.rules)?;
            keep_unsaid(&mut unsaid, &curves, plan.steps.len());
            let (mut entries, mut places) = (Vec::new(), Vec::new());
            let shown = curves.iter().enumerate().filter(|(_, curve)| !curve.ends.is_empty());
            let shown = shown.flat_map(|(g, curve)| curve.cells.iter().map(move |(key, _)| (g, curve, key)));
            for (group, curve, key) in shown {
                let fate = key.first().copied().flatten().and_then(|fate| usize::try_from(fate).ok()).unwrap_or(0);
                let rows = curve.cells.rows(key);
                entries.push((places.len(), self.count(rows, Standing::Published)));
                places.push((group, (fate / 2).min(curve.ends.len() - 1)));
            }
            for cell in unsaid.cells.iter().filter(|cell| cell.units > 0) {
                entries.push((usize::MAX, self.count(counted.rows(&cell.key), Standing::Withheld)));
            }
            let (withhold, review) = self.examined(&entries)?;
            let mut cuts: BTreeMap<usize, usize> = BTreeMap::new();
            for (group, interval) in withhold.iter().filter_map(|at| places.get(*at)) {
                let first = cuts.entry(*group).or_insert(*interval);
                *first = (*first).min(*interval);
            }
            if cuts.is_empty() {
                break (entries, review);
            }
            for (group, interval) in cuts {
                if let Some(curve) = curves.get_mut(group) {
                    curve.cut(&plan, &counted, interval, BTreeSet::from([Reason::Differencing]));
                }
            }
        };
        self.history.enter(entries.into_iter().map(|(_, entry)| entry));
        let cells = curves.iter().flat_map(|curve| {
            plan.steps.iter().enumerate().map(|(step, time)| {
                let codes = plan.by.iter().zip(&curve.group).filter_map(|(dimension, at)| {
                    let (_, code) = dimension.domain.get(usize::try_from(*at).ok()?)?;
                    Some((dimension.name.clone(), code.clone()))
                });
                let key = codes.chain([(Survival::STEP.to_owned(), time.to_string())]).collect();
                let (status, reasons) = match (curve.ends.contains(&step), curve.lost.contains_key(&step)) {
                    (true, _) if review => (CellStatus::Review, vec![]),
                    (true, _) => (CellStatus::Safe, vec![]),
                    (false, true) => (CellStatus::Differencing, vec![]),
                    (false, false) => (CellStatus::Primary, vec![Reason::Threshold]),
                };
                CellReport { key, status, reasons }
            })
        });
        Ok(report(name, cells.collect()))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn count(&self, rows: RoaringBitmap, standing: Standing) -> Entry {
        let value = rows.len() as f64;
        self.entry(Quantity::Count, rows, value, standing)
    }

    /// The plan of a curve over observed codes, and its counts.
    fn follow(&self, job: &JobFile, file: &SurvivalFile, place: &str) -> Result<(Survival, Cells), Refusal> {
        let rows = filtered(job, place, self.source)?;
        let by: Vec<Dimension> = file.by.iter().map(|name| self.observed(name, &rows)).collect();
        let cells = by.iter().try_fold(file.steps.len(), |n, d| n.checked_mul(d.domain.len()));
        if cells.is_none_or(|n| n > CELLS_MAX) {
            return Err(refusals::too_many_cells(place, CELLS_MAX));
        }
        let case = "case".parse().map_err(|_| refusals::host_fault("case", "内部名称有误", "a name is wrong"))?;
        let plan = Survival {
            name: String::new(),
            view: case,
            time: file.time.clone(),
            event: Event::Measure(file.event.clone()),
            by,
            steps: file.steps.clone(),
            grid: file.steps.clone(),
            filter: Vec::new(),
        };
        let mut followed = Followed::new(&plan.steps);
        for row in rows {
            let number = |column: &str| self.number(column, row);
            let group = plan.by.iter().map(|d| self.code(d, row)).collect::<Option<Vec<u32>>>();
            let seen = number(&file.time).zip(number(&file.event).filter(|e| *e >= 0.0)).zip(group);
            if let (Some(((time, event), group)), Some(unit)) = (seen, self.source.data.unit_of(row)) {
                let event = if event > 0.0 { Ended::WithEvent } else { Ended::Otherwise };
                followed.add(unit.into(), Observation { row, group, time, event });
            }
        }
        Ok((plan, followed.finish()))
    }

    /// A regression, and the sums that it gives away.
    pub(super) fn regression(
        &mut self,
        name: String,
        job: &JobFile,
        file: &RegressionFile,
        place: &str,
    ) -> Result<JobReport, Refusal> {
        let column = |name: &String| self.source.column(name).ok_or_else(|| bad(place, "a column is not there"));
        let columns = std::iter::once(&file.outcome).chain(&file.numbers).map(column);
        let columns = columns.collect::<Result<Vec<usize>, Refusal>>()?;
        let rows = filtered(job, place, self.source)?;
        let levels: Vec<Dimension> = file.levels.iter().map(|name| self.observed(name, &rows)).collect();
        let shape = Shape::new(file.numbers.len(), levels.iter().map(|d| d.domain.len()).collect());
        let parameters = shape.parameters();
        if parameters > PARAMETERS_MAX {
            return Err(bad(&format!("{place}/regression"), "a regression has at most 128 coefficients"));
        }
        let mut seen = Vec::new();
        for row in rows {
            let numbers = file.numbers.iter().map(|name| self.number(name, row)).collect::<Option<Vec<f64>>>();
            let places = levels.iter().map(|d| usize::try_from(self.code(d, row)?).ok()).collect::<Option<Vec<_>>>();
            let outcome = self.number(&file.outcome, row).zip(self.source.data.unit_of(row));
            if let (Some(numbers), Some(places), Some((outcome, unit))) = (numbers, places, outcome) {
                seen.push((row, u64::from(unit), numbers, places, outcome));
            }
        }
        let mut products = Products::new(shape);
        seen.iter().for_each(|(_, unit, x, levels, y)| products.add(*unit, x, levels, *y));
        let mut residuals = products.solve();
        seen.iter().for_each(|(_, unit, x, levels, y)| residuals.add(*unit, x, levels, *y));
        let pack = RulePack::shipped()
            .map_err(|_| refusals::host_fault("rulepack", "规则包有误", "the rule pack is wrong"))?
            .disclosure;
        let mut reasons = RegressionRules::of(&pack, &self.rules.rules).judge(&residuals.finish(), parameters);
        // The total, each level of each dimension, and the whole as a curve on its columns.
        let all: RoaringBitmap = seen.iter().map(|(row, ..)| *row).collect();
        let of_level = |axis: usize, at: usize| -> RoaringBitmap {
            seen.iter().filter(|(_, _, _, levels, _)| levels.get(axis) == Some(&at)).map(|(row, ..)| *row).collect()
        };
        let by_level = levels.iter().enumerate().flat_map(|(axis, d)| (0..d.domain.len()).map(move |at| (axis, at)));
        let sets = std::iter::once(all.clone()).chain(by_level.map(|(axis, at)| of_level(axis, at)));
        let outcome = columns.first().copied();
        let mut entries = Vec::new();
        for rows in sets {
            let (cell, stats) = self.source.data.stats_for(Aggregate::Sum, &rows, outcome, self.rules.dominance_n);
            let own = self.rules.rules.judge(Aggregate::Sum, &cell, &stats);
            reasons.extend(own.into_iter().filter(|r| !for_a_person(*r)));
            if let Some(outcome) = outcome {
                entries.push((0, self.entry(Quantity::Total(outcome), rows, stats.sum, Standing::Published)));
            }
        }
        let curve = |column: &usize| self.entry(Quantity::Quantile(*column), all.clone(), 0.0, Standing::Published);
        entries.extend(columns.iter().map(|column| (0, curve(column))));
        let (mut status, reasons) = (CellStatus::Primary, reasons.into_iter().collect::<Vec<_>>());
        if reasons.is_empty() {
            let (withhold, review) = self.examined(&entries)?;
            status = match (withhold.is_empty(), review) {
                (false, _) => CellStatus::Differencing,
                (true, true) => CellStatus::Review,
                (true, false) => CellStatus::Safe,
            };
        }
        // What is not published enters nothing: no cell of it was asked for.
        if matches!(status, CellStatus::Safe | CellStatus::Review) {
            self.history.enter(entries.into_iter().map(|(_, entry)| entry));
        }
        let dummies = levels.iter().flat_map(|d| d.domain.iter().skip(1).map(|(_, code)| format!("{}={code}", d.name)));
        let terms = std::iter::once("const".to_owned()).chain(file.numbers.iter().cloned()).chain(dummies);
        let cell = |term| CellReport { key: [("term".to_owned(), term)].into(), status, reasons: reasons.clone() };
        Ok(report(name, terms.map(cell).collect()))
    }

    /// The codes of a column among `rows`, in order.
    fn observed(&self, name: &str, rows: &RoaringBitmap) -> Dimension {
        let codes = self.source.codes(name);
        let seen: BTreeSet<&String> =
            rows.iter().filter_map(|row| codes.get(row as usize)).filter(|code| !code.is_empty()).collect();
        let domain = seen.into_iter().map(|code| (Key::Text(code.clone()), code.clone())).collect();
        Dimension { name: name.to_owned(), title: name.to_owned(), domain, base: None }
    }

    fn code(&self, dimension: &Dimension, row: u32) -> Option<u32> {
        let code = self.source.codes(&dimension.name).get(row as usize)?;
        u32::try_from(dimension.domain.iter().position(|(_, known)| known == code)?).ok()
    }

    fn number(&self, column: &str, row: u32) -> Option<f64> {
        self.source.codes(column).get(row as usize).and_then(|field| number(field).ok().flatten())
    }
}

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
