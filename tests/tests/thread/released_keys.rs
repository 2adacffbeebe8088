//! What the noise can do beside sums over declared keys, end to end on real data: keys
//! that nobody declared, private medians over blocks, margins that add up, Laplace
//! noise, and what all of it costs.

use sluice::demo::city::password;
use sluice_domain::{
    candidate::{CandidateTable, CellValue, Made},
    catalogue::Key,
};
use sluice_gate::noise::account::Cost;
use sluice_service::{Guests, Receipt, Replayed, verify_receipt};

use crate::{
    raw,
    town::{SPENDING_CHANGE, Town, guest, randhie},
};

/// Keys unknown; a person of group 0 puts out 0, everybody else their own number.
fn unknown() -> String {
    let job = SPENDING_CHANGE
        .replace("year, coins, meddol", "year, CASE WHEN coins = 0 THEN 0 ELSE zper END AS coins, meddol")
        .replace(
            "dimensions = [\"coins\"]",
            "keys = \"unknown\"\nkey = { name = \"coins\", type = \"int\" }\ndelta = 1e-9",
        )
        .replace("shares = { rose_share = [\"rose\", \"persons\"] }\n", "");
    assert!(job.contains("unknown") && job.contains("CASE") && !job.contains("shares"));
    job
}

fn numbers(table: &CandidateTable, cell: usize) -> Vec<f64> {
    match &table.cells[cell].value {
        CellValue::Published(numbers) => numbers.iter().map(|n| n.unwrap()).collect(),
        CellValue::Withheld(_) => panic!("noised cells are published"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_many_is_released_and_a_key_of_one_never() {
    let town = Town::start().await;
    let product = town.product(&unknown(), Some(&guest("spending_change.wasm"))).await;
    let page = town.city.service.product(&town.city.operator, &product).await.unwrap();
    let table = &page.tables[0];
    let keys: Vec<_> = table.cells.iter().map(|c| c.key.clone()).collect();
    assert_eq!(keys, [[Some(Key::Int(0))]], "thousands of other keys have one person each");
    let Some(Made::AboveThreshold { tau }) = table.measures[0].made else { panic!("units stand first") };
    let of_zero: std::collections::BTreeSet<i64> =
        raw::rows(&randhie()).iter().filter(|r| raw::int(r, "coins") == 0).map(|r| raw::int(r, "zper")).collect();
    let error = table.measures[0].error_95.unwrap();
    let units = numbers(table, 0)[0];
    assert!(units > tau as f64 && (units - of_zero.len() as f64).abs() < 0.1 * units + 3.0 * error, "{units}");

    let state = town.city.service.snapshot().await.unwrap();
    let run = state.runs().next().unwrap();
    assert_eq!((run.delta, run.charges[0].1), (1e-9, 0.02));
    assert_eq!(town.city.service.replay(&run.id).await.unwrap(), Replayed::Same);

    let folder = town.city.home.product(&product);
    let receipt: Receipt =
        verify_receipt(&std::fs::read(folder.join("receipt.json")).unwrap(), Some(&folder), None).unwrap();
    let account = &receipt.accounts[0];
    let epsilon = Cost { rho: 0.02, delta: 1e-9 }.epsilon(account.epsilon_delta).unwrap();
    assert_eq!((receipt.delta, account.rho, account.delta, account.epsilon), (1e-9, 0.02, 1e-9, Some(epsilon)));
}

#[tokio::test(flavor = "multi_thread")]
async fn margins_are_the_sums_of_their_noised_cells() {
    let town = Town::start().await;
    let job = SPENDING_CHANGE.replace("keys_per_unit = 1", "keys_per_unit = 1\nconsistent = \"adds-up\"");
    let (_, run) = town.run(&job, Some(&guest("spending_change.wasm"))).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let table = &bench.candidate.tables[0];
    let (margin, cells) = table.cells.split_last().unwrap();
    assert!(margin.key == [None] && cells.iter().all(|c| c.key[0].is_some()) && cells.len() > 2);
    let CellValue::Published(total) = &margin.value else { panic!() };
    for m in 0..2 {
        let sum: f64 = (0..cells.len())
            .map(|c| match &table.cells[c].value {
                CellValue::Published(numbers) => numbers[m].unwrap(),
                CellValue::Withheld(_) => panic!(),
            })
            .sum();
        assert_eq!(total[m], Some(sum));
        assert_eq!(table.measures[m].made, Some(Made::AddsUp));
        let (wide, one) = (table.error_95(margin, m).unwrap(), table.measures[m].sigma.unwrap());
        assert!((wide / one - (2.0 * 40f64.ln()).sqrt() * (cells.len() as f64).sqrt()).abs() < 1e-9, "{wide} {one}");
    }
    assert!(total[2..].iter().all(Option::is_none), "a margin has no share");
}

/// The guest's `gradient` of `const` at zero coefficients is the mean of visits less one.
fn median(blocks: u32) -> String {
    format!(
        r#"
[job]
name = "median"
agreement = "insurance-pricing-2026"
scenario = "insurance-pricing"
guest = "poisson_visits.wasm"

[inputs.claims]
sql = "SELECT coins, female, mdvis FROM claims"

[inputs.years]
sql = "SELECT year FROM claims WHERE year = 1"

[[table]]
name = "median"
route = "B"
combine = "median"
dimensions = [{{ name = "term", codes = ["const"] }}]
measures = {{ gradient = {{ range = [-10, 10], grid = 10 }}, h_coins = {{ range = [0, 8] }}, h_const = {{ range = [0, 8] }}, h_female = {{ range = [0, 8] }} }}
blocks = {blocks}
rho = 0.05

[product]
title = "中位数"
form = "data-report"

[limits]
wall_seconds = 60
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_median_lies_amid_the_answers_of_blocks_and_too_few_blocks_are_refused() {
    let town = Town::start().await;
    let (city, wasm) = (&town.city, guest("poisson_visits.wasm"));
    let guests = Guests { inner: Some(&wasm), ..Guests::default() };
    let no = city.service.submit_with(&city.operator, password(), &median(100), &guests).await.unwrap_err();
    assert_eq!(no.code, "gate.blocks");
    assert!(no.cause.en.contains("at least") && no.place.is_some());
    let (_, run) = town.run(&median(600), Some(&wasm)).await;
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    let table = &bench.candidate.tables[0];
    let Some(Made::Median { blocks: 600, rank_error_95 }) = table.measures[0].made else { panic!() };
    assert!(rank_error_95 < 150.0);
    // Blocks of our own, dealt by the person's number: their means have the same law.
    let mut dealt = vec![(0.0, 0.0); 600];
    for row in raw::rows(&randhie()) {
        let mixed = (raw::int(&row, "zper") as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let block = &mut dealt[(mixed % 600) as usize];
        *block = (block.0 + raw::float(&row, "mdvis"), block.1 + 1.0);
    }
    let mut means: Vec<f64> = dealt.iter().filter(|b| b.1 > 0.0).map(|b| b.0 / b.1 - 1.0).collect();
    means.sort_by(f64::total_cmp);
    let value = numbers(table, 0)[0];
    let below = means.iter().filter(|x| **x < value).count() as f64;
    assert!((below - 300.0).abs() < 3.0 * rank_error_95.clamp(50.0, 90.0), "{value}: {below} of 600 below");
    assert_eq!(city.service.replay(&run).await.unwrap(), Replayed::Same);
}

#[tokio::test(flavor = "multi_thread")]
async fn laplace_noise_goes_all_the_way() {
    let town = Town::start().await;
    let job = SPENDING_CHANGE
        .replace("keys_per_unit = 1", "keys_per_unit = 1\nnoise = \"laplace\"\nconsistent = \"non-negative\"");
    let (_, run) = town.run(&job, Some(&guest("spending_change.wasm"))).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let table = &bench.candidate.tables[0];
    // s = Δ₁/√(2ρ) = 2/0.2 = 10, σ = s·√2 up to the lattice.
    assert!((table.measures[0].sigma.unwrap() / (10.0 * 2f64.sqrt()) - 1.0).abs() < 0.01);
    assert!((0..table.cells.len()).all(|c| numbers(table, c)[..2].iter().all(|x| *x >= 0.0)));
    assert_eq!(table.measures[0].made, Some(Made::NonNegative));
}

#[tokio::test(flavor = "multi_thread")]
async fn allotments_beyond_the_roots_year_are_not_signed() {
    let town = Town::start().await;
    let toml = include_str!("../../../guest-examples/domain/insurance-pricing-2026.toml");
    let second = |rho: &str, from: &str| {
        toml.replace("id = \"insurance-pricing-2026\"", "id = \"second\"")
            .replace("rho_per_year = 0.25", &format!("rho_per_year = {rho}"))
            .replace("2026-01-01", from)
            .replace("2028-12-31", &from.replace("01-01", "12-31"))
    };
    let service = &town.city.service;
    let no = service.sign_agreement(&town.city.bureau, &second("0.3", "2028-01-01")).await.unwrap_err();
    assert_eq!(no.code, "agreement.allotment");
    // The year after the first has ended, all of the budget is there.
    service.sign_agreement(&town.city.bureau, &second("0.3", "2029-01-01")).await.unwrap();
}
