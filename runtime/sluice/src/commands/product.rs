//! `sluice product`, `sluice receipt`.

use anyhow::Context;
use sluice_domain::{Kind, Refusal, person::PublicKey, text};

use super::{Failure, open_as, read_bytes, write_new};
use crate::{
    args::{ProductCommand, ReceiptCommand},
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

pub(super) fn receipt(command: &ReceiptCommand, output: &Output) -> Result<(), Failure> {
    let ReceiptCommand::Verify { file, key } = command;
    let pinned = key.as_deref().map(parse_key).transpose()?;
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
