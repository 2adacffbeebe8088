//! `sluice data`, `sluice agreement`.

use sluice_domain::text;

use super::{Failure, open_as, read_text};
use crate::{
    args::{AgreementCommand, DataCommand},
    output::Output,
};

pub(super) async fn data(command: DataCommand, output: &Output) -> Result<(), Failure> {
    let DataCommand::Ingest { actor, catalogue, source } = command;
    let catalogue = read_text(&catalogue)?;
    let (service, who) = open_as(&actor).await?;
    let bar = output.progress(&text("入库行数", "rows taken in"));
    let shown = bar.clone();
    let ingested = service.ingest(&who, &catalogue, &source, move |done, _| shown.set_position(done)).await;
    bar.finish_and_clear();
    let ingested = ingested?;
    output.data(
        &serde_json::json!({ "dataset": ingested.dataset, "snapshot": ingested.snapshot, "rows": ingested.rows, "roster_size": ingested.roster_size }),
        &format!("{}\t{}\t{}\t{}", ingested.dataset, ingested.snapshot, ingested.rows, ingested.roster_size),
    );
    Ok(())
}

pub(super) async fn agreement(command: AgreementCommand, output: &Output) -> Result<(), Failure> {
    let AgreementCommand::Sign { actor, file } = command;
    let toml = read_text(&file)?;
    let (service, who) = open_as(&actor).await?;
    let id = service.sign_agreement(&who, &toml).await?;
    output.data(&serde_json::json!({ "agreement": id }), id.as_str());
    Ok(())
}
