//! Evidence for reviewers of route C: each check finds what a layer lets through when it is
//! left out (here alone, by publishing every cell), and finds nothing where it stands.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may fail loudly, over small numbers"
)]

#[path = "../../runtime/gate/tests/common/mod.rs"]
mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{Row, dimension, ints, table, tabulate};
use sluice_domain::{
    Digest,
    artefact::Report,
    candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
    catalogue::Key,
    contract::{Aggregate, Dimension, Event, Grid, Levels, Quantile, Rank, Regression, Survival, TableC, Term, Totals},
    evidence::{Check, CheckKind, Grade},
    rulepack::RulePack,
};
use sluice_gate::{
    evidence::{Asked, Model, Modelled, Replay},
    route_c::{Rules, Sensitivity, primary, regression},
};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema},
    },
    cells::{Cells, MeasureStats},
    fit::{Products, Shape},
};

const COLUMNS: [&str; 4] = ["id", "d0", "d1", "x"];

fn rules() -> Rules {
    Rules::of(&RulePack::shipped().unwrap().disclosure, Sensitivity::Ordinary)
}

/// Which cells stand: those that pass the rules, or all of them.
#[derive(Clone, Copy)]
enum Layer {
    In,
    Out,
}

/// `people` with one row each in a grid of `side` × `side` cells, and values of six digits.
fn people(people: usize, side: usize) -> Vec<Row> {
    let row = |i: usize| {
        let mixed = u64::from_le_bytes(*Digest::of(&i.to_le_bytes()).as_bytes().first_chunk().unwrap());
        let at = |shift: u32| ints(side)[usize::try_from(mixed >> shift).unwrap() % side].clone();
        let value = f64::from(u32::try_from(mixed % 800_000).unwrap()) + 100_001.0;
        Row {
            unit: format!("person-{i:05}"),
            codes: [("d0".to_owned(), at(20)), ("d1".to_owned(), at(40))].into(),
            values: [("x".to_owned(), value)].into(),
        }
    };
    (0..people).map(row).collect()
}

fn grid(side: usize, aggregate: Aggregate) -> TableC {
    let dimensions = vec![dimension("d0", ints(side)), dimension("d1", ints(side))];
    table("t", dimensions, &[(Aggregate::Units, None), (aggregate, Some("x"))], vec![], Totals::None)
}

/// The candidate's table, with the rules or without them.
fn published(table: &TableC, cells: &Cells, layer: Layer) -> CandidateTable {
    let judged = primary(table, cells, &rules()).unwrap();
    let withheld: BTreeSet<_> = judged.verdicts().filter(|(_, r)| !r.is_empty()).map(|(key, _)| key.clone()).collect();
    let mut out = Vec::new();
    for (a, (d0, _)) in table.plan.dimensions[0].domain.iter().enumerate() {
        for (b, (d1, _)) in table.plan.dimensions[1].domain.iter().enumerate() {
            let position = vec![Some(u32::try_from(a).unwrap()), Some(u32::try_from(b).unwrap())];
            let stats = cells.iter().find(|(key, _)| *key == position).map(|(_, stats)| stats);
            let units = stats.map_or(0, |s| s.units);
            let x = stats.map(|s| (f64::from(u32::try_from(s.measures[1].count).unwrap()), &s.measures[1]));
            let deviations = |m: &MeasureStats| m.squares.unwrap().deviations;
            let x = match table.plan.measures[1].aggregate {
                Aggregate::Mean => x.map(|(n, m)| m.sum / n),
                Aggregate::VarPop => x.map(|(n, m)| deviations(m) / n),
                Aggregate::StddevSamp => x.filter(|(n, _)| *n > 1.0).map(|(n, m)| (deviations(m) / (n - 1.0)).sqrt()),
                _ => Some(x.map_or(0.0, |(_, m)| m.sum)),
            };
            let numbers = vec![Some(f64::from(u32::try_from(units).unwrap())), x];
            let value = match layer {
                Layer::In if withheld.contains(&position) => CellValue::Withheld(vec![Reason::Threshold]),
                _ => CellValue::Published(numbers),
            };
            out.push(Cell { key: vec![Some(d0.clone()), Some(d1.clone())], value });
        }
    }
    let heading = |name: &str| CandidateMeasure { name: name.into(), sigma: None, error_95: None, made: None };
    CandidateTable {
        name: "t".into(),
        route: Route::C,
        dimensions: table.plan.dimensions.clone(),
        measures: vec![heading("m0"), heading("m1")],
        cells: out,
    }
}

fn batch(row: &Row) -> RowBatch {
    let int = |key: &Key| if let Key::Int(n) = key { *n } else { 0 };
    let kinds = [DataType::Utf8, DataType::Int64, DataType::Int64, DataType::Float64];
    let fields: Vec<Field> = COLUMNS.iter().zip(kinds).map(|(name, kind)| Field::new(*name, kind, true)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![row.unit.as_str()])),
        Arc::new(Int64Array::from(vec![int(&row.codes["d0"])])),
        Arc::new(Int64Array::from(vec![int(&row.codes["d1"])])),
        Arc::new(Float64Array::from(vec![row.values["x"]])),
    ];
    RowBatch::new(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
}

/// The evidence on one table over these rows.
fn evidence(asked: Asked<'_>, rows: &[Row], report: &Report) -> Vec<Check> {
    let pack = RulePack::shipped().unwrap();
    let columns: Vec<String> = COLUMNS.iter().map(|c| (*c).to_owned()).collect();
    let seed = Digest::of(b"secret");
    let view = &asked.table.plan.view;
    let mut replay = Replay::new(&pack.evidence, &rules(), view, &columns, (&[asked], &[]), report, seed);
    assert!(rows.iter().all(|row| replay.unit(&batch(row))));
    replay.checks(rows.len() as u64)
}

/// The evidence on a grid of these people.
fn on_grid(rows: &[Row], side: usize, aggregate: Aggregate, layer: Layer, report: &Report) -> Vec<Check> {
    let table = grid(side, aggregate);
    let cells = tabulate(&table, rows, 2);
    let published = published(&table, &cells, layer);
    evidence(Asked { table: &table, cells: &cells, published: &published }, rows, report)
}

fn of(checks: &[Check], kind: CheckKind) -> &Check {
    checks.iter().find(|check| check.kind == kind).unwrap()
}

/// Numbers of a check's plot: labels × series.
fn plotted(check: &Check, series: usize) -> Vec<f64> {
    check.plot.as_ref().unwrap().series[series].values.iter().map(|x| x.unwrap()).collect()
}

fn words(text: &str) -> Report {
    Report::parse(&[("note.txt".to_owned(), text.as_bytes().to_vec())])
}

#[test]
fn a_value_that_the_threshold_would_have_withheld_is_met() {
    let rows = people(300, 12);
    for (layer, grade) in [(Layer::Out, Grade::Alarm), (Layer::In, Grade::Clear)] {
        let checks = on_grid(&rows, 12, Aggregate::Sum, layer, &Report::None);
        let scan = of(&checks, CheckKind::ValueScan);
        assert_eq!(scan.grade, grade, "{}", scan.finding.en);
        // It names places and columns, never a value.
        let told = serde_json::to_string(&scan).unwrap();
        assert!(rows.iter().all(|row| !told.contains(&row.unit) && !told.contains(&row.values["x"].to_string())));
    }
}

#[test]
fn a_rare_value_is_met_in_every_common_form_and_not_in_a_private_one() {
    let rows = people(300, 3);
    let id = "person-00007";
    let x = rows[7].values["x"];
    let base64 = data_encoding::BASE64.encode(id.as_bytes());
    let hash = Digest::of(id.as_bytes()).to_string();
    let hex = data_encoding::HEXLOWER.encode(id.as_bytes());
    for (text, met) in [
        (format!("见附注：{id}。"), true),
        (format!("ref {base64} end"), true),
        (format!("ref {hex} end"), true),
        (format!("ref {} end", hex.to_uppercase()), true),
        (format!("ref {hash} end"), true),
        (format!("ref {} end", &hash[..12]), true),
        (format!("合计 {x} 元"), true),
        ("总体平稳，各方案之间无显著差异".to_owned(), false),
        // What the check says that it cannot show: a private encoding.
        (id.chars().rev().collect::<String>(), false),
    ] {
        let checks = on_grid(&rows, 3, Aggregate::Mean, Layer::In, &words(&text));
        let scan = of(&checks, CheckKind::ValueScan);
        assert_eq!(scan.grade == Grade::Alarm, met, "{text}: {}", scan.finding.en);
    }
}

#[test]
fn an_influence_is_what_tabulating_again_without_each_unit_gives() {
    for aggregate in [Aggregate::Sum, Aggregate::Mean, Aggregate::VarPop, Aggregate::StddevSamp] {
        tabulated_again(aggregate);
    }
}

fn tabulated_again(aggregate: Aggregate) {
    let rows = people(120, 2);
    let table = grid(2, aggregate);
    let cells = tabulate(&table, &rows, 2);
    let before = published(&table, &cells, Layer::Out);
    let checks = evidence(Asked { table: &table, cells: &cells, published: &before }, &rows, &Report::None);
    let check = of(&checks, CheckKind::Influence);
    assert_eq!(check.grade, Grade::Clear, "{}", check.finding.en);
    assert!(check.finding.en.contains("gives every number"), "{}", check.finding.en);

    let numbers = |of: &CandidateTable| -> Vec<f64> {
        let values = of.cells.iter().map(|c| match &c.value {
            CellValue::Published(values) => values.clone(),
            CellValue::Withheld(_) => vec![],
        });
        values.flatten().flatten().collect()
    };
    let again = |rows: Vec<Row>| numbers(&published(&table, &tabulate(&table, &rows, 2), Layer::Out));
    let copy = |row: &Row, as_unit: &str| Row {
        unit: as_unit.to_owned(),
        codes: row.codes.clone(),
        values: row.values.clone(),
    };
    let (was, (mut deleted, mut replaced)) = (numbers(&before), (0.0f64, 0.0f64));
    for i in 0..rows.len() {
        let others = || rows.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, row)| copy(row, &row.unit));
        let most = |now: Vec<f64>| was.iter().zip(now).map(|(a, b)| ((b - a) / a).abs()).fold(0.0, f64::max);
        deleted = deleted.max(most(again(others().collect())));
        if i > 0 {
            // The unit before lends its rows: the number of units stays.
            replaced = replaced.max(most(again(others().chain([copy(&rows[i - 1], &rows[i].unit)]).collect())));
        }
    }
    let drawn = |series| plotted(check, series).into_iter().fold(0.0, f64::max) / 100.0;
    assert!((drawn(0) - deleted).abs() < 1e-7 && deleted > 0.0, "{} {deleted}", drawn(0));
    // The first unit of the order has nobody before it.
    assert!((drawn(1) - replaced).abs() < 1e-7 && replaced > 0.0, "{} {replaced}", drawn(1));
}

#[test]
fn a_quantile_is_replayed() {
    let rows = people(120, 2);
    let quantile = Quantile { rank: Rank::of(0.25).unwrap(), grid: Grid::try_from(1.0).unwrap() };
    let table = grid(2, Aggregate::Quantile(quantile));
    let cells = tabulate(&table, &rows, 2);
    let of_cell = |i: i64, j: i64| {
        let inside = rows.iter().filter(|r| r.codes["d0"] == Key::Int(i) && r.codes["d1"] == Key::Int(j));
        let mut values: Vec<f64> = inside.map(|r| r.values["x"]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let mut published = published(&table, &cells, Layer::Out);
    let mut deleted = 0.0f64;
    for cell in &mut published.cells {
        let [Some(Key::Int(i)), Some(Key::Int(j))] = cell.key[..] else { panic!("two dimensions") };
        let values = of_cell(i, j);
        let was = quantile.of_sorted(&values).unwrap();
        let CellValue::Published(numbers) = &mut cell.value else { panic!("published") };
        numbers[1] = Some(was);
        for at in 0..values.len() {
            let mut rest = values.clone();
            rest.remove(at);
            deleted = deleted.max(((quantile.of_sorted(&rest).unwrap() - was) / was).abs());
        }
    }
    let checks = evidence(Asked { table: &table, cells: &cells, published: &published }, &rows, &Report::None);
    let check = of(&checks, CheckKind::Influence);
    assert!(check.finding.en.contains("gives every number"), "{}", check.finding.en);
    // Of the two measures, the counts or the quantiles: the most moved is drawn first.
    let counts = (0..2).flat_map(|i| (0..2).map(move |j| (i, j))).map(|(i, j)| 1.0 / of_cell(i, j).len() as f64);
    let most = counts.fold(deleted, f64::max);
    assert!(deleted > 0.0 && (plotted(check, 0).into_iter().fold(0.0, f64::max) / 100.0 - most).abs() < 1e-7);
    if let CellValue::Published(numbers) = &mut published.cells[1].value {
        numbers[1] = numbers[1].map(|x| x + 1.0);
    }
    let checks = evidence(Asked { table: &table, cells: &cells, published: &published }, &rows, &Report::None);
    assert!(of(&checks, CheckKind::Influence).finding.en.contains("gives 1 other"));
}

/// The influence on one model of these rows.
fn of_model(modelled: Modelled<'_>, rows: &[Row]) -> Check {
    let pack = RulePack::shipped().unwrap();
    let columns: Vec<String> = COLUMNS.iter().map(|c| (*c).to_owned()).collect();
    let (seed, report) = (Digest::of(b"secret"), Report::None);
    let models = [modelled];
    let mut replay = Replay::new(&pack.evidence, &rules(), modelled.view(), &columns, (&[], &models), &report, seed);
    assert!(rows.iter().all(|row| replay.unit(&batch(row))));
    of(&replay.checks(rows.len() as u64), CheckKind::Influence).clone()
}

fn model(name: &str, dimensions: Vec<Dimension>, measures: &[&str], cells: Vec<Cell>) -> CandidateTable {
    let heading = |name: &&str| CandidateMeasure { name: (*name).into(), sigma: None, error_95: None, made: None };
    let measures = measures.iter().map(heading).collect();
    CandidateTable { name: name.into(), route: Route::C, dimensions, measures, cells }
}

#[test]
fn a_regression_is_replayed_and_somebody_who_pulls_it_is_seen() {
    let plan = Regression {
        name: "r".into(),
        view: "v".parse().unwrap(),
        outcome: "x".into(),
        terms: vec![Term::Levels(Levels { dimension: dimension("d0", ints(2)), kept: ints(2) })],
        filter: vec![],
        derived: [].into(),
        impossible: vec![],
    };
    let candidate = |rows: &[Row], off: f64| {
        let each = || {
            rows.iter().zip(0u64..).map(|(r, unit)| (unit, usize::from(r.codes["d0"] == Key::Int(1)), r.values["x"]))
        };
        let mut products = Products::new(Shape::new(0, vec![2]));
        each().for_each(|(unit, level, x)| products.add(unit, &[], &[level], x));
        let mut residuals = products.solve();
        each().for_each(|(unit, level, x)| residuals.add(unit, &[], &[level], x));
        let numbers: Vec<Vec<Option<f64>>> = regression::published(&residuals.finish()).collect();
        let cell = |((key, _), mut numbers): (&(Key, String), Vec<Option<f64>>)| {
            numbers[0] = numbers[0].map(|x| x + off * numbers[1].unwrap());
            Cell { key: vec![Some(key.clone())], value: CellValue::Published(numbers) }
        };
        let dimension = plan.dimension();
        let cells = dimension.domain.iter().zip(numbers).map(cell).collect();
        model("r", vec![dimension], &Regression::MEASURES, cells)
    };
    let influence = |rows: &[Row], off: f64| {
        let published = candidate(rows, off);
        of_model(Modelled { model: Model::Regression(&plan), published: &published }, rows)
    };
    let mut rows = people(200, 2);
    let check = influence(&rows, 0.0);
    assert_eq!(check.grade, Grade::Clear, "{}", check.finding.en);
    assert!(check.finding.en.contains("gives every number") && check.cannot.en.contains("2 standard errors"));
    assert!(influence(&rows, 0.05).finding.en.contains("gives 2 other"), "another's coefficients");
    rows[9].values.insert("x".to_owned(), 9.0e8);
    assert_eq!(influence(&rows, 0.0).grade, Grade::Alarm, "one person is the slope");
}

#[test]
fn a_curve_is_replayed_exactly() {
    // Years until an event in d1, by d0; whoever has x above the middle has the event.
    let plan = Survival {
        name: "s".into(),
        view: "v".parse().unwrap(),
        time: "d1".into(),
        event: Event::Measure("x".into()),
        by: vec![dimension("d0", ints(2))],
        steps: vec![1.0, 2.0, 3.0],
        grid: vec![1.0, 2.0, 3.0],
        filter: vec![],
        impossible: vec![],
    };
    let mut rows = people(300, 4);
    for row in &mut rows {
        let (Key::Int(group), x) = (row.codes["d0"].clone(), row.values["x"]) else { panic!("a number") };
        row.codes.insert("d0".to_owned(), Key::Int(group % 2));
        row.values.insert("x".to_owned(), f64::from(u8::from(x > 400_000.0)));
    }
    // Shown at the second and the third step.
    let numbers = |rows: &[Row], group: i64| -> Vec<Vec<f64>> {
        let of = |from: i64, to: i64, event: Option<f64>| {
            let inside = |row: &&Row| {
                let Key::Int(time) = row.codes["d1"] else { panic!("a number") };
                row.codes["d0"] == Key::Int(group)
                    && (from..=to).contains(&time)
                    && event.is_none_or(|event| row.values["x"] == event)
            };
            rows.iter().filter(inside).count() as f64
        };
        let (n1, d1, c1) = (of(0, 9, None), of(0, 2, Some(1.0)), of(0, 2, Some(0.0)));
        let (n2, d2, c2) = (of(3, 9, None), of(3, 3, Some(1.0)), of(3, 3, Some(0.0)));
        let (s1, s2) = (1.0 - d1 / n1, (1.0 - d1 / n1) * (1.0 - d2 / n2));
        let (g1, g2) = (d1 / (n1 * (n1 - d1)), d2 / (n2 * (n2 - d2)));
        vec![vec![s1, s1 * g1.sqrt(), n1, d1, c1], vec![s2, s2 * (g1 + g2).sqrt(), n2, d2, c2]]
    };
    let candidate = |rows: &[Row]| {
        let shown = |group: i64| {
            let [second, third] = &numbers(rows, group)[..] else { panic!("two steps") };
            let out = |numbers: &[f64]| CellValue::Published(numbers.iter().copied().map(Some).collect());
            [CellValue::Withheld(vec![Reason::Threshold]), out(second), out(third)]
        };
        let cells = (0..2).flat_map(|group| {
            let cell = move |(value, step)| Cell { key: vec![Some(Key::Int(group)), Some(Key::Int(step))], value };
            shown(group).into_iter().zip(1..).map(cell)
        });
        model("s", plan.dimensions(), &Survival::MEASURES, cells.collect())
    };
    let mut published = candidate(&rows);
    let check = of_model(Modelled { model: Model::Survival(&plan), published: &published }, &rows);
    assert!(check.finding.en.contains("gives every number"), "{}", check.finding.en);
    let (mut deleted, mut replaced) = (0.0f64, 0.0f64);
    let whole: Vec<f64> = (0..2).flat_map(|g| numbers(&rows, g)).flatten().collect();
    let most = |rows: &[Row]| {
        let now = (0..2).flat_map(|g| numbers(rows, g)).flatten();
        whole.iter().zip(now).map(|(a, b)| if *a == b { 0.0 } else { ((b - a) / a).abs() }).fold(0.0, f64::max)
    };
    let copy = |row: &Row| Row { unit: row.unit.clone(), codes: row.codes.clone(), values: row.values.clone() };
    for i in 0..rows.len() {
        let others = || rows.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, row)| copy(row));
        deleted = deleted.max(most(&others().collect::<Vec<_>>()));
        let before = i.checked_sub(1).map(|before| copy(&rows[before]));
        replaced = replaced.max(most(&others().chain(before).collect::<Vec<_>>()));
    }
    let drawn = |series| plotted(&check, series).into_iter().fold(0.0, f64::max) / 100.0;
    assert!(deleted > 0.0 && (drawn(0) - deleted).abs() < 1e-7, "{} {deleted}", drawn(0));
    assert!(replaced > 0.0 && (drawn(1) - replaced).abs() < 1e-7, "{} {replaced}", drawn(1));
    if let CellValue::Published(numbers) = &mut published.cells[2].value {
        numbers[0] = numbers[0].map(|x| x + 0.01);
    }
    let check = of_model(Modelled { model: Model::Survival(&plan), published: &published }, &rows);
    assert!(check.finding.en.contains("gives 1 other"), "{}", check.finding.en);
}

#[test]
fn somebody_who_dominates_a_cell_is_seen_to_move_it() {
    let mut rows = people(300, 3);
    rows[5].values.insert("x".to_owned(), 9.0e8);
    for (layer, grade) in [(Layer::Out, Grade::Alarm), (Layer::In, Grade::Clear)] {
        let checks = on_grid(&rows, 3, Aggregate::Sum, layer, &Report::None);
        assert_eq!(of(&checks, CheckKind::Influence).grade, grade);
    }
}

#[test]
fn a_number_that_is_not_the_tables_own_is_found_by_the_recount() {
    let rows = people(300, 3);
    let table = grid(3, Aggregate::Sum);
    let cells = tabulate(&table, &rows, 2);
    let mut changed = published(&table, &cells, Layer::In);
    if let CellValue::Published(values) = &mut changed.cells[4].value {
        values[1] = values[1].map(|x| x + 1.0);
    }
    let checks = evidence(Asked { table: &table, cells: &cells, published: &changed }, &rows, &Report::None);
    let check = of(&checks, CheckKind::Influence);
    assert!(check.grade == Grade::Alarm && check.finding.en.contains("gives 1 other"), "{}", check.finding.en);
}

#[test]
fn people_who_do_not_exist_show_in_a_table_without_rules_and_not_with_them() {
    let rows = people(250, 24);
    let exposed = |layer| {
        let checks = on_grid(&rows, 24, Aggregate::Mean, layer, &Report::None);
        of(&checks, CheckKind::Canaries).clone()
    };
    let out = exposed(Layer::Out);
    assert_eq!(out.grade, Grade::Alarm, "{}", out.finding.en);
    // 32 of them; most are alone in their cells and ranked first.
    let seen = plotted(&out, 0);
    assert!(seen.iter().sum::<f64>() == 32.0 && *seen.last().unwrap() > 8.0, "{seen:?}");
    assert_eq!(exposed(Layer::In).grade, Grade::Clear);
}

#[test]
fn capacity_counts_bits_of_what_is_published() {
    let rows = people(300, 3);
    let checks = on_grid(&rows, 3, Aggregate::Sum, Layer::Out, &Report::None);
    let bits = plotted(of(&checks, CheckKind::Capacity), 0)[0];
    assert!((bits - 9.0 * (301f64.log2() + 64.0)).abs() < 1e-6, "{bits}");
}
