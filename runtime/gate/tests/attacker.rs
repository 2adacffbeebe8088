//! An attacker of their own code against route C: rational elimination, linear
//! programmes around the true values, and people who know their own contribution.
//! Random microdata, linked tables, hierarchies, magnitudes of mixed signs; and for
//! each stage a table that falls when the stage is left out (here and nowhere else).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeMap;

use common::{Row, dimension, ints, table, tabulate};
use good_lp::{Expression, ProblemVariables, Solution, SolverModel, constraint, microlp, variable};
use proptest::prelude::*;
use serde_json::json;
use sluice_domain::{
    catalogue::Key,
    contract::{Aggregate, Base, Combination, Dimension, TableC, Tabulation, Totals},
    rulepack::{Disclosure, RulePack},
};
use sluice_gate::route_c::{Depth, JudgedTable, Rules, Sensitivity, primary, secondary_to};

const K: u64 = 5;
const P: f64 = 0.1;
const SUM: &[(Aggregate, Option<&str>)] = &[(Aggregate::Sum, Some("x"))];
const COUNT: &[(Aggregate, Option<&str>)] = &[(Aggregate::Rows, None)];

fn pack() -> Disclosure {
    Disclosure { threshold_units: K, p_percent: P, ..RulePack::shipped().unwrap().disclosure }
}

/// One cell as it was decided, and the truth about it.
struct Cell {
    /// Which atoms of the cross product it sums.
    atoms: Vec<bool>,
    units: u64,
    sum: f64,
    largest: f64,
    unsafe_by_itself: bool,
    withheld: bool,
}

/// People in a grid of d0 × d1: per cell their values, one row each.
struct World {
    sizes: [usize; 2],
    values: Vec<Vec<f64>>,
    rows: Vec<Row>,
    impossible: Vec<Box3>,
}

/// Codes of d0, of d1, and of a column that no table asks for, which has two: nobody has
/// one of each.
type Box3 = [Vec<u32>; 3];

impl World {
    fn new(sizes: [usize; 2], values: &[Vec<f64>]) -> Self {
        Self::without(vec![], sizes, values)
    }

    /// Of `values` those that are not impossible, as everybody knows.
    fn without(impossible: Vec<Box3>, sizes: [usize; 2], values: &[Vec<f64>]) -> Self {
        let mut values = values[..sizes[0] * sizes[1]].to_vec();
        for (cell, values) in values.iter_mut().enumerate() {
            if !is_possible(&impossible, sizes, cell) {
                values.clear();
            }
        }
        let rows = values.iter().enumerate().flat_map(|(cell, values)| {
            values.iter().enumerate().map(move |(i, x)| {
                let (a, b) = (cell / sizes[1], cell % sizes[1]);
                let codes = [("d0", a), ("d1", b), ("half", b / 2)];
                let codes = codes.map(|(name, code)| (name.to_owned(), Key::Int(code as i64))).into();
                Row { unit: format!("{cell}-{i}"), codes, values: [("x".to_owned(), *x)].into() }
            })
        });
        Self { sizes, rows: rows.collect(), values, impossible }
    }

    /// What the catalogue declares, and the gate is told.
    fn declared(&self) -> Vec<Combination> {
        let [a, b] = self.sizes;
        let of = |codes: &Vec<u32>, parts: usize| json!({"parts": parts, "inside": codes.iter().filter(|c| (**c as usize) < parts).collect::<Vec<_>>()});
        let box3 = |[d0, d1, other]: &Box3| json!({"d0": of(d0, a), "d1": of(d1, b), "other": of(other, 2)});
        self.impossible.iter().map(|b| serde_json::from_value(box3(b)).unwrap()).collect()
    }

    /// Tables over d0, d1, and the coarser level of d1 whose codes hold two each.
    fn decide(&self, depth: Depth, tables: &[TableC]) -> Vec<Cell> {
        let rules = Rules::of(&pack(), Sensitivity::Ordinary);
        let judged: Vec<JudgedTable> =
            tables.iter().map(|t| primary(t, &tabulate(t, &self.rows, 2), &rules).unwrap()).collect();
        let pairs: Vec<(&TableC, &JudgedTable)> = tables.iter().zip(&judged).collect();
        let added = secondary_to(depth, &pairs, &rules, 10_000).unwrap();
        let mut cells = Vec::new();
        for ((table, judged), added) in pairs.iter().zip(&added) {
            for (at, (key, reasons)) in judged.verdicts().enumerate() {
                let place: BTreeMap<&str, u32> = (table.plan.dimensions.iter().zip(key))
                    .filter_map(|(d, part)| Some((d.name.as_str(), (*part)?)))
                    .collect();
                let holds = |cell: usize| {
                    let (a, b) = (cell / self.sizes[1], cell % self.sizes[1]);
                    let of = [("d0", a), ("d1", b), ("half", b / 2)];
                    is_possible(&self.impossible, self.sizes, cell)
                        && of.iter().all(|(name, code)| place.get(name).is_none_or(|at| *at as usize == *code))
                };
                let atoms: Vec<bool> = (0..self.values.len()).map(holds).collect();
                let inside = || self.values.iter().zip(&atoms).filter(|(_, a)| **a).flat_map(|(values, _)| values);
                cells.push(Cell {
                    units: inside().count() as u64,
                    sum: inside().sum(),
                    largest: inside().fold(0.0, |most, x| x.abs().max(most)),
                    unsafe_by_itself: !reasons.is_empty(),
                    withheld: !reasons.is_empty() || added.contains(&at),
                    atoms,
                });
            }
        }
        cells
    }

    fn crossed(&self, measures: &[(Aggregate, Option<&str>)]) -> TableC {
        let dims = vec![dimension("d0", ints(self.sizes[0])), dimension("d1", ints(self.sizes[1]))];
        self.telling(table("t", dims, measures, vec![], Totals::True))
    }

    fn telling(&self, mut table: TableC) -> TableC {
        table.plan.impossible = self.declared();
        table
    }

    /// The crossed table, and d0 by the coarser level.
    fn levels(&self, measures: &[(Aggregate, Option<&str>)]) -> [TableC; 2] {
        let of_part: Vec<u32> = (0..self.sizes[1]).map(|b| (b / 2) as u32).collect();
        let codes = of_part.last().map_or(0, |last| *last as usize + 1);
        let half = Dimension { base: Some(Base { name: "d1".into(), of_part }), ..dimension("half", ints(codes)) };
        let dims = vec![dimension("d0", ints(self.sizes[0])), half];
        [self.crossed(measures), self.telling(table("h", dims, measures, vec![], Totals::None))]
    }

    /// Where nobody's value is negative.
    fn non_negative(&self) -> Vec<bool> {
        self.values.iter().map(|values| values.iter().all(|x| *x >= 0.0)).collect()
    }
}

/// Whether somebody may be in this cell of d0 × d1.
fn is_possible(impossible: &[Box3], sizes: [usize; 2], cell: usize) -> bool {
    let (a, b) = ((cell / sizes[1]) as u32, (cell % sizes[1]) as u32);
    let may =
        |other: u32| impossible.iter().all(|[d0, d1, x]| !(d0.contains(&a) && d1.contains(&b) && x.contains(&other)));
    (0..2).any(may)
}

/// A fraction in lowest terms, for elimination without rounding and without a prime.
#[derive(Clone, Copy, PartialEq)]
struct Ratio(i128, i128);

impl Ratio {
    fn new(n: i128, d: i128) -> Self {
        let (mut a, mut b) = (n.abs(), d.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let by = if d < 0 { -a.max(1) } else { a.max(1) };
        Self(n / by, d / by)
    }

    /// self − factor·other
    fn less(self, factor: Self, other: Self) -> Self {
        let product = Self::new(factor.0 * other.0, factor.1 * other.1);
        Self::new(self.0 * product.1 - product.0 * self.1, self.1 * product.1)
    }
}

/// Whether `target` is a rational combination of `known`.
fn follows(known: &[&[bool]], target: &[bool]) -> bool {
    let exact = |v: &[bool]| v.iter().map(|b| Ratio(i128::from(*b), 1)).collect::<Vec<_>>();
    let mut basis: Vec<(usize, Vec<Ratio>)> = Vec::new();
    let reduce = |basis: &[(usize, Vec<Ratio>)], mut v: Vec<Ratio>| {
        for (lead, row) in basis {
            let factor = Ratio::new(v[*lead].0 * row[*lead].1, v[*lead].1 * row[*lead].0);
            if factor.0 != 0 {
                v = v.iter().zip(row).map(|(a, b)| a.less(factor, *b)).collect();
            }
        }
        v
    };
    for vector in known {
        let rest = reduce(&basis, exact(vector));
        if let Some(lead) = rest.iter().position(|x| x.0 != 0) {
            basis.push((lead, rest));
        }
    }
    reduce(&basis, exact(target)).iter().all(|x| x.0 == 0)
}

fn published(cells: &[Cell]) -> Vec<&[bool]> {
    cells.iter().filter(|c| !c.withheld).map(|c| c.atoms.as_slice()).collect()
}

/// Pairs (attacker's cell, victim's cell): who is alone in the one works out the other.
fn betrayed_by_one(cells: &[Cell]) -> usize {
    let known = published(cells);
    let alone = cells.iter().filter(|c| c.units == 1 && c.withheld);
    let betrays = |own: &Cell| {
        let with: Vec<&[bool]> = known.iter().copied().chain([own.atoms.as_slice()]).collect();
        cells.iter().filter(|c| c.unsafe_by_itself && c.atoms != own.atoms && follows(&with, &c.atoms)).count()
    };
    alone.map(betrays).sum()
}

/// How far the sum of a withheld cell can move from the truth, down and up, while every
/// published sum stays and no atom that is `bounded` turns negative.
fn reach(cells: &[Cell], values: &[f64], bounded: &[bool], of: &Cell) -> (f64, f64) {
    let scale = values.iter().fold(1.0f64, |most, v| v.abs().max(most));
    let extreme = |sign: f64| {
        let mut unknowns = ProblemVariables::new();
        let least = values.iter().zip(bounded).map(|(v, bounded)| if *bounded { -v / scale } else { -1e4 });
        let moves: Vec<_> = least.map(|least| unknowns.add(variable().min(least).max(1e4))).collect();
        let sum = |atoms: &[bool]| {
            let mut sum = Expression::with_capacity(8);
            moves.iter().zip(atoms).filter(|(_, a)| **a).for_each(|(m, _)| sum.add_mul(1.0, *m));
            sum
        };
        let mut model = unknowns.maximise(sum(&of.atoms) * sign).using(microlp);
        for cell in cells.iter().filter(|c| !c.withheld) {
            model = model.with(constraint::eq(sum(&cell.atoms), 0.0));
        }
        let solution = model.solve().unwrap();
        moves.iter().zip(&of.atoms).filter(|(_, a)| **a).map(|(m, _)| solution.value(*m)).sum::<f64>() * scale
    };
    (extreme(-1.0), extreme(1.0))
}

/// Withheld counts below k that an attacker can tell from nothing, or from k.
fn counted(world: &World, cells: &[Cell]) -> Vec<String> {
    let values: Vec<f64> = world.values.iter().map(|v| v.len() as f64).collect();
    let bounded = vec![true; values.len()];
    let small = cells.iter().filter(|c| c.unsafe_by_itself && c.units < K);
    let told = small.filter_map(|cell| {
        let (down, up) = reach(cells, &values, &bounded, cell);
        let units = cell.units as f64;
        (units + down > 1e-5 || units + up < K as f64 - 1e-5).then(|| format!("{units}: {down} … {up}"))
    });
    told.collect()
}

/// Withheld magnitudes that an attacker can bound closer than p·x₁ on a side.
fn cornered(world: &World, cells: &[Cell]) -> Vec<String> {
    let values: Vec<f64> = world.values.iter().map(|v| v.iter().sum()).collect();
    let bounded = world.non_negative();
    let mut found = Vec::new();
    for cell in cells.iter().filter(|c| c.unsafe_by_itself && c.largest > 0.0) {
        let (down, up) = reach(cells, &values, &bounded, cell);
        let reach = P * cell.largest;
        let positive = cell.atoms.iter().zip(&bounded).all(|(a, b)| !a || *b);
        let least = if positive { reach.min(cell.sum) } else { reach };
        let slack = 1e-5 * (1.0 + cell.sum.abs());
        if up < reach - slack || -down < least - slack {
            found.push(format!("{} of x1 = {}: {down} … {up}", cell.sum, cell.largest));
        }
    }
    found
}

/// Between none and a dozen people a cell, often one; amounts with a heavy tail, some
/// negative where `signs` says so.
fn people(signs: bool) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let amount = prop_oneof![6 => 1u32..40, 1 => 200u32..2000, 1 => Just(0u32)].prop_map(f64::from);
    let amount = (amount, 0u32..12).prop_map(move |(x, sign)| if signs && sign == 0 { -x } else { x });
    let size = prop_oneof![6 => 6usize..14, 2 => Just(1usize), 1 => 2usize..5, 1 => Just(0usize)];
    prop::collection::vec(size.prop_flat_map(move |n| prop::collection::vec(amount.clone(), n)), 25)
}

/// Up to three combinations; two of them may close a cell between them.
fn nobody() -> impl Strategy<Value = Vec<Box3>> {
    let some = |of: u32| prop::sample::subsequence((0..of).collect::<Vec<_>>(), 1..=of as usize / 2);
    let other = prop_oneof![3 => Just(vec![0, 1]), 1 => Just(vec![0]), 1 => Just(vec![1])];
    prop::collection::vec((some(4), some(5), other).prop_map(|(a, b, x)| [a, b, x]), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::WithSource("regressions"))), ..ProptestConfig::default() })]

    #[test]
    fn counts_over_two_levels(values in people(false), a in 2usize..5, b in 2usize..6) {
        let world = World::new([a, b], &values);
        let cells = world.decide(Depth::Audited, &world.levels(COUNT));
        prop_assert!(cells.iter().all(|c| c.withheld || c.units >= K), "a cell below k is published");
        let known = published(&cells);
        for cell in cells.iter().filter(|c| c.withheld) {
            prop_assert!(!follows(&known, &cell.atoms), "a withheld cell follows");
        }
        prop_assert_eq!(betrayed_by_one(&cells), 0, "somebody alone in a cell learns another");
        prop_assert_eq!(counted(&world, &cells), Vec::<String>::new());
    }

    #[test]
    fn magnitudes_over_two_levels(values in people(false), a in 2usize..5, b in 2usize..6) {
        let world = World::new([a, b], &values);
        let cells = world.decide(Depth::Audited, &world.levels(SUM));
        prop_assert!(cells.iter().all(|c| c.withheld || c.units >= K), "a cell below k is published");
        let known = published(&cells);
        for cell in cells.iter().filter(|c| c.withheld) {
            prop_assert!(!follows(&known, &cell.atoms), "a withheld cell follows");
        }
        prop_assert_eq!(betrayed_by_one(&cells), 0, "somebody alone in a cell learns another");
        prop_assert_eq!(cornered(&world, &cells), Vec::<String>::new());
    }

    /// The attacker knows where nobody can be; what of it is shown is no news.
    #[test]
    fn tables_with_impossible_combinations(
        impossible in nobody(), values in people(false), a in 2usize..5, b in 2usize..6, sums in any::<bool>(),
    ) {
        let world = World::without(impossible, [a, b], &values);
        let mut cells = world.decide(Depth::Audited, &world.levels(if sums { SUM } else { COUNT }));
        prop_assert!(cells.iter().all(|c| c.atoms.contains(&true) || !c.withheld), "what everybody knows is withheld");
        cells.retain(|c| c.atoms.contains(&true));
        prop_assert!(cells.iter().all(|c| c.withheld || c.units >= K), "a cell below k is published");
        let known = published(&cells);
        for cell in cells.iter().filter(|c| c.withheld) {
            prop_assert!(!follows(&known, &cell.atoms), "a withheld cell follows");
        }
        prop_assert_eq!(betrayed_by_one(&cells), 0, "somebody alone in a cell learns another");
        let told = if sums { cornered(&world, &cells) } else { counted(&world, &cells) };
        prop_assert_eq!(told, Vec::<String>::new());
    }

    /// The attacker knows who may be below zero, and that nobody else is.
    #[test]
    fn magnitudes_of_mixed_signs(values in people(true), a in 2usize..5, b in 2usize..5) {
        let world = World::new([a, b], &values);
        let cells = world.decide(Depth::Audited, &[world.crossed(SUM)]);
        let known = published(&cells);
        for cell in cells.iter().filter(|c| c.withheld) {
            prop_assert!(!follows(&known, &cell.atoms), "a withheld cell follows");
        }
        prop_assert_eq!(cornered(&world, &cells), Vec::<String>::new());
    }
}

fn even(counts: &[usize]) -> Vec<Vec<f64>> {
    counts.iter().map(|n| (0..*n).map(|i| 10.0 + (i % 3) as f64).collect()).collect()
}

/// 1 and 4 people on a diagonal: elimination hides both behind the other two corners,
/// and the one person, subtracting around the square, would learn the four.
#[test]
fn without_guarding_lone_contributors_one_of_them_learns_another_cell() {
    let world = World::new([3, 3], &even(&[1, 20, 30, 20, 4, 40, 30, 40, 50]));
    let tables = [world.crossed(COUNT)];
    assert!(betrayed_by_one(&world.decide(Depth::Elimination, &tables)) > 0, "the layer is not needed here");
    assert_eq!(betrayed_by_one(&world.decide(Depth::Audited, &tables)), 0);
}

fn a_giant_among_dwarfs() -> Vec<Vec<f64>> {
    let crowd = |n: usize| (0..n).map(|i| 500.0 + (i % 3) as f64).collect::<Vec<_>>();
    let mut values: Vec<Vec<f64>> = (0..9).map(|_| crowd(14)).collect();
    values[0] = [vec![5000.0], vec![1.0; 11]].concat();
    for dwarf in [1, 3, 4] {
        values[dwarf] = vec![0.1; 12];
    }
    values
}

/// A giant's cell shares its lines with cells that hold next to nothing: nothing
/// follows, and still the totals are the giant's amount to within a few per cent.
#[test]
fn without_the_audit_a_giant_is_bounded_closely() {
    let world = World::new([3, 3], &a_giant_among_dwarfs());
    let tables = [world.crossed(SUM)];
    assert!(!cornered(&world, &world.decide(Depth::Unions, &tables)).is_empty(), "the layer is not needed here");
    assert_eq!(cornered(&world, &world.decide(Depth::Audited, &tables)), Vec::<String>::new());
}

/// Two small cells in each of two lines and two columns: nothing follows, but a line that
/// hides four people in all can hide no k in either of its cells.
#[test]
fn without_the_audit_a_small_count_cannot_be_k() {
    let world = World::new([3, 3], &even(&[2, 2, 30, 2, 2, 30, 30, 30, 30]));
    let tables = [world.crossed(COUNT)];
    assert!(!counted(&world, &world.decide(Depth::Elimination, &tables)).is_empty(), "the layer is not needed here");
    assert_eq!(counted(&world, &world.decide(Depth::Audited, &tables)), Vec::<String>::new());
}

/// Three people beside a cell where nobody can be: taken for any empty cell, the two hide
/// each other; but who knows of the one subtracts the other.
#[test]
fn a_cell_where_nobody_can_be_hides_nobody() {
    let alone = vec![[vec![0], vec![1], vec![0, 1]]];
    let world = World::without(alone, [3, 3], &even(&[3, 0, 30, 30, 30, 30, 30, 30, 30]));
    let told = world.decide(Depth::Audited, &[world.crossed(COUNT)]);
    let ignorant =
        TableC { plan: Tabulation { impossible: vec![], ..world.crossed(COUNT).plan }, ..world.crossed(COUNT) };
    let untold = world.decide(Depth::Audited, &[ignorant]);
    let betrayed = |cells: &[Cell]| {
        let known = published(cells);
        cells.iter().filter(|c| c.withheld && c.atoms.contains(&true) && follows(&known, &c.atoms)).count()
    };
    assert!(betrayed(&untold) > 0, "the layer is not needed here");
    assert_eq!(betrayed(&told), 0);
    assert!(told.iter().filter(|c| !c.atoms.contains(&true)).all(|c| !c.withheld));
}

/// The same with one negative amount elsewhere: a quantity with a minus sign in it is
/// audited as well.
#[test]
fn one_negative_amount_elsewhere_does_not_switch_the_audit_off() {
    let mut values = a_giant_among_dwarfs();
    values[8][0] = -3.0;
    let world = World::new([3, 3], &values);
    let tables = [world.crossed(SUM)];
    assert_eq!(cornered(&world, &world.decide(Depth::Audited, &tables)), Vec::<String>::new());
}

/// Two tables that are each safe alone: the coarser level says what the finer withholds.
#[test]
fn tables_decided_apart_betray_each_other_and_together_do_not() {
    let world = World::new([2, 4], &even(&[20, 3, 20, 20, 20, 20, 20, 20]));
    let [fine, coarse] = world.levels(COUNT);
    let fine = TableC { totals: Totals::None, ..fine };
    let betrayed = |cells: &[Cell]| {
        let known = published(cells);
        cells.iter().filter(|c| c.withheld && follows(&known, &c.atoms)).count()
    };
    let mut apart = world.decide(Depth::Audited, std::slice::from_ref(&fine));
    apart.extend(world.decide(Depth::Audited, std::slice::from_ref(&coarse)));
    assert_eq!(betrayed(&apart), 1);
    assert_eq!(betrayed(&world.decide(Depth::Audited, &[fine, coarse])), 0);
}

/// Whoever is second in a withheld cell subtracts their own amount from the most that
/// the cell can be, and is still p·x₁ or more above the largest.
#[test]
fn the_second_largest_does_not_come_close_to_the_largest() {
    let mut values = even(&[12, 14, 12, 13, 12, 12, 12, 15, 12]);
    values[4][0] = 900.0;
    values[4][1] = 400.0;
    let world = World::new([3, 3], &values);
    let cells = world.decide(Depth::Audited, &[world.crossed(SUM)]);
    let cell = cells.iter().find(|c| c.largest == 900.0 && c.unsafe_by_itself).unwrap();
    let sums: Vec<f64> = world.values.iter().map(|v| v.iter().sum()).collect();
    let (_, up) = reach(&cells, &sums, &world.non_negative(), cell);
    assert!(cell.sum + up - 400.0 >= 900.0 * (1.0 + P), "{up}");
}

#[test]
fn rational_elimination_is_right() {
    let v = |s: &str| s.chars().map(|c| c == '1').collect::<Vec<_>>();
    let known = ["110", "011", "101"].map(v);
    let known: Vec<&[bool]> = known.iter().map(Vec::as_slice).collect();
    assert!(follows(&known, &v("100")) && !follows(&known[..2], &v("100")) && follows(&known[..1], &v("110")));
}
