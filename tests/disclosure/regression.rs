//! Attacks 34 and 35: a regression whose coefficients are people. Each leaks with the
//! rules for regressions left out, which is done here alone, and is stopped by them.

use std::collections::BTreeSet;

use sluice_domain::{candidate::Reason, rulepack::RulePack};
use sluice_gate::route_c::{
    Rules, Sensitivity,
    regression::{RegressionRules, published},
};
use sluice_rows::fit::{Fit, Products, Shape};

/// One row per person: level and income.
fn fit(levels: usize, people: &[(usize, f64)]) -> (Fit, usize) {
    let shape = Shape::new(0, vec![levels]);
    let parameters = shape.parameters();
    let each = || people.iter().zip(0u64..).map(|((level, income), unit)| (unit, [*level], *income));
    let mut products = Products::new(shape);
    each().for_each(|(unit, level, income)| products.add(unit, &[], &level, income));
    let mut residuals = products.solve();
    each().for_each(|(unit, level, income)| residuals.add(unit, &[], &level, income));
    (residuals.finish(), parameters)
}

fn shipped() -> RegressionRules {
    let pack = RulePack::shipped().unwrap().disclosure;
    RegressionRules::of(&pack, &Rules::of(&pack, Sensitivity::Ordinary))
}

/// What everybody may compute: a level's prediction.
fn prediction(fit: &Fit, level: usize) -> f64 {
    let coefficient = |i: usize| published(fit).nth(i).unwrap()[0].unwrap();
    coefficient(0) + if level == 0 { 0.0 } else { coefficient(level) }
}

fn income(i: u32) -> f64 {
    20_000.0 + f64::from(i * 37 % 101) * 100.0
}

#[test]
fn attack_34_a_dummy_for_one_person_is_their_income() {
    let people: Vec<(usize, f64)> = (0..60).map(|i| (usize::from(i == 17), income(i))).collect();
    let (fit, parameters) = fit(2, &people);
    assert_eq!(RegressionRules::none().judge(&fit, parameters), BTreeSet::new(), "without the rules it is out");
    assert!((prediction(&fit, 1) - income(17)).abs() < 10.0, "and says what person 17 earns");
    assert_eq!(shipped().judge(&fit, parameters), BTreeSet::from([Reason::Threshold, Reason::Leverage]));
    // Half the people behind the dummy: nobody's income.
    let halves: Vec<(usize, f64)> = (0..60u32).map(|i| (i as usize % 2, income(i))).collect();
    let (fit, parameters) = self::fit(2, &halves);
    assert_eq!(shipped().judge(&fit, parameters), BTreeSet::new());
    // One of them in twenty rows of their own pulls too far.
    let mut rows = vec![(99, [1], 90_000.0); 40];
    rows.extend(halves.iter().zip(100u64..).map(|((level, income), unit)| (unit, [*level], *income)));
    let mut products = Products::new(Shape::new(0, vec![2]));
    rows.iter().for_each(|(unit, level, income)| products.add(*unit, &[], level, *income));
    let mut residuals = products.solve();
    rows.iter().for_each(|(unit, level, income)| residuals.add(*unit, &[], level, *income));
    assert_eq!(shipped().judge(&residuals.finish(), 2), BTreeSet::from([Reason::Leverage]));
}

#[test]
fn attack_35_a_saturated_regression_is_a_list_of_people() {
    // Twelve levels for twenty-four people, two each: every prediction is a couple's mean,
    // and a person knows the other half of their own.
    let people: Vec<(usize, f64)> = (0..24u32).map(|i| (i as usize / 2, income(i))).collect();
    let (fit, parameters) = fit(12, &people);
    assert_eq!(RegressionRules::none().judge(&fit, parameters), BTreeSet::new(), "without the rules it is out");
    for couple in 0..12 {
        let spouse = 2.0 * prediction(&fit, couple) - income(2 * couple as u32);
        assert!((spouse - income(2 * couple as u32 + 1)).abs() < 100.0, "{couple}");
    }
    let reasons = shipped().judge(&fit, parameters);
    assert!(reasons.is_superset(&BTreeSet::from([Reason::Degrees, Reason::Threshold])), "{reasons:?}");
    // A coefficient too many for the units alone, whatever the levels.
    let wide = RegressionRules { parameters_share: Some(0.33), ..RegressionRules::none() };
    assert_eq!(wide.judge(&fit, 8), BTreeSet::from([Reason::Degrees]));
    let narrow = RegressionRules { degrees: Some(10), ..RegressionRules::none() };
    assert_eq!(narrow.judge(&fit, parameters), BTreeSet::new(), "24 − 12 is enough by itself");
}
