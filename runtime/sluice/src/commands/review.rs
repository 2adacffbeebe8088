//! `sluice review`.

use sluice_domain::text;
use sluice_service::pages::{Ballot, Voted};

use super::{Failure, open_as, password};
use crate::{args::ReviewCommand, output::Output};

pub(super) async fn review(command: ReviewCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ReviewCommand::List { actor } => {
            let (service, who) = open_as(&actor).await?;
            let waiting = service.inbox(&who).await?.waiting;
            let rows: Vec<_> = waiting
                .iter()
                .map(|w| serde_json::json!({ "run": w.run, "title": w.title, "operator": w.operator, "since": w.since, "votes": w.votes_cast, "needed": w.votes_needed, "voted": w.voted }))
                .collect();
            let plain: Vec<_> = waiting
                .iter()
                .map(|w| format!("{}\t{}\t{}\t{}/{}", w.run, w.title, w.operator, w.votes_cast, w.votes_needed))
                .collect();
            output.data(&rows, &plain.join("\n"));
        }
        ReviewCommand::Show { actor, run } => {
            let (service, who) = open_as(&actor).await?;
            let bench = service.open_candidate(&who, &run).await?;
            for finding in &bench.findings {
                output.say(&finding.text);
            }
            for check in bench.evidence.iter().map(|shown| &shown.check) {
                output.say(&check.finding);
                output.say(&check.cannot);
            }
            let bits = &bench.bits;
            output.say(&text(
                format!(
                    "至此透露：作废 {} / {} 比特，隐去位置 {:.0} 比特",
                    bits.refusals, bits.refusals_max, bits.pattern
                ),
                format!(
                    "told so far: void runs {} of {} bits, withheld places {:.0} bits",
                    bits.refusals, bits.refusals_max, bits.pattern
                ),
            ));
            for change in bench.changes.iter().flat_map(|changes| &changes.fields) {
                let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
                output.line(&format!("{}: {} → {}", change.field, side(&change.before), side(&change.after)));
            }
            output.data(&bench.candidate, &bench.raw);
        }
        ReviewCommand::Vote { actor, run, decision, comment } => {
            let (service, who) = open_as(&actor).await?;
            let seen = service.open_candidate(&who, &run).await?.commitment;
            let ballot = Ballot { run: run.clone(), seen, decision: decision.into(), comment };
            let voted = service.vote(&who, password(&actor.password_file)?, ballot).await?;
            let (word, told) = match &voted {
                Voted::Counted => {
                    ("counted", text("已投票，等待另一位审核专家", "voted; waiting for the other reviewer"))
                }
                Voted::Declined => ("declined", text("已退回或驳回", "returned or rejected")),
                Voted::ApprovedUntil(tick) => {
                    ("approved", text(format!("已通过，将于 {tick} 出域"), format!("approved; released at {tick}")))
                }
                Voted::Released(product) => {
                    ("released", text(format!("已出域：{product}"), format!("released: {product}")))
                }
            };
            output.say(&told);
            output.data(&serde_json::json!({ "run": run, "outcome": word }), word);
        }
    }
    Ok(())
}
