//! 留置: what stands behind the answers of a held job: the rows of its inputs, for history,
//! and every unit's values, for the rules of its models.
//!
//! It shows nothing to anybody; what comes out goes to the gate.

use futures::StreamExt;
use sluice_domain::{contract::Contract, rulepack::RulePack, state::GrantedView};
use sluice_gate::{Answer, Behind, Sensitivity, route_d};
use sluice_view::{ViewReader, plan_input};

use crate::run::Fault;

/// What stands behind `answers`; nothing for other jobs.
pub(crate) async fn behind(
    contract: &Contract,
    views: &[GrantedView],
    reader: &ViewReader,
    answers: &[Answer],
    (rules, sensitivity): (&RulePack, Sensitivity),
) -> Result<Behind, Fault> {
    let mut behind = Behind::default();
    if contract.held().next().is_none() {
        return Ok(behind);
    }
    behind.judges = route_d::judges(contract, answers, rules, sensitivity)?;
    for input in contract.inputs.values() {
        let plan = plan_input(views, &input.sql)?;
        let rows = reader.input_rows(&plan).await.map_err(|e| Fault::host("view.held", &e))?;
        behind.inputs.push((plan.view.clone(), rows));
        // A model has one input: these are its rows.
        let mut units = Box::pin(reader.units(&plan, contract.limits.input_rows));
        while !behind.judges.is_empty()
            && let Some(rows) = units.next().await
        {
            let rows = rows.map_err(|e| Fault::host("view.held", &e))?;
            behind.judges.iter_mut().for_each(|judge| judge.unit(&rows));
        }
    }
    Ok(behind)
}
