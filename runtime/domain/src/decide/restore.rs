//! What a restore of old files costs (gate.md §4). What the lost entries charged is not
//! known any more, so everything that they could have charged counts as charged: every
//! dataset root's and every agreement's remainder of each calendar year from the last
//! entry kept until now. Those years are closed: what only the lost entries knew of cannot
//! start anew in them.

use crate::{
    Timestamp, day_of,
    event::{Event, RestoreCharge},
    id::PersonId,
    person::Role,
    refusal::Refusal,
    state::State,
};

use super::require;

/// What is known of the entries between the restored files and the newest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// There are none, or they were presented and taken in.
    Presented,
    /// They are lost; the last one that was kept is of this moment.
    LostSince(Timestamp),
}

/// Lets a restored ledger go on from here; `checkpoint` is the newest that is known.
///
/// # Errors
/// `account.role`: the bureau does this.
pub fn restore(
    state: &State,
    by: &PersonId,
    checkpoint: String,
    later: Later,
    now: Timestamp,
) -> Result<Event, Refusal> {
    require(state, by, &[Role::Bureau])?;
    let years = match later {
        Later::Presented => Vec::new(),
        Later::LostSince(last) => (day_of(last).year()..=day_of(now).year()).collect(),
    };
    let budget = &state.rulepack().budget;
    let (mut charges, mut agreements) = (Vec::new(), Vec::new());
    for year in years.iter().copied() {
        charges.extend(state.datasets().map(|dataset| {
            let root = dataset.entry.dataset.id.clone();
            let spent = state.spent(&root, year);
            let rho = (budget.rho_per_root_and_year - spent.rho).max(0.0);
            let delta = (budget.delta_per_root_and_year - spent.delta).max(0.0);
            RestoreCharge { root, year, rho, delta }
        }));
        let in_force = |year: i16| state.agreements().filter(move |a| a.agreement.in_year(year));
        agreements.extend(in_force(year).map(|a| {
            let terms = &a.agreement;
            (terms.id.clone(), year, (terms.rho_per_year - state.spent_under(&terms.id, year)).max(0.0))
        }));
    }
    Ok(Event::DomainRestored { entries: state.next_seq(), checkpoint, years, charges, agreements })
}
