//! Two levels of one hierarchy in one job: the coarser table is a sum of the finer one,
//! so what is withheld in one must not follow from the other.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Row, dimension, ints, table, tabulate};
use sluice_domain::contract::{Aggregate, Base, Dimension, TableC, Totals};
use sluice_gate::route_c::{JudgedTable, Rules, Switch, primary, secondary};

/// Five finest parts; `fine` joins none of them, `coarse` the last three, `odd` others.
const PARTS: [usize; 5] = [40, 30, 25, 2, 50];
const COARSE: [u32; 5] = [0, 1, 2, 2, 2];
const ODD: [u32; 5] = [0, 0, 1, 1, 2];

fn level(name: &str, of_part: &[u32]) -> Dimension {
    let codes = of_part.iter().max().map_or(0, |last| *last as usize + 1);
    let base = Some(Base { name: "age".into(), of_part: of_part.to_vec() });
    Dimension { base, ..dimension(name, ints(codes)) }
}

fn rows() -> Vec<Row> {
    let row = |part: usize, i: usize| {
        let code = |of: &[u32]| i64::from(of.get(part).copied().unwrap());
        let codes = [("fine", part as i64), ("coarse", code(&COARSE)), ("odd", code(&ODD))];
        let codes = codes.into_iter().map(|(name, code)| (name.to_owned(), sluice_domain::catalogue::Key::Int(code)));
        Row { unit: format!("{part}-{i}"), codes: codes.collect(), values: BTreeMap::new() }
    };
    PARTS.iter().enumerate().flat_map(|(part, n)| (0..*n).map(move |i| row(part, i))).collect()
}

/// The withheld cells of each table, by their place.
fn withheld(levels: [Dimension; 2]) -> Vec<BTreeSet<usize>> {
    let rules = Rules { threshold: Some(10), zeros: Switch::On, ..Rules::none() };
    let tables = levels.map(|d| table(&d.name.clone(), vec![d], &[(Aggregate::Units, None)], vec![], Totals::None));
    let judged: Vec<JudgedTable> =
        tables.iter().map(|t| primary(t, &tabulate(t, &rows(), 2), &rules).unwrap()).collect();
    let pairs: Vec<(&TableC, &JudgedTable)> = tables.iter().zip(&judged).collect();
    let added = secondary(&pairs, &rules, 1000).unwrap();
    let primaries = judged.iter().map(|j| {
        j.verdicts()
            .enumerate()
            .filter(|(_, (_, reasons))| !reasons.is_empty())
            .map(|(i, _)| i)
            .collect::<BTreeSet<_>>()
    });
    primaries.zip(added).map(|(primary, added)| &primary | &added).collect()
}

#[test]
fn a_cell_withheld_in_the_finer_table_does_not_follow_from_the_coarser_one() {
    let linked = withheld([level("fine", &[0, 1, 2, 3, 4]), level("coarse", &COARSE)]);
    // Place 3 holds two people; with 2 and 4 out it would be what is left of coarse 2.
    let [fine, coarse] = linked.as_slice() else { unreachable!() };
    assert!(fine.contains(&3));
    assert!(coarse.contains(&2) || fine.contains(&2) || fine.contains(&4), "{linked:?}");
}

#[test]
fn binnings_that_cut_across_each_other_are_linked_too() {
    // odd 1 = parts 2 and 3; coarse 2 = parts 2, 3 and 4; odd 2 = part 4: the first two
    // and the last say the same, and nothing small follows.
    assert_eq!(withheld([level("coarse", &COARSE), level("odd", &ODD)]), [BTreeSet::new(), BTreeSet::new()]);
    // fine 2 = 25 of odd 1 = 27: two people follow.
    let linked = withheld([level("fine", &[0, 1, 2, 3, 4]), level("odd", &ODD)]);
    let [fine, odd] = linked.as_slice() else { unreachable!() };
    assert!(fine.contains(&3) && (fine.contains(&2) || odd.contains(&1)), "{linked:?}");
}

#[test]
fn a_code_list_and_its_parent_are_linked() {
    let codes = dimension("fine", ints(5));
    let base = Some(Base { name: "fine".into(), of_part: COARSE.to_vec() });
    let parent = Dimension { base, ..dimension("coarse", ints(3)) };
    let linked = withheld([codes, parent]);
    let [fine, coarse] = linked.as_slice() else { unreachable!() };
    assert!(fine.contains(&3) && (coarse.contains(&2) || fine.contains(&2) || fine.contains(&4)), "{linked:?}");
}
