//! What reviewers are told where Sluice has reached a line of its own: places of withheld
//! cells that have told more than the alert, and a comparison with history that was too
//! much work to finish.

use sluice::demo::city::{AGREEMENT, CATALOGUE};
use sluice_domain::{
    candidate::{Cell, CellValue},
    id::RunId,
};
use sluice_service::pages::{Finding, Weight, Workbench};

use crate::town::{Town, randhie};

/// Runs a job of one table, which must reach its reviewers.
async fn bench(town: &Town, name: &str, sql: &str) -> (RunId, Workbench) {
    let job = format!(
        "[job]\nname = \"{name}\"\nagreement = \"insurance-pricing-2026\"\nscenario = \"insurance-pricing\"\n\
         [[table]]\nname = \"t\"\nroute = \"C\"\nsql = \"{sql}\"\n\
         [product]\ntitle = \"t\"\nform = \"data-report\"\nrecipients = [\"ning-an-insurance\"]\nmark = \"none\"\n"
    );
    let (_, run) = town.run(&job, None).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    (run, bench)
}

/// The finding that says this, and whether every one before it is as grave.
fn found<'a>(bench: &'a Workbench, words: &str) -> Option<(&'a Finding, bool)> {
    let at = bench.findings.iter().position(|f| f.text.en.contains(words))?;
    let first = bench.findings.iter().take(at).all(|f| f.weight <= bench.findings[at].weight);
    Some((&bench.findings[at], first))
}

#[tokio::test(flavor = "multi_thread")]
async fn withheld_places_that_told_too_much_alert_the_reviewers() {
    let town = Town::start().await;
    let sparse = "SELECT plan, year, site, count(*) AS n FROM claims GROUP BY plan, year, site";
    let told = "in this operator's runs have told";
    let (_, first) = bench(&town, "first", sparse).await;
    // 540 places of which about half are withheld: nearly a bit for each.
    let bits = first.bits;
    assert!(bits.pattern > 450.0 && bits.pattern < bits.pattern_alert && bits.pattern_alert == 1000.0, "{bits:?}");
    assert_eq!(found(&first, told).unwrap().0.weight, Weight::Note);

    let (_, second) = bench(&town, "second", sparse).await;
    assert!(second.bits.pattern > second.bits.pattern_alert, "both runs count: {:?}", second.bits);
    let (finding, first) = found(&second, told).unwrap();
    assert!(finding.weight == Weight::Risk && first, "read before what is less grave");
    let sum = format!("at most {:.0} bits (alert at 1000)", second.bits.pattern);
    assert!(finding.text.en.contains(&sum) && finding.text.zh.contains("提醒线 1000"), "{}", finding.text.en);
}

/// Age in eight bands, beside plan, year, site and sex: more kinds of people than the
/// comparison takes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_that_was_not_finished_goes_to_a_person() {
    let column = "name = \"xage\"\ntitle = \"年龄\"\ntype = \"float\"\nlevel = \"L3\"\n";
    let binned = format!(
        "{column}[[column.binning]]\nname = \"age_band\"\ntitle = \"年龄段\"\nedges = [6, 12, 18, 25, 35, 45, 55]\n\
         labels = [\"0-5\", \"6-11\", \"12-17\", \"18-24\", \"25-34\", \"35-44\", \"45-54\", \"55+\"]\n"
    );
    let catalogue = CATALOGUE.replace(column, &binned);
    let agreement = AGREEMENT.replace("[view.claims.masks]\nxage = \"drop\"\n", "");
    assert!(catalogue != CATALOGUE && agreement != AGREEMENT);
    let town = Town::with(&randhie(), &catalogue, &agreement).await;

    let unfinished = "reached its work limit";
    let by = |dimensions: &str| format!("SELECT {dimensions}, count(*) AS n FROM claims GROUP BY {dimensions}");
    let (_, first) = bench(&town, "plans", &by("plan, year")).await;
    assert!(found(&first, unfinished).is_none(), "there is nothing to compare it with");
    bench(&town, "sites", &by("site, female")).await;
    let (run, last) = bench(&town, "ages", &by("age_band")).await;
    let (finding, before_all) = found(&last, unfinished).unwrap();
    assert!(finding.weight == Weight::Risk && before_all, "{}", finding.text.en);
    // Every cell that it would publish is one for a person.
    let published = |cell: &&Cell| matches!(cell.value, CellValue::Published(_));
    let cells = last.candidate.tables[0].cells.iter().filter(published).count();
    let (finding, _) = found(&last, "a person must judge").unwrap();
    let all = cells == 8 && finding.text.en.starts_with("8 cells");
    assert!(finding.weight == Weight::Risk && all, "{}", finding.text.en);
    // It is no refusal: two people let it out.
    town.city.approve(&run).await.unwrap();
}
