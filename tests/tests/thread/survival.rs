//! A survival curve through the whole thread on real data: years until the first visit
//! to a doctor, by share of costs, against a count of its own.

use std::collections::BTreeMap;

use sluice::demo::city::password;
use sluice_domain::{
    candidate::{CandidateTable, CellValue},
    catalogue::Key,
};

use crate::{
    raw,
    town::{Town, VISITS_REPORT, randhie},
};

/// The visits report with curves in place of its tables.
fn job(filter: &str) -> String {
    let head = VISITS_REPORT.split("[[table]]").next().unwrap();
    let product = &VISITS_REPORT[VISITS_REPORT.find("[product]").unwrap()..];
    let curve = |name: &str, by: &str| {
        format!(
            "[[table]]\nname = \"{name}\"\nroute = \"C\"\nsurvival = {{ view = \"claims\", time = \"year\", event = \"mdvis\", {by}steps = [1, 2, 3, 5]{filter} }}\n\n"
        )
    };
    [head, &curve("by-share", "by = [\"coins\"], "), &curve("all", ""), product].concat()
}

/// What stands in the cells, by key.
fn cells(table: &CandidateTable) -> BTreeMap<Vec<Option<Key>>, Option<Vec<f64>>> {
    let of = |value: &CellValue| match value {
        CellValue::Published(numbers) => Some(numbers.iter().map(|n| n.unwrap_or(f64::NAN)).collect()),
        CellValue::Withheld(_) => None,
    };
    table.cells.iter().map(|cell| (cell.key.clone(), of(&cell.value))).collect()
}

/// Of each person: the share, the year of the first visit or the last year, whether
/// there was a visit.
fn people() -> Vec<(i64, i64, bool)> {
    let mut of = BTreeMap::<i64, Vec<(i64, f64, i64)>>::new();
    for row in raw::rows(&randhie()) {
        let seen = (raw::int(&row, "year"), raw::float(&row, "mdvis"), raw::int(&row, "coins"));
        of.entry(raw::int(&row, "zper")).or_default().push(seen);
    }
    let person = |mut years: Vec<(i64, f64, i64)>| {
        years.sort_by_key(|(year, ..)| *year);
        let visit = years.iter().find(|(_, visits, _)| *visits > 0.0);
        let (year, _, coins) = visit.or(years.last()).unwrap();
        (*coins, *year, visit.is_some())
    };
    of.into_values().map(person).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curve_equals_an_independent_count_and_is_shown_again_as_it_was() {
    let town = Town::start().await;
    let product = town.product(&job(""), None).await;
    let page = town.city.service.product(&town.city.operator, &product).await.unwrap();
    let (people, steps) = (people(), [1, 2, 3, 5]);
    let mut shown = 0;
    for table in &page.tables {
        let cells = cells(table);
        let shares: Vec<Option<Key>> = if table.name == "all" {
            vec![None]
        } else {
            table.dimensions[0].domain.iter().map(|(key, _)| Some(key.clone())).collect()
        };
        for share in shares {
            let of = |p: &&(i64, i64, bool)| share.as_ref().is_none_or(|share| *share == Key::Int(p.0));
            let group: Vec<_> = people.iter().filter(of).collect();
            let (mut survival, mut from) = (1.0, 0);
            for step in steps {
                let key = share.clone().map(Some).into_iter().chain([Some(Key::Int(step))]).collect::<Vec<_>>();
                let Some(numbers) = &cells[&key] else { continue };
                let count = |keep: &dyn Fn(&(i64, i64, bool)) -> bool| group.iter().filter(|p| keep(p)).count() as f64;
                let at_risk = count(&|p| p.1 > from);
                let events = count(&|p| p.1 > from && p.1 <= step && p.2);
                let censored = count(&|p| p.1 > from && p.1 <= step && !p.2);
                assert_eq!(numbers[2..], [at_risk, events, censored]);
                assert!(events >= 10.0 && (censored == 0.0 || censored >= 10.0));
                survival *= 1.0 - events / at_risk;
                assert!((numbers[0] - survival).abs() < 1e-9 && numbers[1] > 0.0);
                (from, shown) = (step, shown + 1);
            }
        }
    }
    assert!(shown >= 8, "most steps are shown: {shown}");

    // The same again has the same answer: nothing more is shown than before.
    let service = &town.city.service;
    let (_, run) = town.run(&job(""), None).await;
    let bench = service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let seen: Vec<_> = bench.candidate.tables.iter().map(cells).collect();
    assert_eq!(format!("{seen:?}"), format!("{:?}", page.tables.iter().map(cells).collect::<Vec<_>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curve_that_does_not_fit_is_refused_at_its_line() {
    let town = Town::start().await;
    let submit =
        async |job: String| town.city.service.submit(&town.city.operator, password(), &job, None).await.unwrap_err();
    for (from, to, code) in [
        ("time = \"year\"", "time = \"zper\"", "survival.column"),
        ("steps = [1, 2, 3, 5]", "steps = [2.0, 1.0]", "survival.steps"),
        ("event = \"mdvis\"", "event = { plan = [99] }", "survival.column"),
        ("name = \"all\"", "name = \"all\"\nsql = \"SELECT count(*) FROM claims\"", "job.table"),
    ] {
        let job = job("");
        assert!(job.contains(from), "{job}");
        let refused = submit(job.replace(from, to)).await;
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.place.unwrap().to_string().contains("line"));
    }
}
