use sluice_domain::{
    candidate::{CandidateMeasure, Route},
    contract::{Contract, Dimension, ProductTerms},
};

use super::*;
use crate::fixtures;

const BASE: u32 = 5;

/// One route-A table of `counts`, the last cell withheld.
fn candidate(counts: &[f64]) -> Candidate {
    let keys = fixtures::ints(i64::try_from(counts.len() + 1).unwrap());
    let published = counts.iter().map(|n| CellValue::Published(vec![Some(*n)]));
    let values = published.chain([CellValue::Withheld(vec![])]);
    let cells = keys.iter().zip(values).map(|(k, value)| Cell { key: vec![Some(k.clone())], value });
    let dimension: Dimension = fixtures::dimension("k", keys.clone());
    Candidate {
        version: 1,
        job: "job-1".parse().unwrap(),
        run: "run-2".parse().unwrap(),
        product: terms(),
        report: sluice_domain::artefact::Report::None,
        tables: vec![CandidateTable {
            name: "t".into(),
            route: Route::A,
            dimensions: vec![dimension],
            measures: vec![CandidateMeasure { name: "m0".into(), sigma: None, error_95: None, made: None }],
            cells: cells.collect(),
        }],
    }
}

fn terms() -> ProductTerms {
    ProductTerms {
        title: "t".into(),
        form: sluice_domain::agreement::ProductForm::DataReport,
        recipients: vec![],
        mark: MarkPolicy::Rounding(BASE),
    }
}

fn contract(keys: usize) -> Contract {
    Contract {
        product: terms(),
        ..fixtures::contract(vec![Table::A(fixtures::table(i64::try_from(keys).unwrap(), &[(0, 1, 1)], 1, 0.02))])
    }
}

fn prf(bytes: &[u8]) -> Digest {
    Digest::of(&[b"key".as_slice(), bytes].concat())
}

fn numbers(candidate: &Candidate) -> Vec<Option<f64>> {
    let number = |cell: &Cell| match &cell.value {
        CellValue::Published(numbers) => numbers[0],
        CellValue::Withheld(_) => None,
    };
    candidate.tables[0].cells.iter().map(number).collect()
}

fn counts(n: u32) -> Vec<f64> {
    (0..n).map(|i| f64::from(10 + i * 7 % 301)).collect()
}

fn people() -> Vec<String> {
    (0..40).map(|i| format!("recipient-{i}")).collect()
}

#[test]
fn a_copy_is_near_unbiased_and_touches_no_withheld_cell() {
    let (whole, product) = (candidate(&counts(60)), "product-2".parse().unwrap());
    let contract = contract(61);
    let marks = Marks::of(&contract, &product, &prf).unwrap();
    let true_numbers = numbers(&whole);
    let mut shift = 0.0;
    let copies = 400;
    for recipient in 0..copies {
        let copy = numbers(&marks.mark(&whole, &format!("r{recipient}")));
        for (marked, exact) in copy.iter().zip(&true_numbers) {
            assert_eq!(marked.is_some(), exact.is_some());
            let (Some(marked), Some(exact)) = (marked, exact) else { continue };
            assert!((marked - exact).abs() < f64::from(BASE) && marked % f64::from(BASE) == 0.0);
            shift += marked - exact;
        }
    }
    // Standard deviation of the mean shift is under 2.5/√24000 = 0.016.
    assert!((shift / f64::from(copies * 60)).abs() < 0.08, "{shift}");
}

#[test]
fn a_whole_copy_names_its_recipient_and_a_part_of_it_too() {
    let (whole, product) = (candidate(&counts(120)), "product-2".parse().unwrap());
    let contract = contract(121);
    let marks = Marks::of(&contract, &product, &prf).unwrap();
    let found = marks.mark(&whole, "recipient-17");
    let shown = |kept: usize, tampered: usize| {
        let cells: Vec<_> = found.tables[0].cells.iter().take(kept).cloned().collect();
        move |key: &[Option<Key>], m: usize| {
            let at = cells.iter().position(|c| c.key == key)?;
            let CellValue::Published(numbers) = &cells[at].value else { return None };
            numbers[m].map(|x| if at < tampered { x + 1.0 } else { x })
        }
    };
    for (kept, tampered) in [(121, 0), (60, 0), (121, 30)] {
        let suspects = trace(&marks, &whole, 0, &people(), &shown(kept, tampered));
        assert_eq!(suspects[0].recipient, "recipient-17", "{kept} {tampered}");
        assert!(suspects[0].log10_odds < -6.0, "{:?}", suspects[0]);
        assert!(suspects[1].log10_odds > -4.0, "{:?}", suspects[1]);
    }
}

#[test]
fn the_unmarked_table_and_nothing_at_all_accuse_nobody() {
    let (whole, product) = (candidate(&counts(120)), "product-2".parse().unwrap());
    let contract = contract(121);
    let marks = Marks::of(&contract, &product, &prf).unwrap();
    let exact = numbers(&whole);
    let shown = |key: &[Option<Key>], _: usize| match key[0] {
        Some(Key::Int(k)) => exact[usize::try_from(k).unwrap()],
        _ => None,
    };
    for suspects in [trace(&marks, &whole, 0, &people(), &shown), trace(&marks, &whole, 0, &people(), &|_, _| None)] {
        assert!(suspects.iter().all(|s| s.log10_odds == 0.0));
    }
}

#[test]
fn the_stated_odds_hold_for_strangers() {
    // 2 000 copies made for others: the share at or beyond each stated chance is no larger.
    let (whole, product) = (candidate(&counts(24)), "product-2".parse().unwrap());
    let contract = contract(25);
    let marks = Marks::of(&contract, &product, &prf).unwrap();
    let found = marks.mark(&whole, "somebody else");
    let by_key = |key: &[Option<Key>], m: usize| {
        let cell = found.tables[0].cells.iter().find(|c| c.key == key)?;
        let CellValue::Published(numbers) = &cell.value else { return None };
        numbers[m]
    };
    let strangers: Vec<_> = (0..2000).map(|i| format!("stranger-{i}")).collect();
    let suspects = trace(&marks, &whole, 0, &strangers, &by_key);
    for chance in [0.2, 0.05, 0.01] {
        let accused = suspects.iter().filter(|s| s.log10_odds <= f64::log10(chance)).count();
        assert!(accused as f64 / 2000.0 <= chance, "{accused} at {chance}");
    }
}

#[test]
fn multiples_of_the_base_carry_nothing() {
    let contract = contract(3);
    assert_eq!(bits(&contract, &candidate(&[10.0, 25.0])), Some(0.0));
    // Each .4/.6 split is −log₂(0.52) = 0.943 bits.
    assert!((bits(&contract, &candidate(&[12.0, 23.0])).unwrap() - 1.8868).abs() < 1e-3);
}
