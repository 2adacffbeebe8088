//! A regression through the whole gate: it goes out whole or not at all, with the cells
//! that it gives away protected beside the job's other tables and in history.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeSet;

use common::{Row, contract, dimension, ints, table, tabulate};
use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue, Reason},
    catalogue::Key,
    contract::{Aggregate, Levels, Regression, Table, TableC, Term, Totals},
    rulepack::RulePack,
};
use sluice_gate::{
    GateInput, Sensitivity, clear,
    lineage::{Ledger, Number, Record},
};
use sluice_rows::{
    cells::{SnapshotRows, Zeros},
    fit::{Fit, Products, Shape},
};

/// Ninety people in three regions; of region 2 only `last` are there. Everybody but
/// three is `kept`.
fn people(last: usize) -> Vec<Row> {
    let row = |i: usize| Row {
        unit: format!("p{i:02}"),
        codes: [("d0".to_owned(), ints(3)[i / 30].clone()), ("kept".to_owned(), ints(2)[usize::from(i > 2)].clone())]
            .into(),
        values: [("age".to_owned(), 20.0 + (i % 30) as f64), ("pay".to_owned(), 100.0 + (i * 7 % 31) as f64)].into(),
    };
    (0..60 + last).map(row).collect()
}

fn regression(filter: Vec<(sluice_domain::contract::Dimension, Vec<Key>)>) -> Regression {
    Regression {
        name: "pay".into(),
        view: "v".parse().unwrap(),
        outcome: "pay".into(),
        terms: vec![
            Term::Number("age".into()),
            Term::Levels(Levels { dimension: dimension("d0", ints(3)), kept: ints(3) }),
        ],
        filter,
        impossible: vec![],
        derived: [].into(),
    }
}

/// The fit over rows that pass the filter.
fn fit(of: &Regression, rows: &[Row]) -> Fit {
    let kept =
        rows.iter().zip(0u64..).filter(|(r, _)| of.filter.iter().all(|(d, keys)| keys.contains(&r.codes[&d.name])));
    let seen: Vec<(u64, [f64; 1], [usize; 1], f64)> = kept
        .map(|(r, unit)| {
            let level = ints(3).iter().position(|key| *key == r.codes["d0"]).unwrap();
            (unit, [r.values["age"]], [level], r.values["pay"])
        })
        .collect();
    let mut products = Products::new(Shape::new(1, vec![3]));
    seen.iter().for_each(|(unit, x, level, y)| products.add(*unit, x, level, *y));
    let mut residuals = products.solve();
    seen.iter().for_each(|(unit, x, level, y)| residuals.add(*unit, x, level, *y));
    residuals.finish()
}

fn run(tables: Vec<Table>, rows: &[Row], past: Vec<Number>) -> Result<(Vec<CandidateTable>, Record), Refusal> {
    let contract = contract(tables);
    let column = |name: &str| rows.iter().map(|r| r.values.get(name).copied()).collect::<Vec<_>>();
    let snapshot = SnapshotRows {
        units: (0u64..).take(rows.len()).collect(),
        contents: vec![0; rows.len()],
        columns: vec![column("age"), column("pay")],
        zeros: vec![Zeros::Count; 2],
    };
    let names = vec!["age".to_owned(), "pay".to_owned()];
    let root = ("people".parse().unwrap(), "snap-000001".parse().unwrap());
    let ledger =
        Ledger::new(root, [("v".parse().unwrap(), None)].into(), names, (snapshot, past), Vec::new(), |row| 1 << row);
    let cleared = clear(GateInput {
        contract: &contract,
        rulepack: &RulePack::shipped().unwrap(),
        roster_size: 100,
        tabulated: &contract.tables_c().iter().map(|(t, _)| tabulate(t, rows, 2)).collect::<Vec<_>>(),
        fits: &contract.regressions().map(|r| fit(r, rows)).collect::<Vec<_>>(),
        answers: vec![],
        sensitivity: Sensitivity::Ordinary,
        ledgers: &[ledger],
        behind: sluice_gate::Behind::default(),
    });
    cleared.map(|(cleared, record)| (cleared.get().clone(), record))
}

fn reasons(table: &CandidateTable) -> BTreeSet<Reason> {
    let of = |value: &CellValue| match value {
        CellValue::Published(_) => vec![],
        CellValue::Withheld(reasons) => reasons.clone(),
    };
    table.cells.iter().flat_map(|c| of(&c.value)).collect()
}

fn by_region() -> TableC {
    table("regions", vec![dimension("d0", ints(3))], &[(Aggregate::Sum, Some("pay"))], vec![], Totals::True)
}

#[test]
fn a_safe_regression_goes_out_whole() {
    let (tables, _) =
        run(vec![Table::C(by_region()), Table::Regression(regression(vec![]))], &people(30), vec![]).unwrap();
    assert_eq!(reasons(&tables[0]), BTreeSet::new());
    let names: Vec<String> = tables[1].dimensions[0].domain.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(names, ["const", "age", "d0=1", "d0=2"]);
    for cell in &tables[1].cells {
        let CellValue::Published(numbers) = &cell.value else { panic!("withheld") };
        assert!(numbers.iter().all(Option::is_some) && numbers[2] == Some(90.0));
    }
}

#[test]
fn a_level_of_few_withholds_the_regression_and_nothing_else() {
    // Three people in region 2: their mean would follow from the coefficients.
    let (tables, _) =
        run(vec![Table::C(by_region()), Table::Regression(regression(vec![]))], &people(3), vec![]).unwrap();
    assert!(reasons(&tables[1]).contains(&Reason::Threshold));
    assert!(tables[1].cells.iter().all(|c| matches!(c.value, CellValue::Withheld(_))));
    let (alone, _) = run(vec![Table::C(by_region())], &people(3), vec![]).unwrap();
    assert_eq!(tables[0].cells, alone[0].cells, "what is not published protects nobody");
}

#[test]
fn a_regression_without_three_people_is_held_against_the_one_with_them() {
    let rows = people(30);
    let (_, record) = run(vec![Table::Regression(regression(vec![]))], &rows, vec![]).unwrap();
    let past: Vec<Number> = record.roots.into_iter().flat_map(|root| root.numbers).collect();
    let but_three = || vec![(dimension("kept", ints(2)), vec![ints(2)[1].clone()])];
    let without = run(vec![Table::Regression(regression(but_three()))], &rows, vec![]).unwrap().0;
    assert_eq!(reasons(&without[0]), BTreeSet::new(), "without history it would be out");
    let refused = run(vec![Table::Regression(regression(but_three()))], &rows, past.clone_all()).unwrap_err();
    assert_eq!(refused.code, "gate.nothing-left");
    // A median of the same column comes too close as well, and the same regression is fine.
    let again = run(vec![Table::Regression(regression(vec![]))], &rows, past).unwrap().0;
    assert_eq!(reasons(&again[0]), BTreeSet::new());
}

trait CloneAll {
    fn clone_all(&self) -> Self;
}

impl CloneAll for Vec<Number> {
    fn clone_all(&self) -> Self {
        let one = |n: &Number| Number {
            quantity: n.quantity.clone(),
            rows: n.rows.clone(),
            value: n.value,
            standing: n.standing,
            place: n.place.clone(),
        };
        self.iter().map(one).collect()
    }
}
