//! Properties of route C on random tables, checked by code that shares nothing with
//! the gate: a dense elimination modulo another prime, and linear programmes around
//! the true values instead of around the published ones.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeSet;

use common::{Row, dimension, ints, recoverable, table, tabulate};
use good_lp::{Expression, ProblemVariables, Solution, SolverModel, constraint, microlp, variable};
use proptest::prelude::*;
use sluice_domain::{
    candidate::Reason,
    catalogue::Key,
    contract::{Aggregate, TableC, Totals},
    rulepack::{Disclosure, RulePack},
};
use sluice_gate::route_c::{JudgedTable, Rules, Sensitivity, Switch, primary, secondary};

const K: u64 = 5;
const CELLS_MAX: usize = 20_000;

fn pack() -> Disclosure {
    let mut pack = RulePack::shipped().unwrap().disclosure;
    pack.threshold_units = K;
    pack
}

/// One cell of a gate's decision, with what an attacker can know of it.
struct Decided {
    table: usize,
    /// Which atoms it sums.
    vector: Vec<u64>,
    truth: f64,
    /// Below k by itself.
    small: bool,
    withheld: bool,
}

/// Runs both stages over tables on one view and lays all cells over the full cross
/// product of the given domain sizes (dimensions d0, d1, …).
fn decide(tables: &[TableC], rows: &[Row], sizes: &[usize], rules: &Rules) -> Vec<Decided> {
    let judged: Vec<JudgedTable> = tables.iter().map(|t| primary(t, &tabulate(t, rows, 2), rules).unwrap()).collect();
    let pairs: Vec<(&TableC, &JudgedTable)> = tables.iter().zip(&judged).collect();
    let added = secondary(&pairs, rules, CELLS_MAX).unwrap();
    let atoms: Vec<Vec<usize>> = sizes.iter().fold(vec![vec![]], |atoms, size| {
        atoms.iter().flat_map(|a| (0..*size).map(move |i| [a.as_slice(), &[i]].concat())).collect()
    });
    let axis = |name: &str| name[1..].parse::<usize>().unwrap();
    let key = |i: usize| Key::Int(i64::try_from(i).unwrap());
    let mut decided = Vec::new();
    for (t, (table, judged)) in pairs.iter().enumerate() {
        for (c, (cell, reasons)) in judged.verdicts().enumerate() {
            if reasons.contains(&Reason::Redacted) {
                continue;
            }
            let inside = |atom: &[usize]| {
                let grouped = table.plan.dimensions.iter().zip(cell);
                let in_key = |(d, part): (&sluice_domain::contract::Dimension, &Option<u32>)| {
                    part.is_none_or(|p| atom[axis(&d.name)] == p as usize)
                };
                let filtered = |(d, keys): &(sluice_domain::contract::Dimension, Vec<Key>)| {
                    keys.contains(&key(atom[axis(&d.name)]))
                };
                grouped.into_iter().all(in_key) && table.plan.filter.iter().all(filtered)
            };
            let matches = |row: &&Row| {
                inside(
                    &(0..sizes.len())
                        .map(|i| match row.codes[&format!("d{i}")] {
                            Key::Int(n) => usize::try_from(n).unwrap(),
                            Key::Text(_) => usize::MAX,
                        })
                        .collect::<Vec<_>>(),
                )
            };
            decided.push(Decided {
                table: t,
                vector: atoms.iter().map(|a| u64::from(inside(a))).collect(),
                truth: rows.iter().filter(matches).count() as f64,
                small: reasons.contains(&Reason::Threshold) || reasons.contains(&Reason::Zero),
                withheld: !reasons.is_empty() || added[t].contains(&c),
            });
        }
    }
    decided
}

/// No withheld cell is a combination of published ones.
fn nothing_follows(decided: &[Decided]) -> Result<(), TestCaseError> {
    let published: Vec<Vec<u64>> = decided.iter().filter(|d| !d.withheld).map(|d| d.vector.clone()).collect();
    for d in decided.iter().filter(|d| d.withheld && d.vector.contains(&1)) {
        prop_assert!(!recoverable(&published, &d.vector), "a withheld cell of table {} follows", d.table);
    }
    Ok(())
}

/// Around the true values: how far the count of each withheld cell can move while
/// every published count stays and none turns negative.
fn nothing_is_cornered(decided: &[Decided], truth: &[f64]) -> Result<(), TestCaseError> {
    let extreme = |of: &[u64], sign: f64| {
        let mut unknowns = ProblemVariables::new();
        let moves: Vec<_> = truth.iter().map(|t| unknowns.add(variable().min(-t).max(1e6))).collect();
        let sum = |vector: &[u64]| {
            let mut sum = Expression::with_capacity(8);
            for (m, _) in moves.iter().zip(vector).filter(|(_, v)| **v == 1) {
                sum.add_mul(1.0, *m);
            }
            sum
        };
        let mut model = unknowns.maximise(sum(of) * sign).using(microlp);
        for d in decided.iter().filter(|d| !d.withheld) {
            model = model.with(constraint::eq(sum(&d.vector), 0.0));
        }
        let solution = model.solve().unwrap();
        moves.iter().zip(of).filter(|(_, v)| **v == 1).map(|(m, _)| solution.value(*m)).sum::<f64>()
    };
    for d in decided.iter().filter(|d| d.withheld && d.vector.contains(&1)) {
        let (low, high) = (d.truth + extreme(&d.vector, -1.0), d.truth + extreme(&d.vector, 1.0));
        prop_assert!(high - low > 0.999, "a withheld cell is a point: [{low}, {high}]");
        if d.small {
            prop_assert!(low < 1e-3, "a small cell is known to be at least {low}");
            prop_assert!(high > K as f64 - 1e-3, "a small cell is known to be at most {high}");
        }
    }
    Ok(())
}

fn rows_of(counts: &[u8], sizes: &[usize]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (i, count) in counts.iter().enumerate().take(sizes.iter().product()) {
        let mut rest = i;
        let mut codes = std::collections::BTreeMap::new();
        for (d, size) in sizes.iter().enumerate().rev() {
            codes.insert(format!("d{d}"), Key::Int(i64::try_from(rest % size).unwrap()));
            rest /= size;
        }
        for j in 0..*count {
            let values = [("x".to_owned(), f64::from(u32::from(j) * 7 % 13 + 1))].into();
            rows.push(Row { unit: format!("u{i}-{j}"), codes: codes.clone(), values });
        }
    }
    rows
}

fn dims(names: &[usize], sizes: &[usize]) -> Vec<sluice_domain::contract::Dimension> {
    names.iter().map(|d| dimension(&format!("d{d}"), ints(sizes[*d]))).collect()
}

/// Mostly comfortable counts with small ones and zeros strewn in.
fn counts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![5 => 5u8..30, 2 => 1u8..5, 1 => Just(0u8)], 48)
}

const COUNTS: &[(Aggregate, Option<&str>)] = &[(Aggregate::Units, None), (Aggregate::Rows, None)];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::WithSource("regressions"))), ..ProptestConfig::default() })]

    #[test]
    fn two_dimensions_with_true_totals(counts in counts(), a in 2usize..6, b in 2usize..6) {
        let sizes = [a, b];
        let rows = rows_of(&counts, &sizes);
        let t = table("t", dims(&[0, 1], &sizes), COUNTS, vec![], Totals::True);
        let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        for d in decided.iter().filter(|d| !d.withheld) {
            prop_assert!(d.truth >= K as f64, "a cell below k is published");
        }
        nothing_follows(&decided)?;
        let truth: Vec<f64> = counts.iter().take(a * b).map(|c| f64::from(*c)).collect();
        nothing_is_cornered(&decided, &truth)?;
    }

    #[test]
    fn three_dimensions_with_true_totals(counts in counts(), a in 2usize..4, b in 2usize..5, c in 2usize..4) {
        let sizes = [a, b, c];
        let rows = rows_of(&counts, &sizes);
        let t = table("t", dims(&[0, 1, 2], &sizes), COUNTS, vec![], Totals::True);
        let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        nothing_follows(&decided)?;
        let truth: Vec<f64> = counts.iter().take(a * b * c).map(|c| f64::from(*c)).collect();
        nothing_is_cornered(&decided, &truth)?;
    }

    #[test]
    fn linked_tables_do_not_betray_each_other(counts in counts(), a in 2usize..4, b in 2usize..4, c in 2usize..4, totals in prop_oneof![Just(Totals::None), Just(Totals::True)]) {
        let sizes = [a, b, c];
        let rows = rows_of(&counts, &sizes);
        let tables = [
            table("s", dims(&[0, 1], &sizes), COUNTS, vec![], totals),
            table("t", dims(&[1, 2], &sizes), COUNTS, vec![], totals),
            table("u", dims(&[1], &sizes), COUNTS, vec![], Totals::None),
        ];
        let decided = decide(&tables, &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        nothing_follows(&decided)?;
        let truth: Vec<f64> = counts.iter().take(a * b * c).map(|c| f64::from(*c)).collect();
        nothing_is_cornered(&decided, &truth)?;
    }

    /// A filter is a restriction of a dimension: "all" minus "all but one code" is a
    /// cell that nobody declared.
    #[test]
    fn a_filtered_table_does_not_betray_the_rest(counts in counts(), a in 2usize..4, b in 2usize..5) {
        let sizes = [a, b];
        let rows = rows_of(&counts, &sizes);
        let but_first: Vec<Key> = ints(b).into_iter().skip(1).collect();
        let tables = [
            table("s", dims(&[0], &sizes), COUNTS, vec![], Totals::None),
            table("t", dims(&[0], &sizes), COUNTS, vec![(dimension("d1", ints(b)), but_first)], Totals::None),
        ];
        let decided = decide(&tables, &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        nothing_follows(&decided)?;
        let (all, rest): (Vec<_>, Vec<_>) = decided.iter().partition(|d| d.table == 0);
        for (all, rest) in all.iter().zip(&rest).filter(|(a, r)| !a.withheld && !r.withheld) {
            prop_assert!(all.truth - rest.truth >= K as f64, "the difference is below k");
        }
    }

    /// Units are counted, not rows: no cell is published that fewer than k units made.
    #[test]
    fn units_are_counted_and_not_rows(cells in prop::collection::vec((1usize..9, 1usize..6), 12)) {
        let sizes = [3, 4];
        let mut rows = Vec::new();
        for (i, (units, repeats)) in cells.iter().enumerate() {
            for unit in 0..*units {
                for r in 0..*repeats {
                    let codes = [("d0".to_owned(), Key::Int(i as i64 / 4)), ("d1".to_owned(), Key::Int(i as i64 % 4))];
                    let values = [("x".to_owned(), (unit + r + 1) as f64)];
                    // The same people turn up in every cell.
                    rows.push(Row { unit: format!("u{unit}"), codes: codes.into(), values: values.into() });
                }
            }
        }
        let rules = Rules::of(&pack(), Sensitivity::Ordinary);
        for measure in [(Aggregate::Rows, None), (Aggregate::Units, None), (Aggregate::Count, Some("x")), (Aggregate::Mean, Some("x"))] {
            let t = table("t", dims(&[0, 1], &sizes), &[measure], vec![], Totals::True);
            let judged = primary(&t, &tabulate(&t, &rows, 2), &rules).unwrap();
            for ((key, reasons), (units, _)) in judged.verdicts().zip(&cells) {
                prop_assert!(key.iter().all(Option::is_some));
                prop_assert_eq!(reasons.contains(&Reason::Threshold), (*units as u64) < K);
            }
        }
        let t = table("t", dims(&[0, 1], &sizes), COUNTS, vec![], Totals::True);
        nothing_follows(&decide(&[t], &rows, &sizes, &rules))?;
    }

    /// Where a value may be negative no interval is bounded, and elimination stands alone.
    #[test]
    fn sums_of_mixed_signs_leave_nothing_to_subtraction(counts in counts(), a in 2usize..6, b in 2usize..6) {
        let sizes = [a, b];
        let mut rows = rows_of(&counts, &sizes);
        prop_assume!(!rows.is_empty());
        let negative = Row { unit: "n".into(), codes: rows[0].codes.clone(), values: [("x".to_owned(), -4.0)].into() };
        rows.push(negative);
        let t = table("t", dims(&[0, 1], &sizes), &[(Aggregate::Sum, Some("x"))], vec![], Totals::True);
        let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        nothing_follows(&decided)?;
    }

    #[test]
    fn sums_with_every_rule_leave_nothing_to_subtraction(counts in counts(), a in 2usize..6, b in 2usize..6) {
        let sizes = [a, b];
        let rows = rows_of(&counts, &sizes);
        let measures = [(Aggregate::Sum, Some("x")), (Aggregate::Mean, Some("x")), (Aggregate::Count, Some("x"))];
        let t = table("t", dims(&[0, 1], &sizes), &measures, vec![], Totals::True);
        let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
        nothing_follows(&decided)?;
    }
}

#[test]
fn redacted_margins_need_no_complementary_suppression() {
    let sizes = [2, 2];
    let rows = rows_of(&[9, 9, 9, 2], &sizes);
    let t = table("t", dims(&[0, 1], &sizes), COUNTS, vec![], Totals::Redacted);
    let rules = Rules::of(&pack(), Sensitivity::Ordinary);
    let judged = primary(&t, &tabulate(&t, &rows, 2), &rules).unwrap();
    let withheld: Vec<(usize, BTreeSet<Reason>)> = judged
        .verdicts()
        .enumerate()
        .filter(|(_, (_, reasons))| !reasons.is_empty())
        .map(|(i, (_, reasons))| (i, reasons.clone()))
        .collect();
    let redacted = BTreeSet::from([Reason::Redacted]);
    assert_eq!(withheld[0], (3, BTreeSet::from([Reason::Threshold])));
    assert_eq!(withheld.iter().filter(|(_, r)| *r == redacted).count(), 5);
    assert_eq!(secondary(&[(&t, &judged)], &rules, CELLS_MAX).unwrap(), [BTreeSet::new()]);
}

#[test]
fn a_count_that_is_nearly_all_of_its_line_is_unsafe() {
    let sizes = [2, 3];
    let rules = Rules::of(&pack(), Sensitivity::Ordinary);
    let unsafe_by_class = |counts: &[u8], measures: &[(Aggregate, Option<&str>)]| -> Vec<usize> {
        let t = table("t", dims(&[0, 1], &sizes), measures, vec![], Totals::None);
        let judged = primary(&t, &tabulate(&t, &rows_of(counts, &sizes), 2), &rules).unwrap();
        judged.verdicts().enumerate().filter(|(_, (_, r))| r.contains(&Reason::Class)).map(|(i, _)| i).collect()
    };
    // 95 of 105 is above 90 %, 90 of 100 is not; a column is a line too.
    assert_eq!(unsafe_by_class(&[95, 5, 5, 90, 5, 5], COUNTS), [0]);
    assert_eq!(unsafe_by_class(&[96, 5, 5, 5, 5, 5], COUNTS), [0]);
    // One unit is all that is elsewhere on the line.
    assert_eq!(unsafe_by_class(&[8, 1, 0, 8, 8, 8], COUNTS), [0, 4, 5]);
    assert_eq!(unsafe_by_class(&[95, 5, 5, 90, 5, 5], &[(Aggregate::Sum, Some("x"))]), [0usize; 0]);
}

#[test]
fn a_lone_contributor_does_not_learn_a_neighbour() {
    // Row 0 holds two unsafe cells, one of them a single person who knows themself:
    // a true row total would give that person the other cell.
    let sizes = [3, 4];
    let rows = rows_of(&[1, 4, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20], &sizes);
    let t = table("t", dims(&[0, 1], &sizes), COUNTS, vec![], Totals::True);
    let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
    let published: Vec<Vec<u64>> = decided.iter().filter(|d| !d.withheld).map(|d| d.vector.clone()).collect();
    let mut both = decided[0].vector.clone();
    both[1] = 1;
    assert!(!recoverable(&published, &both));
}

#[test]
fn a_sensitive_set_takes_the_larger_k() {
    let mut pack = pack();
    pack.threshold_units_sensitive = 20;
    let t = table("t", dims(&[0], &[2]), COUNTS, vec![], Totals::None);
    let cells = tabulate(&t, &rows_of(&[15, 25], &[2]), 2);
    let reasons = |s| -> Vec<bool> {
        primary(&t, &cells, &Rules::of(&pack, s)).unwrap().verdicts().map(|(_, r)| r.is_empty()).collect()
    };
    assert_eq!(reasons(Sensitivity::Ordinary), [true, true]);
    assert_eq!(reasons(Sensitivity::Sensitive), [false, true]);
}

#[test]
fn too_many_atoms_are_refused_from_the_contract_alone() {
    let sizes = [200, 200];
    let rules = Rules { threshold: Some(K), zeros: Switch::On, ..Rules::none() };
    let one = table("s", dims(&[0], &sizes), COUNTS, vec![], Totals::None);
    let two = table("t", dims(&[1], &sizes), COUNTS, vec![], Totals::None);
    let judged = |t: &TableC| primary(t, &tabulate(t, &[], 2), &rules).unwrap();
    let (first, second) = (judged(&one), judged(&two));
    assert!(secondary(&[(&one, &first)], &rules, CELLS_MAX).is_ok());
    let refusal = secondary(&[(&one, &first), (&two, &second)], &rules, CELLS_MAX).unwrap_err();
    assert_eq!(refusal.code, "gate.too-many-cells");
}

/// A few hundred cells must not keep a reviewer waiting, even unoptimised.
#[test]
fn a_few_hundred_cells_are_decided_quickly() {
    let sizes = [6, 8, 7];
    let counts: Vec<u8> = (0..336u32).map(|i| u8::try_from(i * i * 31 % 37).unwrap()).collect();
    let rows = rows_of(&counts, &sizes);
    let measures = [(Aggregate::Units, None), (Aggregate::Sum, Some("x"))];
    let t = table("t", dims(&[0, 1, 2], &sizes), &measures, vec![], Totals::True);
    let begin = std::time::Instant::now();
    let decided = decide(&[t], &rows, &sizes, &Rules::of(&pack(), Sensitivity::Ordinary));
    let took = begin.elapsed();
    let withheld = decided.iter().filter(|d| d.withheld).count();
    assert!(withheld > 0 && withheld < decided.len() / 2, "{withheld} of {}", decided.len());
    assert!(
        took.as_secs() < 120,
        "{} cells, {withheld} withheld, {} small, took {took:?}",
        decided.len(),
        decided.iter().filter(|d| d.small).count()
    );
}
