//! What people see of the gate: files that say what each number is, what changed since
//! the last version, what was told, what is left, and a verdict worked out again.

use std::path::{Path, PathBuf};

use sluice::demo::city::password;
use sluice_domain::event::Event;
use sluice_domain::id::{JobId, ProductId, RunId};
use sluice_service::{Kek, Part, Presented, Programs, Receipt, Replayed, Restored, Service, verify_receipt};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest};

fn csv(folder: &Path, file: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    csv::Reader::from_path(folder.join(file)).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
}

fn receipt(town: &Town, product: &ProductId) -> Receipt {
    let folder = town.city.home.product(product);
    verify_receipt(&std::fs::read(folder.join("receipt.json")).unwrap(), Some(&folder), None).unwrap()
}

async fn released(town: &Town, job: &JobId, run: &RunId) -> ProductId {
    town.city.approve(run).await.unwrap();
    town.city.released(job, run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_say_how_each_number_was_made() {
    let town = Town::start().await;
    let job = SPENDING_CHANGE.replace("keys_per_unit = 1", "keys_per_unit = 1\nconsistent = \"adds-up\"");
    let product = town.product(&job, Some(&guest("spending_change.wasm"))).await;
    let folder = town.city.home.product(&product);
    let page = town.city.service.product(&town.city.operator, &product).await.unwrap();
    let (table, said) = (&page.tables[0], &page.said[0]);
    let rows = csv(&folder, &format!("{}.csv", table.name));
    let (persons, total) = (&rows[0], rows.last().unwrap());
    assert_eq!(persons["persons_made"], "noised-sum");
    assert_eq!(total["persons_made"], "sum-of-noised post-processed=adds-up");
    assert_eq!(persons["rose_share_made"], "ratio-of-noised rose/persons");
    assert_eq!(persons["made_by"], "route-A");
    let number = |row: &std::collections::BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
    assert!((number(persons, "persons_sigma") - table.measures[0].sigma.unwrap()).abs() < 1e-12);
    assert!(number(total, "persons_error95") > number(persons, "persons_error95"));
    // The page says the same, and marks what was worked on.
    assert!(said.columns.iter().any(|c| c.name == "persons" && c.mark.is_some() && c.text.zh.contains("σ")));
    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.contains("后处理") && report.contains("post-processed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_see_what_changed_since_the_approved_version() {
    let town = Town::start().await;
    let (job, run) = town.run_soon(VISITS_REPORT, None).await;
    let first = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    assert!(first.changes.is_none(), "there is no version before the first");
    assert!(first.bits.pattern > 0.0 && first.bits.refusals == 0);
    released(&town, &job, &run).await;

    let other = VISITS_REPORT.replace("FROM claims WHERE year = 1", "FROM claims WHERE year = 2");
    let (_, run) = town.run_soon(&other, None).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let changes = bench.changes.unwrap();
    assert_eq!(changes.since, job);
    let sql = changes.fields.iter().find(|c| c.field == "tables.visits-by-site.sql").unwrap();
    assert!(sql.before.as_deref().unwrap().contains("year = 1") && sql.after.as_deref().unwrap().contains("year = 2"));
    assert!(changes.fields.iter().all(|c| c.field.starts_with("tables.visits-by-site.")), "{:?}", changes.fields);
    assert!(bench.bits.pattern > first.bits.pattern, "both runs' places count");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_show_what_was_charged_and_only_to_those_who_keep_them() {
    let town = Town::start().await;
    town.run(SPENDING_CHANGE, Some(&guest("spending_change.wasm"))).await;
    let (city, service) = (&town.city, &town.city.service);
    for who in [&city.operator, &city.reviewers[0]] {
        assert_eq!(service.accounts(who).await.unwrap_err().code, "account.role");
    }
    let page = service.accounts(&city.auditor).await.unwrap();
    let root = page.roots.iter().find(|r| r.account.root.as_str() == "randhie").unwrap();
    assert!((root.account.rho_of_year - 0.02).abs() < 1e-12 && (root.account.rho_left - 0.48).abs() < 1e-12);
    let line = root.agreements.iter().find(|l| l.id.as_str() == "insurance-pricing-2026").unwrap();
    assert!((line.charged - 0.02).abs() < 1e-12 && (line.left - 0.23).abs() < 1e-12 && line.in_force);
    assert_eq!((line.bits.refusals, line.bits.refusals_max), (0, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_need_no_data_and_stand_beside_what_is_withheld() {
    let town = Town::start().await;
    let service = &town.city.service;
    let contract = service.quote(&town.city.operator, VISITS_REPORT, &Default::default()).await.unwrap();
    let offer = service.offer(&town.city.operator, &contract).await.unwrap();
    let of = |table: &str| offer.suggestions.iter().filter(|s| s.table == table).collect::<Vec<_>>();
    assert!(of("visits-by-plan").iter().any(|s| s.change.en.contains("totals = \"none\"")));
    assert!(of("visits-by-site").iter().any(|s| s.change.en.contains("drop the dimension `site`")));
    assert!(of("visits-by-site").iter().any(|s| s.change.en.contains("route A") && s.effect.en.contains('±')));
    let product = town.product(VISITS_REPORT, None).await;
    let page = service.product(&town.city.operator, &product).await.unwrap();
    assert!(page.next_steps.iter().any(|step| step.zh.contains("含有现已公布的格")), "{:?}", page.next_steps);
}

/// Every budget is set aside under one ledger, whoever asks at once.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_start_at_once_never_overdraw() {
    let town = Town::start().await;
    let (city, wasm) = (&town.city, guest("spending_change.wasm"));
    // Fuel that makes the tick come late, however slow the machine is.
    let job = |n: u32| {
        let mut file = sluice_domain::contract::JobFile::parse(SPENDING_CHANGE).unwrap();
        file.job.name = format!("at-once-{n}");
        (file.limits.fuel, file.limits.wall_seconds) = (Some(40_000_000), Some(7200));
        toml::to_string(&file).unwrap().replace("rho = 0.02", "rho = 0.05")
    };
    let wasm = &wasm;
    // A second process over the same files, and eight submissions side by side.
    let second = &opened(town.folder.path()).await.unwrap();
    let by = |n: usize| if n.is_multiple_of(2) { &city.service } else { second };
    let submitted = (0..8).map(|n| {
        let toml = job(n);
        async move { by(n as usize).submit(&city.operator, password(), &toml, Some(wasm)).await }
    });
    let submitted = futures::future::join_all(submitted).await;
    for refused in submitted.iter().filter_map(|r| r.as_ref().err()) {
        assert_eq!(refused.code, "job.budget");
    }
    let jobs: Vec<JobId> = submitted.into_iter().filter_map(Result::ok).collect();
    assert_eq!(jobs.len(), 5, "0.25 a year is five times 0.05, and an accepted job is paid for");
    let ended = futures::future::join_all(jobs.iter().enumerate().map(|(n, job)| by(n).run(job))).await;
    assert!(ended.iter().all(Result::is_ok), "whatever was accepted may run");
    let spent = city.service.snapshot().await.unwrap().spent_ever(&"randhie".parse().unwrap()).rho;
    assert!((spent - 0.25).abs() < 1e-12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_worked_out_again_and_a_tampered_domain_is_found() {
    let town = Town::start().await;
    let (city, service) = (&town.city, &town.city.service);
    let first = town.product(VISITS_REPORT, None).await;
    // A later job on the same snapshot: the first verdict is worked out as of its time.
    let later = VISITS_REPORT
        .replace("GROUP BY plan, year", "GROUP BY year, plan")
        .replace("name = \"visits-report\"", "name = \"later\"");
    town.run(&later, None).await;
    let noised = town.product(SPENDING_CHANGE, Some(&guest("spending_change.wasm"))).await;
    assert_eq!(service.rederive(&city.operator, &receipt(&town, &first)).await.unwrap_err().code, "account.role");
    for (product, part) in [(&first, Part::RouteC), (&noised, Part::RoutesAAndB)] {
        let told = service.rederive(&city.auditor, &receipt(&town, product)).await.unwrap();
        assert!(told.iter().any(|t| t.part == part));
        assert!(told.iter().all(|t| t.outcome == Replayed::Same), "{told:?}");
    }

    let different = async |product: &ProductId, receipt: &Receipt| -> Vec<Part> {
        assert_eq!(receipt.product, *product);
        let told = service.rederive(&city.auditor, receipt).await.unwrap();
        told.into_iter().filter(|t| t.outcome == Replayed::Different).map(|t| t.part).collect()
    };
    // A file that the domain hands out is another one.
    let (of_c, of_a) = (receipt(&town, &first), receipt(&town, &noised));
    let file = city.home.product(&first).join("visits-by-site.csv");
    let original = std::fs::read(&file).unwrap();
    std::fs::write(&file, [original.as_slice(), b"x"].concat()).unwrap();
    assert_eq!(different(&first, &of_c).await, [Part::Files]);
    std::fs::write(&file, &original).unwrap();
    // A receipt that says another snapshot, or another contract.
    let mut forged = of_c.clone();
    forged.snapshots[0].roster_size += 1;
    forged.contract.name.push('x');
    assert_eq!(different(&first, &forged).await, [Part::Contract, Part::Snapshots]);
    // What the run entered in the release ledger is damaged.
    let run = of_c.run.as_str();
    let vault = city.home.folder().join("vault");
    flip(&found(&vault, &|path| name(path).starts_with(run) && in_folder(path, "lineage")));
    // It is not read for its own verdict, but the candidate is.
    assert!(different(&first, &of_c).await.is_empty());
    flip(&found(&vault, &|path| name(path).starts_with(run) && in_folder(path, "candidate")));
    assert_eq!(different(&first, &of_c).await, [Part::Candidate, Part::RouteC]);
    // A byte of the sealed snapshot: nothing that was read from it comes out again.
    let snapshot = of_a.snapshots[0].snapshot.as_str();
    let sealed = found(&vault, &|path| path.display().to_string().contains(snapshot) && path.is_file());
    flip(&sealed);
    assert!(different(&noised, &of_a).await.contains(&Part::RoutesAAndB));
}

async fn opened(folder: &Path) -> Result<Service, sluice_domain::Refusal> {
    let kek = Kek::from_file(&folder.join("domain.key")).unwrap();
    Service::open(&folder.join("domain"), kek, Programs::beside_current_exe().unwrap()).await
}

async fn restored(folder: &Path, checkpoint: &str, entries: Option<&[u8]>) -> Result<Restored, sluice_domain::Refusal> {
    let kek = Kek::from_file(&folder.join("domain.key")).unwrap();
    let presented = Presented { account: "lin-bureau", password: password(), checkpoint, entries };
    Service::restore(&folder.join("domain"), kek, Programs::beside_current_exe().unwrap(), presented).await
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &there) } else { assert!(std::fs::copy(&path, &there).is_ok()) }
    }
}

/// Spends after a copy of the files was made, and puts the copy in the domain's place.
/// Returns the folder, the newest checkpoint and an export of everything.
async fn rolled_back() -> (tempfile::TempDir, String, Vec<u8>) {
    let town = Town::start().await;
    let (at, old) = (town.folder.path().join("domain"), town.folder.path().join("old"));
    copy(&at, &old);
    town.run(SPENDING_CHANGE, Some(&guest("spending_change.wasm"))).await;
    let mut export = Vec::new();
    town.city.service.export_ledger(&town.city.auditor, &mut export).await.unwrap();
    let Town { city, folder } = town;
    drop(city);
    std::fs::remove_dir_all(&at).unwrap();
    std::fs::rename(&old, &at).unwrap();
    let newest = std::fs::read_to_string(folder.path().join("domain.checkpoint")).unwrap();
    (folder, newest, export)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_does_not_open_and_costs_all_that_it_may_have_forgotten() {
    let (folder, newest, _) = rolled_back().await;
    let at = folder.path();
    let behind = async || opened(at).await.err().unwrap().code;
    assert_eq!(behind().await, "ledger.behind");
    // Taking the checkpoint away helps nobody, nor does one that the old ledger reaches.
    std::fs::remove_file(at.join("domain.checkpoint")).unwrap();
    assert_eq!(behind().await, "ledger.unwitnessed");
    assert_eq!(restored(at, "no checkpoint", None).await.unwrap_err().code, "restore.checkpoint");
    std::fs::write(at.join("domain.checkpoint"), &newest).unwrap();

    let event = restored(at, &newest, None).await.unwrap().event;
    let Event::DomainRestored { years, charges, agreements, .. } = event else { panic!("{event:?}") };
    assert!(!years.is_empty() && charges.iter().any(|c| c.root.as_str() == "randhie" && c.rho == 0.5));
    assert!(agreements.iter().any(|(_, _, rho)| *rho == 0.25));
    let service = opened(at).await.unwrap();
    let operator = service.sign_in("chen-insurance", password()).await.unwrap();
    let wasm = guest("spending_change.wasm");
    let no = service.submit(&operator, password(), SPENDING_CHANGE, Some(&wasm)).await.unwrap_err();
    assert_eq!(no.code, "job.budget");
    let no = service.submit(&operator, password(), VISITS_REPORT, None).await.unwrap_err();
    assert_eq!(no.code, "job.history-lost");
    let auditor = service.sign_in("sun-auditor", password()).await.unwrap();
    let page = service.accounts(&auditor).await.unwrap();
    assert!(page.roots.iter().all(|r| r.account.rho_left == 0.0 && r.agreements.iter().all(|a| a.left == 0.0)));
    drop(service);
    // Restoring again charges nothing more and opens nothing again.
    let again = std::fs::read_to_string(at.join("domain.checkpoint")).unwrap();
    let Event::DomainRestored { years, .. } = restored(at, &again, None).await.unwrap().event else { panic!() };
    assert!(years.is_empty());
    assert_eq!(opened(at).await.unwrap().snapshot().await.unwrap().spent_ever(&"randhie".parse().unwrap()).rho, 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_with_its_later_entries_is_charged_what_they_say() {
    let (folder, newest, export) = rolled_back().await;
    let at = folder.path();
    // An export that was changed, or is of another domain, is not taken in.
    let mut changed = export.clone();
    let middle = changed.len() - 500;
    changed[middle] ^= 1;
    assert_eq!(restored(at, &newest, Some(&changed)).await.unwrap_err().code, "ledger.foreign");
    let done = restored(at, std::str::from_utf8(&export).unwrap(), Some(&export)).await.unwrap();
    assert!(done.adopted > 2);
    assert!(matches!(&done.event, Event::DomainRestored { years, .. } if years.is_empty()));
    let service = opened(at).await.unwrap();
    let spent = service.snapshot().await.unwrap().spent_ever(&"randhie".parse().unwrap()).rho;
    assert!((spent - 0.02).abs() < 1e-12, "{spent}");
    let operator = service.sign_in("chen-insurance", password()).await.unwrap();
    let wasm = guest("spending_change.wasm");
    service.submit(&operator, password(), SPENDING_CHANGE, Some(&wasm)).await.unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn in_folder(path: &Path, kind: &str) -> bool {
    path.parent().is_some_and(|p| name(p).starts_with(kind))
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The largest file under `folder` that is wanted.
fn found(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> PathBuf {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path)
            } else if wanted(&path) {
                all.push(path)
            }
        }
    }
    all.into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}
