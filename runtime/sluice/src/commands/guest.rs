//! `sluice guest`.

use std::path::Path;

use sluice_domain::{Digest, rulepack::RulePack};
use sluice_worker::InspectLimits;

use super::{Failure, guest_project, read_bytes};
use crate::{args::GuestCommand, output::Output};

pub(super) fn guest(command: GuestCommand, output: &Output) -> Result<(), Failure> {
    match command {
        GuestCommand::New { lang, name } => guest_project::new(lang, &name, output),
        GuestCommand::Build { folder } => guest_project::make(&folder, output),
        GuestCommand::Check { file } => check(&file, output),
    }
}

fn check(file: &Path, output: &Output) -> Result<(), Failure> {
    let bytes = read_bytes(file)?;
    let rules = RulePack::shipped().map_err(anyhow::Error::from)?;
    let limits = InspectLimits {
        bytes_max: rules.limits.guest_bytes_max,
        memory_bytes: u64::from(rules.limits.memory_mib_max) << 20,
    };
    sluice_worker::inspect(&bytes, limits)?;
    let digest = Digest::of(&bytes);
    output
        .data(&serde_json::json!({ "guest": digest, "bytes": bytes.len() }), &format!("ok\t{digest}\t{}", bytes.len()));
    Ok(())
}
