//! `sluice job`, `sluice run`.

use std::path::{Path, PathBuf};

use sluice_domain::{
    Lang, Text, Timestamp,
    contract::{Contract, JobFile},
    id::JobId,
    text,
};
use sluice_service::{Guests, Quote, Replayed, Service, rehearse::Preflight};

use super::{Failure, open_as, password, read_bytes, read_text};
use crate::{
    args::{JobCommand, JobFileArgs, RunCommand, SubmitArgs},
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
            let plain: Vec<_> = jobs
                .iter()
                .map(|j| {
                    format!(
                        "{}\t{}\t{}\t{}\t{}",
                        j.job,
                        j.name,
                        j.status.text().of(output.lang()),
                        j.holder.of(output.lang()),
                        j.since
                    )
                })
                .collect();
            output.data(&rows, &plain.join("\n"));
            Ok(())
        }
    }
}

async fn quote(args: JobFileArgs, output: &Output) -> Result<(), Failure> {
    let (toml, components) = files(&args)?;
    let (service, who) = open_as(&args.actor).await?;
    let contract = service.quote(&who, &toml, &components.guests()).await?;
    notes(&service, &contract, output).await?;
    let mut offer = service.offer(&who, &contract).await?;
    if !args.suggest {
        offer.suggestions.clear();
    }
    output.say(&text("在合成数据上预审……", "a verdict on synthetic data …"));
    let preflight = service.preflight(&who, &contract).await?;
    let plain = [in_words(&offer), expected(&preflight, output.lang())].join("\n");
    output.data(&serde_json::json!({ "offer": offer, "preflight": preflight, "contract": contract }), &plain);
    suggest(&offer, output);
    Ok(())
}

/// What an operator can know of a contract before anything runs.
async fn notes(service: &Service, contract: &Contract, output: &Output) -> Result<(), Failure> {
    if contract.held().next().is_some() {
        output.say(&no_guarantee());
    }
    if let Some(note) = service.note_on_snapshots(contract).await? {
        output.say(&note);
    }
    Ok(())
}

/// What an operator is told first of a job of route D.
pub(super) fn no_guarantee() -> Text {
    text(
        "路线 D：直接由个人行制成，没有任何隐私保证；留置，由两名审核专家凭佐证决定，公布的是表中的确切数字",
        "route D: made straight from person rows, with no privacy guarantee; it is held, two reviewers decide on evidence, and what is published are the table's exact numbers",
    )
}

/// A line for the contract, then one for each of its tables.
fn in_words(offer: &Quote) -> String {
    let epsilon = offer.epsilon.map_or_else(|| "-".to_owned(), |epsilon| format!("{epsilon:.4}"));
    let mut lines = vec![format!(
        "{}\tρ = {} ({} ×)\tδ = {:e}\tε({:e}) = {epsilon}\t{} s ≤ {} s\t{:.6}",
        offer.contract,
        offer.rho,
        offer.passes,
        offer.delta,
        offer.epsilon_delta,
        offer.tick_seconds,
        offer.wall_seconds,
        offer.roots.iter().map(|(_, left)| *left).fold(offer.agreement_left, f64::min),
    )];
    for table in &offer.tables {
        let cells = table.cells.map_or_else(|| "?".to_owned(), |cells| cells.to_string());
        let mut words =
            vec![format!("  {}\t{}\t{cells}\tρ = {}\tδ = {:e}", table.name, table.made_by, table.rho, table.delta)];
        words.extend(
            table.columns.iter().map(|(name, sigma, error)| format!("{name}: σ = {sigma:.2}, ±{error:.2} (95 %)")),
        );
        words.extend(table.rank_errors_95.iter().map(|rank| format!("rank ±{rank:.0} (95 %)")));
        words.extend(table.tau.map(|tau| format!("τ = {tau}")));
        words.extend(table.units_needed.map(|units| format!("units ≥ {units}")));
        words.extend(table.capacity_bits.map(|bits| format!("{bits:.0} bits")));
        lines.push(words.join("\t"));
    }
    lines.join("\n")
}

/// What the tables may expect, after what that is about.
fn expected(preflight: &Preflight, lang: Lang) -> String {
    let about = [Some(&preflight.synthetic), preflight.stand_in.as_ref()];
    let about = about.into_iter().flatten().map(|text| text.of(lang).to_owned());
    let tables = preflight.tables.iter().map(|t| format!("  {}\t{}", t.table, t.said.of(lang)));
    about.chain(tables).collect::<Vec<_>>().join("\n")
}

fn suggest(offer: &Quote, output: &Output) {
    for suggestion in &offer.suggestions {
        output.say(&suggestion.sentence());
    }
}

async fn submit(args: SubmitArgs, output: &Output) -> Result<(), Failure> {
    let (toml, components) = files(&args.job)?;
    let (service, who) = open_as(&args.job.actor).await?;
    let secret = password(&args.job.actor.password_file)?;
    // What is refused is recorded by the submission itself.
    if let Ok(contract) = service.quote(&who, &toml, &components.guests()).await {
        notes(&service, &contract, output).await?;
    }
    if args.job.suggest {
        let contract = service.quote(&who, &toml, &components.guests()).await?;
        suggest(&service.offer(&who, &contract).await?, output);
    }
    let job = service.submit_with(&who, secret, &toml, &components.guests()).await?;
    let tick = service.tick(&job).await?;
    output.say(&text(
        format!("已受理 {job}，正在隔离运行；结果不早于 {tick} 可见"),
        format!("{job} accepted, running in isolation; nothing shows before {tick}"),
    ));
    if args.detach {
        output.say(&text("由 `sluice serve` 运行", "`sluice serve` runs it"));
    } else {
        run_until_tick(&service, &job, tick, output).await?;
    }
    output.data(&serde_json::json!({ "job": job, "tick": tick }), job.as_str());
    Ok(())
}

/// Runs the job and returns at its tick, however long it took and however it went:
/// the time a command takes would tell about the data.
async fn run_until_tick(service: &Service, job: &JobId, tick: Timestamp, output: &Output) -> Result<(), Failure> {
    let bar = output.progress(&text("等待合约约定的出域时刻", "waiting for the contract's release tick"));
    let ran = service.run(job).await;
    let left = tick.duration_since(Timestamp::now()).try_into().unwrap_or_default();
    tokio::time::sleep(left).await;
    bar.finish_and_clear();
    match ran {
        // A server beside us was faster.
        Err(refusal) if matches!(refusal.code, "job.already-run" | "run.busy") => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// The components that a job file names, read.
pub(super) struct Components([Option<Vec<u8>>; 3]);

impl Components {
    /// As the service takes them.
    pub(super) fn guests(&self) -> Guests<'_> {
        let [inner, updates, composes] = self.0.each_ref().map(Option::as_deref);
        Guests { inner, updates, composes }
    }

    /// Reads those that `job` names, beside its file; `guest` in the place of `[job]`'s.
    pub(super) fn read(job: JobFile, file: &Path, guest: Option<&Path>) -> Result<Self, Failure> {
        let beside = file.parent().unwrap_or(Path::new("."));
        let inner = guest.map(Path::to_owned).or_else(|| job.job.guest.map(|name| beside.join(name)));
        let updates = job.rounds.map(|rounds| beside.join(rounds.guest));
        let composes = job.report.map(|report| beside.join(report.guest));
        let read = |path: Option<PathBuf>| path.map(|path| read_bytes(&path)).transpose();
        Ok(Self([read(inner)?, read(updates)?, read(composes)?]))
    }
}

/// The job file and the components it names, beside it unless said otherwise.
fn files(args: &JobFileArgs) -> Result<(String, Components), Failure> {
    let toml = read_text(&args.file)?;
    let components = Components::read(JobFile::parse(&toml)?, &args.file, args.guest.as_deref())?;
    Ok((toml, components))
}

pub(super) async fn run(command: RunCommand, output: &Output) -> Result<(), Failure> {
    match command {
        RunCommand::Start { actor, job } => {
            let (service, who) = open_as(&actor).await?;
            service.may_run(&who, &job).await?;
            let tick = service.tick(&job).await?;
            run_until_tick(&service, &job, tick, output).await?;
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
