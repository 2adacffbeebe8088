//! The gate as one function: every stage in order, and a [`Cleared`] at the end.
//!
//! [`clear`] is the only thing that makes a `Cleared`: the field is private to this
//! file. Tests that leave a stage out call the stages themselves and can make none.
//!
//! It does not charge, record or store anything, and shows nobody anything:
//! `service` does, with what comes out.

use std::{collections::BTreeMap, fmt};

use sluice_domain::{
    Digest, Refusal,
    candidate::{self, CandidateMeasure, CandidateTable, Cell, CellValue, Made, Route},
    catalogue::Key,
    contract::{Combine, Consistent, Contract, Dimension, MeasureA, OpenTable, Table, TableA, TableB},
    rulepack::RulePack,
};
use sluice_rows::{cells::Cells, fit::Fit};

use crate::{
    answer::Answer,
    disclosure,
    lineage::{Ledger, Record},
    noise::{
        Mechanism, NoisyTable,
        medians::Medians,
        open::{OpenMechanism, OpenNoisy},
    },
    refusals,
    route_c::{Rules, Sensitivity},
    route_d::keys,
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
    /// True statistics of the route-C tables and of those that regressions give away,
    /// in the order of [`Contract::tables_c`].
    pub tabulated: &'a [Cells],
    /// The regressions, in contract order.
    pub fits: &'a [Fit],
    /// The exact answers of the tables of routes A, B and D, in contract order.
    pub answers: Vec<Answer>,
    /// Whether a view of the job holds an L4 column.
    pub sensitivity: Sensitivity,
    /// The release ledger of every dataset root that a table of route C reads.
    pub ledgers: &'a [Ledger],
}

/// Takes a run's results through every stage of the gate.
///
/// Tables of routes C and D first: noise is drawn last, so that no refusal can come
/// after it.
///
/// # Errors
/// `gate.too-many-cells` and `gate.table` when the contract is beyond the gate's
/// limits; `gate.nothing-left` when earlier releases leave nothing of the job;
/// `gate.host-fault` when what was handed in does not fit the contract.
pub fn clear(input: GateInput<'_>) -> Result<(Cleared<Vec<CandidateTable>>, Record), Refusal> {
    let GateInput { contract, rulepack, roster_size, tabulated, fits, answers, sensitivity, ledgers } = input;
    check_terms(contract, rulepack)?;
    let rules = Rules::of(&rulepack.disclosure, sensitivity);
    let (tables_c, record) = disclosure::control(contract, (tabulated, fits), &rules, &rulepack.disclosure, ledgers)?;
    let (exact, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| matches!(a, Answer::Held(_)));
    let mut held = hold(contract, exact)?.into_iter();
    let (mut tables_c, mut noised) = (tables_c.into_iter(), noise(contract, roster_size, answers)?.into_iter());
    let in_order = contract.tables.iter().map(|table| match table {
        Table::C(_) | Table::Regression(_) | Table::Survival(_) => tables_c.next(),
        Table::D(_) => held.next(),
        Table::A(_) | Table::B(_) | Table::Open(_) => noised.next(),
    });
    let tables = in_order.collect::<Option<_>>().ok_or_else(|| refusals::misfit(&contract.name))?;
    Ok((Cleared { inner: tables }, record))
}

/// Takes the noised tables of a round that is not the last through the gate, for the
/// outer room. Each round is a pass that the contract has paid for.
///
/// # Errors
/// As [`clear()`]; `gate.host-fault` when the contract has no rounds.
pub fn clear_round(
    contract: &Contract,
    rulepack: &RulePack,
    roster_size: u64,
    answers: Vec<Answer>,
) -> Result<Cleared<Vec<CandidateTable>>, Refusal> {
    check_terms(contract, rulepack)?;
    if contract.rounds.is_none() {
        return Err(refusals::misfit(&contract.name));
    }
    Ok(Cleared { inner: noise(contract, roster_size, answers)? })
}

impl Cleared<Vec<CandidateTable>> {
    /// Takes up the cleared tables of an earlier round again, so that a replay draws
    /// no noise: `bytes` as they were sealed, `recorded` the keyed commitment that was
    /// made to them.
    ///
    /// # Errors
    /// `gate.host-fault` when the bytes are not the ones that were committed to.
    pub fn reopen(bytes: &[u8], recorded: &Digest, commit: &dyn Fn(&[u8]) -> Digest) -> Result<Self, Refusal> {
        let tables = (commit(bytes) == *recorded).then(|| candidate::round_of(bytes)).flatten();
        tables.map(|inner| Self { inner }).ok_or_else(|| refusals::misfit("round"))
    }

    /// The bytes to seal for [`Cleared::reopen`].
    pub fn canonical_bytes(&self) -> Vec<u8> {
        candidate::round_bytes(&self.inner)
    }
}

/// The rule pack is the contract's, and the contract pays for all its passes.
fn check_terms(contract: &Contract, rulepack: &RulePack) -> Result<(), Refusal> {
    if contract.rulepack != rulepack.version {
        return Err(refusals::host_fault(
            &contract.rulepack,
            "规则包版本与合约不符",
            "the rule pack is not the one the contract was frozen under",
        ));
    }
    let delta = f64::from(contract.passes()) * contract.tables.iter().map(Table::delta).sum::<f64>();
    if table_costs(contract) > contract.rho * (1.0 + COST_ROUNDING) || delta > contract.delta * (1.0 + COST_ROUNDING) {
        return Err(refusals::host_fault(
            &contract.name,
            "合约记账的 ρ 或 δ 少于各表之和",
            "the contract charges less rho or delta than its tables cost",
        ));
    }
    Ok(())
}

/// The held tables, in contract order, each answered once.
fn hold(contract: &Contract, answers: Vec<Answer>) -> Result<Vec<CandidateTable>, Refusal> {
    let mut exact = answers.into_iter().filter_map(|a| if let Answer::Held(exact) = a { Some(exact) } else { None });
    let tables = contract.held().map(|held| exact.next().filter(|e| e.answers(held)).map(|e| e.table()));
    let tables = tables.collect::<Option<Vec<_>>>().ok_or_else(|| refusals::misfit(&contract.name))?;
    if exact.next().is_some() {
        return Err(refusals::misfit(&contract.name));
    }
    Ok(tables)
}

/// Noises every table of routes A and B, in contract order, each answer once.
fn noise(contract: &Contract, roster_size: u64, answers: Vec<Answer>) -> Result<Vec<CandidateTable>, Refusal> {
    let mut answers = answers.into_iter();
    let mut tables = Vec::new();
    for table in contract.tables.iter().filter(|t| t.is_noised()) {
        let answer = answers.next().ok_or_else(|| refusals::misfit(table.name()))?;
        tables.push(one(table, roster_size, answer)?);
    }
    if answers.next().is_some() {
        return Err(refusals::misfit(&contract.name));
    }
    Ok(tables)
}

/// Noises the answer to one table.
fn one(table: &Table, roster_size: u64, answer: Answer) -> Result<CandidateTable, Refusal> {
    match (table, answer) {
        (Table::A(a), Answer::Sums(exact)) if exact.answers(a, roster_size) => {
            Ok(table_a(a, &Mechanism::for_table(a)?.draw(exact)?))
        }
        (Table::B(b), Answer::Sums(exact)) if b.combine == Combine::Mean => {
            let sums = b.as_sums().filter(|sums| exact.answers(sums, u64::from(b.blocks)));
            let noisy = Mechanism::for_table(&sums.ok_or_else(|| refusals::misfit(&b.name))?)?.draw(exact)?;
            Ok(table_b(b, &noisy))
        }
        (Table::B(b), Answer::Blocks(exact)) if b.combine == Combine::Median => {
            let medians = Medians::for_table(b)?;
            let drawn = medians.draw(exact)?;
            Ok(table_of_medians(b, &medians, drawn))
        }
        (Table::Open(o), Answer::Open(exact)) if exact.answers(o, roster_size) => {
            let mechanism = OpenMechanism::for_table(o)?;
            let noisy = mechanism.draw(exact)?;
            Ok(table_open(o, mechanism.tau(), &noisy))
        }
        _ => Err(refusals::misfit(table.name())),
    }
}

/// Rounds × Σ ρ of the noised tables.
fn table_costs(contract: &Contract) -> f64 {
    f64::from(contract.passes()) * contract.tables.iter().map(Table::rho).sum::<f64>()
}

fn heading(name: &str, (sigma, error_95): (f64, f64)) -> CandidateMeasure {
    CandidateMeasure { name: name.to_owned(), sigma: Some(sigma), error_95: Some(error_95), made: None }
}

/// The mean over blocks: back from the shift, divided by their public number.
fn table_b(table: &TableB, noisy: &NoisyTable) -> CandidateTable {
    let blocks = f64::from(table.blocks);
    #[expect(clippy::cast_precision_loss, reason = "within 2^53 by contract")]
    let low = |m: &MeasureA| m.lo as f64 / f64::from(m.grid);
    let mean = |values: Vec<f64>| values.iter().zip(&table.measures).map(|(v, m)| Some(low(m) + v / blocks)).collect();
    CandidateTable {
        name: table.name.clone(),
        route: Route::B,
        dimensions: table.dimensions.clone(),
        measures: table
            .measures
            .iter()
            .zip(noisy.errors())
            .map(|(m, (sigma, error))| heading(&m.name, (sigma / blocks, error / blocks)))
            .collect(),
        cells: keys(&table.dimensions)
            .into_iter()
            .zip(noisy.values())
            .map(|(key, values)| Cell { key, value: CellValue::Published(mean(values)) })
            .collect(),
    }
}

/// The private medians over blocks. Their error is one of rank, not of value.
fn table_of_medians(table: &TableB, medians: &Medians, drawn: Vec<Vec<f64>>) -> CandidateTable {
    let made = |rank_error_95| Some(Made::Median { blocks: table.blocks, rank_error_95 });
    let headings = table.measures.iter().zip(medians.rank_errors_95());
    let published = |values: Vec<f64>| CellValue::Published(values.into_iter().map(Some).collect());
    CandidateTable {
        name: table.name.clone(),
        route: Route::B,
        dimensions: table.dimensions.clone(),
        measures: headings
            .map(|(m, rank)| CandidateMeasure { name: m.name.clone(), sigma: None, error_95: None, made: made(rank) })
            .collect(),
        cells: keys(&table.dimensions)
            .into_iter()
            .zip(drawn)
            .map(|(key, values)| Cell { key, value: published(values) })
            .collect(),
    }
}

/// The released keys: they are the domain that this table has.
fn table_open(table: &OpenTable, tau: i64, noisy: &OpenNoisy) -> CandidateTable {
    let names = std::iter::once(OpenTable::UNITS).chain(table.measures.iter().map(|m| m.name.as_str()));
    let mut measures: Vec<_> = names.zip(noisy.errors()).map(|(name, errors)| heading(name, *errors)).collect();
    if let Some(units) = measures.first_mut() {
        units.made = Some(Made::AboveThreshold { tau });
    }
    let rows = noisy.rows();
    CandidateTable {
        name: table.name.clone(),
        route: Route::A,
        dimensions: vec![Dimension {
            name: table.key.clone(),
            title: table.title.clone(),
            domain: rows.iter().map(|row| (row.key.clone(), row.key.to_string())).collect(),
            base: None,
        }],
        measures,
        cells: rows
            .iter()
            .map(|row| Cell {
                key: vec![Some(row.key.clone())],
                value: CellValue::Published(row.values.iter().copied().map(Some).collect()),
            })
            .collect(),
    }
}

fn table_a(table: &TableA, noisy: &NoisyTable) -> CandidateTable {
    let shares = Shares::new(table, noisy.joint_errors());
    let made = table.consistent.map(|consistent| match consistent {
        Consistent::NonNegative => Made::NonNegative,
        Consistent::AddsUp => Made::AddsUp,
    });
    let kept = |x: f64| if made == Some(Made::NonNegative) { non_negative(x) } else { x };
    let measures = table.measures.iter().zip(noisy.errors());
    let measures: Vec<_> = measures.map(|(m, errors)| CandidateMeasure { made, ..heading(&m.name, errors) }).collect();
    let mut cells: Vec<Cell> = keys(&table.dimensions)
        .into_iter()
        .zip(noisy.values())
        .map(|(key, values)| {
            let ratios = shares.of(&values);
            let values = values.into_iter().map(|x| Some(kept(x)));
            Cell { key, value: CellValue::Published(values.chain(ratios).collect()) }
        })
        .collect();
    if made == Some(Made::AddsUp) {
        cells.extend(margins(&cells, table.dimensions.len(), measures.len()));
    }
    CandidateTable {
        name: table.name.clone(),
        route: Route::A,
        dimensions: table.dimensions.clone(),
        measures: measures.into_iter().chain(shares.headings()).collect(),
        cells,
    }
}

/// The nearest number that a count can be: post-processing, which costs nothing. Truth
/// x ≥ 0 implies |max(0, y) − x| ≤ |y − x| for every y, so the half-width of the interval
/// around y holds around max(0, y) as well. Only for measures whose range starts at 0 or
/// above.
fn non_negative(noised: f64) -> f64 {
    noised.max(0.0)
}

/// Every margin of noised `cells`, as the sum of their first `sums` numbers; what is
/// computed of those (shares) has its interval per cell and is not there in a margin.
fn margins(cells: &[Cell], dimensions: usize, sums: usize) -> Vec<Cell> {
    let mut margins = Vec::new();
    for over in 1u64..1 << dimensions.min(63) {
        let mut of: Vec<Cell> = Vec::new();
        let mut at: BTreeMap<Vec<Option<Key>>, usize> = BTreeMap::new();
        for cell in cells {
            let CellValue::Published(numbers) = &cell.value else { continue };
            let key = cell.key.iter().enumerate().map(|(d, key)| key.clone().filter(|_| over >> d & 1 == 0));
            let key: Vec<_> = key.collect();
            let place = *at.entry(key.clone()).or_insert(of.len());
            match of.get_mut(place).map(|margin| &mut margin.value) {
                Some(CellValue::Published(total)) => {
                    let pairs = total.iter_mut().zip(numbers).take(sums);
                    pairs.for_each(|(total, x)| *total = total.zip(*x).map(|(total, x)| total + x));
                }
                _ => {
                    let first = numbers.iter().enumerate().map(|(i, x)| x.filter(|_| i < sums));
                    of.push(Cell { key, value: CellValue::Published(first.collect()) });
                }
            }
        }
        margins.extend(of);
    }
    margins
}
