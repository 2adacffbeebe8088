//! Survival curves through the whole gate: what they say is protected beside the job's
//! other tables and held against history, so that no smaller count follows.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may fail loudly, over small numbers"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Row, contract, dimension, ints, table, tabulate};
use proptest::{prelude::*, test_runner::TestRunner};
use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue, Reason},
    catalogue::Key,
    contract::{Aggregate, Event, Survival, Table, Totals, Whose},
    rulepack::RulePack,
};
use sluice_gate::{
    GateInput, Sensitivity, clear,
    lineage::{Ledger, Number},
};
use sluice_rows::{
    cells::{Cells, SnapshotRows},
    follow::{Ended, Followed, Observation},
};

/// k of the rule pack.
const K: usize = 10;

/// One row a person: group, whether a filter keeps them, time, event.
type Person = (usize, usize, f64, bool);

fn of(n: usize, person: Person) -> Vec<Person> {
    vec![person; n]
}

fn rows(people: &[Person]) -> Vec<Row> {
    let row = |(i, (group, kept, time, event)): (usize, &Person)| Row {
        unit: format!("p{i:04}"),
        codes: [("d0".to_owned(), ints(3)[*group].clone()), ("kept".to_owned(), ints(2)[*kept].clone())].into(),
        values: [("time".to_owned(), *time), ("event".to_owned(), f64::from(u8::from(*event)))].into(),
    };
    people.iter().enumerate().map(row).collect()
}

fn curve(name: &str, by: &[&str], steps: &[f64], but: &[usize]) -> Survival {
    let kept: Vec<Key> = ints(2).into_iter().enumerate().filter(|(i, _)| !but.contains(i)).map(|(_, k)| k).collect();
    let filter = if but.is_empty() { vec![] } else { vec![(dimension("kept", ints(2)), kept)] };
    Survival {
        name: name.into(),
        view: "v".parse().unwrap(),
        time: "time".into(),
        event: Event::Measure("event".into()),
        by: by.iter().map(|name| dimension(name, ints(if *name == "kept" { 2 } else { 3 }))).collect(),
        steps: steps.to_vec(),
        grid: steps.to_vec(),
        filter,
        impossible: vec![],
    }
}

fn follow(plan: &Survival, rows: &[Row]) -> Cells {
    let mut followed = Followed::new(&plan.steps);
    for (row, number) in rows.iter().zip(0u32..) {
        if !plan.filter.iter().all(|(d, keys)| keys.contains(&row.codes[&d.name])) {
            continue;
        }
        let place = |name: &String| ints(3).iter().position(|key| *key == row.codes[name]).unwrap();
        let group = plan.by.iter().map(|d| u32::try_from(place(&d.name)).unwrap()).collect();
        let event = if row.values["event"] == 1.0 { Ended::WithEvent } else { Ended::Otherwise };
        followed.add(number.into(), Observation { row: number, group, time: row.values["time"], event });
    }
    followed.finish()
}

/// A run, and what it leaves to the next.
fn run(
    mut tables: Vec<Table>,
    people: &[Person],
    past: &[Number],
) -> Result<(Vec<CandidateTable>, Vec<Number>), Refusal> {
    Survival::share_grids(&mut tables);
    let (contract, rows) = (contract(tables), rows(people));
    let snapshot = SnapshotRows {
        units: (0u64..).take(rows.len()).collect(),
        contents: vec![0; rows.len()],
        columns: vec![],
        zeros: vec![],
    };
    let root = ("people".parse().unwrap(), "snap-000001".parse().unwrap());
    let views = [("v".parse().unwrap(), None)].into();
    let past_again = past.iter().map(again).collect();
    let ledger = Ledger::new(root, views, vec![], (snapshot, past_again), Vec::new(), |row| {
        u128::from(row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).rotate_left(47)
    });
    let curves: Vec<&Survival> = contract.survivals().collect();
    let tabulated = contract.tables_c().into_iter().map(|(t, whose)| match whose {
        Whose::Survival(at) => follow(curves[at], &rows),
        _ => tabulate(&t, &rows, 2),
    });
    let (cleared, record) = clear(GateInput {
        contract: &contract,
        rulepack: &RulePack::shipped().unwrap(),
        roster_size: 1000,
        tabulated: &tabulated.collect::<Vec<_>>(),
        fits: &[],
        answers: vec![],
        behind: sluice_gate::Behind::default(),
        sensitivity: Sensitivity::Ordinary,
        ledgers: &[ledger],
    })?;
    let left = past.iter().map(again).chain(record.roots.into_iter().flat_map(|root| root.numbers));
    Ok((cleared.get().clone(), left.collect()))
}

fn again(n: &Number) -> Number {
    Number {
        quantity: n.quantity.clone(),
        rows: n.rows.clone(),
        value: n.value,
        standing: n.standing,
        place: n.place.clone(),
    }
}

/// The shown steps of each group, with what they say.
fn shown(table: &CandidateTable) -> BTreeMap<String, Vec<(usize, Vec<f64>)>> {
    let steps = table.dimensions.last().unwrap().domain.len();
    let mut groups: BTreeMap<String, Vec<(usize, Vec<f64>)>> = BTreeMap::new();
    for (at, cell) in table.cells.iter().enumerate() {
        let (_, group) = cell.key.split_last().unwrap();
        let group = groups.entry(format!("{group:?}")).or_default();
        if let CellValue::Published(numbers) = &cell.value {
            group.push((at % steps, numbers.iter().map(|n| n.unwrap_or(f64::NAN)).collect()));
        }
    }
    groups
}

fn reasons(table: &CandidateTable) -> BTreeSet<Reason> {
    let of = |value: &CellValue| if let CellValue::Withheld(reasons) = value { reasons.clone() } else { vec![] };
    table.cells.iter().flat_map(|c| of(&c.value)).collect()
}

/// Three groups of 100: with the event 20 at each of 1 and 2, 15 lost at 2, 15 followed
/// beyond 3 with the event at 5, the others without.
fn plain() -> Vec<Person> {
    let group = |g| {
        [
            of(20, (g, 1, 1.0, true)),
            of(20, (g, 1, 2.0, true)),
            of(15, (g, 1, 2.0, false)),
            of(15, (g, 1, 5.0, true)),
            of(30, (g, 1, 9.0, false)),
        ]
    };
    (0..3).flat_map(group).flatten().collect()
}

#[test]
fn a_safe_curve_is_shown_by_group_and_in_all() {
    let tables = || vec![Table::Survival(curve("s", &["d0"], &[1.0, 2.0, 3.0, 5.0], &[]))];
    let (out, _) = run(tables(), &plain(), &[]).unwrap();
    let groups = shown(&out[0]);
    assert_eq!(groups.len(), 3);
    for steps in groups.values() {
        let [(0, first), (1, second), (3, last)] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(first[2..], [100.0, 20.0, 0.0]);
        assert_eq!(second[2..], [80.0, 20.0, 15.0]);
        assert_eq!(last[2..], [45.0, 15.0, 0.0]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(first[0], 0.8) && near(second[0], 0.6) && near(last[0], 0.4));
        assert!(near(first[1], 0.04) && near(last[1], 0.4 * (0.0025f64 + 1.0 / 240.0 + 1.0 / 90.0).sqrt()));
    }
    // With a table beside it, and all together.
    let count = table("n", vec![dimension("d0", ints(3))], &[(Aggregate::Units, None)], vec![], Totals::True);
    let all = Table::Survival(curve("all", &[], &[1.0, 2.0, 5.0], &[]));
    let (out, left) = run([tables(), vec![Table::C(count), all]].concat(), &plain(), &[]).unwrap();
    assert!(shown(&out[0]).values().all(|steps| steps.len() == 3));
    assert_eq!(reasons(&out[1]), BTreeSet::new());
    assert_eq!(shown(&out[2]).into_values().next().unwrap().len(), 3);
    // The same again says nothing new.
    let (again, _) = run(tables(), &plain(), &left).unwrap();
    assert_eq!(again[0].cells, out[0].cells);
}

#[test]
fn a_step_of_few_is_not_shown_and_does_not_follow_from_a_total() {
    // In group 2 three people have the event at 1 and seventeen at 2.
    let mut people = plain();
    people.iter_mut().filter(|p| p.0 == 2 && p.2 == 1.0).skip(3).for_each(|p| p.2 = 2.0);
    let steps = [1.0, 2.0, 5.0];
    let by_group = || Table::Survival(curve("s", &["d0"], &steps, &[]));
    let (out, left) = run(vec![by_group()], &people, &[]).unwrap();
    let groups: Vec<Vec<usize>> = shown(&out[0]).values().map(|s| s.iter().map(|(at, _)| *at).collect()).collect();
    assert_eq!(groups, [vec![0, 1, 2], vec![0, 1, 2], vec![1, 2]]);
    // All together at 1, less the other two groups, would be the three.
    let all = || Table::Survival(curve("all", &[], &steps, &[]));
    let (alone, _) = run(vec![all()], &people, &[]).unwrap();
    assert!(shown(&alone[0]).values().next().unwrap().iter().any(|(at, _)| *at == 0), "alone it is fine");
    for out in [run(vec![by_group(), all()], &people, &[]), run(vec![all()], &people, &left)] {
        let Ok((out, _)) = out else { continue };
        let groups = if out.len() == 2 { shown(&out[0]) } else { groups_of(&left, &people) };
        let at_one = |steps: &Vec<(usize, Vec<f64>)>| steps.iter().any(|(at, _)| *at == 0);
        let total = shown(out.last().unwrap()).into_values().next().unwrap();
        assert!(!(at_one(&total) && groups.values().filter(|s| at_one(s)).count() == 2), "{out:?}");
    }
}

/// What the curve by group showed in the run before.
fn groups_of(_: &[Number], people: &[Person]) -> BTreeMap<String, Vec<(usize, Vec<f64>)>> {
    shown(&run(vec![Table::Survival(curve("s", &["d0"], &[1.0, 2.0, 5.0], &[]))], people, &[]).unwrap().0[0])
}

#[test]
fn a_second_curve_without_one_person_or_with_finer_steps_is_held_against_the_first() {
    let mut people = plain();
    people[0].1 = 0;
    let whole = || Table::Survival(curve("s", &[], &[1.0, 2.0, 5.0], &[]));
    let (_, left) = run(vec![whole()], &people, &[]).unwrap();
    // Everybody but person 0: without history it is out, with it nothing of it is.
    let but_one = || Table::Survival(curve("s", &[], &[1.0, 2.0, 5.0], &[0]));
    assert_eq!(shown(&run(vec![but_one()], &people, &[]).unwrap().0[0]).into_values().next().unwrap().len(), 3);
    let refused = run(vec![but_one()], &people, &left).unwrap_err();
    assert_eq!(refused.code, "gate.nothing-left", "{refused:?}");
    // A step at 1.5, of which the first curve knew nothing: four of the twenty at 2 are at 1.5.
    people.iter_mut().filter(|p| p.0 == 0 && p.2 == 2.0 && p.3).take(4).for_each(|p| p.2 = 1.5);
    let finer = |steps: &[f64]| Table::Survival(curve("s", &[], steps, &[]));
    let alone = run(vec![finer(&[1.5, 5.0])], &people, &[]).unwrap().0;
    assert!(shown(&alone[0]).values().all(|s| s.iter().any(|(at, _)| *at == 0)), "alone it is fine");
    let (_, left) = run(vec![whole()], &people, &[]).unwrap();
    match run(vec![finer(&[1.5, 5.0])], &people, &left) {
        Ok((out, _)) => assert!(shown(&out[0]).values().all(|s| s.iter().all(|(at, _)| *at != 0)), "{out:?}"),
        Err(refused) => assert_eq!(refused.code, "gate.nothing-left"),
    }
}

#[test]
fn a_curve_that_nearly_nobody_leaves_says_something_of_everybody() {
    let people = [of(10, (0, 1, 1.0, true)), of(290, (0, 1, 9.0, false))].concat();
    let (out, _) = run(vec![Table::Survival(curve("s", &[], &[1.0, 2.0], &[]))], &people, &[]).unwrap();
    assert!(reasons(&out[0]).contains(&Reason::Class) && shown(&out[0]).values().all(Vec::is_empty));
}

/// What somebody who holds the curves knows the size of: sets of people.
fn known(plan: &Survival, table: &CandidateTable, people: &[Person]) -> Vec<BTreeSet<usize>> {
    let mut sets = Vec::new();
    for (group, (_, steps)) in shown(table).into_iter().enumerate() {
        let Some((last, _)) = steps.last() else { continue };
        let member = |p: &Person| {
            (plan.filter.is_empty() || p.1 == 1)
                && (plan.by.is_empty() || [p.0, p.1][usize::from(plan.by[0].name == "kept")] == group)
        };
        let who = |keep: &dyn Fn(&Person) -> bool| -> BTreeSet<usize> {
            (0..people.len()).filter(|i| member(&people[*i]) && keep(&people[*i])).collect()
        };
        let mut from = -1.0;
        for (at, numbers) in &steps {
            let to = plan.steps[*at];
            let left = |event: bool| who(&|p| p.2 > from && p.2 <= to && p.3 == event);
            let (with, without) = (left(true), left(false));
            // The published numbers are those of the sets.
            assert_eq!(numbers[2..], [who(&|p| p.2 > from).len() as f64, with.len() as f64, without.len() as f64]);
            sets.extend([with, without]);
            from = to;
        }
        sets.push(who(&|p| p.2 > plan.steps[*last]));
    }
    sets
}

/// Whether the indicator of `target` is a combination of `rows`, modulo a prime.
fn follows(rows: &[Vec<i64>], target: &[i64]) -> bool {
    const P: i64 = 1_000_003;
    let power = |mut b: i64, mut e: i64| {
        let mut r = 1;
        while e > 0 {
            if e & 1 == 1 {
                r = r * b % P;
            }
            (b, e) = (b * b % P, e >> 1);
        }
        r
    };
    let mut basis: Vec<(usize, Vec<i64>)> = Vec::new();
    let reduce = |basis: &[(usize, Vec<i64>)], mut v: Vec<i64>| {
        for (pivot, b) in basis {
            let f = v[*pivot];
            v.iter_mut().zip(b).for_each(|(x, y)| *x = (*x - f * y).rem_euclid(P));
        }
        v
    };
    for row in rows {
        let v = reduce(&basis, row.clone());
        let Some(pivot) = v.iter().position(|x| *x != 0) else { continue };
        let inverse = power(v[pivot], P - 2);
        basis.push((pivot, v.iter().map(|x| x * inverse % P).collect()));
    }
    reduce(&basis, target.to_vec()).iter().all(|x| *x == 0)
}

/// The smallest number of people whose number follows from the sizes of `sets`: single
/// atoms, pairs of them, and differences of two sets.
fn smallest(sets: &[BTreeSet<usize>], people: usize) -> Option<usize> {
    let sets: Vec<&BTreeSet<usize>> = sets.iter().filter(|s| !s.is_empty()).collect();
    let mut atoms: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
    for i in 0..people {
        let signature: Vec<bool> = sets.iter().map(|s| s.contains(&i)).collect();
        if signature.contains(&true) {
            *atoms.entry(signature).or_default() += 1;
        }
    }
    let (signatures, sizes): (Vec<_>, Vec<usize>) = atoms.into_iter().unzip();
    let rows: Vec<Vec<i64>> =
        (0..sets.len()).map(|s| signatures.iter().map(|of: &Vec<bool>| i64::from(of[s])).collect()).collect();
    let mut found = None;
    let mut check = |members: &[usize]| {
        let size: usize = members.iter().map(|a| sizes[*a]).sum();
        let target: Vec<i64> = (0..sizes.len()).map(|a| i64::from(members.contains(&a))).collect();
        if size < K && found.is_none_or(|f| size < f) && follows(&rows, &target) {
            found = Some(size);
        }
    };
    for a in 0..sizes.len() {
        check(&[a]);
        (a + 1..sizes.len()).for_each(|b| check(&[a, b]));
    }
    for a in &sets {
        let rest = |b: &&BTreeSet<usize>| a.is_subset(b).then(|| b.len() - a.len()).filter(|n| (1..K).contains(n));
        found = found.into_iter().chain(sets.iter().filter_map(rest)).min();
    }
    found
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    let cell = (0usize..3, 0usize..2, 1usize..=4, any::<bool>(), prop_oneof![Just(1usize), 2..9usize, 10..40usize]);
    let make = |(g, kept, time, event, n): (usize, usize, usize, bool, usize)| of(n, (g, kept, time as f64, event));
    proptest::collection::vec(cell, 8..24).prop_map(move |cells| cells.into_iter().flat_map(make).collect())
}

/// By group, all together, with a filter, at other steps, in one job and in a second:
/// whatever is shown, no number of 1 to k − 1 people follows from it. Judged each by
/// itself the same curves tell some.
#[test]
fn nothing_about_few_follows_from_what_is_shown() {
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let told = std::cell::Cell::new(0);
    let jobs = || {
        [
            vec![curve("a", &["d0"], &[1.0, 2.0, 3.0], &[]), curve("b", &[], &[1.0, 2.0, 3.0], &[])],
            vec![curve("c", &["kept"], &[2.0, 3.0], &[])],
            vec![curve("d", &[], &[1.0, 3.0], &[0])],
        ]
    };
    let judged = TestRunner::new(config).run(&people(), |people| {
        let (mut left, mut sets, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs() {
            if let Ok((out, then)) = run(job.iter().cloned().map(Table::Survival).collect(), &people, &left) {
                job.iter().zip(&out).for_each(|(plan, table)| sets.extend(known(plan, table, &people)));
                left = then;
            }
            for plan in job {
                if let Ok((out, _)) = run(vec![Table::Survival(plan.clone())], &people, &[]) {
                    alone.extend(known(&plan, &out[0], &people));
                }
            }
        }
        prop_assert_eq!(smallest(&sets, people.len()), None);
        told.set(told.get() + usize::from(smallest(&alone, people.len()).is_some()));
        Ok(())
    });
    judged.unwrap();
    assert!(told.get() > 0, "the test attacks nothing");
}

/// Curves that do without steps for each other's sake, or for an earlier job's, are shown
/// alike when they are asked for again.
#[test]
fn asked_again_the_same_answer() {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    let cut = std::cell::Cell::new(0);
    let jobs = || {
        [
            vec![curve("a", &["d0"], &[1.0, 2.0, 3.0], &[]), curve("b", &[], &[1.0, 2.0, 3.0], &[])],
            vec![curve("c", &[], &[1.0, 2.0, 3.0], &[0]), curve("d", &["kept"], &[1.0, 2.0, 3.0], &[])],
        ]
    };
    let judged = TestRunner::new(config).run(&people(), |people| {
        let mut left = Vec::new();
        for job in jobs() {
            let ask = |past: &[Number]| run(job.iter().cloned().map(Table::Survival).collect(), &people, past);
            let Ok((first, then)) = ask(&left) else { continue };
            let again = ask(&then).map(|(tables, _)| tables.iter().map(shown).collect::<Vec<_>>());
            prop_assert_eq!(
                format!("{:?}", again.ok()),
                format!("{:?}", Some(first.iter().map(shown).collect::<Vec<_>>()))
            );
            let others = |t: &CandidateTable| reasons(t).iter().any(|r| *r != Reason::Threshold);
            cut.set(cut.get() + usize::from(first.iter().any(others)));
            left = then;
        }
        Ok(())
    });
    judged.unwrap();
    assert!(cut.get() > 20, "curves do without steps for others' sake: {}", cut.get());
}
