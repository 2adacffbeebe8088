//! `sluice init`, `sluice person`.

use sluice_domain::{event::DomainKind, person::Role, text};
use sluice_service::{Programs, Service};

use super::{Failure, new_key, open_as, password};
use crate::{
    args::{InitArgs, PersonCommand},
    output::Output,
};

pub(super) async fn init(args: InitArgs, output: &Output) -> Result<(), Failure> {
    let secret = password(&args.password_file)?;
    let kek = new_key(&args.domain)?;
    let programs = Programs::beside_current_exe().map_err(|e| e.refusal())?;
    let service = Service::init(&args.domain.domain, kek, &args.name, DomainKind::Production, programs).await?;
    let bureau = "bureau".parse().map_err(anyhow::Error::from)?;
    service.enrol(None, args.admin.clone(), args.admin.to_string(), bureau, Role::Bureau, secret).await?;
    let key = service.snapshot().await?.domain().map(|d| d.ledger_key);
    output.say(&text(
        format!("已建域：{}；主密钥：{}（请离线备份）", args.domain.domain.display(), args.domain.key_file.display()),
        format!(
            "domain made: {}; key file: {} (keep a copy offline)",
            args.domain.domain.display(),
            args.domain.key_file.display()
        ),
    ));
    let hex = serde_json::to_value(key).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    output.data(&serde_json::json!({ "domain": args.domain.domain, "ledger_key": hex }), &hex);
    Ok(())
}

pub(super) async fn person(command: PersonCommand, output: &Output) -> Result<(), Failure> {
    let PersonCommand::Add { actor, id, name, org, role, new_password_file } = command;
    let (service, who) = open_as(&actor).await?;
    service.enrol(Some(&who), id.clone(), name, org, role.into(), password(&new_password_file)?).await?;
    output.data(&serde_json::json!({ "person": id }), id.as_str());
    Ok(())
}
