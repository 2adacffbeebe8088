//! Variances and quantiles in the gate: the sums behind a variance are protected as if
//! they were published, and a quantile is held against everything on its column.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringBitmap;
use sluice_domain::{
    candidate::Reason,
    catalogue::Key,
    contract::{Aggregate, Dimension, Grid, MeasureC, Quantile, Rank, TableC, Tabulation, Totals},
    rulepack::RulePack,
};
use sluice_gate::{
    lineage::{Entry, History, Microdata, People, Quantity, Standing, Work, examine},
    route_c::{Rules, Sensitivity, primary, secondary},
};
use sluice_rows::cells::{CellStats, Cells, MeasureStats, Squares};

fn rules() -> Rules {
    Rules::of(&RulePack::shipped().unwrap().disclosure, Sensitivity::Ordinary)
}

fn median() -> Aggregate {
    Aggregate::Quantile(Quantile { rank: Rank::HALF, grid: Grid::try_from(5.0).unwrap() })
}

fn table(aggregate: Aggregate, keys: i64, totals: Totals) -> TableC {
    let dimension = Dimension {
        name: "d".into(),
        title: "d".into(),
        domain: (0..keys).map(|k| (Key::Int(k), k.to_string())).collect(),
        base: None,
    };
    let measures = vec![MeasureC { name: "m".into(), aggregate, column: Some("x".into()) }];
    let plan = Tabulation {
        view: "v".parse().unwrap(),
        dimensions: vec![dimension],
        measures,
        filter: vec![],
        derived: BTreeMap::new(),
        impossible: vec![],
    };
    TableC { name: "t".into(), sql: String::new(), plan, totals }
}

/// One row per unit.
fn cell(values: &[f64]) -> CellStats {
    let of = |values: Vec<f64>| {
        let mut sizes = values.clone();
        sizes.sort_by(|a, b| b.total_cmp(a));
        (values.iter().sum::<f64>(), [sizes[0], sizes[1]], sizes[0] + sizes[1])
    };
    let ((sum, top, top_n_sum), squared) = (of(values.to_vec()), of(values.iter().map(|x| x * x).collect()));
    let mean = sum / values.len() as f64;
    let same = values.iter().all(|x| *x == values[0]);
    let deviations = values.iter().map(|x| (x - mean).powi(2)).sum();
    let measure = MeasureStats {
        count: values.len() as u64,
        units: values.len() as u64,
        sum,
        abs_sum: sum,
        top,
        top_n_sum,
        any_negative: false,
        all_same: same,
        squares: Some(Squares { sum: squared.0, top: squared.1, top_n_sum: squared.2, all_same: same, deviations }),
        quantile: Some(values[values.len() / 2]),
    };
    CellStats { rows: values.len() as u64, units: values.len() as u64, measures: vec![measure] }
}

/// Cells of a table with its total.
fn cells(of: &[Vec<f64>]) -> Cells {
    let inner = of.iter().enumerate().map(|(i, values)| (vec![Some(u32::try_from(i).unwrap())], cell(values)));
    let total = (vec![None], cell(&of.concat()));
    Cells::new(inner.chain([total]).collect(), HashMap::new())
}

fn ramp(from: u32, to: u32) -> Vec<f64> {
    (from..=to).map(f64::from).collect()
}

fn reasons(aggregate: Aggregate, values: &[f64]) -> BTreeSet<Reason> {
    let only = Cells::new(vec![(vec![Some(0)], cell(values))], HashMap::new());
    primary(&table(aggregate, 1, Totals::None), &only, &rules()).unwrap().verdicts().next().unwrap().1.clone()
}

#[test]
fn a_variance_is_judged_on_its_squares_too() {
    let outlier = [vec![10.0; 5], vec![11.0; 6], vec![60.0]].concat();
    assert_eq!(reasons(Aggregate::Sum, &outlier), BTreeSet::new());
    for spread in [Aggregate::VarSamp, Aggregate::VarPop, Aggregate::StddevSamp, Aggregate::StddevPop] {
        assert_eq!(reasons(spread, &ramp(1, 12)), BTreeSet::new());
        assert_eq!(reasons(spread, &outlier), BTreeSet::from([Reason::LargestShare]));
        assert!(reasons(spread, &ramp(1, 9)).contains(&Reason::Threshold));
        assert!(reasons(spread, &[7.0; 12]).contains(&Reason::AllSame));
    }
}

#[test]
fn the_squares_of_a_withheld_cell_do_not_follow_from_the_total() {
    // Cell 0 is unsafe by its squares alone; with a true total one more has to go.
    let of = [[vec![10.0; 5], vec![11.0; 6], vec![60.0]].concat(), ramp(1, 20), ramp(2, 31), ramp(3, 42)];
    let judge = |aggregate| {
        let table = table(aggregate, 4, Totals::True);
        let judged = primary(&table, &cells(&of), &rules()).unwrap();
        let own = judged.verdicts().filter(|(_, reasons)| !reasons.is_empty()).count();
        let added = secondary(&[(&table, &judged)], &rules(), 20_000).unwrap();
        (own, added[0].len())
    };
    assert_eq!(judge(Aggregate::Mean), (0, 0));
    assert_eq!(judge(Aggregate::StddevSamp), (1, 1));
}

#[test]
fn a_median_of_nineteen_has_nine_to_either_side() {
    assert_eq!(reasons(median(), &ramp(1, 19)), BTreeSet::from([Reason::Threshold]));
    assert_eq!(reasons(median(), &ramp(1, 20)), BTreeSet::new());
}

/// Sixty people with one row each.
fn people() -> Microdata {
    Microdata::new((0..60).collect(), vec![(0..60).map(|i| Some(f64::from(i) + 1.0)).collect()], |row| 1 << row)
}

fn rows(of: impl IntoIterator<Item = u32>) -> RoaringBitmap {
    of.into_iter().collect()
}

/// Which of the new sets must go: the first two are of one job.
fn withheld(new: &[(Quantity, RoaringBitmap)], old: &[(Quantity, RoaringBitmap)]) -> BTreeSet<usize> {
    let (data, rules) = (people(), rules());
    let entry = |(quantity, rows): &(Quantity, RoaringBitmap)| {
        Entry::new(quantity.clone(), rows.clone(), 0.0, Standing::Published, &data, rules.threshold)
    };
    let mut history = History::default();
    history.enter(old.iter().map(entry));
    let new: Vec<(usize, Entry)> = new.iter().map(entry).enumerate().collect();
    examine(&history, &new, &People { data: &data, rules: &rules, dominance_n: 2 }, &Work::default()).unwrap().withhold
}

#[test]
fn quantiles_that_differ_by_a_few_do_not_go_out_together() {
    // Neither holds the other; they differ by three and two people.
    let (a, b) = (rows(0..30), rows(3..32));
    let quantile = |rows: &RoaringBitmap| (Quantity::Quantile(0), rows.clone());
    assert_eq!(withheld(&[quantile(&a), quantile(&b)], &[]), BTreeSet::from([1]), "the later cell of one job");
    assert_eq!(withheld(&[quantile(&b)], &[quantile(&a)]), BTreeSet::from([0]), "after an earlier release");
    assert_eq!(withheld(&[quantile(&b)], &[(Quantity::Squares(0), a.clone())]), BTreeSet::from([0]));
    assert_eq!(withheld(&[quantile(&a), quantile(&a)], &[quantile(&a)]), BTreeSet::new(), "the same says nothing");
    assert_eq!(withheld(&[quantile(&a), quantile(&rows(30..60))], &[]), BTreeSet::new());
}

#[test]
fn squares_of_nested_cells_are_subtracted() {
    let squares = |rows: RoaringBitmap| (Quantity::Squares(0), rows);
    assert_eq!(withheld(&[squares(rows(0..59))], &[squares(rows(0..60))]), BTreeSet::from([0]));
    // The twelve in between: 49² … 60² pass every rule by themselves.
    assert_eq!(withheld(&[squares(rows(0..48))], &[squares(rows(0..60))]), BTreeSet::new());
}
