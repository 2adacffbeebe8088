//! Jobs of a domain held against each other: what one run cleared decides what the next
//! one may clear.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use sluice::demo::city::{AGREEMENT, CATALOGUE};
use sluice_domain::{
    candidate::{CandidateTable, CellValue, Reason},
    catalogue::Key,
    id::{JobId, RunId},
};
use sluice_rows::arrow::{
    array::{AsArray, BooleanArray},
    compute::filter_record_batch,
    datatypes::Int64Type,
};
use sluice_service::{Kek, RunEnd, pages::JobStatus};
use sluice_vault::{ObjectKind, Vault};

use crate::{
    raw,
    town::{Town, randhie},
};

/// k of the rule pack.
const K: usize = 10;

fn job(name: &str, sql: &str) -> String {
    format!(
        "[job]\nname = \"{name}\"\nagreement = \"insurance-pricing-2026\"\nscenario = \"insurance-pricing\"\n\
         [[table]]\nname = \"t\"\nroute = \"C\"\nsql = \"{sql}\"\n\
         [product]\ntitle = \"t\"\nform = \"data-report\"\nrecipients = [\"ning-an-insurance\"]\nmark = \"none\"\n"
    )
}

/// Runs a job of one table and returns how it ended, whatever that is.
async fn ended(town: &Town, name: &str, sql: &str) -> (RunId, RunEnd, Option<String>) {
    let service = &town.city.service;
    let job = town.soon(&job(name, sql));
    let job = service.submit(&town.city.operator, sluice::demo::city::password(), &job, None).await.unwrap();
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

/// Attack 48. Each void run that may depend on data shows one bit to its operator, until
/// the agreement's year has shown its twenty; the next one is *in review* for ever. A
/// reviewer reads how many bits the places withheld so far may have told.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_depend_on_data_end_at_their_cap() {
    let (people, filter) = nested();
    let town = Town::start().await;
    let service = &town.city.service;
    let first = table(&town, "all", EVERYBODY).await;
    let before = published(&first);
    let bits = |bench: &sluice_service::pages::Workbench| -> f64 {
        let said = bench.findings.iter().find(|f| f.text.en.starts_with("the places withheld")).unwrap();
        said.text.en.split(' ').find_map(|word| word.parse().ok()).unwrap()
    };
    let sparse = "SELECT plan, site, count(*) AS n FROM claims WHERE year = 1 GROUP BY plan, site";
    let (run, _, _) = ended(&town, "sparse", sparse).await;
    let once = bits(&service.open_candidate(&town.city.reviewers[0], &run).await.unwrap());
    let (again, _, _) = ended(&town, "again", sparse).await;
    let twice = bits(&service.open_candidate(&town.city.reviewers[0], &again).await.unwrap());
    assert!(once > 0.0 && (twice - 2.0 * once).abs() <= 1.0, "{once} and then {twice} bits");

    let exposed = people.iter().filter(|(plan, n)| **n < K && before.get(plan).is_some_and(|all| *all >= 30.0));
    let (plan, _) = exposed.max_by_key(|(_, n)| **n).unwrap();
    let narrow = format!("SELECT count(*) AS n FROM claims WHERE plan = {plan} AND {filter}");
    let most = service.snapshot().await.unwrap().rulepack().refusals.bits_max;
    let mut jobs: Vec<JobId> = Vec::new();
    for i in 0..=most {
        let (run, _, void) = ended(&town, &format!("narrow-{i}"), &narrow).await;
        assert_eq!(void.as_deref(), Some("gate.nothing-left"));
        jobs.push(service.snapshot().await.unwrap().run(&run).unwrap().job.clone());
    }
    let last = service.tick(jobs.last().unwrap()).await.unwrap();
    while let Ok(left) = Duration::try_from(last.duration_since(sluice_domain::Timestamp::now())) {
        tokio::time::sleep(left.max(Duration::from_millis(10))).await;
    }
    let inbox = service.inbox(&town.city.operator).await.unwrap();
    let status = |job: &JobId| inbox.jobs.iter().find(|j| j.job == *job).unwrap().status;
    let shown = jobs.iter().filter(|job| status(job) == JobStatus::Void).count();
    assert_eq!(shown, most);
    assert_eq!(status(jobs.last().unwrap()), JobStatus::InReview);
}

/// The demo's data without one person.
fn without_person(person: i64, out: &Path) {
    let file = std::fs::File::open(randhie()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut writer: Option<ArrowWriter<std::fs::File>> = None;
    for batch in reader {
        let batch = batch.unwrap();
        let units = batch.column_by_name("zper").unwrap().as_primitive::<Int64Type>();
        let kept: BooleanArray = units.iter().map(|unit| Some(unit != Some(person))).collect();
        let batch = filter_record_batch(&batch, &kept).unwrap();
        let open = || ArrowWriter::try_new(std::fs::File::create(out).unwrap(), batch.schema(), None).unwrap();
        writer.get_or_insert_with(open).write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

/// Attack 42 by two ingests: the later snapshot lacks one person.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_snapshot_does_not_show_who_left() {
    let town = Town::start().await;
    let before = published(&table(&town, "before", EVERYBODY).await);
    let contract = town.city.service.snapshot().await.unwrap().jobs().last().unwrap().contract.clone();
    assert_eq!(town.city.service.note_on_snapshots(&contract).await.unwrap(), None);
    let rows = raw::rows(&randhie());
    let person = rows.iter().find(|r| raw::int(r, "year") == 1 && before.contains_key(&raw::int(r, "plan"))).unwrap();
    let (person, plan) = (raw::int(person, "zper"), raw::int(person, "plan"));
    let later = town.folder.path().join("later.parquet");
    without_person(person, &later);

    // A domain that never saw the first snapshot publishes the other number.
    let alone = Town::over(&later).await;
    assert_eq!(before[&plan] - published(&table(&alone, "after", EVERYBODY).await)[&plan], 1.0);
    drop(alone);

    town.city.service.ingest(&town.city.provider, CATALOGUE, &later, |_, _| {}).await.unwrap();
    // What an operator can know of it without data is said at submission.
    assert!(town.city.service.note_on_snapshots(&contract).await.unwrap().is_some());
    let after = table(&town, "after", EVERYBODY).await;
    assert!(differencing(&after).contains(&plan));
    let after = published(&after);
    assert!(!after.contains_key(&plan));
    // Plans that nobody left are the same rows, and stand as they were.
    assert!(!after.is_empty() && after.iter().all(|(plan, n)| before.get(plan) == Some(n)));
}

/// A derived measure by its formula: two tables that differ by one person's value of it,
/// and one that differs in a column it is computed from.
#[tokio::test(flavor = "multi_thread")]
async fn a_derived_measure_is_held_against_what_it_is_computed_from() {
    let rows = raw::rows(&randhie());
    let year: Vec<_> = rows.iter().filter(|r| raw::int(r, "year") == 1).collect();
    let of = |plan: i64, site: i64| {
        year.iter().filter(|r| raw::int(r, "plan") == plan && raw::int(r, "site") == site).count()
    };
    // A site with fewer than k people of a plan that has many more elsewhere.
    let pairs = (1..20).flat_map(|plan| (1..7).map(move |site| (plan, site)));
    let few = |(plan, site): &(i64, i64)| {
        let all: usize = (1..7).map(|site| of(*plan, site)).sum();
        (1..K).contains(&of(*plan, *site)) && all > 10 * K
    };
    let (plan, site) = pairs.filter(few).max_by_key(|(plan, site)| of(*plan, *site)).unwrap();
    let rest: Vec<String> = (1..7).filter(|s| *s != site).map(|s| s.to_string()).collect();
    let ask = |what: &str, sites: &str| {
        format!("SELECT sum({what}) AS n FROM claims WHERE year = 1 AND plan = {plan}{sites}")
    };
    let without = format!(" AND site IN ({})", rest.join(", "));

    for (first, second) in [("spent", "spent"), ("meddol", "spent"), ("spent", "meddol")] {
        let agreement = format!("{AGREEMENT}\n[view.claims.measures]\nspent = \"meddol + outpdol\"\n");
        let town = Town::with(&randhie(), CATALOGUE, &agreement).await;
        let (_, end, void) = ended(&town, "all", &ask(first, "")).await;
        assert_eq!((end, void), (RunEnd::InReview, None), "{first}");
        let (_, _, void) = ended(&town, "rest", &ask(second, &without)).await;
        assert_eq!(void.as_deref(), Some("gate.nothing-left"), "{first}, then {second} without {site}");
    }
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
