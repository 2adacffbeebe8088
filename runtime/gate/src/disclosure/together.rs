//! Suppression over tables that go out together, until history has nothing against what
//! is left of them: the tables of one run, or of one job of a case file.
//!
//! It takes nothing back and asks for nothing: what a model must do without for what is
//! withheld here is decided beside it, in `models`.

use std::collections::BTreeSet;

use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Combination, TableC},
    id::ViewId,
};
use sluice_rows::cells::Cells;

use crate::{
    lineage::{Entry, Examined, History, Ledger, Number, Record, Standing, Work, bounds, examine, ledger},
    route_c::{Depth, JudgedTable, Rules, frame::Frame, secondary, secondary::suppress},
};

/// A table, its tabulation, and what it is there for.
pub(crate) struct Member<'a> {
    pub(crate) table: &'a TableC,
    pub(crate) cells: &'a Cells,
    pub(crate) role: Role,
}

/// What a table is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It was asked for, as this one of its kind.
    Own(usize),
    /// This regression gives it away.
    Regression(usize),
    /// The counts under this survival curve; of them, what no curve says.
    Unsaid(usize),
    /// What this survival curve says of this group.
    Curve(usize, usize),
}

/// What tables are judged by and held against.
pub(crate) struct Against<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) dominance_n: usize,
    pub(crate) keys: Keys,
    pub(crate) histories: &'a [(&'a Ledger, History)],
}

/// What is known of keys that a table does not have.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// There are none: it has its whole declared domain, of so many cells at most.
    Declared(usize),
    /// Nobody is there: the keys of a case file's table are the observed ones.
    Observed,
}

/// Tables that go out together.
pub(crate) struct Together<'a> {
    pub(crate) members: Vec<Member<'a>>,
    pub(crate) against: &'a Against<'a>,
}

/// Judged tables, the cells to withhold besides, and what the job enters. The cells for a
/// person are by table and position.
pub(crate) struct Protected {
    pub(crate) judged: Vec<JudgedTable>,
    pub(crate) added: Vec<BTreeSet<usize>>,
    pub(crate) record: Record,
}

/// What the tables on one view enter.
struct Asked {
    /// Table and cell by the numbers that `entries` go by.
    places: Vec<(usize, usize)>,
    entries: Vec<(usize, Entry)>,
    numbers: Vec<Number>,
}

impl Together<'_> {
    /// Suppression of the members, as `judged`, until history has nothing against them.
    ///
    /// # Errors
    /// `gate.too-many-cells`; `gate.host-fault` when rows give another number than before.
    pub(crate) fn protect(&self, mut judged: Vec<JudgedTable>) -> Result<Protected, Refusal> {
        self.as_before(&mut judged);
        loop {
            let added = self.suppress(&judged)?;
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

    fn suppress(&self, judged: &[JudgedTable]) -> Result<Vec<BTreeSet<usize>>, Refusal> {
        let pairs: Vec<(&TableC, &JudgedTable)> = self.members.iter().map(|m| m.table).zip(judged).collect();
        match self.against.keys {
            Keys::Declared(cells_max) => secondary(&pairs, self.against.rules, cells_max),
            Keys::Observed => {
                let alone = |pair: &(&TableC, &JudgedTable)| {
                    suppress(Depth::Audited, &Frame::of_one(pair.1), &[*pair], self.against.rules)
                };
                Ok(pairs.iter().map(alone).collect())
            }
        }
    }

    /// Marks the cells that earlier runs withheld without a reason of their own and never
    /// published, so that the same question has the same answer, for the same reason.
    fn as_before(&self, judged: &mut [JudgedTable]) {
        let nothing = vec![BTreeSet::new(); self.members.len()];
        let mut marks = Vec::new();
        for (ledger, history) in self.against.histories.iter().filter(|(_, history)| !history.is_empty()) {
            for view in ledger.views() {
                let asked = self.of_view(view, ledger, judged, &nothing);
                let was = |(at, entry): &(usize, Entry)| {
                    let reason = history.unpublished(entry)?.told_again();
                    Some((*asked.places.get(*at)?, reason))
                };
                marks.extend(asked.entries.iter().filter_map(was));
                let known = history.known(&asked.entries, self.impossible(view));
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
            let of_table = ledger.numbers(member, self.against.rules, self.against.dominance_n);
            numbers.extend(of_table.into_iter().map(|(cell, number)| (base + cell, number)));
        }
        let entries = ledger.read(&numbers, self.against.rules);
        Asked { places, entries, numbers: numbers.into_iter().map(|(_, number)| number).collect() }
    }

    /// What no row behind `view` has: every table on it says the same.
    fn impossible(&self, view: &ViewId) -> &[Combination] {
        let table = self.members.iter().map(|m| m.table).find(|table| table.plan.view == *view);
        table.map_or(&[], |table| &table.plan.impossible)
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
        for (ledger, history) in self.against.histories {
            let people = ledger.people(self.against.rules, self.against.dominance_n);
            let (mut history, mut entered) = (history.clone(), Vec::new());
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
                    bounds(&history, &entries, (&people, self.impossible(view)), &Work::default())
                };
                let place = |at: &usize| places.get(*at).copied();
                let fresh = |(t, cell): &(usize, usize)| {
                    let cell = judged.get(*t).and_then(|t| t.cells.get(*cell));
                    cell.is_some_and(|c| !c.reasons.contains(&Reason::Differencing))
                };
                found.extend(examined.withhold.union(&audited.withhold).filter_map(place).filter(fresh));
                let position = |(t, cell): (usize, usize)| Some((u32::try_from(t).ok()?, u32::try_from(cell).ok()?));
                let review = examined.review.union(&audited.review);
                record.review.extend(review.filter_map(place).filter_map(position));
                record.limit_reached |= examined.limit_reached || audited.limit_reached;
                history.enter(entries.into_iter().map(|(_, entry)| entry));
                entered.extend(numbers);
            }
            record.roots.push(ledger.root(entered));
        }
        Ok((found, record))
    }
}

impl Standing {
    /// Why what stood so is withheld when it is asked for again.
    pub(super) fn told_again(self) -> Reason {
        if self == Self::Differencing { Reason::Differencing } else { Reason::AsBefore }
    }
}
