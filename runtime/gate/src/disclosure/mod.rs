//! Disclosure control over all tables of route C of one job: primary and secondary
//! suppression, then history; what goes for differencing sends the tables through
//! suppression again. A regression goes out whole or not at all.
//!
//! [`together`] protects tables, [`models`] decides what stands of regressions and curves
//! beside them, [`candidate`] writes the product. It draws no noise and makes no
//! [`crate::Cleared`]: only [`crate::clear()`] does.

mod candidate;
pub(crate) mod models;
pub(crate) mod together;

use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue, Reason},
    contract::{Contract, Table, TableC, Whose},
    rulepack::Disclosure,
};
use sluice_rows::{cells::Cells, fit::Fit};

use self::{
    candidate::{table_c, table_of_curves, table_of_fit},
    models::{Followed, Plans, Settled, settle},
    together::{Against, Keys, Role},
};
use crate::{
    findings::pattern_bits,
    lineage::{History, Ledger, Record},
    refusals,
    route_c::{Rules, regression::RegressionRules, secondary::within_limits},
};

/// Takes the tables and regressions of `contract` to what may be published of them, in
/// contract order, and what they enter in the release ledger. `tabulated` is in the
/// order of [`Contract::tables_c`], `fits` in that of [`Contract::regressions`].
///
/// A regression stays while its own rules hold and every cell that it gives away may be
/// published beside the others; a survival curve does without the steps whose counts may
/// not.
///
/// # Errors
/// As [`crate::clear()`].
pub(crate) fn control(
    contract: &Contract,
    (tabulated, fits): (&[Cells], &[Fit]),
    rules: &Rules,
    pack: &Disclosure,
    ledgers: &[Ledger],
) -> Result<(Vec<CandidateTable>, Record), Refusal> {
    let tables = contract.tables_c();
    // No table of route C goes past history: each has one ledger.
    let known = |(t, _): &(TableC, Whose)| ledgers.iter().filter(|l| l.reads(&t.plan.view)).count() == 1;
    if tables.len() != tabulated.len() || contract.regressions().count() != fits.len() || !tables.iter().all(known) {
        return Err(refusals::misfit(&contract.name));
    }
    within_limits(&tables.iter().map(|(t, _)| t).collect::<Vec<_>>(), pack.cells_max)?;
    let histories: Vec<(&Ledger, History)> = ledgers.iter().map(|l| (l, l.history(rules))).collect();
    let dominance_n = usize::try_from(pack.dominance_n).unwrap_or(usize::MAX);
    let against = Against { rules, dominance_n, keys: Keys::Declared(pack.cells_max), histories: &histories };
    let own = RegressionRules::of(pack, rules);
    let judged = contract.regressions().zip(fits).map(|(r, fit)| (r, own.judge(fit, r.parameters().len())));
    let plans =
        Plans { tables: &tables, tabulated, regressions: judged.collect(), survivals: contract.survivals().collect() };
    let Settled { own, fallen, followed, review, record } = settle(plans, &against)?;
    let review = reviewed(contract, &followed, &review);

    let asked = tables.iter().filter(|(_, of)| *of == Whose::Own);
    let mut own = asked.zip(own).map(|((table, _), (judged, added))| table_c(table, &judged, &added));
    let mut fits = contract.regressions().zip(fits).zip(fallen);
    let mut curves = followed.iter();
    let finish = |table: &Table| match table {
        Table::C(_) => own.next(),
        Table::Regression(_) => fits.next().map(|((r, fit), reasons)| table_of_fit(r, fit, &reasons)),
        Table::Survival(_) => curves.next().map(table_of_curves),
        Table::A(_) | Table::B(_) | Table::Open(_) | Table::D(_) => None,
    };
    let finished: Vec<CandidateTable> = contract.tables.iter().filter_map(finish).collect();
    let out = |t: &CandidateTable| t.cells.iter().any(|c| matches!(c.value, CellValue::Published(_)));
    // What is withheld as before was so in a run that was not refused: nor is this one.
    let by_history = |r: &Reason| *r == Reason::Differencing;
    let differs = |t: &CandidateTable| {
        t.cells.iter().any(|c| matches!(&c.value, CellValue::Withheld(reasons) if reasons.iter().any(by_history)))
    };
    let nothing_left = finished.iter().any(differs) && !finished.iter().any(out);
    if nothing_left && !contract.tables.iter().any(Table::is_answered) {
        return Err(refusals::nothing_left(&contract.name));
    }
    let pattern_bits = finished.iter().map(pattern_bits).sum();
    Ok((finished, Record { review, pattern_bits, ..record }))
}

/// Cells for a person by their place in the product: those that a regression gives
/// away stand for its first row, those of a curve for its group's.
fn reviewed(contract: &Contract, followed: &[Followed<'_>], cells: &[(Role, u32)]) -> Vec<(u32, u32)> {
    let of_kind = |wanted: fn(&Table) -> bool| -> Vec<u32> {
        (0u32..).zip(&contract.tables).filter(|(_, t)| wanted(t)).map(|(i, _)| i).collect()
    };
    let (tables, fits) = (of_kind(|t| matches!(t, Table::C(_))), of_kind(|t| matches!(t, Table::Regression(_))));
    let curves = of_kind(|t| matches!(t, Table::Survival(_)));
    let place = |(role, cell): &(Role, u32)| match role {
        Role::Own(t) => Some((*tables.get(*t)?, *cell)),
        Role::Regression(r) => Some((*fits.get(*r)?, 0)),
        Role::Unsaid(s) => Some((*curves.get(*s)?, 0)),
        Role::Curve(s, g) => {
            let first = g.checked_mul(followed.get(*s)?.plan.steps.len())?;
            Some((*curves.get(*s)?, u32::try_from(first).ok()?))
        }
    };
    cells.iter().filter_map(place).collect()
}
