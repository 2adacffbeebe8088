//! A survival curve over a sealed snapshot: planned from names, counted in one pass.

use std::collections::BTreeMap;

use sluice_domain::{
    catalogue::Key,
    contract::{Event, EventFile, SurvivalFile},
};

use super::{ALL, Row, batch, granted, reader, row};
use crate::plan_survival;

fn file(time: &str, event: &str, by: &[&str], steps: &[f64]) -> SurvivalFile {
    SurvivalFile {
        view: "people".parse().unwrap(),
        time: time.into(),
        event: EventFile::Measure(event.into()),
        by: by.iter().map(ToString::to_string).collect(),
        steps: steps.to_vec(),
        filter: [].into(),
    }
}

#[test]
fn names_and_steps_are_looked_at_and_refused_in_place() {
    let views = [granted(&ALL, None, &[])];
    let code = |file: &SurvivalFile| {
        plan_survival(&views, "s", file).map(drop).map_err(|r| (r.code, r.place.unwrap().to_string()))
    };
    let column = |name: &str| Err(("survival.column", name.to_owned()));
    let steps = Err(("survival.steps", "steps".to_owned()));
    assert_eq!(code(&file("visits", "spend", &["sex"], &[1.0, 2.0])), Ok(()));
    assert_eq!(code(&file("plan", "spend", &["sex"], &[1.0, 2.0])), Ok(()), "its codes are numbers");
    assert_eq!(code(&file("sex", "spend", &[], &[1.0])), column("sex"));
    assert_eq!(code(&file("id", "spend", &[], &[1.0])), column("id"));
    assert_eq!(code(&file("visits", "visits", &[], &[1.0])), column("visits"));
    assert_eq!(code(&file("visits", "sex", &[], &[1.0])), column("sex"));
    assert_eq!(code(&file("visits", "spend", &["spend"], &[1.0])), column("spend"));
    assert_eq!(code(&file("visits", "spend", &["sex", "sex"], &[1.0])), column("sex"));
    assert_eq!(code(&file("plan", "spend", &["plan"], &[1.0])), column("plan"));
    for wrong in [&[][..], &[0.0], &[2.0, 1.0], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert_eq!(code(&file("visits", "spend", &[], wrong)), steps);
    }
    let mut asked = file("visits", "", &[], &[1.0]);
    asked.event = EventFile::Codes([("sex".to_owned(), vec![Key::Text("m".into())])].into());
    let plan = plan_survival(&views, "s", &asked).unwrap();
    assert!(matches!(&plan.event, Event::Codes(d, codes) if d.name == "sex" && codes.len() == 1));
    asked.event = EventFile::Codes([("sex".to_owned(), vec![Key::Text("x".into())])].into());
    assert_eq!(code(&asked), column("sex"));
    asked.view = "others".parse().unwrap();
    assert_eq!(code(&asked), Err(("survival.view", "others".to_owned())));
}

#[tokio::test]
async fn each_unit_is_counted_once_at_its_first_event_or_its_longest_time() {
    // Unit u has a row at each time 1 … 4; with the event at u mod 6, if that is a time.
    let of = |unit: u64, time: i64| {
        let spend = Some(f64::from(u8::from(i64::try_from(unit % 6).unwrap() == time)));
        let sex = if unit.is_multiple_of(2) { "m" } else { "f" };
        Row { visits: time, spend, ..row(unit, time, "c", 1, sex, 0.0) }
    };
    let mut rows: Vec<Row> = (0..60u64).flat_map(|unit| (1..=4).map(move |time| of(unit, time))).collect();
    // A row without its event is not there: unit 0 leaves at 3, unit 1 has no event.
    rows[3].spend = None;
    rows[4].spend = None;
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = reader(&view, &batch(&rows));
    let mut asked = file("visits", "spend", &["sex"], &[2.0, 3.0]);
    let plan = |asked: &SurvivalFile| plan_survival(std::slice::from_ref(&view), "s", asked).unwrap();
    let counts = async |asked: &SurvivalFile| -> BTreeMap<(u32, u32), u64> {
        let cells = reader.follow(&plan(asked)).await.unwrap();
        let key = |key: &[Option<u32>]| (key[0].unwrap(), key[1].unwrap());
        let count = |(of, stats): &(Vec<Option<u32>>, sluice_rows::cells::CellStats)| {
            assert_eq!(cells.rows(of).len(), stats.units, "a unit stands for itself by one row");
            (key(of), stats.units)
        };
        cells.iter().map(count).collect()
    };
    // Of sixty: u mod 6 = 1 and 2 until 2; 3 until 3; 0, 4 and 5 after. Even ones are m.
    let found = counts(&asked).await;
    let (f, m) = if plan(&asked).by[0].domain[0].0 == Key::Text("f".into()) { (0, 1) } else { (1, 0) };
    let expected = [((f, 0), 9), ((m, 0), 10), ((f, 2), 10), ((m, 3), 1), ((f, 4), 11), ((m, 4), 19)];
    assert_eq!(found, expected.into());
    asked.filter = [("sex".to_owned(), vec![Key::Text("m".into())])].into();
    assert_eq!(counts(&asked).await, [((m, 0), 10), ((m, 3), 1), ((m, 4), 19)].into());
}
