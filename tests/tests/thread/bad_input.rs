//! Bad input: each a clear refusal with code, place and next step, and nothing
//! half-written. One city serves all of them.

use sluice::demo::city::{AGREEMENT, CATALOGUE, City, password};
use sluice_domain::{Refusal, event::Event, state::State};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest};

async fn refused(city: &City, job: &str, guest: Option<&[u8]>) -> Refusal {
    let refusal = city.service.submit(&city.operator, password(), job, guest).await.expect_err("refused");
    assert!(!refusal.cause.zh.is_empty() && !refusal.cause.en.is_empty() && !refusal.next.zh.is_empty());
    refusal
}

fn with_sql(sql: &str) -> String {
    let old = "SELECT site, plan, count(DISTINCT zper) AS persons FROM claims WHERE year = 1 GROUP BY site, plan";
    assert!(VISITS_REPORT.contains(old));
    VISITS_REPORT.replace(old, sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_submission_is_refused_clearly_and_recorded() {
    let town = Town::start().await;
    let city = &town.city;
    let good = guest("spending_change.wasm");
    let before = city.service.snapshot().await.unwrap();

    let mut damaged = good.clone();
    damaged.truncate(good.len() / 2);
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    let oversized = vec![0u8; 65 << 20];
    let guests: [(&[u8], &str); 4] = [
        (&damaged, "guest.damaged"),
        (&guest("peeker.wasm"), "guest.import"),
        (&core_module, "guest."),
        (&oversized, "guest.too-large"),
    ];
    for (bytes, code) in guests {
        let refusal = refused(city, SPENDING_CHANGE, Some(bytes)).await;
        assert!(refusal.code.starts_with(code), "{} for {code}", refusal.code);
    }

    let jobs: [(String, &str); 18] = [
        ("[job".to_owned(), "job.form"),
        (VISITS_REPORT.replace("insurance-pricing-2026", "no-such-agreement"), "agreement.unknown"),
        (VISITS_REPORT.replace("scenario = \"insurance-pricing\"", "scenario = \"marketing\""), "job.scenario"),
        (VISITS_REPORT.replace("form = \"data-report\"", "form = \"data-model\""), "job.form-of-product"),
        (with_sql("SELECT site, plan, count(*) FROM payroll GROUP BY site, plan"), "sql."),
        (with_sql("SELECT zper, count(*) FROM claims GROUP BY zper"), "sql."),
        (with_sql("SELECT site, max(meddol) FROM claims GROUP BY site"), "sql."),
        (with_sql("EXPLAIN SELECT site, count(*) FROM claims GROUP BY site"), "sql."),
        (with_sql("SELECT site, count(*) FROM claims GROUP BY site; DROP TABLE claims"), "sql."),
        (with_sql("SELECT site, sum(xage) FROM claims GROUP BY site"), "sql."),
        (SPENDING_CHANGE.replace("rho = 0.02", "rho = 0.2"), "job.rho"),
        // A charge that a sum of charges could lose, and one that is no number.
        (SPENDING_CHANGE.replace("rho = 0.02", "rho = 1e-18"), "job.rho"),
        (SPENDING_CHANGE.replace("rho = 0.02", "rho = nan"), "job.rho"),
        // Attack 61: what a reviewer reads is not what stands there.
        (with_sql("SELECT site, count(*) FROM claims GROUP BY site -- \\u202eMORF"), "job.hidden-character"),
        // Attack 62: a column that the pages would take for the end of another's interval.
        (with_sql("SELECT site, count(*) AS n, sum(mdvis) AS n_low95 FROM claims GROUP BY site"), "job.headings"),
        (VISITS_REPORT.replace("title = \"", "title = \"\\u2066"), "job.hidden-character"),
        (VISITS_REPORT.replacen("name = \"", &format!("name = \"{}", "很".repeat(200)), 1), "job.name"),
        (SPENDING_CHANGE.replace("dimensions = [\"coins\"]", "dimensions = [\"meddol\"]"), "job.dimension"),
    ];
    for (job, code) in jobs {
        let refusal = refused(city, &job, job.contains("guest").then_some(&good)).await;
        assert!(refusal.code.starts_with(code), "{} for {code}", refusal.code);
    }

    let after = city.service.snapshot().await.unwrap();
    assert_eq!(after.jobs().count(), before.jobs().count(), "nothing was taken in");
    assert_eq!(after.refused().len(), before.refused().len() + 22, "every refusal left a trace");
}

/// Budget: what a contract costs is held against what is left, before anything runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_never_overdrawn() {
    let town = Town::start().await;
    let job = SPENDING_CHANGE.replace("rho = 0.02", "rho = 0.05");
    let bytes = guest("spending_change.wasm");
    for _ in 0..5 {
        town.run(&job, Some(&bytes)).await; // 5 × 0.05 is the agreement's 0.25
    }
    assert_eq!(refused(&town.city, &job, Some(&bytes)).await.code, "job.budget");
    // Another view or an equal job renews nothing; route C still runs.
    town.run(VISITS_REPORT, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_outside_its_term_serves_nothing() {
    let town = Town::start().await;
    let expired = AGREEMENT
        .replace("insurance-pricing-2026", "insurance-pricing-2020")
        .replace("from = \"2026-01-01\"", "from = \"2020-01-01\"")
        .replace("to = \"2028-12-31\"", "to = \"2020-12-31\"");
    town.city.service.sign_agreement(&town.city.bureau, &expired).await.unwrap();
    let job = VISITS_REPORT.replace("insurance-pricing-2026", "insurance-pricing-2020");
    assert_eq!(refused(&town.city, &job, None).await.code, "agreement.not-in-force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_refused_by_row_and_column_and_leaves_nothing() {
    let town = Town::start().await;
    let catalogue = "[dataset]\nid = \"small\"\ntitle = \"小表\"\nsystem = \"s\"\nformat = \"csv\"\nprovider = \"health-bureau\"\nsharing = \"unconditional\"\nopening = \"unconditional\"\nprovision = \"p\"\ncycle = \"c\"\nterm = \"t\"\nunit = \"who\"\n\
        [[column]]\nname = \"who\"\ntitle = \"人\"\ntype = \"text\"\nlevel = \"L4\"\nrole = \"unit\"\n\
        [[column]]\nname = \"area\"\ntitle = \"区\"\ntype = \"int\"\nlevel = \"L1\"\nrole = \"dimension\"\ncodes = [{ value = 1, label = \"一\" }, { value = 2, label = \"二\" }]\n\
        [[column]]\nname = \"paid\"\ntitle = \"付\"\ntype = \"float\"\nlevel = \"L3\"\nrole = \"measure\"\n";
    let before: State = town.city.service.snapshot().await.unwrap();
    for (csv, place) in [
        ("who,area,paid\na,1,2.5\nb,7,3.5\n", "area"),
        ("who,area,paid\na,1,2.5\nb,2,31337x\n", "paid"),
        ("who,area,paid\na,1,2.5\n,2,3.5\n", "who"),
        ("who,area\na,1\n", "paid"),
        ("who,area,paid,extra\na,1,2.5,9\n", "extra"),
    ] {
        let file = town.folder.path().join("wrong.csv");
        std::fs::write(&file, csv).unwrap();
        let refusal =
            town.city.service.ingest(&town.city.provider, catalogue, &file, |_, _| {}).await.expect_err("refused");
        let told = serde_json::to_string(&refusal).unwrap();
        assert!(refusal.code.starts_with("ingest."), "{}", refusal.code);
        assert!(refusal.place.as_deref().is_some_and(|p| p.contains(place)), "{told}");
        assert!(!told.contains("31337"), "no value is echoed: {told}");
    }
    let after = town.city.service.snapshot().await.unwrap();
    let snapshots = |s: &State| s.datasets().map(|d| d.snapshots.len()).sum::<usize>();
    assert_eq!(snapshots(&after), snapshots(&before));
    let staging = town.city.home.folder().join("vault/staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0, "nothing half-written");
    assert!(CATALOGUE.contains("randhie"));
}

/// What the rules forbid people, the verbs refuse.
#[tokio::test(flavor = "multi_thread")]
async fn people_do_only_what_their_role_allows() {
    let town = Town::start().await;
    let city = &town.city;
    let file = crate::town::randhie();
    assert_eq!(
        city.service.ingest(&city.operator, CATALOGUE, &file, |_, _| {}).await.expect_err("no").code,
        "account.role"
    );
    assert_eq!(city.service.sign_agreement(&city.operator, AGREEMENT).await.expect_err("no").code, "account.role");
    let submitted = city.service.submit(&city.reviewers[0], password(), VISITS_REPORT, None).await;
    assert_eq!(submitted.expect_err("no").code, "account.role");
    let (_, run) = town.run(VISITS_REPORT, None).await;
    assert_eq!(city.service.open_candidate(&city.operator, &run).await.err().expect("no").code, "account.role");
    assert_eq!(city.service.open_candidate(&city.bureau, &run).await.err().expect("no").code, "account.role");
    let wrong = zeroize::Zeroizing::new("wrong password".to_owned());
    assert_eq!(city.service.sign_in("zhao-reviewer", wrong).await.expect_err("no").code, "account.sign-in");
    let event = |e: &Event| matches!(e, Event::SignInFailed { person: Some(_) });
    assert!(crate::town::entries(&town).await.iter().any(|entry| event(&entry.event)), "a failed sign-in is recorded");
}
