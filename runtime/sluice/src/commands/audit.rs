//! `sluice audit`. ε, ρ and δ of the accounts are sums over the ledger; nothing is decided here.

use std::{fs::File, io::BufReader};

use anyhow::Context;
use sluice_domain::{Refusal, event::Event, text};
use sluice_service::{Presented, Service, pages::RootLine, verify};

use super::{Failure, kek, open_as, password, product::parse_key, programs, read_bytes, read_text};
use crate::{args::AuditCommand, output::Output};

pub(super) async fn audit(command: AuditCommand, output: &Output) -> Result<(), Failure> {
    match command {
        AuditCommand::Export { actor, out } => {
            let (service, who) = open_as(&actor).await?;
            let mut file = File::create_new(&out).with_context(|| format!("{}", out.display()))?;
            let entries = service.export_ledger(&who, &mut file).await?;
            output.data(
                &serde_json::json!({ "entries": entries, "file": out }),
                &format!("{entries}\t{}", out.display()),
            );
        }
        AuditCommand::Verify { file, key, receipt } => {
            let pinned = key.as_deref().map(parse_key).transpose()?;
            let known = receipt.map(|path| {
                let receipt = sluice_service::verify_receipt(&read_bytes(&path)?, None, pinned.as_ref())?;
                Ok::<_, Failure>((receipt.checkpoint, receipt.ledger_key))
            });
            let known = known.transpose()?;
            // A receipt names the key it was signed with; that pins it, too.
            let pinned = pinned.or(known.as_ref().map(|(_, key)| *key));
            let lines = BufReader::new(File::open(&file).with_context(|| format!("{}", file.display()))?);
            let report = verify::verify(lines, pinned.as_ref(), known.as_ref().map(|(note, _)| note.as_str()))
                .map_err(Refusal::from)?;
            if pinned.is_none() {
                output.say(&text(
                    "未指定公钥：只核对了自身一致，请以 --key 或 --receipt 指定",
                    "no key given: only self-consistency was checked; pin it with --key or --receipt",
                ));
            }
            output.data(
                &serde_json::json!({ "entries": report.entries, "root": report.root, "verified": true, "key_pinned": pinned.is_some() }),
                &format!("ok\t{}\t{}", report.entries, report.root),
            );
        }
        AuditCommand::Restore { actor, checkpoint, entries } => {
            let export = entries.as_deref().map(read_bytes).transpose()?;
            let presented = Presented {
                account: actor.actor.as_str(),
                password: password(&actor.password_file)?,
                checkpoint: &read_text(&checkpoint)?,
                entries: export.as_deref(),
            };
            let (kek, programs) = (kek(&actor.domain)?, programs(&actor.domain.domain)?);
            let restored = Service::restore(&actor.domain.domain, kek, programs, presented).await?;
            let lost = matches!(&restored.event, Event::DomainRestored { years, .. } if !years.is_empty());
            if lost {
                output.say(&text(
                    "其后的日志缺失：余下预算全部记为已用，不再作路线 C 的表",
                    "the later entries are lost: what was left of the budgets is charged, and there is no table of route C any more",
                ));
            }
            let word = if lost { "charged" } else { "complete" };
            output.data(&restored, &format!("{word}\t{}", restored.adopted));
        }
        AuditCommand::Budget { actor } => {
            let (service, who) = open_as(&actor).await?;
            let page = service.accounts(&who).await?;
            output.data(&page, &page.roots.iter().flat_map(lines).collect::<Vec<_>>().join("\n"));
        }
        AuditCommand::Trace { actor, product } => {
            let (service, who) = open_as(&actor).await?;
            let trace = service.trace(&who, &product).await?;
            let plain = serde_json::to_string_pretty(&trace).unwrap_or_default();
            output.data(&trace, &plain);
        }
    }
    Ok(())
}

/// A root's line, then one for each of its agreements.
fn lines(root: &RootLine) -> Vec<String> {
    let account = &root.account;
    let epsilon = account.epsilon.map_or_else(|| "-".to_owned(), |epsilon| format!("{epsilon:.4}"));
    let first = format!(
        "{}\t{}\tρ = {:.6} / {:.6}\tδ = {:e}\tΣρ = {:.6}\tε({:e}) = {epsilon}",
        account.root,
        account.year,
        account.rho_of_year,
        account.rho_of_year + account.rho_left,
        root.delta_of_year,
        account.rho,
        account.epsilon_delta
    );
    let agreements = root.agreements.iter().map(|line| {
        let bits = &line.bits;
        format!(
            "  {}\t{}\tρ = {:.6} / {:.6}\t{:.6}\t{} / {} bit\t{:.0} bit",
            line.id,
            line.operator,
            line.charged,
            line.allotted,
            line.left,
            bits.refusals,
            bits.refusals_max,
            bits.pattern
        )
    });
    std::iter::once(first).chain(agreements).collect()
}
