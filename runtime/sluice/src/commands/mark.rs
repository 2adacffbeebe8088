//! `sluice mark`.

use sluice_domain::text;
use sluice_service::Suspect;

use super::{Failure, open_as, read_bytes};
use crate::{args::MarkCommand, output::Output};

pub(super) async fn mark(command: MarkCommand, output: &Output) -> Result<(), Failure> {
    let MarkCommand::Trace { actor, file } = command;
    let (service, who) = open_as(&actor).await?;
    let trace = service.trace_mark(&who, &read_bytes(&file)?).await?;
    if trace.named.is_empty() {
        output.say(&text(
            "没有哪一份副本与此文件相符到可以指名的程度（误认概率须低于百万分之一）",
            "no copy agrees with the file beyond accident (a false match must be rarer than one in a million)",
        ));
    }
    let line = |s: &Suspect| {
        format!("{}\t{}\t{}/{}\t1e{:.1}", s.recipient, s.product, s.agreeing, s.compared, s.log10_odds.min(0.0))
    };
    let plain: Vec<_> = trace.named.iter().map(line).collect();
    output.data(&trace, &plain.join("\n"));
    Ok(())
}
