//! `sluice guest`.

use super::{Failure, guest_check::guest_check, guest_project, guest_try::guest_try};
use crate::{args::GuestCommand, output::Output};

pub(super) async fn guest(command: GuestCommand, output: &Output) -> Result<(), Failure> {
    match command {
        GuestCommand::New { lang, name } => guest_project::new(lang, &name, output),
        GuestCommand::Build { folder } => guest_project::make(&folder, output),
        GuestCommand::Check { file, job } => guest_check(&file, job.as_deref(), output),
        GuestCommand::Try(args) => guest_try(args, output).await,
    }
}
