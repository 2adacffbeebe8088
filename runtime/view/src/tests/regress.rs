//! A regression over a sealed snapshot: planned from names, computed in two passes.

use sluice_domain::{
    catalogue::Key,
    contract::{RegressionFile, Term},
};

use super::{ALL, Row, batch, granted, reader, row};
use crate::{plan_input, plan_regression};

fn file(outcome: &str, terms: &[&str]) -> RegressionFile {
    RegressionFile {
        view: "people".parse().unwrap(),
        outcome: outcome.into(),
        terms: terms.iter().map(ToString::to_string).collect(),
        filter: [].into(),
    }
}

#[test]
fn names_are_looked_up_and_refused_in_place() {
    let views = [granted(&ALL, None, &[])];
    let mut asked = file("spend", &["visits", "sex", "plan"]);
    asked.filter = [("plan".to_owned(), vec![Key::Int(3), Key::Int(1)])].into();
    let plan = plan_regression(&views, "r", &asked).unwrap();
    assert_eq!(plan.parameters(), ["const", "visits", "sex=m", "plan=3"]);
    assert!(matches!(&plan.terms[2], Term::Levels(l) if l.kept == [Key::Int(1), Key::Int(3)]));
    let code = |file: &RegressionFile| {
        plan_regression(&views, "r", file).map(drop).map_err(|r| (r.code, r.place.unwrap().to_string()))
    };
    let term = |name: &str| Err(("regression.term", name.to_owned()));
    assert_eq!(code(&file("spend", &["age"])), term("age"));
    assert_eq!(code(&file("spend", &["spend"])), term("spend"));
    assert_eq!(code(&file("spend", &["sex", "sex"])), term("sex"));
    assert_eq!(code(&file("spend", &["id"])), term("id"));
    assert_eq!(code(&file("sex", &["visits"])), term("sex"));
    assert_eq!(code(&file("__unit", &["visits"])), term("__unit"));
    assert_eq!(code(&file("spend", &[])), Err(("regression.size", "terms".to_owned())));
    asked.filter = [("plan".to_owned(), vec![Key::Int(9)])].into();
    assert_eq!(code(&asked), term("plan"));
    asked.view = "others".parse().unwrap();
    assert_eq!(code(&asked), Err(("regression.view", "others".to_owned())));
    assert!(plan_input(&views, "SELECT age FROM people").is_ok());
}

#[tokio::test]
async fn two_passes_over_the_view_find_the_plane() {
    // spend = 3 + 2·visits + 5·(sex = m), exactly; a row without spend is in neither pass.
    let of = |unit: u64, visits: i64, sex: &'static str| {
        let spend = 3.0 + 2.0 * visits as f64 + if sex == "m" { 5.0 } else { 0.0 };
        Row { visits, spend: Some(spend), ..row(unit, 1, "c", 1 + i64::try_from(unit % 3).unwrap(), sex, 0.0) }
    };
    let mut rows: Vec<Row> = (1..40u64)
        .map(|i| of(i.div_ceil(2), i64::try_from(i % 7).unwrap(), if i % 3 == 0 { "m" } else { "f" }))
        .collect();
    rows[4].spend = None;
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = reader(&view, &batch(&rows));
    let mut asked = file("spend", &["visits", "sex"]);
    let fit = reader.regress(&plan_regression(std::slice::from_ref(&view), "r", &asked).unwrap()).await.unwrap();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let found: Vec<f64> = fit.estimates.iter().map(|e| e.coefficient).collect();
    assert!(close(found[0], 3.0) && close(found[1], 2.0) && close(found[2], 5.0), "the plane");
    assert_eq!((fit.rows, fit.units), (38, 20));
    assert!(fit.unexplained < 1e-12);
    let of_sex = |sex: &str| {
        let units = rows.iter().filter(|r| r.sex == sex && r.spend.is_some()).map(|r| r.unit);
        units.collect::<std::collections::BTreeSet<_>>().len() as u64
    };
    assert_eq!(fit.level_units, [of_sex("f"), of_sex("m")]);
    // A filter leaves its rows out of both passes.
    asked.filter = [("plan".to_owned(), vec![Key::Int(2)])].into();
    let fit = reader.regress(&plan_regression(&[view], "r", &asked).unwrap()).await.unwrap();
    assert_eq!(fit.rows, rows.iter().filter(|r| r.plan == 2 && r.spend.is_some()).count() as u64);
}
