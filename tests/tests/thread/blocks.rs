//! Route B on real data, mixed with route A in one job, over two inputs; its cost, its
//! tick and its replay.

use std::collections::BTreeSet;

use sluice::demo::city::password;
use sluice_domain::candidate::{CellValue, Route};
use sluice_service::{Guests, Replayed};

use crate::{
    raw,
    town::{Town, guest, randhie},
};

/// At zero coefficients the guest's `gradient` of `const` is the mean of visits less one.
const JOB: &str = r#"
[job]
name = "blocks"
agreement = "insurance-pricing-2026"
scenario = "insurance-pricing"
guest = "poisson_visits.wasm"
profile = "reproducible"

[inputs.claims]
sql = "SELECT coins, female, mdvis FROM claims"

[inputs.years]
sql = "SELECT year FROM claims WHERE year = 1"

[[table]]
name = "units"
route = "A"
dimensions = [{ name = "term", codes = ["const", "coins", "female"] }]
measures = { gradient = { sum = [-12, 12], grid = 10 }, h_coins = { sum = [0, 8] }, h_const = { sum = [0, 8] }, h_female = { sum = [0, 8] } }
keys_per_unit = 3
rho = 0.01

[[table]]
name = "blocks"
route = "B"
dimensions = [{ name = "term", codes = ["const", "coins", "female", "nobody"] }]
measures = { gradient = { range = [-10, 10], grid = 10 }, h_coins = { range = [0, 8] }, h_const = { range = [0, 8] }, h_female = { range = [0, 8] } }
blocks = 800
rho = 0.035

[product]
title = "分块"
form = "data-report"

[limits]
wall_seconds = 60
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_noised_mean_over_blocks_is_within_its_declared_error() {
    let town = Town::start().await;
    let city = &town.city;
    let wasm = guest("poisson_visits.wasm");
    let (_, run) = town.run(JOB, Some(&wasm)).await;
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    let table = &bench.candidate.tables[1];
    assert_eq!((table.route, table.cells.len()), (Route::B, 4));
    let error = table.measures[0].error_95.unwrap();
    assert!(error < 1.0, "{error}");
    let number = |cell: usize| match &table.cells[cell].value {
        CellValue::Published(numbers) => numbers[0].unwrap(),
        CellValue::Withheld(_) => panic!("noised cells are published"),
    };
    let rows = raw::rows(&randhie());
    let mean = rows.iter().map(|r| raw::float(r, "mdvis")).sum::<f64>() / rows.len() as f64;
    // Blocks differ in size and a few are clamped: 0.2 beside five standard deviations.
    assert!((number(0) - (mean - 1.0)).abs() < 0.2 + 2.6 * error, "{} against {}", number(0), mean - 1.0);
    // A key that no block answers is the middle of its range.
    assert!(number(3).abs() < 2.6 * error, "{}", number(3));
    assert_eq!(city.service.replay(&run).await.unwrap(), Replayed::Same);
}

#[tokio::test(flavor = "multi_thread")]
async fn cost_tick_and_lines_are_known_before_submission() {
    let town = Town::start().await;
    let city = &town.city;
    let wasm = guest("poisson_visits.wasm");
    let guests = Guests { inner: Some(&wasm), ..Guests::default() };
    let contract = city.service.quote(&city.operator, JOB, &guests).await.unwrap();
    assert!((contract.rho - 0.045).abs() < 1e-12);
    let persons: BTreeSet<i64> = raw::rows(&randhie()).iter().map(|r| raw::int(r, "zper")).collect();
    let units = persons.len() as f64;
    let micros = 2.0 * units * 200.0 + (units + 800.0) * 2_000.0 / 2.0;
    assert_eq!(f64::from(contract.tick_seconds), 8.0 + (micros / 1e6).ceil());

    let refused = |from: &str, to: &str| {
        let (job, wasm, from) = (JOB.replace(from, to), wasm.clone(), from.to_owned());
        assert_ne!(job, JOB, "{from}");
        async move {
            let guests = Guests { inner: Some(&wasm), ..Guests::default() };
            let no = city.service.submit_with(&city.operator, password(), &job, &guests).await.unwrap_err();
            (no.code, no.place.map(String::from).unwrap_or_default())
        }
    };
    let (code, place) = refused("wall_seconds = 60", "wall_seconds = 60\nfuel = 100_000_000").await;
    assert_eq!((code, place.as_str()), ("job.tick", "line 36, column 1: limits.wall_seconds"));
    let (code, place) = refused("rho = 0.035", "rho = 0.045").await;
    assert_eq!((code, place.starts_with("line")), ("job.rho", true), "the sum is beyond a product's: {place}");
    let (code, place) = refused("blocks = 800", "blocks = 1").await;
    assert_eq!((code, place.as_str()), ("job.blocks", "line 28, column 1: table.blocks.blocks"));
    let (code, _) = refused("range = [-10, 10]", "range = [1, 1]").await;
    assert_eq!(code, "job.clamp");
    let (code, _) = refused("wall_seconds = 60", "stack_kib = 100_000").await;
    assert_eq!(code, "job.limits");
}
