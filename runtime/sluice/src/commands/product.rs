//! `sluice product`, `sluice receipt`.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use sluice_domain::{Kind, Refusal, person::PublicKey, text};
use sluice_service::{Part, Replayed};

use super::{Failure, open_as, read_bytes, write_new};
use crate::{
    args::{ActorArgs, ProductCommand, ReceiptCommand},
    output::Output,
};

pub(super) async fn product(command: ProductCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ProductCommand::List { actor } => {
            let (service, who) = open_as(&actor).await?;
            let lines = service.products(&who).await?;
            let rows: Vec<_> = lines.iter().map(|p| serde_json::json!({ "product": p.id, "title": p.title, "operator": p.operator, "released": p.released })).collect();
            let plain: Vec<_> =
                lines.iter().map(|p| format!("{}\t{}\t{}\t{}", p.id, p.title, p.operator, p.released)).collect();
            output.data(&rows, &plain.join("\n"));
        }
        ProductCommand::Fetch { actor, product, out } => {
            let (service, who) = open_as(&actor).await?;
            let page = service.product(&who, &product).await?;
            std::fs::create_dir_all(&out).with_context(|| format!("{}", out.display()))?;
            let mut written = Vec::new();
            for (name, _, _) in &page.files {
                let file = service.download(&who, &product, name).await?;
                write_new(&out.join(name), &file.bytes)?;
                written.push(out.join(name).display().to_string());
            }
            output.data(&written, &written.join("\n"));
        }
        ProductCommand::Release { actor } => {
            let (service, _) = open_as(&actor).await?;
            let released = service.release_due().await?;
            let plain: Vec<_> = released.iter().map(ToString::to_string).collect();
            output.data(&released, &plain.join("\n"));
        }
    }
    Ok(())
}

pub(super) async fn receipt(command: ReceiptCommand, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        ReceiptCommand::Verify { file, key } => verify(&file, key.as_deref(), output).map(|()| ExitCode::SUCCESS),
        ReceiptCommand::Rederive { actor, file } => rederive(&actor, &file, output).await,
    }
}

fn verify(file: &Path, key: Option<&str>, output: &Output) -> Result<(), Failure> {
    let pinned = key.map(parse_key).transpose()?;
    let receipt = sluice_service::verify_receipt(&read_bytes(file)?, file.parent(), pinned.as_ref())?;
    if pinned.is_none() {
        output.say(&text(
            "未指定公钥：只核对了自身一致，请以 --key 指定域的公钥",
            "no key given: only self-consistency was checked; name the domain's key with --key",
        ));
    }
    output.data(&receipt, &format!("ok\t{}\t{}", receipt.product, receipt.contract_digest));
    Ok(())
}

/// Exit 5 when anything came out differently.
async fn rederive(actor: &ActorArgs, file: &Path, output: &Output) -> Result<ExitCode, Failure> {
    let receipt = sluice_service::verify_receipt(&read_bytes(file)?, file.parent(), None)?;
    let (service, who) = open_as(actor).await?;
    let parts = service.rederive(&who, &receipt).await?;
    let word = |outcome| if outcome == Replayed::Same { "same" } else { "different" };
    let name =
        |part: Part| serde_json::to_value(part).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let plain: Vec<_> = parts.iter().map(|p| format!("{}\t{}", name(p.part), word(p.outcome))).collect();
    output.data(&parts, &plain.join("\n"));
    if parts.iter().all(|p| p.outcome == Replayed::Same) {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Refusal::new(
        Kind::Verification,
        "receipt.different",
        text("再推一遍的结果与凭证不同", "what was worked out again is not what the receipt says"),
        text(
            "停止使用该产品，核验审计日志与封存的快照",
            "stop using the product; verify the ledger and the sealed snapshots",
        ),
    )
    .at(receipt.product.as_str())
    .into())
}

/// A public key in hex.
pub(super) fn parse_key(hex: &str) -> Result<PublicKey, Refusal> {
    serde_json::from_value(serde_json::Value::String(hex.to_owned())).map_err(|_| {
        Refusal::new(
            Kind::Usage,
            "key.form",
            text("公钥须为 64 位小写十六进制", "a public key is 64 lower-case hex digits"),
            text("从 `sluice init` 的输出复制", "copy it from the output of `sluice init`"),
        )
    })
}
