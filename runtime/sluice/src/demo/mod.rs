//! `sluice demo`: one thread through the whole house, on real data. Read it top to
//! bottom: this is what Sluice does.

pub mod city;
mod leak;
pub mod pace;
mod summary;
mod tamper;

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context, anyhow};
use sluice_console::ConsoleConfig;
use sluice_domain::{decide, id::ProductId, text};
use sluice_service::RunEnd;
use sluice_worker::{Layer, LayerStatus};

use crate::{
    args::DemoArgs,
    commands::{Failure, serve},
    demo::{
        city::City,
        summary::{Refused, Summary},
    },
    output::Output,
};

/// The two honest jobs: folder under `guest-examples` and the guest they bring.
const HONEST: [(&str, &str, Option<&str>); 2] = [
    (
        "spending-change",
        include_str!("../../../../guest-examples/spending-change/job.toml"),
        Some("spending_change.wasm"),
    ),
    ("visits-report", include_str!("../../../../guest-examples/visits-report/job.toml"), None),
];

pub(crate) async fn demo(args: DemoArgs, output: &Output) -> Result<(), Failure> {
    let mut summary = Summary::default();
    isolation(output)?;

    let temporary = tempfile::tempdir().context("temporary folder")?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => {
            tempfile::Builder::new().prefix("sluice-demo-").tempdir().context("temporary folder")?.keep().join("domain")
        }
    };

    // A domain, its people, real data, an agreement.
    let started = Instant::now();
    let city = City::found(&folder, &args.data, output).await?;
    summary.took("ingest", started);

    // The honest jobs run; their candidates wait in quarantine.
    let started = Instant::now();
    let mut runs = Vec::new();
    for (name, job, guest) in HONEST {
        output.say(&text(
            format!("作业 {name}：提交、冻结合约、隔离运行"),
            format!("job {name}: submitted, contract frozen, running in isolation"),
        ));
        let guest = guest.map(|file| read_guest(&args.guests, file)).transpose()?;
        let job = city.pace.fits(job)?;
        let job = city.service.submit(&city.operator, city::password(), &job, guest.as_deref()).await?;
        let (run, end) = city.service.run(&job).await?;
        if end != RunEnd::InReview {
            return Err(anyhow!("{name}: the run is void").into());
        }
        runs.push((name, job, run));
    }
    summary.took("jobs", started);

    // An attacker with an import is refused before it is compiled.
    let peeker = read_guest(&args.guests, "peeker.wasm")?;
    match city.service.submit(&city.operator, city::password(), HONEST[0].1, Some(&peeker)).await {
        Ok(_) => return Err(anyhow!("peeker was accepted").into()),
        Err(refusal) => {
            output.line(&format!("peeker: {}", refusal.line(output.lang())));
            summary.refused.push(Refused { guest: "peeker".to_owned(), reason: refusal.code.to_owned() });
        }
    }

    // An attacker that shouts one person's spending is drowned by clamp and noise.
    let started = Instant::now();
    let attack = leak::measure(&args.data, &read_guest(&args.guests, "leaky.wasm")?, output).await?;
    let stopped = attack.holds();
    summary.attacks.push(attack);
    summary.took("attack", started);
    if !stopped {
        return Err(anyhow!("leaky's measured advantage is above the bound of the declared noise").into());
    }

    // Two reviewers, who do not belong to the operator, approve the same bytes.
    let started = Instant::now();
    let mut products = Vec::new();
    for (name, job, run) in &runs {
        city.approve(run).await?;
        let product = city.released(job, run).await?;
        output.say(&text(format!("{name} 出域：{product}"), format!("{name} released: {product}")));
        products.push(product);
    }
    summary.took("review", started);

    // The ledger verifies, and one flipped byte in a copy is found.
    let started = Instant::now();
    summary.ledger = tamper::check(&city, temporary.path(), output).await?;
    summary.took("ledger", started);
    receipts_hold(&city, &products)?;
    for product in &products {
        summary.product(&city, product).await?;
    }

    summary.print(output, &folder);
    if args.no_serve {
        return Ok(());
    }
    city::introduce(output);
    serve::serve_until_interrupted(Arc::new(city.service), ConsoleConfig::on(args.listen), output).await
}

/// Says aloud which layers of isolation stand between a guest and this host.
fn isolation(output: &Output) -> Result<(), Failure> {
    let programs = sluice_service::Programs::beside_current_exe().map_err(|e| e.refusal())?;
    for Layer { name, status } in sluice_worker::layers(&programs).map_err(|e| e.refusal())? {
        match status {
            LayerStatus::InForce => {}
            status => {
                let how = status.text();
                output.say(&text(
                    format!("注意：隔离层 {name}：{}", how.zh),
                    format!("NOTE: isolation layer {name}: {}", how.en),
                ));
            }
        }
    }
    Ok(())
}

fn read_guest(folder: &Path, file: &str) -> Result<Vec<u8>, Failure> {
    let path = folder.join(file);
    Ok(std::fs::read(&path)
        .with_context(|| format!("{}: build the guests with scripts/guests first", path.display()))?)
}

/// Every product's receipt verifies offline, with the files beside it.
fn receipts_hold(city: &City, products: &[ProductId]) -> Result<(), Failure> {
    for product in products {
        let folder = city.home.product(product);
        let receipt = std::fs::read(folder.join("receipt.json")).context("receipt")?;
        sluice_service::verify_receipt(&receipt, Some(&folder), Some(&city.key))?;
    }
    Ok(())
}

/// How long until a job's release tick.
fn until_tick(job: &sluice_domain::state::JobState) -> std::time::Duration {
    let left = decide::tick_of(job).duration_since(sluice_domain::Timestamp::now());
    left.try_into().unwrap_or_default()
}
