//! Rounds and the outer room on real data: a Poisson regression by noised Newton
//! steps against the exact fit, and a report composed of cleared cells.

use sluice::demo::city::password;
use sluice_domain::{
    artefact::{Content, Report},
    id::RunId,
};
use sluice_service::{Guests, Replayed, RunEnd};

use crate::{
    raw,
    town::{Town, guest, patient, randhie},
};

const POISSON: &str = include_str!("../../../guest-examples/poisson-visits/job.toml");
const REPORT: &str = include_str!("../../../guest-examples/visits-report/report.toml");

async fn run(town: &Town, job: &str, guests: &Guests<'_>) -> RunId {
    let city = &town.city;
    let job = city.service.submit_with(&city.operator, password(), job, guests).await.unwrap();
    let (run, end) = city.service.run(&job).await.unwrap();
    assert_eq!(end, RunEnd::InReview);
    run
}

/// The same estimating equation without clamps and noise: persons weigh alike.
fn exact_fit() -> [f64; 3] {
    let mut persons = std::collections::BTreeMap::<i64, Vec<([f64; 3], f64)>>::new();
    for r in raw::rows(&randhie()) {
        let x = [1.0, raw::float(&r, "coins") / 100.0, raw::float(&r, "female")];
        persons.entry(raw::int(&r, "zper")).or_default().push((x, raw::float(&r, "mdvis")));
    }
    let mut beta = [1.0, 0.0, 0.0];
    for _ in 0..30 {
        let (mut g, mut h) = ([0.0; 3], [[0.0; 3]; 3]);
        for years in persons.values() {
            for (x, y) in years {
                let rate = (0..3).map(|i| beta[i] * x[i]).sum::<f64>().exp();
                for i in 0..3 {
                    g[i] += (y - rate) * x[i] / years.len() as f64;
                    for j in 0..3 {
                        h[i][j] += rate * x[i] * x[j] / years.len() as f64;
                    }
                }
            }
        }
        let step = solve(h, g);
        (0..3).for_each(|i| beta[i] += step[i]);
    }
    beta
}

/// Gauss elimination; the guest uses Cramer's rule.
fn solve(mut m: [[f64; 3]; 3], mut v: [f64; 3]) -> [f64; 3] {
    for p in 0..3 {
        for row in 0..3 {
            if row != p {
                let f = m[row][p] / m[p][p];
                (0..3).for_each(|c| m[row][c] -= f * m[p][c]);
                v[row] -= f * v[p];
            }
        }
    }
    [0, 1, 2].map(|i| v[i] / m[i][i])
}

#[tokio::test(flavor = "multi_thread")]
async fn poisson_rounds_come_near_the_exact_fit_and_replay() {
    let town = Town::start().await;
    let wasm = guest("poisson_visits.wasm");
    let guests = Guests { inner: Some(&wasm), updates: Some(&wasm), composes: Some(&wasm) };
    let run = run(&town, &patient(POISSON), &guests).await;
    let city = &town.city;

    let state = city.service.snapshot().await.unwrap();
    let record = state.run(&run).unwrap();
    assert_eq!(record.rounds.len(), 5, "every round but the last is sealed");
    assert!(record.charges.iter().all(|(_, rho)| (rho - 6.0 * 0.008).abs() < 1e-12), "every round is charged");

    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    let Report::Composed(artefacts) = &bench.candidate.report else { panic!("a report: {:?}", bench.candidate.report) };
    let Content::Text(text) = &artefacts[0].content else { panic!("a text") };
    let fit: Vec<f64> = text.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    let exact = exact_fit();
    println!("term    noised   exact");
    for (i, term) in ["const", "coins", "female"].iter().enumerate() {
        println!("{term:7} {:7.4} {:7.4}", fit[i], exact[i]);
        // The clamp's bias is below 0.1; the noise of a mean of three rounds about 0.1.
        assert!((fit[i] - exact[i]).abs() < 0.45, "{term}: {} against {}", fit[i], exact[i]);
    }
    assert_eq!(city.service.replay(&run).await.unwrap(), Replayed::Same);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_composed_of_cleared_cells_voted_on_and_delivered() {
    let town = Town::start().await;
    let city = &town.city;
    let wasm = guest("visits_report.wasm");
    let guests = Guests { composes: Some(&wasm), ..Guests::default() };
    let toml = town.soon(REPORT);
    let without = city.service.submit_with(&city.operator, password(), &toml, &Guests::default()).await;
    assert_eq!(without.unwrap_err().code, "job.guest");
    let run = run(&town, &toml, &guests).await;
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    assert_eq!(bench.artefacts.len(), 2);
    assert!(bench.artefacts[0].text.starts_with("各方案每人年门诊次数"), "{}", bench.artefacts[0].text);
    assert!(bench.artefacts[1].svg.as_deref().unwrap().contains("方案 3"));

    city.approve(&run).await.unwrap();
    let job = city.service.snapshot().await.unwrap().run(&run).unwrap().job.clone();
    let product = city.released(&job, &run).await.unwrap();
    let folder = city.home.product(&product);
    let delivered = std::fs::read_to_string(folder.join("summary.txt")).unwrap();
    assert_eq!(delivered, bench.artefacts[0].text);
    assert!(folder.join("visits-per-year.chart.json").exists());
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(html.contains("每人年次数") && html.contains("summary.txt"));
}

/// An outer guest that fails costs its report and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_outer_guest_that_fails_leaves_the_tables_alone() {
    let town = Town::start().await;
    let wasm = guest("visits_report.wasm");
    let guests = Guests { composes: Some(&wasm), ..Guests::default() };
    // The guest looks for another table's name.
    let job = REPORT.replace("visits-by-plan", "visits-by-scheme");
    let run = run(&town, &patient(&job), &guests).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    assert_eq!(bench.candidate.report, Report::Failed);
    assert_eq!(bench.candidate.tables.len(), 2);
    assert!(bench.findings.iter().any(|f| f.text.en.contains("composed no report")));
}
