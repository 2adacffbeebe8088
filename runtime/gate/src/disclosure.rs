//! Disclosure control over all tables of route C of one job: primary and secondary
//! suppression, then history; what goes for differencing sends the tables through
//! suppression again. A regression goes out whole or not at all.
//!
//! It draws no noise and makes no [`crate::Cleared`]: only [`crate::clear()`] does.

use std::collections::BTreeSet;

use sluice_domain::{
    Refusal,
    candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
    catalogue::Key,
    contract::{Contract, Dimension, Regression, Survival, Table, TableC, Whose},
    id::ViewId,
    rulepack::Disclosure,
};
use sluice_rows::{cells::Cells, fit::Fit};

use crate::{
    findings::pattern_bits,
    lineage::{Entry, Examined, History, Ledger, Number, Record, Standing, Work, bounds, examine, ledger},
    refusals,
    route_c::{
        JudgedTable, Rules, primary, regression,
        regression::RegressionRules,
        secondary,
        secondary::within_limits,
        survival::{Curve, keep_unsaid},
    },
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
    let regressions: Vec<&Regression> = contract.regressions().collect();
    // No table of route C goes past history: each has one ledger.
    let known = |(t, _): &(TableC, Whose)| ledgers.iter().filter(|l| l.reads(&t.plan.view)).count() == 1;
    if tables.len() != tabulated.len() || regressions.len() != fits.len() || !tables.iter().all(known) {
        return Err(refusals::misfit(&contract.name));
    }
    within_limits(&tables.iter().map(|(t, _)| t).collect::<Vec<_>>(), pack.cells_max)?;
    let histories: Vec<(&Ledger, History)> = ledgers.iter().map(|l| (l, l.history(rules))).collect();
    let own = RegressionRules::of(pack, rules);
    let judged = regressions.iter().zip(fits).map(|(r, fit)| own.judge(fit, r.parameters().len()));
    let mut against: Vec<BTreeSet<Reason>> = judged.collect();
    let mut followed = followed(&tables, tabulated, contract, rules);
    let (reviewed, protected) = loop {
        let stands = |of: &Whose| match of {
            Whose::Regression(r) => against.get(*r).is_some_and(BTreeSet::is_empty),
            Whose::Own | Whose::Survival(_) => true,
        };
        let members = tables.iter().zip(tabulated).filter(|((_, of), _)| stands(of));
        let role = |of: &Whose| match of {
            Whose::Own => Role::Own,
            Whose::Regression(r) => Role::Regression(*r),
            Whose::Survival(s) => Role::Unsaid(*s),
        };
        let members = members.map(|((table, of), cells)| Member { table, cells, role: role(of) });
        let curves = followed.iter().enumerate().flat_map(|(s, f)| f.members(s));
        let members = members.chain(curves).collect();
        let together = Together { members, followed: &followed, rules, pack, histories: &histories };
        let protected = together.protect()?;
        let cuts = together.cuts(&protected);
        let mut fallen = !cuts.is_empty();
        for (r, (regression, reasons)) in regressions.iter().zip(&mut against).enumerate() {
            let before = reasons.len();
            reasons.extend(together.lost(r, regression, &protected));
            fallen |= reasons.len() > before;
        }
        if !fallen {
            let out = together.own(&protected);
            break ((together.reviewed(contract, &protected.record.review), out), protected.record);
        }
        for (s, g, interval, reasons) in cuts {
            if let Some(followed) = followed.get_mut(s) {
                followed.cut(g, interval, reasons);
            }
        }
    };
    let ((review, cleared), record) = (reviewed, protected);
    let record = Record { review, ..record };
    let (mut cleared, mut curves) = (cleared.into_iter(), followed.iter());
    let mut reasons = regressions.iter().zip(fits).zip(against);
    let finish = |table: &Table| match table {
        Table::C(_) => cleared.next(),
        Table::Regression(_) => reasons.next().map(|((r, fit), reasons)| table_of_fit(r, fit, reasons)),
        Table::Survival(_) => curves.next().map(table_of_curves),
        Table::A(_) | Table::B(_) | Table::Open(_) | Table::D(_) => None,
    };
    let finished: Vec<CandidateTable> = contract.tables.iter().filter_map(finish).collect();
    let out = |t: &CandidateTable| t.cells.iter().any(|c| matches!(c.value, CellValue::Published(_)));
    let by_history = |r: &Reason| matches!(r, Reason::Differencing | Reason::AsBefore);
    let differs = |t: &CandidateTable| {
        t.cells.iter().any(|c| matches!(&c.value, CellValue::Withheld(reasons) if reasons.iter().any(by_history)))
    };
    let nothing_left = finished.iter().any(differs) && !finished.iter().any(out);
    if nothing_left && !contract.tables.iter().any(Table::is_answered) {
        return Err(refusals::nothing_left(&contract.name));
    }
    let pattern_bits = finished.iter().map(pattern_bits).sum();
    Ok((finished, Record { pattern_bits, ..record }))
}

/// A table, its tabulation, and what it is there for.
struct Member<'a> {
    table: &'a TableC,
    cells: &'a Cells,
    role: Role,
}

/// What a table is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It was asked for.
    Own,
    /// This regression gives it away.
    Regression(usize),
    /// The counts under this survival curve; of them, what no curve says.
    Unsaid(usize),
    /// What this survival curve says of this group.
    Curve(usize, usize),
}

/// A survival curve's counts, and of each group how far it is shown.
struct Followed<'a> {
    plan: &'a Survival,
    counted: &'a Cells,
    curves: Vec<Curve>,
}

/// Each survival curve at the most steps that its own counts allow.
fn followed<'a>(
    tables: &[(TableC, Whose)],
    tabulated: &'a [Cells],
    contract: &'a Contract,
    rules: &Rules,
) -> Vec<Followed<'a>> {
    let counted = tables.iter().zip(tabulated).filter(|((_, of), _)| matches!(of, Whose::Survival(_)));
    let k = rules.threshold.unwrap_or(1);
    let followed = contract.survivals().zip(counted);
    followed.map(|(plan, (_, counted))| Followed { plan, counted, curves: Curve::of(plan, counted, k) }).collect()
}

impl Followed<'_> {
    /// The groups with a step to show.
    fn members(&self, survival: usize) -> impl Iterator<Item = Member<'_>> {
        let shown = self.curves.iter().enumerate().filter(|(_, curve)| !curve.ends.is_empty());
        shown.map(move |(g, c)| Member { table: &c.table, cells: &c.cells, role: Role::Curve(survival, g) })
    }

    fn cut(&mut self, group: usize, interval: usize, reasons: BTreeSet<Reason>) {
        if let Some(curve) = self.curves.get_mut(group) {
            curve.cut(self.plan, self.counted, interval, reasons);
        }
    }
}

/// Tables that go out together, and what they are held against.
struct Together<'a> {
    members: Vec<Member<'a>>,
    followed: &'a [Followed<'a>],
    rules: &'a Rules,
    pack: &'a Disclosure,
    histories: &'a [(&'a Ledger, History)],
}

/// Judged tables, the cells to withhold besides, and what the job enters.
struct Protected {
    judged: Vec<JudgedTable>,
    added: Vec<BTreeSet<usize>>,
    record: Record,
}

/// What the tables on one view enter.
struct Asked {
    /// Table and cell by the numbers that `entries` go by.
    places: Vec<(usize, usize)>,
    entries: Vec<(usize, Entry)>,
    numbers: Vec<Number>,
}

impl Together<'_> {
    /// Suppression until history has nothing against the tables.
    fn protect(&self) -> Result<Protected, Refusal> {
        let judged = self.members.iter().map(|m| self.judge(m));
        let mut judged = judged.collect::<Result<Vec<JudgedTable>, Refusal>>()?;
        self.as_before(&mut judged);
        loop {
            let pairs: Vec<(&TableC, &JudgedTable)> = self.members.iter().map(|m| m.table).zip(&judged).collect();
            let added = secondary(&pairs, self.rules, self.pack.cells_max)?;
            let (found, record) = self.differences(&judged, &added)?;
            if found.is_empty() {
                return Ok(Protected { judged, added, record });
            }
            for (table, cell) in found {
                if let Some(cell) = judged.get_mut(table).and_then(|t| t.cells.get_mut(cell)) {
                    cell.reasons.insert(Reason::Differencing);
                }
            }
        }
    }

    fn judge(&self, member: &Member<'_>) -> Result<JudgedTable, Refusal> {
        let mut judged = primary(member.table, member.cells, self.rules)?;
        match member.role {
            Role::Own | Role::Regression(_) => {}
            Role::Curve(..) => Curve::say_nobody(&mut judged),
            Role::Unsaid(s) => {
                if let Some(followed) = self.followed.get(s) {
                    keep_unsaid(&mut judged, &followed.curves, followed.plan.steps.len());
                }
            }
        }
        Ok(judged)
    }

    /// The tables that were asked for, as they may go out.
    fn own(&self, protected: &Protected) -> Vec<CandidateTable> {
        let Protected { judged, added, .. } = protected;
        let own = self.members.iter().zip(judged).zip(added).filter(|((m, _), _)| m.role == Role::Own);
        own.map(|((m, judged), added)| table_c(m.table, judged, added)).collect()
    }

    /// The steps that survival curves must do without: curve, group, the first of its
    /// shown steps whose counts may not be published, and why.
    fn cuts(&self, protected: &Protected) -> Vec<(usize, usize, usize, BTreeSet<Reason>)> {
        let Protected { judged, added, .. } = protected;
        let members = self.members.iter().zip(judged).zip(added);
        let cut = members.filter_map(|((m, judged), added)| {
            let Role::Curve(s, g) = m.role else { return None };
            let (interval, reasons) = self.followed.get(s)?.curves.get(g)?.broken(judged, added)?;
            Some((s, g, interval, reasons))
        });
        cut.collect()
    }

    /// Why regression `r` cannot go out: what is withheld of the tables that it gives away.
    fn lost(&self, r: usize, regression: &Regression, protected: &Protected) -> BTreeSet<Reason> {
        let Protected { judged, added, .. } = protected;
        let given = self.members.iter().zip(judged).zip(added).filter(|((m, _), _)| m.role == Role::Regression(r));
        let reasons = given.enumerate().flat_map(|(place, ((_, judged), added))| {
            let kept = judged.cells.iter().enumerate().filter(move |(_, cell)| regression.keeps(place, &cell.key));
            kept.flat_map(|(i, cell)| {
                cell.reasons.iter().copied().chain(added.contains(&i).then_some(Reason::Secondary))
            })
        });
        reasons.collect()
    }

    /// Marks the cells that earlier runs withheld without a reason of their own and never
    /// published, so that the same question has the same answer, for the same reason.
    fn as_before(&self, judged: &mut [JudgedTable]) {
        let nothing = vec![BTreeSet::new(); self.members.len()];
        let mut marks = Vec::new();
        for (ledger, history) in self.histories.iter().filter(|(_, history)| !history.is_empty()) {
            for view in ledger.views() {
                let asked = self.of_view(view, ledger, judged, &nothing);
                let was = |(at, entry): &(usize, Entry)| {
                    let reason = match history.unpublished(entry)? {
                        Standing::Differencing => Reason::Differencing,
                        _ => Reason::AsBefore,
                    };
                    Some((*asked.places.get(*at)?, reason))
                };
                marks.extend(asked.entries.iter().filter_map(was));
                let known = history.known(&asked.entries);
                for (table, cell) in known.iter().filter_map(|at| asked.places.get(*at)) {
                    if let Some(cell) = judged.get_mut(*table).and_then(|t| t.cells.get_mut(*cell)) {
                        cell.known = true;
                    }
                }
            }
        }
        for ((table, cell), reason) in marks {
            if let Some(cell) = judged.get_mut(table).and_then(|t| t.cells.get_mut(cell)) {
                cell.reasons.insert(reason);
            }
        }
    }

    fn of_view(&self, view: &ViewId, ledger: &Ledger, judged: &[JudgedTable], added: &[BTreeSet<usize>]) -> Asked {
        let (mut places, mut numbers) = (Vec::new(), Vec::new());
        let members = self.members.iter().zip(judged.iter().zip(added)).enumerate();
        for (t, (Member { table, cells, .. }, (judged, added))) in
            members.filter(|(_, (m, _))| m.table.plan.view == *view)
        {
            let base = places.len();
            places.extend((0..judged.cells.len()).map(|cell| (t, cell)));
            let member = ledger::Member { table, cells, judged, added };
            let of_table = ledger.numbers(member, self.rules, self.dominance_n());
            numbers.extend(of_table.into_iter().map(|(cell, number)| (base + cell, number)));
        }
        let entries = ledger.read(&numbers, self.rules);
        Asked { places, entries, numbers: numbers.into_iter().map(|(_, number)| number).collect() }
    }

    fn dominance_n(&self) -> usize {
        usize::try_from(self.pack.dominance_n).unwrap_or(usize::MAX)
    }

    /// The cells, by table and position, that must go for what was cleared before, and what
    /// the job enters if none must. The tables on one view are examined together, those on
    /// the next view of the same root after them, with them as history: within a view
    /// suppression has weighed what they tell by themselves.
    fn differences(
        &self,
        judged: &[JudgedTable],
        added: &[BTreeSet<usize>],
    ) -> Result<(Vec<(usize, usize)>, Record), Refusal> {
        let (mut found, mut record) = (Vec::new(), Record::default());
        for (ledger, history) in self.histories {
            let (people, mut history) = (ledger.people(self.rules, self.dominance_n()), history.clone());
            let mut entered = Vec::new();
            for view in ledger.views() {
                let Asked { places, entries, numbers } = self.of_view(view, ledger, judged, added);
                let examined = examine(&history, &entries, &people, &Work::default())?;
                // Suppression has audited a table by itself. What goes already changes what may
                // be bounded: that is for the next round.
                let alone =
                    history.is_empty() && self.members.iter().filter(|m| m.table.plan.view == *view).count() == 1;
                let audited = if alone || !examined.withhold.is_empty() {
                    Examined::default()
                } else {
                    bounds(&history, &entries, &people, &Work::default())
                };
                let place = |at: &usize| places.get(*at).copied();
                let fresh = |(t, cell): &(usize, usize)| {
                    let cell = judged.get(*t).and_then(|t| t.cells.get(*cell));
                    cell.is_some_and(|c| !c.reasons.contains(&Reason::Differencing))
                };
                found.extend(examined.withhold.union(&audited.withhold).filter_map(place).filter(fresh));
                let position = |(t, cell): (usize, usize)| Some((u32::try_from(t).ok()?, u32::try_from(cell).ok()?));
                record.review.extend(examined.review.iter().filter_map(place).filter_map(position));
                record.limit_reached |= examined.limit_reached || audited.limit_reached;
                history.enter(entries.into_iter().map(|(_, entry)| entry));
                entered.extend(numbers);
            }
            record.roots.push(ledger.root(entered));
        }
        Ok((found, record))
    }

    /// Cells for a person by their place in the product: those that a regression gives
    /// away stand for its first row, those of a curve for its group's.
    fn reviewed(&self, contract: &Contract, cells: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let of_kind = |wanted: fn(&Table) -> bool| -> Vec<u32> {
            (0u32..).zip(&contract.tables).filter(|(_, t)| wanted(t)).map(|(i, _)| i).collect()
        };
        let (tables, fits) = (of_kind(|t| matches!(t, Table::C(_))), of_kind(|t| matches!(t, Table::Regression(_))));
        let curves = of_kind(|t| matches!(t, Table::Survival(_)));
        let place = |(t, cell): &(u32, u32)| {
            let (before, after) = self.members.split_at_checked(usize::try_from(*t).ok()?)?;
            match after.first()?.role {
                Role::Regression(r) => Some((*fits.get(r)?, 0)),
                Role::Own => Some((*tables.get(before.iter().filter(|m| m.role == Role::Own).count())?, *cell)),
                Role::Unsaid(s) => Some((*curves.get(s)?, 0)),
                Role::Curve(s, g) => {
                    let first = g.checked_mul(self.followed.get(s)?.plan.steps.len())?;
                    Some((*curves.get(s)?, u32::try_from(first).ok()?))
                }
            }
        };
        cells.iter().filter_map(place).collect()
    }
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

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn table_of_curves(followed: &Followed<'_>) -> CandidateTable {
    let (plan, dimensions) = (followed.plan, followed.plan.dimensions());
    let cells = followed.curves.iter().flat_map(|curve| {
        let points: Vec<_> = curve.ends.iter().zip(curve.points()).collect();
        let positions = |step: usize| curve.group.iter().copied().chain(u32::try_from(step)).map(Some);
        let cells: Vec<Cell> = (0..plan.steps.len())
            .map(|step| {
                let shown = points.iter().find(|(end, _)| **end == step).map(|(_, point)| {
                    let counts = [point.at_risk, point.events, point.censored].map(|n| Some(n as f64));
                    CellValue::Published([Some(point.survival), point.std_error].into_iter().chain(counts).collect())
                });
                let lost = |reasons: &BTreeSet<Reason>| reasons.iter().copied().collect();
                let reasons = || curve.lost.get(&step).map_or_else(|| vec![Reason::Threshold], lost);
                let key = key(&dimensions, &positions(step).collect::<Vec<_>>());
                Cell { key, value: shown.unwrap_or_else(|| CellValue::Withheld(reasons())) }
            })
            .collect();
        cells
    });
    let heading = |name: &str| CandidateMeasure { name: name.to_owned(), sigma: None, error_95: None, made: None };
    CandidateTable {
        name: plan.name.clone(),
        route: Route::C,
        cells: cells.collect(),
        measures: Survival::MEASURES.map(heading).into(),
        dimensions,
    }
}

fn key(dimensions: &[Dimension], positions: &[Option<u32>]) -> Vec<Option<Key>> {
    let part = |(dimension, position): (&Dimension, &Option<u32>)| {
        let position = usize::try_from((*position)?).ok()?;
        dimension.domain.get(position).map(|(key, _)| key.clone())
    };
    dimensions.iter().zip(positions).map(part).collect()
}
