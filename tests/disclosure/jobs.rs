//! Attacks on the release ledger with every rule on: what two operators' jobs say of each
//! other, in each shape. `leaks` does the attacker's sum on what each job publishes when
//! it is judged alone; with the ledger the sum cannot be done.

use std::collections::BTreeMap;

use sluice_domain::{
    candidate::{CandidateTable, Reason},
    catalogue::Key,
    contract::{Aggregate, Dimension, TableC, Totals},
};

use crate::{
    common::{Row, dimension, ints, table},
    office::{History, Office, only, read, reasons},
};

/// Three regions, three sexes, and whether somebody is meant by "the others".
fn region() -> Dimension {
    dimension("region", ints(3))
}

fn sex() -> Dimension {
    dimension("sex", ints(3))
}

fn group() -> Dimension {
    dimension("group", ints(4))
}

struct Person {
    region: i64,
    sex: i64,
    group: i64,
    x: f64,
    rows: usize,
}

/// 24 people of each region and of the first two sexes, all in group 0, whom `change` may
/// make into others.
fn people(change: impl Fn(usize, &mut Person)) -> Vec<Row> {
    let mut rows = Vec::new();
    for i in 0..144 {
        let (region, sex) = ((i / 48) as i64, (i / 24 % 2) as i64);
        let mut person = Person { region, sex, group: 0, x: 10.0 + (i * 7 % 11) as f64, rows: 1 };
        change(i, &mut person);
        for _ in 0..person.rows {
            let codes = [("region", person.region), ("sex", person.sex), ("group", person.group)];
            let codes = codes.map(|(name, code)| (name.to_owned(), Key::Int(code)));
            let values = BTreeMap::from([("x".to_owned(), person.x)]);
            rows.push(Row { unit: format!("p{i:03}"), codes: codes.into(), values });
        }
    }
    rows
}

fn job(dimensions: Vec<Dimension>, aggregate: Aggregate, filter: Vec<(Dimension, Vec<Key>)>) -> TableC {
    let column = matches!(aggregate, Aggregate::Count | Aggregate::Sum | Aggregate::Mean).then_some("x");
    table("t", dimensions, &[(aggregate, column)], filter, Totals::None)
}

/// The attacker's sum over the jobs' tables, alone and together: the first must be what is
/// expected of the leak, the second must fail.
fn leaks(
    rows: impl Fn() -> Vec<Row>,
    jobs: &[TableC],
    sum: impl Fn(&[Option<CandidateTable>]) -> Option<f64>,
    secret: f64,
) {
    let leak = sum(&Office::run(rows(), History::LeftOut, jobs)).expect("each job alone publishes its part");
    assert!((leak - secret).abs() < 1e-6, "without lineage {secret} is read, not {leak}");
    assert_eq!(sum(&Office::run(rows(), History::Kept, jobs)), None, "with lineage it cannot be computed");
}

/// The cell at `key` of the job's table.
fn at(tables: &[Option<CandidateTable>], job: usize, key: &[i64]) -> Option<f64> {
    read(tables[job].as_ref(), &key.iter().copied().map(Some).collect::<Vec<_>>(), 0)
}

#[test]
fn attack_39_a_difference_of_many_whose_sum_is_one_persons() {
    // Twelve people are in group 1: enough for k. One of them has nearly all of their total.
    let rows = || {
        people(|i, p| {
            p.group = i64::from(i < 12);
            p.x = if i == 0 {
                400.0
            } else if i < 12 {
                1.0
            } else {
                p.x
            };
        })
    };
    let jobs = [job(vec![region()], Aggregate::Sum, vec![]), job(vec![region()], Aggregate::Sum, only(&group(), &[0]))];
    leaks(rows, &jobs, |t| Some(at(t, 0, &[0])? - at(t, 1, &[0])?), 411.0);
    // Where the same twelve have all about the same, the difference is a cell like any other.
    let jobs_of = Office::run(people(|i, p| p.group = i64::from(i < 12)), History::Kept, &jobs);
    assert!(at(&jobs_of, 1, &[0]).is_some());
}

#[test]
fn attack_39_rows_beside_units_say_who_was_there_twice() {
    let rows = || people(|i, p| p.rows = 1 + usize::from(i == 3));
    let jobs = [job(vec![region()], Aggregate::Rows, vec![]), job(vec![region()], Aggregate::Units, vec![])];
    leaks(rows, &jobs, |t| Some(at(t, 0, &[0])? - at(t, 1, &[0])?), 1.0);
    // The other way round, and when everybody has two rows, which says nothing of anybody.
    let swapped = [jobs[1].clone(), jobs[0].clone()];
    leaks(rows, &swapped, |t| Some(at(t, 1, &[0])? - at(t, 0, &[0])?), 1.0);
    let twice = Office::run(people(|_, p| p.rows = 2), History::Kept, &jobs);
    assert_eq!((at(&twice, 0, &[0]), at(&twice, 1, &[0])), (Some(96.0), Some(48.0)));
    // Nested people: units of all, rows of all but one who has none of them twice.
    let rows = || people(|i, p| p.group = i64::from(i == 5));
    let jobs =
        [job(vec![region()], Aggregate::Units, vec![]), job(vec![region()], Aggregate::Rows, only(&group(), &[0]))];
    leaks(rows, &jobs, |t| Some(at(t, 0, &[0])? - at(t, 1, &[0])?), 1.0);
}

#[test]
fn attack_39_a_sum_over_its_mean_is_a_count() {
    let rows = || people(|i, p| p.group = i64::from(i == 7));
    let sum = job(vec![region()], Aggregate::Sum, vec![]);
    let mean = job(vec![region()], Aggregate::Mean, vec![]);
    let count = job(vec![region()], Aggregate::Count, only(&group(), &[0]));
    leaks(
        rows,
        &[sum.clone(), mean.clone(), count.clone()],
        |t| Some(at(t, 0, &[0])? / at(t, 1, &[0])? - at(t, 2, &[0])?),
        1.0,
    );
    leaks(
        rows,
        &[count.clone(), mean.clone(), sum.clone()],
        |t| Some(at(t, 2, &[0])? / at(t, 1, &[0])? - at(t, 0, &[0])?),
        1.0,
    );
    // A mean and a count are a sum: against the sum without that person it is their value.
    let rest = job(vec![region()], Aggregate::Sum, only(&group(), &[0]));
    let all = job(vec![region()], Aggregate::Rows, vec![]);
    let x = 10.0 + f64::from(7 * 7 % 11);
    leaks(rows, &[mean, all, rest], |t| Some(at(t, 0, &[0])? * at(t, 1, &[0])? - at(t, 2, &[0])?), x);
}

#[test]
fn attack_40_a_chain_of_filters_each_a_little_narrower() {
    // Each step of the chain takes 12 more away, but the second step is one person.
    let rows = || {
        people(|i, p| {
            p.group = match i {
                0..12 => 1,
                12 => 2,
                13..26 => 3,
                _ => 0,
            }
        })
    };
    let chain =
        [vec![0, 1, 2, 3], vec![0, 2, 3], vec![0, 3]].map(|keys| job(vec![], Aggregate::Units, only(&group(), &keys)));
    leaks(rows, &chain, |t| Some(at(t, 1, &[])? - at(t, 2, &[])?), 1.0);
}

#[test]
fn attack_41_an_equal_count_says_that_a_cell_is_empty() {
    // Nobody of region 0 has sex 2: withheld as empty where it is asked for; the whole
    // region shows as many people as its two other sexes.
    let parts = |t: &[Option<CandidateTable>], job| Some(at(t, job, &[0, 0])? + at(t, job, &[0, 1])?);
    let asked = [job(vec![region(), sex()], Aggregate::Units, vec![]), job(vec![region()], Aggregate::Units, vec![])];
    leaks(|| people(|_, _| {}), &asked, |t| Some(at(t, 1, &[0])? - parts(t, 0)?), 0.0);
    // And where it was never asked for: two filters that keep the same people.
    let unasked =
        [job(vec![region()], Aggregate::Units, only(&sex(), &[0, 1])), job(vec![region()], Aggregate::Units, vec![])];
    leaks(|| people(|_, _| {}), &unasked, |t| Some(at(t, 1, &[0])? - at(t, 0, &[0])?), 0.0);
    // Peopled by enough, all of it is published.
    let full = || people(|i, p| p.sex = (i % 3) as i64);
    let tables = Office::run(full(), History::Kept, &asked);
    assert!(at(&tables, 1, &[0]).is_some() && parts(&tables, 0).is_some());
}

#[test]
fn attack_41_a_few_people_in_many_cells() {
    // 24 people of sex 0 and five of sex 1, each with a row in every group: the five's
    // cells are withheld, and what is left of the whole without the others' cells are
    // their rows, in four cells and so in more atoms than a union of three.
    let rows = || {
        let row = |person: usize, group: i64| {
            let codes = [("region", 0), ("sex", i64::from(person >= 24)), ("group", group)];
            let codes = codes.map(|(name, code)| (name.to_owned(), Key::Int(code)));
            Row { unit: format!("p{person:02}"), codes: codes.into(), values: BTreeMap::new() }
        };
        (0..29).flat_map(|person| (0..4).map(move |group| row(person, group))).collect()
    };
    let parts = job(vec![sex(), group()], Aggregate::Rows, vec![]);
    let jobs = [parts, job(vec![], Aggregate::Rows, vec![])];
    let of_others = |t: &[Option<CandidateTable>]| (0..4).map(|group| at(t, 0, &[0, group])).sum::<Option<f64>>();
    leaks(rows, &jobs, |t| Some(at(t, 1, &[])? - of_others(t)?), 20.0);
}

#[test]
fn attack_41_two_views_of_one_root_in_one_job() {
    // One view keeps everybody, the other all but group 1; five people, each told apart
    // by a table of their own, so that no few atoms show them.
    let rows = || people(|i, p| p.group = i64::from(i < 5));
    let all = job(vec![region()], Aggregate::Units, vec![]);
    let mut others = job(vec![region()], Aggregate::Units, only(&group(), &[0, 2, 3]));
    others.plan.view = "others".parse().unwrap();
    let ask = |tables: &[TableC]| {
        let mut office = Office::over(rows());
        office.filtered("others", "group <> 1");
        office.ask(History::Kept, tables).unwrap()
    };
    let apart: Vec<CandidateTable> = [&all, &others].map(|t| ask(std::slice::from_ref(t)).remove(0)).into();
    let gap = |t: &[CandidateTable]| Some(read(Some(&t[0]), &[Some(0)], 0)? - read(Some(&t[1]), &[Some(0)], 0)?);
    assert_eq!(gap(&apart), Some(5.0));
    assert_eq!(gap(&ask(&[all.clone(), others.clone()])), None);
}

#[test]
fn attack_42_a_later_snapshot_shows_who_changed() {
    let now = |t: &CandidateTable, key: i64| read(Some(t), &[Some(key)], 0);
    let ask = |history, before: Vec<Row>, after: Vec<Row>, table: &TableC| {
        let mut office = Office::over(before);
        let first = office.ask(history, std::slice::from_ref(table)).unwrap().remove(0);
        office.ingest(after);
        (first, office.ask(history, std::slice::from_ref(table)).unwrap().remove(0))
    };
    // One person moved from region 0 to region 1.
    let (before, moved) = (|| people(|_, _| {}), || people(|i, p| p.region = if i == 3 { 1 } else { p.region }));
    let count = job(vec![region()], Aggregate::Units, vec![]);
    let (first, second) = ask(History::LeftOut, before(), moved(), &count);
    assert_eq!(now(&first, 0).unwrap() - now(&second, 0).unwrap(), 1.0);
    let (first, second) = ask(History::Kept, before(), moved(), &count);
    assert!(now(&first, 0).is_some());
    assert_eq!((now(&second, 0), now(&second, 1)), (None, None));
    assert!(now(&second, 2).is_some(), "where nobody changed the number stands");
    // One person's value changed: the rows are new ones, of the same number.
    let sum = job(vec![region()], Aggregate::Sum, vec![]);
    let raised = || people(|i, p| p.x += if i == 3 { 5.0 } else { 0.0 });
    let (first, second) = ask(History::LeftOut, before(), raised(), &sum);
    assert!((now(&second, 0).unwrap() - now(&first, 0).unwrap() - 5.0).abs() < 1e-9);
    let (_, second) = ask(History::Kept, before(), raised(), &sum);
    assert_eq!(now(&second, 0), None);
    assert!(now(&second, 1).is_some());
    // Twelve changed, one of them by nearly all of it.
    let uneven = || people(|i, p| p.x += if i == 3 { 90.0 } else { f64::from(u8::from(i < 12)) });
    let (_, second) = ask(History::LeftOut, before(), uneven(), &sum);
    assert!(now(&second, 0).is_some());
    let (_, second) = ask(History::Kept, before(), uneven(), &sum);
    assert_eq!(now(&second, 0), None);
    // Nobody moved: counts stand as they were, however many values changed.
    let (first, second) = ask(History::Kept, before(), raised(), &count);
    assert_eq!(now(&first, 0), now(&second, 0));
    assert!(now(&second, 0).is_some());
    // A region against its parts a snapshot later, of which one person moved.
    let mut office = Office::over(before());
    let whole = office.ask(History::Kept, std::slice::from_ref(&count)).unwrap().remove(0);
    office.ingest(moved());
    let parts = office.ask(History::Kept, &[job(vec![region(), sex()], Aggregate::Units, vec![])]).unwrap().remove(0);
    let part = |sex| read(Some(&parts), &[Some(0), Some(sex)], 0);
    assert!(now(&whole, 0).is_some() && (part(0).is_none() || part(1).is_none()));
    // Twelve changed, all by about as much: a panel that changes enough goes on.
    let even = || people(|i, p| p.x += if i < 12 { 1.0 + (i % 3) as f64 } else { 0.0 });
    let (_, second) = ask(History::Kept, before(), even(), &sum);
    assert!(now(&second, 0).is_some());
}

#[test]
fn attack_48_the_same_question_has_the_same_pattern_for_the_same_reasons() {
    // One cell of five people; with true totals others go for its sake.
    let rows = || {
        people(|i, p| {
            p.sex = (i % 3) as i64;
            p.region = if i % 16 == 15 { 2 } else { p.region };
            p.group = i64::from(i < 40 && i % 2 == 0);
            if p.region == 0 && p.sex == 2 && i > 16 {
                p.region = 1;
            }
        })
    };
    let totals = |filter| {
        let measures = [(Aggregate::Units, None)];
        table("t", vec![region(), sex()], &measures, filter, Totals::True)
    };
    let mut office = Office::over(rows());
    let jobs = [totals(vec![]), totals(only(&group(), &[0])), totals(vec![]), totals(only(&group(), &[0]))];
    let tables: Vec<CandidateTable> =
        jobs.iter().map(|job| office.ask(History::Kept, std::slice::from_ref(job)).unwrap().remove(0)).collect();
    let cells = |t: &CandidateTable| -> Vec<Vec<Option<i64>>> {
        let part = |key: &Option<Key>| match key {
            Some(Key::Int(code)) => Some(*code),
            _ => None,
        };
        t.cells.iter().map(|c| c.key.iter().map(part).collect()).collect()
    };
    let mut again = 0;
    for (first, second) in [(0, 2), (1, 3)] {
        for key in cells(&tables[first]) {
            let (before, now) = (reasons(&tables[first], &key), reasons(&tables[second], &key));
            assert_eq!(before.is_empty(), now.is_empty(), "{key:?}: the same pattern");
            assert_eq!(before.contains(&Reason::Differencing), now.contains(&Reason::Differencing), "{key:?}");
            if before == [Reason::Secondary] {
                assert_eq!(now, [Reason::AsBefore], "{key:?}");
                again += 1;
            }
        }
    }
    assert!(again > 0, "some cell protects another");
}
