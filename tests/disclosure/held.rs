//! Evidence on held products (route D): a model that remembers people is told from one
//! that does not, and replays are what they are said to be. The guests here are plain
//! functions; real ones are run again in `tests/hostile/held.rs` and `tests/tests/thread`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::{collections::BTreeMap, sync::Arc};

use sluice_domain::{
    Digest, Refusal,
    catalogue::Key,
    contract::{Dimension, MeasureA},
    evidence::{Check, CheckKind, EvidenceRules, Grade},
    held::{Held, Model, ModelKind},
    rulepack::RulePack,
};
use sluice_gate::{
    Sensitivity,
    evidence::held::{Call, Gathering, People, Replays, judge, of_product},
    held::{Judge, Judged},
    intake::{RawBatch, RawColumn},
    route_c::{Rules, regression::RegressionRules},
    route_d::{Exact, Reducer},
};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, AsArray, Float64Array, RecordBatch},
        datatypes::Float64Type,
    },
};

/// A row: x and y.
type Row = (f64, f64);

/// The host's view of a guest: rows in, a batch out.
type Guest<'a> = &'a dyn Fn(&[Row]) -> RawBatch;

/// Numbers that look random and are the same in every run: in [0, 1).
fn unit_interval(seed: &str, i: usize) -> f64 {
    let digest = Digest::of(format!("{seed} {i}").as_bytes());
    f64::from(u32::from_le_bytes(*digest.as_bytes().first_chunk().unwrap())) / (f64::from(u32::MAX) + 1.0)
}

/// So many people with a row each: y is 2x and something that x does not explain.
fn world(people: usize) -> Vec<Vec<Row>> {
    let noise = |i| (0..12).map(|k| unit_interval("noise", 12 * i + k)).sum::<f64>() - 6.0;
    (0..people)
        .map(|i| unit_interval("x", i) * 100.0)
        .enumerate()
        .map(|(i, x)| vec![(x, 2.0 * x + 10.0 * noise(i))])
        .collect()
}

fn batch(rows: &[Row]) -> RowBatch {
    let column = |of: fn(&Row) -> f64| Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    RowBatch::new(RecordBatch::try_from_iter([("x", column(|r| r.0)), ("y", column(|r| r.1))]).unwrap())
}

fn people(world: &[Vec<Row>]) -> People {
    let mut gathering = Gathering::new(1);
    world.iter().for_each(|rows| gathering.unit(&vec![(0, batch(rows))]));
    gathering.whole().unwrap()
}

fn rows(call: &Call) -> Vec<Row> {
    let column = |at: usize| call[0].1.columns()[at].as_primitive::<Float64Type>().values().to_vec();
    column(0).into_iter().zip(column(1)).collect()
}

fn column(bytes: impl Iterator<Item = [u8; 8]>) -> RawColumn {
    RawColumn { nulls: 0, validity: None, offsets: None, data: bytes.flatten().collect() }
}

/// Keys 0, 1, … with these numbers.
fn answer(cells: &[Vec<f64>]) -> RawBatch {
    let keys = column((0..cells.len() as i64).map(i64::to_le_bytes));
    let numbers = (0..cells[0].len()).map(|m| column(cells.iter().map(move |cell| cell[m].to_le_bytes())));
    RawBatch { rows: u32::try_from(cells.len()).unwrap(), columns: std::iter::once(keys).chain(numbers).collect() }
}

fn held(cells: usize, measures: &[(&str, i64, u32)], model: Option<Model>) -> Held {
    let measure = |(name, most, grid): &(&str, i64, u32)| MeasureA {
        name: (*name).to_owned(),
        lo: -most * i64::from(*grid),
        hi: most * i64::from(*grid),
        grid: *grid,
    };
    let domain = (0..cells as i64).map(|k| (Key::Int(k), k.to_string())).collect();
    Held {
        name: "t".into(),
        dimensions: vec![Dimension { name: "k".into(), title: "k".into(), domain, base: None }],
        measures: measures.iter().map(measure).collect(),
        model,
    }
}

fn model(kind: ModelKind) -> Option<Model> {
    Some(Model { kind, features: vec!["x".into()], outcome: "y".into() })
}

fn rules() -> EvidenceRules {
    RulePack::shipped().unwrap().evidence
}

fn read(held: &Held, raw: &RawBatch) -> Exact {
    let mut reducer = Reducer::new(held, 4096).unwrap();
    reducer.add(Some(raw));
    reducer.finish().unwrap()
}

/// The verdict on a model, by everybody.
fn judged(held: &Held, product: &Exact, people: &People, rules: RegressionRules) -> Result<Vec<Judged>, Refusal> {
    let judges = held.model.iter().map(|m| Judge::new(held, m, product.numbers(), &people.names(0), rules.clone()));
    judge(people, judges.collect::<Result<_, _>>()?)
}

/// The evidence on what `guest` makes of these people.
fn evidence(held: &Held, world: &[Vec<Row>], guest: Guest<'_>, rules: &EvidenceRules) -> Vec<Check> {
    let people = people(world);
    let product = read(held, &guest(&world.concat()));
    let judged = judged(held, &product, &people, RegressionRules::none()).unwrap();
    let product = product.table();
    let replays = Replays::new(held, &people, rules, Digest::of(b"secret"));
    let answers: Vec<Option<Exact>> =
        (0..replays.count()).map(|at| Some(read(held, &guest(&rows(&replays.call(at).unwrap()))))).collect();
    let mut checks = replays.checks(&product, &answers, &judged).unwrap();
    let pack = RulePack::shipped().unwrap();
    checks.extend(of_product(&[(held, &product)], &people, rules, &Rules::of(&pack.disclosure, Sensitivity::Ordinary)));
    checks
}

fn of(checks: &[Check], kind: CheckKind) -> &Check {
    checks.iter().find(|check| check.kind == kind).unwrap()
}

/// A tree with a leaf for every value of x.
fn remembers(nodes: usize) -> impl Fn(&[Row]) -> RawBatch {
    move |rows| {
        let mut by_x: BTreeMap<u64, f64> = BTreeMap::new();
        for (x, y) in rows {
            by_x.entry(x.to_bits()).or_insert(*y);
        }
        let mut cells = Vec::new();
        for (i, (x, y)) in by_x.into_iter().enumerate() {
            let at = 2.0 * i as f64;
            // Up to the grid, so that the leaf holds this x.
            let threshold = (f64::from_bits(x) * 1000.0).ceil() / 1000.0;
            cells.push(vec![0.0, at + 1.0, at + 2.0, threshold, 0.0]);
            cells.push(vec![-1.0, -1.0, -1.0, 0.0, y]);
        }
        cells.resize(nodes, vec![-1.0, -1.0, -1.0, 0.0, 0.0]);
        answer(&cells)
    }
}

/// A straight line by least squares.
fn line(rows: &[Row]) -> RawBatch {
    let n = rows.len() as f64;
    let (x, y) = (rows.iter().map(|r| r.0).sum::<f64>() / n, rows.iter().map(|r| r.1).sum::<f64>() / n);
    let slope =
        rows.iter().map(|r| (r.0 - x) * (r.1 - y)).sum::<f64>() / rows.iter().map(|r| (r.0 - x).powi(2)).sum::<f64>();
    answer(&[vec![y - slope * x], vec![slope]])
}

fn tree_of(nodes: usize) -> Held {
    let measures =
        [("feature", 10, 1), ("left", 9999, 1), ("right", 9999, 1), ("threshold", 200, 1000), ("value", 500, 1000)];
    held(nodes, &measures, model(ModelKind::Tree))
}

#[test]
fn a_tree_with_a_leaf_per_person_is_told_and_a_line_is_not() {
    let world = world(600);
    let tree = tree_of(1201);
    let remembered = evidence(&tree, &world, &remembers(1201), &rules());
    let straight = held(2, &[(Model::COEFFICIENT, 1000, 1000)], model(ModelKind::Linear));
    let explained = evidence(&straight, &world, &line, &rules());
    for kind in [CheckKind::Membership, CheckKind::Canaries] {
        let (bad, good) = (of(&remembered, kind), of(&explained, kind));
        assert_eq!(bad.grade, Grade::Alarm, "{}", bad.finding.en);
        assert_eq!(good.grade, Grade::Clear, "{}", good.finding.en);
    }
    // About 300 non-members show 1 in 300 at best, and the page says so.
    let told = &of(&remembered, CheckKind::Membership).finding.en;
    assert!(told.contains("too few units for a false-positive rate of 0.1%") && told.contains("(1 in "), "{told}");
    assert_eq!(of(&explained, CheckKind::Influence).grade, Grade::Clear);
    assert!(of(&explained, CheckKind::Model).finding.en.starts_with("the model has 2 parameters on 600 units"));
    // And the rules for models refuse such a tree before anybody looks at evidence.
    let pack = RulePack::shipped().unwrap().disclosure;
    let product = read(&tree, &remembers(1201)(&world.concat()));
    let on = RegressionRules::of(&pack, &Rules::of(&pack, Sensitivity::Ordinary));
    assert_eq!(judged(&tree, &product, &people(&world), on).unwrap_err().code, "gate.model-leaf");
}

#[test]
fn with_people_enough_membership_is_asked_at_one_in_a_thousand() {
    let straight = held(2, &[(Model::COEFFICIENT, 1000, 1000)], model(ModelKind::Linear));
    let checks = evidence(&straight, &world(2400), &line, &rules());
    let check = of(&checks, CheckKind::Membership);
    assert_eq!(check.grade, Grade::Clear, "{}", check.finding.en);
    assert!(check.finding.en.contains(": at a false-positive rate of 0.1%,"), "{}", check.finding.en);
}

/// A table of one number.
fn mean(rows: &[Row]) -> RawBatch {
    answer(&[vec![rows.iter().map(|r| r.1).sum::<f64>() / rows.len() as f64]])
}

#[test]
fn an_influence_is_what_leaving_each_person_out_gives() {
    let world = world(80);
    let table = held(1, &[("mean", 500, 1000)], None);
    let everybody = EvidenceRules { held_replays: 80, ..rules() };
    let checks = evidence(&table, &world, &mean, &everybody);
    let check = of(&checks, CheckKind::Influence);
    let drawn = check.plot.as_ref().unwrap().series[0].values[0].unwrap();
    let average = |rows: &[Row]| (rows.iter().map(|r| r.1).sum::<f64>() / rows.len() as f64 * 1000.0).round();
    let all = world.concat();
    let without = |out: usize| average(&[&all[..out], &all[out + 1..]].concat());
    let most = (0..all.len()).map(|out| (without(out) - average(&all)).abs()).fold(0.0, f64::max);
    assert!((drawn - 100.0 * most / 1_000_000.0).abs() < 1e-9 && most > 0.0, "{drawn} {most}");
    assert!(check.cannot.en.contains("80/80 (100%)"), "{}", check.cannot.en);
    // A table has no loss: the page says that nobody was planted to be ranked.
    assert!(of(&checks, CheckKind::Canaries).finding.en.contains("does not apply"));
}

#[test]
fn replays_change_who_they_say_and_nothing_else() {
    // Every third person has two rows.
    let world: Vec<Vec<Row>> = world(61)
        .into_iter()
        .enumerate()
        .map(|(i, rows)| if i % 3 == 0 { [rows.clone(), rows].concat() } else { rows })
        .collect();
    let all = world.concat();
    let (people, table, rules) = (people(&world), held(1, &[("mean", 500, 1000)], None), rules());
    let replays = Replays::new(&table, &people, &rules, Digest::of(b"secret"));
    let (m, shadows) = (rules.held_replays as usize, rules.held_shadows as usize);
    assert_eq!(replays.count(), 2 * m + shadows);
    assert!(replays.count() as u64 <= rules.held_calls());
    let calls: Vec<Vec<Row>> = (0..replays.count()).map(|at| rows(&replays.call(at).unwrap())).collect();
    let (mut donors, mut drawn) = (0, 0);
    for (without, with) in calls[..m].iter().zip(&calls[m..2 * m]) {
        let missing = all.len() - without.len();
        assert!((1..=2).contains(&missing));
        assert_eq!(with.len(), all.len(), "a replacement has as many rows");
        let changed: Vec<&Row> = all.iter().zip(with).filter(|(a, b)| a != b).map(|(_, b)| b).collect();
        assert!(changed.len() <= missing);
        // Every value is somebody's; a row is somebody's or was drawn column by column.
        assert!(changed.iter().all(|r| all.iter().any(|o| o.0 == r.0) && all.iter().any(|o| o.1 == r.1)));
        if changed.iter().all(|r| all.contains(r)) { donors += 1 } else { drawn += 1 }
    }
    assert!(donors >= m / 2 && drawn >= m / 3, "{donors} {drawn}");
    // A shadow and its other half have everybody between them, and one more each.
    for pair in calls[2 * m..].chunks(2) {
        let both = pair.concat();
        assert!(all.iter().all(|row| both.contains(row)));
        assert!((2..=4).contains(&(both.len() - all.len())), "{} {}", both.len(), all.len());
        assert!(pair.iter().all(|half| half.len() > all.len() / 4));
    }
    // Another seed changes other people.
    let others = Replays::new(&table, &people, &rules, Digest::of(b"another"));
    assert!((0..m).any(|at| rows(&others.call(at).unwrap()) != calls[at]));
}

#[test]
fn a_number_of_ones_own_in_a_held_table_is_met_by_the_scan() {
    let first = |rows: &[Row]| answer(&[vec![rows[0].1]]);
    let table = held(1, &[("mean", 500, 1_000_000)], None);
    let world: Vec<Vec<Row>> = world(200).into_iter().map(|r| vec![(r[0].0, (r[0].1 * 1e6).round() / 1e6)]).collect();
    let honest = of(&evidence(&table, &world, &mean, &rules()), CheckKind::ValueScan).grade;
    let hostile = of(&evidence(&table, &world, &first, &rules()), CheckKind::ValueScan).finding.en.clone();
    assert_eq!(honest, Grade::Clear);
    assert!(hostile.contains("were met in the candidate"), "{hostile}");
}

#[test]
fn a_replay_without_an_answer_is_an_alarm() {
    let (world, table, rules) = (world(60), held(1, &[("mean", 500, 1000)], None), rules());
    let people = people(&world);
    let product = read(&table, &mean(&world.concat())).table();
    let replays = Replays::new(&table, &people, &rules, Digest::of(b"secret"));
    let mut answers: Vec<Option<Exact>> =
        (0..replays.count()).map(|at| Some(read(&table, &mean(&rows(&replays.call(at).unwrap()))))).collect();
    let grade =
        |answers: &[Option<Exact>]| of(&replays.checks(&product, answers, &[]).unwrap(), CheckKind::Influence).grade;
    assert_eq!(grade(&answers), Grade::Clear);
    answers[3] = None;
    assert_eq!(grade(&answers), Grade::Alarm);
}
