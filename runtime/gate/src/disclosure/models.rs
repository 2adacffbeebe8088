//! Regressions and survival curves beside tables: each is judged by the tables that it
//! gives away, protected together with the others and held against history. A regression
//! goes out whole or not at all; a curve does without the steps whose counts may not.
//!
//! It makes no candidate: that is for whoever asked.

use std::collections::BTreeSet;

use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Regression, Survival, TableC, Whose},
};
use sluice_rows::cells::Cells;

use super::together::{Against, Member, Protected, Role, Together};
use crate::{
    lineage::{Ledger, Number, Record, ledger},
    route_c::{
        JudgedTable, primary,
        survival::{Curve, keep_unsaid},
    },
};

/// What one job asks for.
pub(crate) struct Plans<'a> {
    /// Its tables with those that its models give away, each with whose it is.
    pub(crate) tables: &'a [(TableC, Whose)],
    /// Of each, what was counted.
    pub(crate) tabulated: &'a [Cells],
    /// Its regressions, each with what its own rules say.
    pub(crate) regressions: Vec<(&'a Regression, BTreeSet<Reason>)>,
    pub(crate) survivals: Vec<&'a Survival>,
}

/// What may be published of it.
pub(crate) struct Settled<'a> {
    /// Of each table that was asked for, its cells and the ones withheld besides.
    pub(crate) own: Vec<(JudgedTable, BTreeSet<usize>)>,
    /// Of each regression, why it is not.
    pub(crate) fallen: Vec<BTreeSet<Reason>>,
    pub(crate) followed: Vec<Followed<'a>>,
    /// Cells for a person, by what their table is there for.
    pub(crate) review: Vec<(Role, u32)>,
    /// What the job enters; its `review` is left to whoever knows the product's places.
    pub(crate) record: Record,
}

/// A survival curve's counts, and of each group how far it is shown.
pub(crate) struct Followed<'a> {
    pub(crate) plan: &'a Survival,
    counted: &'a Cells,
    pub(crate) curves: Vec<Curve>,
}

/// Takes `plans` to what may be published of them.
///
/// # Errors
/// As [`Together::protect`].
pub(crate) fn settle<'a>(plans: Plans<'a>, against: &Against<'_>) -> Result<Settled<'a>, Refusal> {
    let Plans { tables, tabulated, regressions, survivals } = plans;
    let (regressions, mut fallen): (Vec<&Regression>, Vec<BTreeSet<Reason>>) = regressions.into_iter().unzip();
    let counted = tables.iter().zip(tabulated).filter(|((_, of), _)| matches!(of, Whose::Survival(_)));
    let counted = survivals.into_iter().zip(counted.map(|(_, cells)| cells));
    let mut followed: Vec<Followed<'a>> = counted.map(|(plan, cells)| Followed::of(plan, cells, against)).collect();
    loop {
        let members = members(tables, tabulated, &fallen, &followed);
        let judged = members.iter().map(|m| judge(m, &followed, against)).collect::<Result<_, _>>()?;
        let together = Together { members, against };
        let protected = together.protect(judged)?;
        let cuts = cuts(&together, &protected, &followed);
        let mut changed = !cuts.is_empty();
        for (r, (regression, reasons)) in regressions.iter().zip(&mut fallen).enumerate() {
            let before = reasons.len();
            reasons.extend(lost(&together, r, regression, &protected));
            changed |= reasons.len() > before;
        }
        if !changed {
            let roles: Vec<Role> = together.members.iter().map(|m| m.role).collect();
            let Protected { judged, added, mut record } = protected;
            for followed in &followed {
                followed.enter(against, &mut record);
            }
            let role = |(t, cell): (u32, u32)| Some((*roles.get(usize::try_from(t).ok()?)?, cell));
            let review = std::mem::take(&mut record.review).into_iter().filter_map(role).collect();
            let own = roles.iter().zip(judged.into_iter().zip(added)).filter(|(role, _)| matches!(role, Role::Own(_)));
            let own = own.map(|(_, table)| table).collect();
            return Ok(Settled { own, fallen, followed, review, record });
        }
        for (s, g, interval, reasons) in cuts {
            if let Some(followed) = followed.get_mut(s) {
                followed.cut(g, interval, reasons);
            }
        }
    }
}

/// What stands of the tables, and what the curves say.
fn members<'m>(
    tables: &'m [(TableC, Whose)],
    tabulated: &'m [Cells],
    fallen: &[BTreeSet<Reason>],
    followed: &'m [Followed<'_>],
) -> Vec<Member<'m>> {
    let mut own = 0usize..;
    let member = |((table, of), cells): (&'m (TableC, Whose), &'m Cells)| {
        let role = match of {
            Whose::Own => Role::Own(own.next()?),
            Whose::Regression(r) => fallen.get(*r)?.is_empty().then_some(Role::Regression(*r))?,
            Whose::Survival(s) => Role::Unsaid(*s),
        };
        Some(Member { table, cells, role })
    };
    let asked: Vec<Member<'m>> = tables.iter().zip(tabulated).filter_map(member).collect();
    let curves = followed.iter().enumerate().flat_map(|(s, f)| f.members(s));
    asked.into_iter().chain(curves).collect()
}

fn judge(member: &Member<'_>, followed: &[Followed<'_>], against: &Against<'_>) -> Result<JudgedTable, Refusal> {
    let mut judged = primary(member.table, member.cells, against.rules)?;
    match member.role {
        Role::Own(_) | Role::Regression(_) => {}
        Role::Curve(..) => Curve::say_nobody(&mut judged),
        Role::Unsaid(s) => {
            if let Some(followed) = followed.get(s) {
                keep_unsaid(&mut judged, &followed.curves, followed.plan.steps.len());
            }
        }
    }
    Ok(judged)
}

/// The steps that survival curves must do without: curve, group, the first of its
/// shown steps whose counts may not be published, and why.
fn cuts(
    together: &Together<'_>,
    protected: &Protected,
    followed: &[Followed<'_>],
) -> Vec<(usize, usize, usize, BTreeSet<Reason>)> {
    let members = together.members.iter().zip(&protected.judged).zip(&protected.added);
    let cut = members.filter_map(|((m, judged), added)| {
        let Role::Curve(s, g) = m.role else { return None };
        let (interval, reasons) = followed.get(s)?.curves.get(g)?.broken(judged, added)?;
        Some((s, g, interval, reasons))
    });
    cut.collect()
}

/// Why regression `r` cannot go out: what is withheld of the tables that it gives away.
fn lost(together: &Together<'_>, r: usize, regression: &Regression, protected: &Protected) -> BTreeSet<Reason> {
    let members = together.members.iter().zip(&protected.judged).zip(&protected.added);
    let given = members.filter(|((m, _), _)| m.role == Role::Regression(r));
    let reasons = given.enumerate().flat_map(|(place, ((_, judged), added))| {
        let kept = judged.cells.iter().enumerate().filter(move |(_, cell)| regression.keeps(place, &cell.key));
        kept.flat_map(|(i, cell)| cell.reasons.iter().copied().chain(added.contains(&i).then_some(Reason::Secondary)))
    });
    reasons.collect()
}

impl<'a> Followed<'a> {
    /// Each group at the most steps that its own counts allow, less those that an earlier
    /// run had to do without: the same question has the same answer.
    fn of(plan: &'a Survival, counted: &'a Cells, against: &Against<'_>) -> Self {
        let mut followed =
            Self { plan, counted, curves: Curve::of(plan, counted, against.rules.threshold.unwrap_or(1)) };
        let root = against.histories.iter().find(|(ledger, _)| ledger.reads(&plan.view));
        let Some((ledger, history)) = root.filter(|(_, history)| !history.is_empty()) else { return followed };
        let was = |(g, curve): (usize, &Curve)| {
            let of_step = |(interval, step): (usize, &usize)| {
                let entries =
                    ledger.read(&followed.until(curve, *step, Reason::AsBefore, (ledger, against)), against.rules);
                let standing = entries.iter().find_map(|(_, entry)| history.unpublished(entry))?;
                Some((g, interval, BTreeSet::from([standing.told_again()])))
            };
            curve.ends.iter().enumerate().filter_map(of_step).collect::<Vec<_>>()
        };
        let was: Vec<(usize, usize, BTreeSet<Reason>)> = followed.curves.iter().enumerate().flat_map(was).collect();
        // From the last: to cut one leaves the places of those before it.
        was.into_iter().rev().for_each(|(g, interval, reasons)| followed.cut(g, interval, reasons));
        followed
    }

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

    /// What stands in the ledger for a step of a group that is not shown: how many left
    /// with the event until then, whatever is shown before it.
    fn until(
        &self,
        curve: &Curve,
        step: usize,
        reason: Reason,
        (ledger, against): (&Ledger, &Against<'_>),
    ) -> Vec<(usize, Number)> {
        let (table, cells, judged) = curve.until(self.plan, self.counted, step, reason);
        let member = ledger::Member { table: &table, cells: &cells, judged: &judged, added: &BTreeSet::new() };
        ledger.numbers(member, against.rules, against.dominance_n)
    }

    /// Enters the steps that its curves do without.
    fn enter(&self, against: &Against<'_>, record: &mut Record) {
        for ((ledger, _), root) in against.histories.iter().zip(&mut record.roots) {
            if !ledger.reads(&self.plan.view) {
                continue;
            }
            for (curve, (step, reasons)) in self.curves.iter().flat_map(|c| c.lost.iter().map(move |lost| (c, lost))) {
                let differs = reasons.contains(&Reason::Differencing);
                let reason = if differs { Reason::Differencing } else { Reason::AsBefore };
                let numbers = self.until(curve, *step, reason, (ledger, against));
                root.numbers.extend(numbers.into_iter().map(|(_, number)| number));
            }
        }
    }
}
