//! The gate as one function: every stage in order, and a [`Cleared`] at the end.
//!
//! [`clear`] is the only thing that makes a `Cleared`: the field is private to this
//! file. Tests that leave a stage out call the stages themselves and can make none.
//!
//! It does not charge, record or store anything, and shows nobody anything:
//! `service` does, with what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sluice_domain::{
    Digest, Refusal,
    candidate::{self, CandidateMeasure, CandidateTable, Cell, CellValue, Made, Reason, Route},
    catalogue::Key,
    contract::{
        Combine, Consistent, Contract, Dimension, MeasureA, OpenTable, Regression, Table, TableA, TableB, TableC,
    },
    rulepack::{Disclosure, RulePack},
};
use sluice_rows::{cells::Cells, fit::Fit};

use crate::{
    answer::Answer,
    consistent::non_negative,
    findings::pattern_bits,
    lineage::{Entry, History, Ledger, Record, Work, examine, ledger},
    noise::{
        Mechanism, NoisyTable,
        medians::Medians,
        open::{OpenMechanism, OpenNoisy},
    },
    refusals,
    route_c::{
        JudgedTable, Rules, Sensitivity, primary, regression, regression::RegressionRules, secondary,
        secondary::within_limits,
    },
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
    /// The exact answers of the tables of routes A and B, in contract order.
    pub answers: Vec<Answer>,
    /// Whether a view of the job holds an L4 column.
    pub sensitivity: Sensitivity,
    /// The release ledger of every dataset root that a table of route C reads.
    pub ledgers: &'a [Ledger],
}

/// Takes a run's results through every stage of the gate.
///
/// Route-C tables first: noise is drawn last, so that no refusal can come after it.
///
/// # Errors
/// `gate.too-many-cells` and `gate.table` when the contract is beyond the gate's
/// limits; `gate.nothing-left` when earlier releases leave nothing of the job;
/// `gate.host-fault` when what was handed in does not fit the contract.
pub fn clear(input: GateInput<'_>) -> Result<(Cleared<Vec<CandidateTable>>, Record), Refusal> {
    let GateInput { contract, rulepack, roster_size, tabulated, fits, answers, sensitivity, ledgers } = input;
    check_terms(contract, rulepack)?;
    let rules = Rules::of(&rulepack.disclosure, sensitivity);
    let (tables_c, record) = disclosure_control(contract, (tabulated, fits), &rules, &rulepack.disclosure, ledgers)?;
    let (mut tables_c, mut noised) = (tables_c.into_iter(), noise(contract, roster_size, answers)?.into_iter());
    let in_order = contract.tables.iter().map(|t| if t.is_noised() { noised.next() } else { tables_c.next() });
    let tables = in_order.collect::<Option<_>>().ok_or_else(|| misfit(&contract.name))?;
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
        return Err(misfit(&contract.name));
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
        tables.map(|inner| Self { inner }).ok_or_else(|| misfit("round"))
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

/// Noises every table of routes A and B, in contract order, each answer once.
fn noise(contract: &Contract, roster_size: u64, answers: Vec<Answer>) -> Result<Vec<CandidateTable>, Refusal> {
    let mut answers = answers.into_iter();
    let mut tables = Vec::new();
    for table in contract.tables.iter().filter(|t| t.is_noised()) {
        let answer = answers.next().ok_or_else(|| misfit(table.name()))?;
        tables.push(one(table, roster_size, answer)?);
    }
    if answers.next().is_some() {
        return Err(misfit(&contract.name));
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
            let noisy = Mechanism::for_table(&sums.ok_or_else(|| misfit(&b.name))?)?.draw(exact)?;
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
        _ => Err(misfit(table.name())),
    }
}

/// Rounds × Σ ρ of the noised tables.
fn table_costs(contract: &Contract) -> f64 {
    f64::from(contract.passes()) * contract.tables.iter().map(Table::rho).sum::<f64>()
}

fn misfit(place: &str) -> Refusal {
    refusals::host_fault(place, "运行结果与合约的表不符", "the results do not fit the contract's tables")
}

/// Primary and secondary suppression over all route-C tables of the job, then history.
/// A regression goes out whole or not at all: it stays while its own rules hold and
/// every cell that it gives away may be published beside the others.
fn disclosure_control(
    contract: &Contract,
    (tabulated, fits): (&[Cells], &[Fit]),
    rules: &Rules,
    pack: &Disclosure,
    ledgers: &[Ledger],
) -> Result<(Vec<CandidateTable>, Record), Refusal> {
    let tables = contract.tables_c();
    let regressions: Vec<&Regression> = contract.regressions().collect();
    // No table of route C goes past history: each has one ledger.
    let known = |(t, _): &(TableC, Option<usize>)| ledgers.iter().filter(|l| l.reads(&t.plan.view)).count() == 1;
    if tables.len() != tabulated.len() || regressions.len() != fits.len() || !tables.iter().all(known) {
        return Err(misfit(&contract.name));
    }
    within_limits(&tables.iter().map(|(t, _)| t).collect::<Vec<_>>(), pack.cells_max)?;
    let histories: Vec<(&Ledger, History)> = ledgers.iter().map(|l| (l, l.history(rules))).collect();
    let own = RegressionRules::of(pack, rules);
    let judged = regressions.iter().zip(fits).map(|(r, fit)| own.judge(fit, r.parameters().len()));
    let mut against: Vec<BTreeSet<Reason>> = judged.collect();
    let (members, protected) = loop {
        let stands = |of: &Option<usize>| of.is_none_or(|r| against.get(r).is_some_and(BTreeSet::is_empty));
        let members: Vec<Member<'_>> =
            tables.iter().zip(tabulated).filter(|((_, of), _)| stands(of)).map(|((t, of), c)| (t, c, *of)).collect();
        let protected = protect(&members, rules, pack, &histories)?;
        let mut fallen = false;
        for (r, regression) in regressions.iter().enumerate() {
            let of = members.iter().zip(&protected.0).zip(&protected.1).filter(|(((.., of), _), _)| *of == Some(r));
            for (place, ((_, judged), added)) in of.enumerate() {
                let lost = judged.cells.iter().enumerate().filter(|(_, cell)| regression.keeps(place, &cell.key));
                let lost = lost.flat_map(|(i, cell)| {
                    cell.reasons.iter().copied().chain(added.contains(&i).then_some(Reason::Secondary))
                });
                if let Some(reasons) = against.get_mut(r) {
                    let before = reasons.len();
                    reasons.extend(lost);
                    fallen |= reasons.len() > before;
                }
            }
        }
        if !fallen {
            break (members, protected);
        }
    };
    let (judged, added, mut record) = protected;
    record.review = reviewed(contract, &members, &record.review);
    let mut cleared = members.iter().zip(&judged).zip(&added).filter(|(((.., of), _), _)| of.is_none());
    let mut reasons = regressions.iter().zip(fits).zip(against);
    let finish = |table: &Table| match table {
        Table::C(_) => cleared.next().map(|(((table, ..), judged), added)| table_c(table, judged, added)),
        Table::Regression(_) => reasons.next().map(|((r, fit), reasons)| table_of_fit(r, fit, reasons)),
        Table::A(_) | Table::B(_) | Table::Open(_) => None,
    };
    let finished: Vec<CandidateTable> = contract.tables.iter().filter_map(finish).collect();
    let out = |t: &CandidateTable| t.cells.iter().any(|c| matches!(c.value, CellValue::Published(_)));
    let differs = |t: &CandidateTable| {
        t.cells.iter().any(|c| matches!(&c.value, CellValue::Withheld(r) if r.contains(&Reason::Differencing)))
    };
    let nothing_left = finished.iter().any(differs) && !finished.iter().any(out);
    if nothing_left && !contract.tables.iter().any(Table::is_noised) {
        return Err(refusals::nothing_left(&contract.name));
    }
    let pattern_bits = finished.iter().map(pattern_bits).sum();
    Ok((finished, Record { pattern_bits, ..record }))
}

/// Cells for a person by their place in the product: those that a regression gives
/// away stand for its first row.
fn reviewed(contract: &Contract, members: &[Member<'_>], cells: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let of_kind = |wanted: fn(&Table) -> bool| -> Vec<u32> {
        (0u32..).zip(&contract.tables).filter(|(_, t)| wanted(t)).map(|(i, _)| i).collect()
    };
    let (tables, fits) = (of_kind(|t| matches!(t, Table::C(_))), of_kind(|t| matches!(t, Table::Regression(_))));
    let place = |(t, cell): &(u32, u32)| {
        let (before, after) = members.split_at_checked(usize::try_from(*t).ok()?)?;
        match after.first()? {
            (.., Some(r)) => Some((*fits.get(*r)?, 0)),
            (.., None) => Some((*tables.get(before.iter().filter(|(.., of)| of.is_none()).count())?, *cell)),
        }
    };
    cells.iter().filter_map(place).collect()
}

/// A table, its tabulation, and the regression that gives it away, if one does.
type Member<'a> = (&'a TableC, &'a Cells, Option<usize>);

/// Judged tables, the cells to withhold besides, and what the job enters.
type Protected = (Vec<JudgedTable>, Vec<BTreeSet<usize>>, Record);

/// Suppression over tables that go out together, until history has nothing against
/// them: what goes for differencing sends them through suppression again.
fn protect(
    members: &[Member<'_>],
    rules: &Rules,
    pack: &Disclosure,
    histories: &[(&Ledger, History)],
) -> Result<Protected, Refusal> {
    let judged = members.iter().map(|(table, cells, _)| primary(table, cells, rules));
    let mut judged = judged.collect::<Result<Vec<JudgedTable>, Refusal>>()?;
    loop {
        let pairs: Vec<(&TableC, &JudgedTable)> = members.iter().map(|(t, ..)| *t).zip(&judged).collect();
        let added = secondary(&pairs, rules, pack.cells_max)?;
        let (found, record) = differences(members, &judged, &added, rules, pack, histories)?;
        if found.is_empty() {
            return Ok((judged, added, record));
        }
        for (table, cell) in found {
            if let Some(cell) = judged.get_mut(table).and_then(|t| t.cells.get_mut(cell)) {
                cell.reasons.insert(Reason::Differencing);
            }
        }
    }
}

/// The cells, by table and position, that must go for what was cleared before, and what
/// the job enters if none must.
fn differences(
    members: &[Member<'_>],
    judged: &[JudgedTable],
    added: &[BTreeSet<usize>],
    rules: &Rules,
    pack: &Disclosure,
    histories: &[(&Ledger, History)],
) -> Result<(Vec<(usize, usize)>, Record), Refusal> {
    let dominance_n = usize::try_from(pack.dominance_n).unwrap_or(usize::MAX);
    let (mut found, mut record) = (Vec::new(), Record::default());
    for (ledger, history) in histories {
        let (mut places, mut numbers) = (Vec::new(), Vec::new());
        let of_root = members.iter().zip(judged.iter().zip(added)).enumerate();
        for (t, ((table, cells, _), (judged, added))) in of_root.filter(|(_, ((t, ..), _))| ledger.reads(&t.plan.view))
        {
            let base = places.len();
            places.extend((0..judged.cells.len()).map(|cell| (t, cell)));
            let of_table = ledger.numbers(ledger::Member { table, cells, judged, added }, rules, dominance_n);
            numbers.extend(of_table.into_iter().map(|(cell, number)| (base + cell, number)));
        }
        let new = numbers.iter().filter_map(|(at, number)| Some((*at, ledger.entry(number, rules)?)));
        let new: Vec<(usize, Entry)> = new.collect();
        let examined = examine(history, &new, &ledger.people(rules, dominance_n), &Work::default())?;
        let place = |at: &usize| places.get(*at).copied();
        let fresh = |(t, cell): &(usize, usize)| {
            let cell = judged.get(*t).and_then(|t| t.cells.get(*cell));
            cell.is_some_and(|c| !c.reasons.contains(&Reason::Differencing))
        };
        found.extend(examined.withhold.iter().filter_map(place).filter(fresh));
        let position = |(t, cell): (usize, usize)| Some((u32::try_from(t).ok()?, u32::try_from(cell).ok()?));
        record.review.extend(examined.review.iter().filter_map(place).filter_map(position));
        record.limit_reached |= examined.limit_reached;
        record.roots.push(ledger.root(numbers.into_iter().map(|(_, number)| number).collect()));
    }
    Ok((found, record))
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
            .map(|m| CandidateMeasure { name: m.name.clone(), sigma: None, error_95: None, made: None })
            .collect(),
        cells: cells.collect(),
    }
}

fn table_of_fit(table: &Regression, fit: &Fit, reasons: BTreeSet<Reason>) -> CandidateTable {
    let dimension = table.dimension();
    let rows = regression::published(fit).map(Some).chain(std::iter::repeat(None));
    let cell = |((key, _), row): (&(Key, String), Option<Vec<Option<f64>>>)| Cell {
        key: vec![Some(key.clone())],
        value: match row {
            Some(row) if reasons.is_empty() => CellValue::Published(row),
            _ => CellValue::Withheld(reasons.iter().copied().collect()),
        },
    };
    let heading = |name: &str| CandidateMeasure { name: name.to_owned(), sigma: None, error_95: None, made: None };
    CandidateTable {
        name: table.name.clone(),
        route: Route::C,
        cells: dimension.domain.iter().zip(rows).map(cell).collect(),
        dimensions: vec![dimension],
        measures: Regression::MEASURES.map(heading).into(),
    }
}

fn key(dimensions: &[Dimension], positions: &[Option<u32>]) -> Vec<Option<Key>> {
    let part = |(dimension, position): (&Dimension, &Option<u32>)| {
        let position = usize::try_from((*position)?).ok()?;
        dimension.domain.get(position).map(|(key, _)| key.clone())
    };
    dimensions.iter().zip(positions).map(part).collect()
}

/// Every key of the declared domain, in canonical order.
fn keys(dimensions: &[Dimension]) -> Vec<Vec<Option<Key>>> {
    let mut keys: Vec<Vec<Option<Key>>> = vec![vec![]];
    for dimension in dimensions {
        let codes = || dimension.domain.iter().map(|(key, _)| Some(key.clone()));
        keys = keys.iter().flat_map(|k| codes().map(move |code| [k.as_slice(), &[code]].concat())).collect();
    }
    keys
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
