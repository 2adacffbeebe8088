//! The steps at which a survival curve may be shown, and what it says there.
//!
//! Times count at the next step that is shown, so between two shown steps a curve says
//! how many left with the event, how many without, and in the end how many stayed. A step
//! is shown when, since the last one that was,
//! - at least k units left with the event (a step of the curve *is* an event);
//! - nobody or at least k units left without;
//! - and nobody or at least k units are still followed.
//!
//! Otherwise what left counts at a later step, or stayed. Each number of the curve is a
//! function of these counts ([`estimate`]), which the gate treats as published cells;
//! what is left of the declared counts is treated as any unsafe cell of a table: it must
//! not follow from anything. That nobody left without the event is said where it is so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sluice_domain::{
    candidate::Reason,
    contract::{Survival, TableC},
};
use sluice_rows::cells::{CellStats, Cells, MeasureStats};

use super::primary::{JudgedCell, JudgedTable};

/// The curve of one group, as far as it is shown.
pub(crate) struct Curve {
    /// The places of the group's codes.
    pub(crate) group: Vec<u32>,
    /// The places of the steps that are shown.
    pub(crate) ends: Vec<usize>,
    /// Why a step is not that enough left at.
    pub(crate) lost: BTreeMap<usize, BTreeSet<Reason>>,
    /// The counts between them, and what they are of.
    pub(crate) table: TableC,
    pub(crate) cells: Cells,
}

/// One shown step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The share that is estimated to have no event until then.
    pub survival: f64,
    /// Its standard error; none when nobody is left.
    pub std_error: Option<f64>,
    /// Still followed after the step shown before.
    pub at_risk: u64,
    /// Left since then with the event.
    pub events: u64,
    /// Left since then without it.
    pub censored: u64,
}

/// The steps to show of one group's counts: with the event until the first step, without
/// it until then, the same for the others, and after the last.
pub fn shown(counts: &[u64], k: u64) -> Vec<usize> {
    let enough = |n: u64| n == 0 || n >= k;
    let (mut ends, mut events, mut censored) = (Vec::new(), 0, 0);
    let mut left: u64 = counts.iter().sum();
    for (step, pair) in counts.chunks_exact(2).enumerate() {
        let [with, without] = pair else { continue };
        (events, censored, left) = (events + with, censored + without, left - with - without);
        if events >= k.max(1) && enough(censored) && enough(left) {
            ends.push(step);
            (events, censored) = (0, 0);
        }
    }
    ends
}

/// The curve over the counts of its shown steps: S = Π (1 − d/n) (Kaplan and Meier 1958)
/// with S·√(Σ d/(n(n − d))) as its standard error (Greenwood 1926), where of n who were
/// still followed d left with the event. Who leaves at a step is at risk at it.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn estimate(counts: &[u64]) -> Vec<Point> {
    let (mut survival, mut sum, mut at_risk) = (1.0, Some(0.0), counts.iter().sum::<u64>());
    let point = |pair: &[u64]| {
        let [events, censored] = pair else { return None };
        let (n, d) = (at_risk as f64, *events as f64);
        survival *= 1.0 - d / n;
        sum = sum.filter(|_| d < n).map(|sum: f64| sum + d / (n * (n - d)));
        let std_error = sum.map(|sum| survival * sum.sqrt());
        let point = Point { survival, std_error, at_risk, events: *events, censored: *censored };
        at_risk = at_risk.saturating_sub(events + censored);
        Some(point)
    };
    counts.chunks_exact(2).map_while(point).collect()
}

impl Curve {
    /// One curve for each group of `plan`, at the most steps that its counts allow.
    pub(crate) fn of(plan: &Survival, counted: &Cells, k: u64) -> Vec<Self> {
        let units: HashMap<_, u64> = counted.iter().map(|(key, stats)| (key.as_slice(), stats.units)).collect();
        let sizes = plan.by.iter().map(|d| u32::try_from(d.domain.len()).unwrap_or(u32::MAX));
        let groups = sizes.fold(vec![Vec::new()], |groups: Vec<Vec<u32>>, size| {
            groups.iter().flat_map(|g| (0..size).map(move |at| [g.as_slice(), &[at]].concat())).collect()
        });
        let curve = |group: Vec<u32>| {
            let key = |fate| group.iter().copied().chain([fate]).map(Some).collect::<Vec<_>>();
            let fates = (0u32..).take(2 * plan.steps.len() + 1);
            let counts: Vec<u64> = fates.map(|f| units.get(key(f).as_slice()).copied().unwrap_or(0)).collect();
            Self::at(plan, counted, group, shown(&counts, k), BTreeMap::new())
        };
        groups.into_iter().map(curve).collect()
    }

    /// The curve without the `interval`th of its steps, which these reasons forbid: whoever
    /// left until then counts at the next.
    pub(crate) fn cut(&mut self, plan: &Survival, counted: &Cells, interval: usize, reasons: BTreeSet<Reason>) {
        let (mut ends, mut lost) = (self.ends.clone(), self.lost.clone());
        if interval < ends.len() {
            lost.insert(ends.remove(interval), reasons);
        }
        *self = Self::at(plan, counted, self.group.clone(), ends, lost);
    }

    fn at(
        plan: &Survival,
        counted: &Cells,
        group: Vec<u32>,
        ends: Vec<usize>,
        lost: BTreeMap<usize, BTreeSet<Reason>>,
    ) -> Self {
        let mut merged: HashMap<u32, (u64, roaring::RoaringBitmap)> = HashMap::new();
        for (key, stats) in counted.iter() {
            let Some((Some(fate), of)) = key.split_last() else { continue };
            if of.iter().copied().eq(group.iter().copied().map(Some)) {
                let (units, rows) = merged.entry(coarse(*fate, &ends)).or_default();
                *units += stats.units;
                *rows |= counted.rows(key);
            }
        }
        let stats = |units: u64| CellStats { rows: units, units, measures: vec![MeasureStats::default()] };
        let cells = merged.iter().map(|(fate, (units, _))| (vec![Some(*fate)], stats(*units))).collect();
        let rows = merged.into_iter().map(|(fate, (_, rows))| (vec![Some(fate)], rows)).collect();
        let table = plan.shown(&group, &ends);
        Self { group, ends, lost, table, cells: Cells::new(cells, rows) }
    }

    /// How many left with the event until a step that is not shown, whatever is shown
    /// before it, as the one cell of a table, withheld for `reason`.
    pub(crate) fn until(
        &self,
        plan: &Survival,
        counted: &Cells,
        step: usize,
        reason: Reason,
    ) -> (TableC, Cells, JudgedTable) {
        let Self { table, cells, .. } = Self::at(plan, counted, self.group.clone(), vec![step], BTreeMap::new());
        let key = vec![Some(0)];
        let units = cells.rows(&key).len();
        let cell = JudgedCell {
            key,
            units,
            reasons: BTreeSet::from([reason]),
            numbers: Vec::new(),
            known: false,
            looked_at: false,
            impossible: false,
        };
        (table, cells, JudgedTable { cells: vec![cell], disjoint: true })
    }

    /// What it says at its shown steps.
    pub(crate) fn points(&self) -> Vec<Point> {
        let mut counts = vec![0; 2 * self.ends.len() + 1];
        for (key, stats) in self.cells.iter() {
            let at = key.first().copied().flatten().and_then(|fate| usize::try_from(fate).ok());
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count = stats.units;
            }
        }
        estimate(&counts)
    }

    /// Of its counts, those that nobody is in: said as such.
    pub(crate) fn say_nobody(judged: &mut JudgedTable) {
        judged.cells.iter_mut().filter(|cell| cell.units == 0).for_each(|cell| cell.reasons.clear());
    }

    /// The step, counted from the first shown, that cannot be shown, and why: the first
    /// whose counts may not be published.
    pub(crate) fn broken(&self, judged: &JudgedTable, added: &BTreeSet<usize>) -> Option<(usize, BTreeSet<Reason>)> {
        let mut cells = judged.cells.iter().enumerate();
        cells.find_map(|(at, cell)| {
            let also = added.contains(&at).then_some(Reason::Secondary);
            let reasons: BTreeSet<Reason> = cell.reasons.iter().copied().chain(also).collect();
            // Without its last step, more are taken to have stayed.
            let interval = (at / 2).min(self.ends.len().saturating_sub(1));
            (!reasons.is_empty()).then_some((interval, reasons))
        })
    }
}

/// Keeps of the declared counts what may not follow: the unsafe ones that no curve says.
pub(crate) fn keep_unsaid(judged: &mut JudgedTable, curves: &[Curve], steps: usize) {
    judged.disjoint = true;
    let fates = || (0u32..).take(2 * steps + 1);
    let said = |cell: &JudgedCell| {
        let (fate, group) = cell.key.split_last()?;
        let curve = curves.iter().find(|c| c.group.iter().copied().map(Some).eq(group.iter().copied()));
        let curve = curve.filter(|c| !c.ends.is_empty())?;
        let of = coarse((*fate)?, &curve.ends);
        let whole = curve.cells.iter().find(|(key, _)| *key == [Some(of)]).map_or(0, |(_, stats)| stats.units);
        let parts = fates().filter(|fate| coarse(*fate, &curve.ends) == of).count();
        Some(whole == 0 || parts == 1)
    };
    // Class disclosure is judged on what a curve says of its group.
    let but_class = |mut cell: JudgedCell| {
        cell.reasons.remove(&Reason::Class);
        cell
    };
    let cells = std::mem::take(&mut judged.cells).into_iter().map(but_class);
    judged.cells = cells.filter(|cell| !cell.reasons.is_empty() && said(cell) != Some(true)).collect();
}

/// The fate among those that the shown steps tell apart.
fn coarse(fate: u32, ends: &[usize]) -> u32 {
    let (step, without) = (usize::try_from(fate / 2).unwrap_or(usize::MAX), fate % 2);
    let place = match ends.iter().position(|end| *end >= step) {
        Some(interval) => 2 * interval + usize::try_from(without).unwrap_or(0),
        None => 2 * ends.len(),
    };
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remission of leukaemia under 6-mercaptopurine (Freireich et al. 1963), with the
    /// estimates as printed in every textbook since.
    #[test]
    fn the_textbook_curve() {
        let left = [
            (6, 3, 1),
            (7, 1, 0),
            (9, 0, 1),
            (10, 1, 1),
            (11, 0, 1),
            (13, 1, 0),
            (16, 1, 0),
            (20, 0, 3),
            (22, 1, 0),
            (23, 1, 0),
        ];
        let counts: Vec<u64> = left.iter().flat_map(|(_, d, c)| [*d, *c]).chain([5]).collect();
        let points = estimate(&counts);
        let at = |time: i32| points[left.iter().position(|(t, ..)| *t == time).unwrap()];
        for (time, at_risk, survival, std_error) in [
            (6, 21, 0.857, 0.0764),
            (7, 17, 0.807, 0.0869),
            (10, 15, 0.753, 0.0963),
            (13, 12, 0.690, 0.1068),
            (16, 11, 0.627, 0.1141),
            (22, 7, 0.538, 0.1282),
            (23, 6, 0.448, 0.1346),
        ] {
            let point = at(time);
            assert_eq!(point.at_risk, at_risk);
            assert!((point.survival - survival).abs() < 5e-4, "{time}: {point:?}");
            assert!((point.std_error.unwrap() - std_error).abs() < 5e-5, "{time}: {point:?}");
        }
        // Who dies last leaves no estimate of an error.
        let [_, end] = estimate(&[10, 0, 10, 0, 0])[..] else { panic!("two steps") };
        assert_eq!((end.survival, end.std_error), (0.0, None));
    }

    #[test]
    fn a_step_waits_for_k_of_every_kind() {
        assert_eq!(shown(&[10, 0, 12, 10, 40], 10), [0, 1]);
        assert_eq!(shown(&[9, 30, 1, 0, 40], 10), [1], "nine with the event wait for the tenth");
        assert_eq!(shown(&[10, 9, 0, 1, 40], 10), [1], "what was not shown is still counted");
        assert_eq!(shown(&[10, 9, 10, 1, 40], 10), [1], "nine without it wait too");
        assert_eq!(shown(&[10, 0, 10, 0, 9], 10), [0], "nine who stay keep the last step in");
        assert_eq!(shown(&[10, 0, 10, 0, 0], 10), [0, 1]);
        assert_eq!(shown(&[0, 50, 20, 0, 30], 10), [1], "a step is an event");
        assert_eq!(shown(&[0, 0, 0, 0, 0], 10), Vec::<usize>::new());
    }
}
