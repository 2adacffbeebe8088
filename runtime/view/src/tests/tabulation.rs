//! Tabulation against a naive two-level computation: first per unit, then per cell.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_domain::contract::{Tabulation, Totals};
use sluice_rows::cells::{CellKey, CellStats, Cells, MeasureStats, Squares};

use super::{ALL, Row, batch, granted, reader};
use crate::{ViewError, plan_table};

const SQL: &str = "SELECT plan, sex, count(*), sum(spend), avg(spend), count(DISTINCT id), sum(visits), \
                   stddev(visits), median(visits), quantile(visits, 0.8) FROM people \
                   WHERE plan IN (1, 3) GROUP BY plan, sex";

async fn tabulate(rows: &[Row], sql: &str, totals: Totals, n: u32) -> Result<(Tabulation, Cells), ViewError> {
    let view = granted(&ALL, None, &[]);
    let plan = plan_table(std::slice::from_ref(&view), sql).unwrap();
    let (_dir, reader) = reader(&view, &batch(rows));
    let cells = reader.tabulate(&plan, totals, n).await?;
    Ok((plan, cells))
}

/// Plain sums of small integers are exact, so everything compares equal.
fn naive(rows: &[&Row], value: impl Fn(&Row) -> Option<f64>, n: usize) -> MeasureStats {
    let mut by_unit: BTreeMap<u64, f64> = BTreeMap::new();
    let values: Vec<(u64, f64)> = rows.iter().filter_map(|r| Some((r.unit, value(r)?))).collect();
    for (unit, value) in &values {
        *by_unit.entry(*unit).or_default() += value;
    }
    let mut sizes: Vec<f64> = by_unit.values().map(|x| x.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let mut distinct: Vec<f64> = by_unit.values().copied().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    MeasureStats {
        count: values.len() as u64,
        units: by_unit.len() as u64,
        sum: values.iter().map(|(_, x)| x).sum(),
        abs_sum: sizes.iter().sum(),
        top: [sizes.first().copied().unwrap_or(0.0), sizes.get(1).copied().unwrap_or(0.0)],
        top_n_sum: sizes.iter().take(n).sum(),
        any_negative: values.iter().any(|(_, x)| *x < 0.0),
        all_same: distinct.len() == 1,
        squares: None,
        quantile: None,
    }
}

/// Squares by unit, and the deviations in two passes; quantiles by the definition, with
/// no use of the product's own.
fn naive_visits(rows: &[&Row], n: usize) -> (Squares, [Option<f64>; 2]) {
    let mut by_unit: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let x = row.visits as f64;
        let (sum, squares) = by_unit.entry(row.unit).or_default();
        (*sum, *squares) = (*sum + x, *squares + x * x);
    }
    let mut squares: Vec<f64> = by_unit.values().map(|(_, s)| *s).collect();
    squares.sort_by(|a, b| b.total_cmp(a));
    let mut sums: Vec<f64> = by_unit.values().map(|(s, _)| *s).collect();
    sums.sort_by(f64::total_cmp);
    let mean = rows.iter().map(|r| r.visits as f64).sum::<f64>() / rows.len() as f64;
    let at = |i: usize| squares.get(i).copied().unwrap_or(0.0);
    // The smallest x with at least q of the units at or below it, and the smallest with more.
    let quantile = |tenths: usize| {
        let of = |enough: fn(usize, usize) -> bool| {
            sums.iter().enumerate().find(|(i, _)| enough(10 * (i + 1), tenths * sums.len())).map(|(_, x)| *x)
        };
        let middle = (of(|have, need| have >= need)? + of(|have, need| have > need)?) / 2.0;
        Some((middle * 2.0).round() / 2.0)
    };
    let squares = Squares {
        sum: squares.iter().sum(),
        top: [at(0), at(1)],
        top_n_sum: squares.iter().take(n).sum(),
        all_same: squares.first() == squares.last(),
        deviations: rows.iter().map(|r| (r.visits as f64 - mean).powi(2)).sum(),
    };
    (squares, [quantile(5), quantile(8)])
}

fn naive_cells(rows: &[Row], n: usize) -> BTreeMap<CellKey, CellStats> {
    let plan = |r: &Row| u32::try_from(r.plan - 1).unwrap();
    let sex = |r: &Row| u32::from(r.sex == "m");
    let mut cells = BTreeMap::new();
    for p in [None, Some(0), Some(1), Some(2)] {
        for s in [None, Some(0), Some(1)] {
            let inside: Vec<&Row> = rows
                .iter()
                .filter(|r| [1, 3].contains(&r.plan))
                .filter(|r| p.is_none_or(|p| p == plan(r)) && s.is_none_or(|s| s == sex(r)))
                .collect();
            if inside.is_empty() {
                continue;
            }
            let units: std::collections::BTreeSet<u64> = inside.iter().map(|r| r.unit).collect();
            let spend = naive(&inside, |r| r.spend.filter(|x| x.is_finite()), n);
            let visits = naive(&inside, |r| Some(r.visits as f64), n);
            let none = MeasureStats::default();
            let (squares, [median, p80]) = naive_visits(&inside, n);
            let visits = MeasureStats { squares: Some(squares), ..visits };
            let quantile = |quantile| MeasureStats { quantile, ..visits };
            let measures = vec![none, spend, spend, none, visits, visits, quantile(median), quantile(p80)];
            cells.insert(vec![p, s], CellStats { rows: inside.len() as u64, units: units.len() as u64, measures });
        }
    }
    cells
}

fn shown(m: &MeasureStats) -> String {
    let numbers = [m.sum, m.abs_sum, m.top[0], m.top[1], m.top_n_sum].map(|x| x + 0.0);
    let squares = m.squares.map(|s| {
        let rounded = (s.deviations * 1e6).round() / 1e6 + 0.0;
        format!("{:?} {} {rounded}", [s.sum, s.top[0], s.top[1], s.top_n_sum].map(|x| x + 0.0), s.all_same)
    });
    let quantile = m.quantile.map(|q| q + 0.0);
    format!("{} {} {numbers:?} {} {} {squares:?} {quantile:?}", m.count, m.units, m.any_negative, m.all_same)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let spend = prop_oneof![
        3 => (-3i32..6).prop_map(|x| Some(f64::from(x))),
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
    ];
    let row = (1u64..9, 1i64..4, prop::bool::ANY, spend, -2i64..4).prop_map(|(unit, plan, m, spend, visits)| Row {
        unit,
        age: 1,
        code: None,
        plan,
        sex: if m { "m" } else { "f" },
        spend,
        visits,
    });
    prop::collection::vec(row, 0..40).prop_map(|mut rows| {
        rows.sort_by_key(|r| r.unit);
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cells_and_margins_equal_the_naive_computation(rows in rows(), n in 0u32..5) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_, cells) = runtime.block_on(tabulate(&rows, SQL, Totals::True, n)).unwrap();
        let expected = naive_cells(&rows, n as usize);
        let found: Vec<&CellKey> = cells.iter().map(|(key, _)| key).collect();
        prop_assert_eq!(found.len(), expected.len());
        for (key, stats) in cells.iter() {
            let naive = expected.get(key).expect("a cell nobody expects");
            prop_assert_eq!((stats.rows, stats.units, stats.measures.len()), (naive.rows, naive.units, 8));
            let inside = |(_, r): &(u32, &Row)| {
                [1, 3].contains(&r.plan)
                    && key[0].is_none_or(|p| i64::from(p) == r.plan - 1)
                    && key[1].is_none_or(|s| s == u32::from(r.sex == "m"))
            };
            let numbers: Vec<u32> = (0u32..).zip(&rows).filter(inside).map(|(row, _)| row).collect();
            prop_assert_eq!(cells.rows(key).iter().collect::<Vec<_>>(), numbers);
            for (a, b) in stats.measures.iter().zip(&naive.measures) {
                prop_assert_eq!(shown(a), shown(b), "{:?}", key);
            }
        }
        // Without totals the same inner cells, and no margin.
        let (_, inner) = runtime.block_on(tabulate(&rows, SQL, Totals::None, n)).unwrap();
        let inner: Vec<_> = inner.iter().map(|(key, stats)| (key.clone(), stats.rows)).collect();
        let expected: Vec<_> =
            expected.iter().filter(|(key, _)| key.iter().all(Option::is_some)).map(|(k, s)| (k.clone(), s.rows)).collect();
        prop_assert_eq!(inner, expected);
    }
}

#[tokio::test]
async fn cells_come_in_declared_order_with_margins_after() {
    let rows: Vec<Row> = [(1, 3, "m"), (2, 1, "f"), (3, 1, "m")]
        .map(|(unit, plan, sex)| Row { unit, age: 1, code: None, plan, sex, spend: Some(1.0), visits: 1 })
        .to_vec();
    let (_, cells) = tabulate(&rows, SQL, Totals::Redacted, 2).await.unwrap();
    let keys: Vec<CellKey> = cells.iter().map(|(key, _)| key.clone()).collect();
    let expected: Vec<CellKey> = vec![
        vec![Some(0), Some(0)],
        vec![Some(0), Some(1)],
        vec![Some(0), None],
        vec![Some(2), Some(1)],
        vec![Some(2), None],
        vec![None, Some(0)],
        vec![None, Some(1)],
        vec![None, None],
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_table_without_dimensions_is_one_cell() {
    let rows = [super::row(1, 1, "a", 1, "f", 2.5), super::row(1, 1, "a", 2, "m", 0.25)];
    let (plan, cells) = tabulate(&rows, "SELECT sum(spend) FROM people", Totals::True, 2).await.unwrap();
    assert!(plan.dimensions.is_empty());
    let cells: Vec<_> = cells.iter().collect();
    assert!(matches!(cells.as_slice(), [(key, stats)] if key.is_empty() && stats.units == 1 && stats.rows == 2));
    assert_eq!((cells[0].1.measures[0].sum, cells[0].1.measures[0].top), (2.75, [2.75, 0.0]));
}

#[tokio::test]
async fn an_undeclared_value_is_an_error_without_the_value() {
    let rows = [super::row(1, 1, "a", 4711, "f", 2.5)];
    let error = tabulate(&rows, "SELECT plan, count(*) FROM people GROUP BY plan", Totals::None, 2).await.unwrap_err();
    assert_eq!(error, ViewError::Domain);
    assert!(!error.to_string().contains("4711"));
}

#[test]
fn sums_are_compensated() {
    let mut sum = sluice_rows::sum::Sum::default();
    for x in [1.0, 1e100, 1.0, -1e100] {
        sum.add(x);
    }
    assert_eq!(sum.value(), 2.0);
}
