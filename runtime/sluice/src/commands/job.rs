//! `sluice job`, `sluice run`.

use std::path::Path;

use sluice_domain::{contract::JobFile, text};
use sluice_service::Replayed;

use super::{Failure, open_as, password, read_bytes, read_text};
use crate::{
    args::{JobCommand, JobFileArgs, RunCommand},
    output::Output,
};

pub(super) async fn job(command: JobCommand, output: &Output) -> Result<(), Failure> {
    match command {
        JobCommand::Quote(args) => quote(args, output).await,
        JobCommand::Submit(args) => submit(args, output).await,
        JobCommand::List { actor } => {
            let (service, who) = open_as(&actor).await?;
            let jobs = service.inbox(&who).await?.jobs;
            let rows: Vec<_> = jobs
                .iter()
                .map(|j| serde_json::json!({ "job": j.job, "name": j.name, "status": j.status.text().of(output.lang()), "holder": j.holder.of(output.lang()), "since": j.since, "tick": j.tick, "comments": j.comments, "product": j.product }))
                .collect();
            let plain: Vec<_> = jobs.iter().map(|j| format!("{}\t{}\t{}\t{}\t{}", j.job, j.name, j.status.text().of(output.lang()), j.holder.of(output.lang()), j.since)).collect();
            output.data(&rows, &plain.join("\n"));
            Ok(())
        }
    }
}

async fn quote(args: JobFileArgs, output: &Output) -> Result<(), Failure> {
    let (toml, guest) = files(&args)?;
    let (service, who) = open_as(&args.actor).await?;
    let contract = service.quote(&who, &toml, guest.as_deref()).await?;
    let plain = format!("{}\tρ = {}\t{} s", contract.digest(), contract.rho, contract.limits.wall_seconds);
    output.data(&contract, &plain);
    Ok(())
}

async fn submit(args: JobFileArgs, output: &Output) -> Result<(), Failure> {
    let (toml, guest) = files(&args)?;
    let (service, who) = open_as(&args.actor).await?;
    let job = service.submit(&who, password(&args.actor.password_file)?, &toml, guest.as_deref()).await?;
    output.say(&text(format!("已受理 {job}，正在隔离运行"), format!("{job} accepted, running in isolation")));
    service.run(&job).await?;
    // How it went is told at the release tick, the same for every answer.
    output.data(&serde_json::json!({ "job": job }), job.as_str());
    Ok(())
}

/// The job file and the guest it names, beside it unless said otherwise.
fn files(args: &JobFileArgs) -> Result<(String, Option<Vec<u8>>), Failure> {
    let toml = read_text(&args.file)?;
    let named = JobFile::parse(&toml)?.job.guest;
    let beside = args.file.parent().unwrap_or(Path::new("."));
    let path = args.guest.clone().or_else(|| named.map(|name| beside.join(name)));
    let guest = path.map(|path| read_bytes(&path)).transpose()?;
    Ok((toml, guest))
}

pub(super) async fn run(command: RunCommand, output: &Output) -> Result<(), Failure> {
    match command {
        RunCommand::Start { actor, job } => {
            let (service, who) = open_as(&actor).await?;
            service.may_run(&who, &job).await?;
            service.run(&job).await?;
            output.data(&serde_json::json!({ "job": job }), job.as_str());
        }
        RunCommand::Replay { actor, run } => {
            let (service, who) = open_as(&actor).await?;
            service.may_replay(&who).await?;
            let word = match service.replay(&run).await? {
                Replayed::Same => "same",
                Replayed::Different => "different",
            };
            output.data(&serde_json::json!({ "run": run, "pre_noise": word }), word);
        }
    }
    Ok(())
}
