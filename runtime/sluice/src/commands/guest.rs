//! `sluice guest`, `sluice doctor`.

use sluice_domain::text;
use sluice_service::Programs;
use sluice_worker::LayerStatus;

use super::{Failure, guest_check::guest_check, guest_try::guest_try};
use crate::{args::GuestCommand, output::Output};

pub(super) async fn guest(command: GuestCommand, output: &Output) -> Result<(), Failure> {
    match command {
        GuestCommand::Check { file, job } => guest_check(&file, job.as_deref(), output),
        GuestCommand::Try(args) => guest_try(args, output).await,
    }
}

pub(super) fn doctor(output: &Output) -> Result<(), Failure> {
    let programs = Programs::beside_current_exe().map_err(|e| e.refusal())?;
    let layers = sluice_worker::layers(&programs).map_err(|e| e.refusal())?;
    let rows: Vec<_> = layers
        .iter()
        .map(|(name, status)| serde_json::json!({ "layer": name.as_str(), "status": status.to_string() }))
        .collect();
    let plain: Vec<_> = layers.iter().map(|(name, status)| format!("{name}\t{status}")).collect();
    output.data(&rows, &plain.join("\n"));
    if layers.iter().any(|(_, status)| *status != LayerStatus::InForce) {
        output.say(&text("有隔离层未完全生效，见上表", "some layers of isolation are not fully in force, see above"));
    }
    Ok(())
}
