//! Route D against what several numbers say together: attack 58. A guest's number is taken
//! to be a total of its rows; with the totals of their parts it is one of the rest.

#![expect(clippy::single_range_in_vec_init, reason = "rows as the ranges that they are")]

use std::ops::Range;

use roaring::RoaringBitmap;
use sluice_gate::{
    lineage::{Entry, Examined, History, Microdata, People, Quantity, Standing, Work, examine},
    route_c::Rules,
};

const K: u64 = 10;

/// A hundred people with one row each; those from `blank` on have no value.
fn people(blank: u32) -> Microdata {
    let value = |unit: u32| (unit < blank).then(|| f64::from(1 + unit % 7));
    Microdata::new((0..100).collect(), vec![(0..100).map(value).collect()], |row| {
        u128::from(row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    })
}

/// A total of route C, or the input of a held product.
#[derive(Clone, Copy)]
enum Said {
    Total,
    Held,
}

fn entries(data: &Microdata, said: &[(Said, &[Range<u32>])]) -> Vec<(usize, Entry)> {
    let mut out = Vec::new();
    for (cell, (kind, ranges)) in said.iter().enumerate() {
        let rows: RoaringBitmap = ranges.iter().cloned().flatten().collect();
        let quantities: &[Quantity] = match kind {
            Said::Total => &[Quantity::Total(0)],
            Said::Held => &[Quantity::Held, Quantity::HeldUnits],
        };
        for quantity in quantities {
            let entry = Entry::new(quantity.clone(), rows.clone(), 0.0, Standing::Published, data, Some(K));
            out.push((cell, entry));
        }
    }
    out
}

fn examined(data: &Microdata, old: &[(Said, &[Range<u32>])], new: &[(Said, &[Range<u32>])], work: &Work) -> Examined {
    let mut history = History::default();
    history.enter(entries(data, old).into_iter().map(|(_, entry)| entry));
    let rules = Rules { threshold: Some(K), ..Rules::none() };
    examine(&history, &entries(data, new), &People { data, rules: &rules, dominance_n: 2 }, work).unwrap()
}

/// What is withheld of `new` after `old`, by position.
fn lost(old: &[(Said, &[Range<u32>])], new: &[(Said, &[Range<u32>])]) -> Vec<usize> {
    let found = examined(&people(100), old, new, &Work::default());
    assert!(!found.limit_reached);
    found.withhold.into_iter().collect()
}

use Said::{Held, Total};

#[test]
fn attack_58_the_parts_of_a_held_input_do_not_tell_its_rest() {
    // Two totals of all but seven people, and a product of everybody: in either order.
    let parts: &[(Said, &[Range<u32>])] = &[(Total, &[0..50]), (Total, &[50..93])];
    let everybody: &[(Said, &[Range<u32>])] = &[(Held, &[0..100])];
    assert_eq!(lost(parts, everybody), [0]);
    assert_eq!(lost(everybody, parts), [1], "the total that completes it");
    assert!(lost(&parts[..1], everybody).is_empty(), "one total leaves fifty people");
    assert!(lost(&[(Total, &[0..50]), (Total, &[50..85])], everybody).is_empty(), "fifteen people are enough");
}

#[test]
fn attack_58_differences_of_totals_and_products_of_products_count_too() {
    // 0..60 less 50..60 is 0..50, of which the product leaves three out.
    let totals: &[(Said, &[Range<u32>])] = &[(Total, &[0..60]), (Total, &[50..60])];
    assert_eq!(lost(totals, &[(Held, &[0..47])]), [0]);
    assert!(lost(&totals[..1], &[(Held, &[0..47])]).is_empty());
    // Three products, no table.
    let held: &[(Said, &[Range<u32>])] = &[(Held, &[0..50]), (Held, &[50..93])];
    assert_eq!(lost(held, &[(Held, &[0..100])]), [0]);
    // Nine people in three atoms, which other totals tell apart.
    let cut: &[(Said, &[Range<u32>])] = &[(Total, &[0..91]), (Total, &[0..30, 91..94]), (Total, &[0..40, 94..97])];
    assert_eq!(lost(cut, &[(Held, &[0..100])]), [0]);
}

#[test]
fn attack_58_who_has_no_value_is_in_no_total() {
    let parts: &[(Said, &[Range<u32>])] = &[(Total, &[0..50]), (Total, &[50..93])];
    let found = examined(&people(93), parts, &[(Held, &[0..100])], &Work::default());
    assert!(found.withhold.is_empty() && !found.limit_reached, "{found:?}");
}

#[test]
fn attack_58_beyond_the_work_limit_a_person_looks_and_pairs_still_hold() {
    let few = Work { sets_max: 2, ..Work::default() };
    let parts: &[(Said, &[Range<u32>])] = &[(Total, &[0..50]), (Total, &[50..93])];
    let found = examined(&people(100), parts, &[(Held, &[0..100])], &few);
    assert!(found.limit_reached && found.withhold.is_empty() && found.review.contains(&0), "{found:?}");
    let found = examined(&people(100), parts, &[(Held, &[0..53])], &few);
    assert!(found.withhold.contains(&0), "three people beside the first total: {found:?}");
}
