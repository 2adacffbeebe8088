//! 留置: what stands behind the answers of a held job: everybody's rows, gathered once; the
//! rows of its inputs, for history; and the verdicts on its models.
//!
//! It shows nothing to anybody; what comes out goes to the gate and to the evidence.

use futures::StreamExt;
use sluice_domain::{contract::Contract, rulepack::RulePack};
use sluice_gate::{
    Answer, Behind, Sensitivity,
    evidence::held::{Gathering, People, judge},
    route_d,
};

use crate::{answer::Work, run::Fault};

/// What stands behind `answers`, and everybody; nothing for other jobs.
pub(crate) async fn behind(
    contract: &Contract,
    work: &Work<'_>,
    answers: &[Answer],
    (rules, sensitivity): (&RulePack, Sensitivity),
) -> Result<(Behind, Option<People>), Fault> {
    let mut behind = Behind::default();
    if contract.held().next().is_none() {
        return Ok((behind, None));
    }
    // A model that does not read is refused before anybody's row is read again.
    let judges = route_d::judges(contract, answers, rules, sensitivity)?;
    let people = gather(work).await?;
    behind.judged = judge(&people, judges)?;
    for plan in &work.plans {
        let rows = work.reader.input_rows(plan).await.map_err(|e| Fault::host("view.held", &e))?;
        behind.inputs.push((plan.view.clone(), rows));
    }
    Ok((behind, Some(people)))
}

/// Everybody's rows, as the product's own call had them.
async fn gather(work: &Work<'_>) -> Result<People, Fault> {
    let mut gathering = Gathering::new(work.plans.len());
    let mut units = Box::pin(work.reader.unit_calls(&work.plans, work.limits.unit_rows_max));
    while let Some(call) = units.next().await {
        gathering.unit(&call.map_err(|e| Fault::host("view.read", &e))?);
    }
    Ok(gathering.whole()?)
}
