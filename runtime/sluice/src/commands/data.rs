//! `sluice data`, `sluice agreement`.

use anyhow::Context as _;
use sluice_domain::text;

use super::{Failure, open_as, read_text};
use crate::{
    args::{AgreementCommand, DataCommand, SchemaArgs},
    output::Output,
};

pub(super) async fn data(command: DataCommand, output: &Output) -> Result<(), Failure> {
    let (actor, catalogue, source) = match command {
        DataCommand::Ingest { actor, catalogue, source } => (actor, catalogue, source),
        DataCommand::Schema(args) => return schema(args, output).await,
    };
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

/// Writes the files that an author's `sluice guest try` takes.
async fn schema(args: SchemaArgs, output: &Output) -> Result<(), Failure> {
    let (service, who) = open_as(&args.actor).await?;
    let files = service.published_schema(&who, &args.agreement).await?;
    let mut written = Vec::new();
    for file in &files {
        let path = args.out.join(&file.name);
        let wrote = std::fs::create_dir_all(&args.out).and_then(|()| std::fs::write(&path, &file.toml));
        wrote.with_context(|| path.display().to_string())?;
        written.push(path.display().to_string());
    }
    output.say(&text(
        "交给作者：放在 job.toml 旁的 schema 文件夹中，即可 sluice guest try",
        "for the author: put the folder beside job.toml as `schema`, then `sluice guest try`",
    ));
    output.data(&serde_json::json!({ "files": written }), &written.join("\n"));
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
