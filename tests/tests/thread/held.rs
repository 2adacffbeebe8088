//! Route D on real data: a tree straight from person rows, from the agreement that allows
//! it to the released product, and what stops it on the way.

use parquet::record::Row;
use sluice::demo::city::password;
use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue, Reason, Route},
    id::{JobId, RunId},
};
use sluice_service::{Part, Replayed, RunEnd, pages::Weight, verify_receipt};

use crate::{
    raw,
    town::{Town, VISITS_REPORT, guest, patient, randhie},
};

const VISITS_TREE: &str = include_str!("../../../guest-examples/visits-tree/job.toml");
const MODELS: &str = include_str!("../../../guest-examples/domain/insurance-models-2026.toml");

/// A town with the agreement that allows models.
async fn town() -> Town {
    let town = Town::start().await;
    town.city.service.sign_agreement(&town.city.bureau, MODELS).await.unwrap();
    town
}

async fn submit(town: &Town, job: &str) -> Result<JobId, Refusal> {
    let wasm = guest("visits_tree.wasm");
    town.city.service.submit(&town.city.operator, password(), job, Some(&wasm)).await
}

/// How a run of `job` ended, by the bureau's code where it is void.
async fn ended(town: &Town, job: &str) -> (JobId, RunId, Option<String>) {
    let job = submit(town, &patient(job)).await.unwrap();
    let (run, end) = town.city.service.run(&job).await.unwrap();
    let state = town.city.service.snapshot().await.unwrap();
    let code = state.run(&run).unwrap().void.clone();
    assert_eq!(code.is_some(), end == RunEnd::Void);
    (job, run, code)
}

/// Each node: feature, left, right, threshold, value.
fn nodes(table: &CandidateTable) -> Vec<Vec<f64>> {
    let numbers = |value: &CellValue| match value {
        CellValue::Published(numbers) => numbers.iter().map(|n| n.unwrap()).collect(),
        CellValue::Withheld(_) => panic!("a held table is whole"),
    };
    table.cells.iter().map(|cell| numbers(&cell.value)).collect()
}

/// What the tree says of a row.
fn told(nodes: &[Vec<f64>], row: &Row) -> f64 {
    let mut at = 0;
    while nodes[at][0] >= 0.0 {
        let feature = raw::int(row, ["coins", "female", "site", "year"][nodes[at][0] as usize]) as f64;
        at = nodes[at][if feature <= nodes[at][3] { 1 } else { 2 }] as usize;
    }
    nodes[at][4]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_tree_reaches_its_reviewers_and_goes_out_with_two_votes() {
    let town = town().await;
    let city = &town.city;
    let (job, run) = town.run_soon(VISITS_TREE, Some(&guest("visits_tree.wasm"))).await;
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    let table = &bench.candidate.tables[0];
    assert_eq!((table.route, table.cells.len(), table.measures.len()), (Route::D, 15, 5));
    assert!(bench.findings[0].weight == Weight::Risk && bench.findings[0].text.en.contains("NO privacy guarantee"));
    assert!(bench.said[0].table.en.contains("no privacy guarantee"));
    assert!(bench.charges.is_empty());

    // What the tree says of everybody is on average what there is, but for its grid.
    let (rows, nodes) = (raw::rows(&randhie()), nodes(table));
    let mean = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    let (told, true_mean) = (mean(&|row| told(&nodes, row)), mean(&|row| raw::float(row, "mdvis")));
    assert!((told - true_mean).abs() <= 0.005, "{told} against {true_mean}");
    assert!(nodes.iter().filter(|node| node[0] >= 0.0).count() >= 3, "{nodes:?}");

    assert_eq!(city.service.replay(&run).await.unwrap(), Replayed::Same);
    city.approve(&run).await.unwrap();
    let product = city.released(&job, &run).await.unwrap();
    let csv = std::fs::read_to_string(city.home.product(&product).join("tree.csv")).unwrap();
    assert!(csv.starts_with("node,feature,left,right,threshold,value,status,made_by"), "{csv}");
    assert!(csv.lines().count() == 16 && csv.contains("route-D"), "{csv}");
    let folder = city.home.product(&product);
    let receipt = verify_receipt(&std::fs::read(folder.join("receipt.json")).unwrap(), Some(&folder), None).unwrap();
    let told = city.service.rederive(&city.auditor, &receipt).await.unwrap();
    assert!(told.iter().any(|t| t.part == Part::RouteD), "{told:?}");
    assert!(told.iter().all(|t| t.outcome == Replayed::Same), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_that_says_nothing_refuses_route_d() {
    let town = town().await;
    let other = VISITS_TREE
        .replace("insurance-models-2026", "insurance-pricing-2026")
        .replace("insurance-models", "insurance-pricing");
    let refusal = submit(&town, &other).await.unwrap_err();
    assert_eq!((refusal.code, refusal.place.as_deref()), ("job.held", Some("line 14, column 1: table.tree.route")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_route_d_cannot_be_is_refused_before_any_data_is_read() {
    let town = town().await;
    for (from, to, code) in [
        ("kind = \"tree\"", "kind = \"knn\"", "job.model-kind"),
        ("kind = \"tree\"", "kind = \"svm\"", "job.model-kind"),
        ("kind = \"tree\"", "kind = \"linear\"", "job.model"),
        ("outcome = \"mdvis\"", "outcome = \"coins\"", "job.model"),
        ("nodes = 15", "nodes = 999", "job.model"),
        // Weights as storage: a grid so fine that a person fits in.
        ("grid = 100\n", "grid = 1_000_000_000_000\n", "job.form"),
        ("range = [0, 100]\ngrid = 100", "range = [-1_000_000, 1_000_000]\ngrid = 4_000_000_000", "job.capacity"),
        (
            "[product]",
            "[[table]]\nname = \"c\"\nroute = \"C\"\nsql = \"SELECT year, count(*) FROM claims GROUP BY year\"\n[product]",
            "job.held-alone",
        ),
        ("title = ", "mark = { rounding = 5 }\ntitle = ", "job.held-alone"),
        ("fuel = 25_000_000", "fuel = 2_500_000_000", "job.tick"),
    ] {
        let job = VISITS_TREE.replace(from, to);
        assert_ne!(job, VISITS_TREE, "{from}");
        assert_eq!(submit(&town, &job).await.unwrap_err().code, code, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_outside_the_contract_voids_the_run_and_the_operator_sees_one_word() {
    let town = town().await;
    // The tree splits coinsurance at 25 or more, beyond what this contract allows.
    let (job, _, code) = ended(&town, &VISITS_TREE.replace("{ range = [0, 100] }", "{ range = [0, 1] }")).await;
    assert_eq!(code.as_deref(), Some("gate.held-answer"));
    // Keys that are not declared.
    let (_, _, code) = ended(&town, &VISITS_TREE.replace("nodes = 15", "nodes = 7")).await;
    assert_eq!(code.as_deref(), Some("gate.held-answer"));
    let city = &town.city;
    let seen = city.service.inbox(&city.operator).await.unwrap();
    let seen = seen.jobs.iter().find(|j| j.job == job).unwrap();
    assert!(!seen.holder.en.contains("held") && seen.comments.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_table_that_is_no_model_has_cells_of_its_contract() {
    let town = town().await;
    let (model, rest) = (VISITS_TREE.find("[table.model]").unwrap(), VISITS_TREE.find("[product]").unwrap());
    let codes = (0..20).map(|code| code.to_string()).collect::<Vec<_>>().join(", ");
    let table = format!(
        "dimensions = [{{ name = \"node\", codes = [{codes}] }}]\n[table.measures]\nfeature = {{ range = [-1, 3] }}\nleft = {{ range = [-1, 14] }}\nright = {{ range = [-1, 14] }}\nthreshold = {{ range = [0, 100] }}\nvalue = {{ range = [0, 100] }}\n\n"
    );
    let (_, run, code) = ended(&town, &format!("{}{table}{}", &VISITS_TREE[..model], &VISITS_TREE[rest..])).await;
    assert_eq!(code, None);
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let missing = |value: &CellValue| matches!(value, CellValue::Published(n) if n.iter().all(Option::is_none));
    // Five of the twenty keys have no answer.
    assert_eq!(bench.candidate.tables[0].cells.iter().filter(|c| missing(&c.value)).count(), 5);
}

/// What a table of route C says of everybody's visits.
const TOTAL: &str = "SELECT coins, sum(mdvis) AS visits FROM claims GROUP BY coins";

/// Runs a table of route C with its margin, and hands that back.
async fn total(town: &Town) -> CellValue {
    let (head, rest) = (VISITS_REPORT.split("[[table]]").next().unwrap(), VISITS_REPORT.find("[product]").unwrap());
    let table = format!("[[table]]\nname = \"t\"\nroute = \"C\"\nsql = \"{TOTAL}\"\ntotals = \"true\"\n\n");
    let (_, run) = town.run(&format!("{head}{table}{}", &VISITS_REPORT[rest..]), None).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let cells = bench.candidate.tables[0].cells.iter();
    cells.filter(|cell| cell.key == [None]).map(|cell| cell.value.clone()).next().unwrap()
}

/// The tree of everybody but two people's fifth year.
fn but_two() -> String {
    let few = "FROM claims WHERE coins <> 50 OR site <> 6 OR female <> 1 OR year <> 5\"";
    let job = VISITS_TREE.replace("FROM claims\"", few);
    assert_ne!(job, VISITS_TREE);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_of_route_c_and_a_product_of_nearly_its_people_do_not_both_come_about() {
    // The total first: the tree of all but two of its people would show them.
    let town = town().await;
    assert!(matches!(total(&town).await, CellValue::Published(_)));
    assert_eq!(ended(&town, &but_two()).await.2.as_deref(), Some("gate.held-history"));
    assert_eq!(ended(&town, VISITS_TREE).await.2, None, "the very same people may be asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_after_a_product_of_nearly_its_people_is_withheld() {
    let town = town().await;
    assert_eq!(ended(&town, &but_two()).await.2, None);
    let total = total(&town).await;
    assert!(matches!(&total, CellValue::Withheld(why) if why.contains(&Reason::Differencing)), "{total:?}");
}

/// A tree that may have any leaf, over the visits themselves: its ends are people.
#[tokio::test(flavor = "multi_thread")]
async fn attack_36_a_tree_that_is_a_list_of_people() {
    let town = town().await;
    let sql = "SELECT coins, female, site, year, mdvis FROM claims";
    let few = "SELECT coins, female, site, mdvis AS year, mdvis FROM claims WHERE coins = 50 AND year = 5";
    let overfit = VISITS_TREE.replace(sql, few).replace("[product]", "[params]\nleaf_rows = \"1\"\n\n[product]");
    let (_, _, code) = ended(&town, &overfit).await;
    assert_eq!(code.as_deref(), Some("gate.model-leaf"));
    // The same rows, in leaves of a hundred.
    let honest = overfit.replace("leaf_rows = \"1\"", "leaf_rows = \"60\"");
    assert_eq!(ended(&town, &honest).await.2, None);
}

/// Every cell a weight, and in the weights whatever one likes.
#[tokio::test(flavor = "multi_thread")]
async fn attack_37_weights_that_hold_a_file() {
    let town = town().await;
    let model = VISITS_TREE.find("[table.model]").unwrap();
    let rest = VISITS_TREE.find("[product]").unwrap();
    let weights = |count: u32| {
        let codes: Vec<String> = (0..count).map(|code| code.to_string()).collect();
        let table = format!(
            "dimensions = [{{ name = \"weight\", codes = [{}] }}]\nmeasures = {{ w = {{ range = [-1000, 1000], grid = 1000 }} }}\n\n",
            codes.join(", ")
        );
        format!("{}{table}{}", &VISITS_TREE[..model], &VISITS_TREE[rest..])
    };
    let refusal = submit(&town, &weights(64)).await.unwrap_err();
    assert_eq!(refusal.code, "job.capacity");
    assert!(refusal.cause.en.contains("can hold 1340 bits, route D at most 1024"), "{refusal:?}");
    submit(&town, &weights(48)).await.unwrap();
}

/// Attack 97. What one product may not hold comes in several: the reviewers of each read the sum.
#[tokio::test(flavor = "multi_thread")]
async fn attack_97_what_several_products_can_hold_is_summed_for_the_reviewers() {
    let town = town().await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let (_, run, _) = ended(&town, VISITS_TREE).await;
        let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
        let found = bench.findings.iter().find(|f| f.text.en.contains("products of route D on these data")).unwrap();
        let numbers = found.text.en.split(' ').filter_map(|word| word.parse::<f64>().ok());
        told.push((found.weight == Weight::Risk, numbers.collect::<Vec<_>>()));
    }
    let [(first, one), (_, _), (third, three)] = &told[..] else { panic!("three runs") };
    assert!(one[0] == 1.0 && three[0] == 3.0 && (three[1] - 3.0 * one[1]).abs() <= 2.0, "{told:?}");
    assert!(!first && *third == (three[1] > 1024.0), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_products_of_nearly_the_same_people_do_not_both_come_about() {
    let town = town().await;
    assert_eq!(ended(&town, VISITS_TREE).await.2, None);
    // Two people fewer; two people's fifth year fewer would be as bad.
    let all = "FROM claims\"";
    for (but, code) in [
        ("coins <> 50 OR site <> 6 OR female <> 1 OR year <> 5", Some("gate.held-history")),
        ("year < 5", None),
        ("TRUE", None),
    ] {
        let job = VISITS_TREE.replace(all, &format!("FROM claims WHERE {but}\""));
        assert_ne!(job, VISITS_TREE);
        assert_eq!(ended(&town, &job).await.2.as_deref(), code, "{but}");
    }
}
