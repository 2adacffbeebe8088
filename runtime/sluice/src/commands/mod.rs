//! One file per noun. Each opens the domain, calls one verb, prints.

mod audit;
mod data;
mod doctor;
mod gate;
mod guest;
mod guest_check;
mod guest_project;
mod guest_try;
mod init;
mod job;
mod job_place;
mod mark;
mod product;
mod review;
pub(crate) mod serve;

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use serde::Deserialize;
use sluice_domain::{Kind, Refusal, text};
use sluice_service::{Kek, Programs, Salt, Service, SignedIn};
use sluice_worker::LayerName;
use zeroize::Zeroizing;

use crate::{
    args::{ActorArgs, Cli, Command, DomainArgs},
    output::Output,
};

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// A clear no.
    Refusal(Refusal),
    /// Something else broke.
    Other(anyhow::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Carries the command out.
pub(crate) async fn dispatch(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let done = match cli.command {
        Command::Gate(command) => return gate::gate(&command, output),
        Command::Init(args) => init::init(args, output).await,
        Command::Person(command) => init::person(command, output).await,
        Command::Data(command) => data::data(command, output).await,
        Command::Agreement(command) => data::agreement(command, output).await,
        Command::Guest(command) => guest::guest(command, output).await,
        Command::Job(command) => job::job(command, output).await,
        Command::Run(command) => job::run(command, output).await,
        Command::Review(command) => review::review(command, output).await,
        Command::Product(command) => product::product(command, output).await,
        Command::Receipt(command) => return product::receipt(command, output).await,
        Command::Mark(command) => mark::mark(command, output).await,
        Command::Audit(command) => audit::audit(command, output).await,
        Command::Serve(args) => serve::serve(args, output).await,
        Command::Doctor => doctor::doctor(output),
        Command::Demo(args) => crate::demo::demo(args, output).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// What a domain's `sluice.toml` may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Layers of isolation that this host's kernel lacks and the domain does without.
    #[serde(default)]
    accept_missing_layers: Vec<String>,
}

/// The child programs, with the layers that the domain's configuration gives up by
/// name. Without it a room that lacks a layer is not opened.
fn programs(domain: &Path) -> Result<Programs, Failure> {
    let file = domain.join("sluice.toml");
    let bad = |what: &str| {
        Refusal::new(
            Kind::Usage,
            "domain.configuration",
            text(format!("配置文件有误：{what}"), format!("the configuration is not well formed: {what}")),
            text(
                "改正 sluice.toml；隔离层的名称见 `sluice doctor`",
                "correct sluice.toml; `sluice doctor` names the layers",
            ),
        )
        .at(file.display().to_string())
    };
    let configuration: Configuration = match std::fs::read_to_string(&file) {
        Ok(toml) => toml::from_str(&toml).map_err(|e| bad(e.message()))?,
        Err(_) => Configuration::default(),
    };
    let named = configuration.accept_missing_layers.iter();
    let accepted = named.map(|name| LayerName::ALL.into_iter().find(|l| l.as_str() == name).ok_or_else(|| bad(name)));
    let accepted = accepted.collect::<Result<Vec<_>, _>>()?;
    Ok(Programs::beside_current_exe().map_err(|e| e.refusal())?.accepting_missing(&accepted))
}

/// Opens the domain.
pub(crate) async fn open(args: &DomainArgs) -> Result<Service, Failure> {
    Ok(Service::open(&args.domain, kek(args)?, programs(&args.domain)?).await?)
}

/// The key of an existing domain.
fn kek(args: &DomainArgs) -> Result<Kek, Failure> {
    match &args.passphrase_file {
        None => Ok(Kek::from_file(&args.key_file).map_err(Refusal::from)?),
        Some(file) => derived(file, &Salt::from_file(&args.key_file).map_err(Refusal::from)?),
    }
}

/// The key of a new domain: made here, or what already lies in the file.
pub(crate) fn new_key(args: &DomainArgs) -> Result<Kek, Failure> {
    let there = args.key_file.exists();
    Ok(match &args.passphrase_file {
        None if there => Kek::from_file(&args.key_file).map_err(Refusal::from)?,
        None => Kek::generate_file(&args.key_file).map_err(Refusal::from)?,
        Some(file) => {
            let salt = if there { Salt::from_file(&args.key_file) } else { Salt::generate_file(&args.key_file) };
            derived(file, &salt.map_err(Refusal::from)?)?
        }
    })
}

fn derived(passphrase: &Path, salt: &Salt) -> Result<Kek, Failure> {
    Ok(Kek::from_passphrase(&password(passphrase)?, salt).map_err(Refusal::from)?)
}

/// Opens the domain and signs the actor in.
pub(crate) async fn open_as(args: &ActorArgs) -> Result<(Service, SignedIn), Failure> {
    let service = open(&args.domain).await?;
    let signed_in = service.sign_in(args.actor.as_str(), password(&args.password_file)?).await?;
    Ok((service, signed_in))
}

/// Reads a password from a file; never from a flag.
pub(crate) fn password(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|_| unreadable(file))?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads a text file the person named.
pub(crate) fn read_text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|_| unreadable(file).into())
}

/// Reads a file the person named.
pub(crate) fn read_bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|_| unreadable(file).into())
}

fn unreadable(file: &Path) -> Refusal {
    Refusal::new(
        Kind::Usage,
        "file.unreadable",
        text("文件不存在或无法读取", "the file is missing or cannot be read"),
        text("检查路径与权限", "check the path and its permissions"),
    )
    .at(file.display().to_string())
}

/// Writes a new file.
pub(crate) fn write_new(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::fs::File::create_new(file).with_context(|| format!("{}", file.display()))?;
    out.write_all(bytes).with_context(|| format!("{}", file.display()))?;
    Ok(())
}
