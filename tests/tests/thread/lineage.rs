//! Jobs of a domain held against each other: what one run cleared decides what the next
//! one may clear.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    candidate::{CandidateTable, CellValue, Reason},
    catalogue::Key,
    id::RunId,
};
use sluice_service::{Kek, RunEnd};
use sluice_vault::{ObjectKind, Vault};

use crate::{
    raw,
    town::{Town, quick, randhie},
};

/// k of the rule pack.
const K: usize = 10;

fn job(name: &str, sql: &str) -> String {
    quick(&format!(
        "[job]\nname = \"{name}\"\nagreement = \"insurance-pricing-2026\"\nscenario = \"insurance-pricing\"\n\
         [[table]]\nname = \"t\"\nroute = \"C\"\nsql = \"{sql}\"\n\
         [product]\ntitle = \"t\"\nform = \"data-report\"\nrecipients = [\"ning-an-insurance\"]\nmark = \"none\"\n"
    ))
}

/// Runs a job of one table and returns how it ended, whatever that is.
async fn ended(town: &Town, name: &str, sql: &str) -> (RunId, RunEnd, Option<String>) {
    let service = &town.city.service;
    let job = service.submit(&town.city.operator, sluice::demo::city::password(), &job(name, sql), None).await.unwrap();
    let (run, end) = service.run(&job).await.unwrap();
    let void = service.snapshot().await.unwrap().run(&run).unwrap().void.clone();
    (run, end, void)
}

/// The candidate of a job of one table.
async fn table(town: &Town, name: &str, sql: &str) -> CandidateTable {
    let (run, end, void) = ended(town, name, sql).await;
    assert_eq!((end, void), (RunEnd::InReview, None));
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    bench.candidate.tables[0].clone()
}

/// Plan → its number, where one is published.
fn published(table: &CandidateTable) -> BTreeMap<i64, f64> {
    let cell = |c: &sluice_domain::candidate::Cell| match (&c.key[..], &c.value) {
        ([Some(Key::Int(plan))], CellValue::Published(values)) => Some((*plan, values[0].unwrap())),
        _ => None,
    };
    table.cells.iter().filter_map(cell).collect()
}

/// Plans withheld for history's sake.
fn differencing(table: &CandidateTable) -> BTreeSet<i64> {
    let cell = |c: &sluice_domain::candidate::Cell| match (&c.key[..], &c.value) {
        ([Some(Key::Int(plan))], CellValue::Withheld(r)) if r.contains(&Reason::Differencing) => Some(*plan),
        _ => None,
    };
    table.cells.iter().filter_map(cell).collect()
}

/// Everybody of a year, and everybody but one site's: (the site's people per plan, the
/// second query). The site leaves fewer than k people in some plan where most remain.
fn nested() -> (BTreeMap<i64, usize>, String) {
    let rows = raw::rows(&randhie());
    let first: Vec<_> = rows.iter().filter(|r| raw::int(r, "year") == 1).collect();
    let sites: BTreeSet<i64> = first.iter().map(|r| raw::int(r, "site")).collect();
    let of = |site: i64| -> BTreeMap<i64, usize> {
        let mut people: BTreeMap<i64, usize> = BTreeMap::new();
        for row in first.iter().filter(|r| raw::int(r, "site") == site) {
            *people.entry(raw::int(row, "plan")).or_default() += 1;
        }
        people
    };
    let few = |people: &BTreeMap<i64, usize>| people.values().filter(|n| **n < K).count();
    let site = *sites.iter().max_by_key(|site| few(&of(**site))).unwrap();
    assert!(few(&of(site)) > 0, "the data has small cells");
    let rest: Vec<String> = sites.iter().filter(|s| **s != site).map(ToString::to_string).collect();
    (of(site), format!("year = 1 AND site IN ({})", rest.join(", ")))
}

const EVERYBODY: &str = "SELECT plan, count(*) AS n FROM claims WHERE year = 1 GROUP BY plan";

fn without(filter: &str, what: &str) -> String {
    format!("SELECT plan, {what} AS n FROM claims WHERE {filter} GROUP BY plan")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_cannot_be_subtracted() {
    let (people, filter) = nested();
    let small: BTreeSet<i64> = people.iter().filter(|(_, n)| **n < K).map(|(plan, _)| *plan).collect();

    // The second job alone: some plan with a small difference is published.
    let alone = Town::start().await;
    let second = table(&alone, "rest", &without(&filter, "count(*)")).await;
    let exposed: BTreeSet<i64> = published(&second).keys().copied().filter(|p| small.contains(p)).collect();
    assert!(!exposed.is_empty() && differencing(&second).is_empty());
    drop(alone);

    let town = Town::start().await;
    let everybody = table(&town, "all", EVERYBODY).await;
    let before = published(&everybody);
    assert!(differencing(&everybody).is_empty() && exposed.iter().any(|p| before.contains_key(p)));
    // The same question again passes, with the same numbers.
    assert_eq!(published(&table(&town, "again", EVERYBODY).await), before);
    // Counts of rows and counts of persons are the same people here.
    for (name, what) in [("rest", "count(*)"), ("persons", "count(DISTINCT zper)")] {
        let rest = table(&town, name, &without(&filter, what)).await;
        let after = published(&rest);
        for (plan, n) in &after {
            let apart = before.get(plan).map(|all| all - n);
            assert!(apart.is_none_or(|d| d == 0.0 || d >= K as f64), "plan {plan} shows {apart:?} people");
        }
        let held: BTreeSet<i64> = exposed.iter().copied().filter(|p| before.contains_key(p)).collect();
        assert!(differencing(&rest).is_superset(&held), "{name}: {held:?}");
        assert!(!after.is_empty(), "what is safe is still published");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_history_leaves_nothing_of_is_void() {
    let (people, filter) = nested();
    let town = Town::start().await;
    let before = published(&table(&town, "all", EVERYBODY).await);
    let exposed = people.iter().filter(|(plan, n)| **n < K && before.get(plan).is_some_and(|all| *all >= 30.0));
    let (plan, _) = exposed.max_by_key(|(_, n)| **n).unwrap();
    // One cell: without dimensions no line of it can be judged for its class.
    let narrow = format!("SELECT count(*) AS n FROM claims WHERE plan = {plan} AND {filter}");
    let (_, end, void) = ended(&town, "narrow", &narrow).await;
    assert_eq!((end, void.as_deref()), (RunEnd::Void, Some("gate.nothing-left")));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_stops_the_root_and_a_void_run_is_never_read() {
    let town = Town::start().await;
    let before = published(&table(&town, "all", EVERYBODY).await);
    let home = town.city.home.folder().to_owned();

    // One byte of one record: nothing more of route C on this root, and the cause is recorded.
    let mut objects = std::fs::read_dir(home.join("vault/objects/lineage")).unwrap();
    let whole = objects.next().unwrap().unwrap().path();
    let original = std::fs::read(&whole).unwrap();
    let mut changed = original.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&whole, &changed).unwrap();
    let (void_run, end, void) = ended(&town, "damaged", EVERYBODY).await;
    assert_eq!((end, void.as_deref()), (RunEnd::Void, Some("lineage.damaged")));
    std::fs::remove_file(&whole).unwrap();
    let (_, end, void) = ended(&town, "missing", EVERYBODY).await;
    assert_eq!((end, void.as_deref()), (RunEnd::Void, Some("lineage.damaged")));
    std::fs::write(&whole, &original).unwrap();

    // A run that died between seal and record is void: what it sealed is never read.
    let key = Kek::from_file(&town.folder.path().join("domain.key")).unwrap();
    let vault = Vault::open(&home, key).unwrap();
    vault.seal(ObjectKind::Lineage, void_run.as_str(), b"half a record").unwrap();
    drop(vault);
    assert_eq!(published(&table(&town, "healed", EVERYBODY).await), before);
}
