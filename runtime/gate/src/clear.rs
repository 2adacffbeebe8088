//! The gate as one function: every stage in order, and a [`Cleared`] at the end.
//!
//! [`clear`] is the only thing that makes a `Cleared`: the field is private to this
//! file. Tests that leave a stage out call the stages themselves and can make none.
//!
//! It does not charge, record or store anything, and shows nobody anything:
//! `service` does, with what comes out.

use std::{collections::BTreeSet, fmt};

use sluice_domain::{
    Refusal,
    candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
    catalogue::Key,
    contract::{Contract, Dimension, Table, TableA, TableC},
    rulepack::RulePack,
};
use sluice_rows::cells::Cells;

use crate::{
    noise::{Mechanism, NoisyTable},
    refusals,
    route_a::PreNoise,
    route_c::{JudgedTable, Rules, Sensitivity, primary, secondary, secondary::within_limits},
    shares::Shares,
};

/// How far a sum of ρ may be off for rounding alone.
const COST_ROUNDING: f64 = 1e-12;

/// What passed the gate. It counts as published from here on, though it is still
/// inside the domain: the outer room takes nothing else, and only this becomes
/// [`crate::Quarantined`].
pub struct Cleared<T> {
    inner: T,
}

impl<T> Cleared<T> {
    /// What passed.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// Gives it up to the quarantine.
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> fmt::Debug for Cleared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleared(withheld)")
    }
}

/// What one run hands to the gate.
pub struct GateInput<'a> {
    /// The frozen contract.
    pub contract: &'a Contract,
    /// The rule pack that the contract was frozen under.
    pub rulepack: &'a RulePack,
    /// Units on the published roster of the dataset root.
    pub roster_size: u64,
    /// True statistics of the route-C tables, in contract order.
    pub tabulated: Vec<Cells>,
    /// The exact answer of the route-A table, if the contract has one.
    pub answer: Option<PreNoise>,
    /// Whether a view of the job holds an L4 column.
    pub sensitivity: Sensitivity,
}

/// Takes a run's results through every stage of the gate.
///
/// Route-C tables first: noise is drawn last, so that no refusal can come after it.
///
/// # Errors
/// `gate.too-many-cells` and `gate.table` when the contract is beyond the gate's
/// limits; `gate.host-fault` when what was handed in does not fit the contract.
pub fn clear(input: GateInput<'_>) -> Result<Cleared<Vec<CandidateTable>>, Refusal> {
    let GateInput { contract, rulepack, roster_size, tabulated, mut answer, sensitivity } = input;
    if contract.rulepack != rulepack.version {
        return Err(refusals::host_fault(
            &contract.rulepack,
            "规则包版本与合约不符",
            "the rule pack is not the one the contract was frozen under",
        ));
    }
    if table_costs(contract) > contract.rho * (1.0 + COST_ROUNDING) {
        return Err(refusals::host_fault(
            &contract.name,
            "合约记账的 ρ 少于各表之和",
            "the contract charges less rho than its tables cost",
        ));
    }
    let rules = Rules::of(&rulepack.disclosure, sensitivity);
    let mut tables_c = disclosure_control(contract, &tabulated, &rules, rulepack.disclosure.cells_max)?.into_iter();
    let tables = contract
        .tables
        .iter()
        .map(|table| match table {
            Table::C(_) => tables_c.next().ok_or_else(|| misfit(&contract.name)),
            Table::A(a) => {
                let answer = answer.take().filter(|answer| answer.answers(a, roster_size));
                let noisy = Mechanism::for_table(a)?.draw(answer.ok_or_else(|| misfit(&a.name))?)?;
                Ok(table_a(a, &noisy))
            }
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    if answer.is_some() {
        return Err(misfit(&contract.name));
    }
    Ok(Cleared { inner: tables })
}

/// Σ ρ of the noised tables.
fn table_costs(contract: &Contract) -> f64 {
    contract.tables.iter().map(|table| if let Table::A(a) = table { a.rho } else { 0.0 }).sum()
}

fn misfit(place: &str) -> Refusal {
    refusals::host_fault(place, "运行结果与合约的表不符", "the results do not fit the contract's tables")
}

/// Primary and secondary suppression over all route-C tables of the job.
fn disclosure_control(
    contract: &Contract,
    tabulated: &[Cells],
    rules: &Rules,
    cells_max: usize,
) -> Result<Vec<CandidateTable>, Refusal> {
    let tables: Vec<&TableC> =
        contract.tables.iter().filter_map(|t| if let Table::C(c) = t { Some(c) } else { None }).collect();
    if tables.len() != tabulated.len() {
        return Err(misfit(&contract.name));
    }
    within_limits(&tables, cells_max)?;
    let judged = tables
        .iter()
        .zip(tabulated)
        .map(|(table, cells)| primary(table, cells, rules))
        .collect::<Result<Vec<JudgedTable>, Refusal>>()?;
    let pairs: Vec<(&TableC, &JudgedTable)> = tables.iter().copied().zip(&judged).collect();
    let added = secondary(&pairs, rules, cells_max)?;
    Ok(pairs.into_iter().zip(&added).map(|((table, judged), added)| table_c(table, judged, added)).collect())
}

fn table_c(table: &TableC, judged: &JudgedTable, added: &BTreeSet<usize>) -> CandidateTable {
    let cells = judged.cells.iter().enumerate().map(|(i, cell)| {
        let mut reasons: Vec<Reason> = cell.reasons.iter().copied().collect();
        if added.contains(&i) {
            reasons.push(Reason::Secondary);
        }
        let value = if reasons.is_empty() {
            CellValue::Published(cell.numbers.iter().map(|n| n.value).collect())
        } else {
            CellValue::Withheld(reasons)
        };
        Cell { key: key(&table.plan.dimensions, &cell.key), value }
    });
    CandidateTable {
        name: table.name.clone(),
        route: Route::C,
        dimensions: table.plan.dimensions.clone(),
        measures: table
            .plan
            .measures
            .iter()
            .map(|m| CandidateMeasure { name: m.name.clone(), sigma: None, error_95: None })
            .collect(),
        cells: cells.collect(),
    }
}

fn key(dimensions: &[Dimension], positions: &[Option<u32>]) -> Vec<Option<Key>> {
    let part = |(dimension, position): (&Dimension, &Option<u32>)| {
        let position = usize::try_from((*position)?).ok()?;
        dimension.domain.get(position).map(|(key, _)| key.clone())
    };
    dimensions.iter().zip(positions).map(part).collect()
}

fn table_a(table: &TableA, noisy: &NoisyTable) -> CandidateTable {
    let mut keys: Vec<Vec<Option<Key>>> = vec![vec![]];
    for dimension in &table.dimensions {
        let codes = || dimension.domain.iter().map(|(key, _)| Some(key.clone()));
        keys = keys.iter().flat_map(|k| codes().map(move |code| [k.as_slice(), &[code]].concat())).collect();
    }
    let cells = keys.into_iter().zip(noisy.values());
    let shares = Shares::new(table, noisy.joint_errors());
    CandidateTable {
        name: table.name.clone(),
        route: Route::A,
        dimensions: table.dimensions.clone(),
        measures: table
            .measures
            .iter()
            .zip(noisy.errors())
            .map(|(m, (sigma, error_95))| CandidateMeasure {
                name: m.name.clone(),
                sigma: Some(sigma),
                error_95: Some(error_95),
            })
            .chain(shares.headings())
            .collect(),
        cells: cells
            .map(|(key, values)| {
                let ratios = shares.of(&values);
                Cell { key, value: CellValue::Published(values.into_iter().map(Some).chain(ratios).collect()) }
            })
            .collect(),
    }
}
