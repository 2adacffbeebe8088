//! 佐证 of a held product (gate.md §5, route D). The guest is deterministic, so it is run
//! again inside the run on changed people: without one, with another in the place of one,
//! and on random halves of all. What its answers say about people is told to reviewers.
//!
//! Pure: [`People`] come in unit by unit, [`Replays`] says what the guest is to be run on
//! and takes its answers; a secret seed draws who is changed. It proves nothing: a guest
//! may know that it is watched, and each check says what that hides.

mod exposed;
mod membership;
mod moved;
mod people;
mod report;
mod variation;

use sluice_domain::{
    Digest, Refusal,
    candidate::{CandidateTable, CellValue},
    evidence::{Check, EvidenceRules},
    held::Held,
};

pub use self::people::{Call, Gathering, People};
use self::variation::Variation;
use super::{report as of_tables, scan::Scan, values::Rows};
use crate::{
    held::{Columns, Example, Fitted, Judge, Judged},
    refusals,
    route_c::Rules,
    route_d::Exact,
};

/// Shows everybody to the judges of a product's models.
///
/// # Errors
/// As [`Judge::finish`]: the first model that is not allowed.
pub fn judge(people: &People, mut judges: Vec<Judge>) -> Result<Vec<Judged>, Refusal> {
    // A model has one input.
    let models = if judges.is_empty() { None } else { Some(people.units(0)) };
    for rows in models.into_iter().flatten() {
        judges.iter_mut().for_each(|judge| judge.unit(&rows));
    }
    judges.into_iter().map(Judge::finish).collect()
}

/// The checks of a whole held product that need no replay: rare values of what the guest
/// was given, looked for in its tables, and the bits that they can hold.
pub fn of_product(
    tables: &[(&Held, &CandidateTable)],
    people: &People,
    rules: &EvidenceRules,
    disclosure: &Rules,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for input in 0..people.inputs() {
        let columns = people.names(input);
        let published = tables.iter().map(|(_, published)| *published).collect();
        let mut scan = Scan::new(rules, disclosure.threshold.unwrap_or(1), &columns, published, Vec::new());
        let mut read = 0;
        for (unit, rows) in (0..rules.units_max).zip(people.units(input)) {
            scan.unit(unit, &Rows::of(&rows));
            read = unit + 1;
        }
        checks.push(of_tables::value_scan(&scan.finish(), (read, people.len() as u64), rules));
    }
    let bits = tables.iter().map(|(held, published)| {
        let numbers = published.cells.len() * held.measures.len();
        (held.name.clone(), numbers as u64, held.capacity_bits())
    });
    let most = of_tables::Most::Allowed(rules.held_capacity_bits_max);
    checks.push(of_tables::capacity(&bits.collect::<Vec<_>>(), most));
    checks
}

/// What one held table's guest is run again on.
pub struct Replays<'a> {
    held: &'a Held,
    people: &'a People,
    rules: &'a EvidenceRules,
    seed: Digest,
    variations: Vec<Variation>,
}

impl<'a> Replays<'a> {
    /// The replays of `held` over `people`, as many as the rule pack says and there are
    /// units for. `seed` is secret: nobody can foretell who is left out, or who is drawn.
    pub fn new(held: &'a Held, people: &'a People, rules: &'a EvidenceRules, seed: Digest) -> Self {
        let variations = variation::plan(people, rules, &seed);
        Self { held, people, rules, seed, variations }
    }

    /// How many there are; never more than the release tick counts on.
    pub fn count(&self) -> usize {
        self.variations.len()
    }

    /// What the guest is given in replay number `at`: one call.
    ///
    /// # Errors
    /// `gate.host-fault` when the rows do not fit together.
    pub fn call(&self, at: usize) -> Result<Call, Refusal> {
        let variation = self.variations.get(at);
        variation.and_then(|v| self.people.call(v)).ok_or_else(|| refusals::misfit(&self.held.name))
    }

    /// What the answers say beside `product`; one for each replay, none where the guest
    /// gave none that its contract allows. Among `judged` is the verdict on a model.
    ///
    /// # Errors
    /// `gate.model-form` when the product is not the model it is said to be.
    pub fn checks(
        &self,
        product: &CandidateTable,
        answers: &[Option<Exact>],
        judged: &[Judged],
    ) -> Result<Vec<Check>, Refusal> {
        let table = self.held.name.as_str();
        let said: Vec<(&Variation, Option<&[Option<i64>]>)> =
            self.variations.iter().zip(answers).map(|(v, a)| (v, a.as_ref().map(Exact::numbers))).collect();
        let moved = moved::moved(product, &numbers_of(self.held, product), self.held, &said);
        let mut checks = vec![report::influence(table, &moved, self.people.len())];
        let judged = judged.iter().find(|judged| judged.table == self.held.name);
        match self.held.model.as_ref().zip(judged) {
            None => checks.push(report::no_canaries(table)),
            Some((model, judged)) => {
                let read = |numbers: &[Option<i64>]| Fitted::read(self.held, model, numbers).ok();
                let columns = Columns::of(model, &self.people.names(0)).ok_or_else(|| refusals::misfit(table))?;
                let planted = said.iter().filter_map(|(v, numbers)| Some((v.planted()?, read((*numbers)?)?)));
                let exposure = exposed::expose(self.people, &columns, planted, &self.seed, self.rules);
                checks.push(report::canaries(table, &exposure));
                let shadows: Vec<(&[bool], Fitted)> =
                    said.iter().filter_map(|(v, numbers)| Some((v.members()?, read((*numbers)?)?))).collect();
                let asked = self.variations.iter().filter(|v| v.members().is_some()).count();
                let examples = self.people.examples(&columns);
                checks.push(report::membership(table, membership::infer(&examples, &shadows), (shadows.len(), asked)));
                checks.push(report::model(table, judged));
            }
        }
        Ok(checks)
    }
}

/// The numbers of a published table on their grids.
fn numbers_of(held: &Held, table: &CandidateTable) -> Vec<Option<i64>> {
    let mut numbers = Vec::new();
    for cell in &table.cells {
        let values = if let CellValue::Published(values) = &cell.value { values.as_slice() } else { &[] };
        let grids = held.measures.iter().enumerate();
        numbers.extend(grids.map(|(m, measure)| {
            values.get(m).copied().flatten().and_then(|x| crate::intake::to_grid(x, measure.grid))
        }));
    }
    numbers
}

/// The mean loss of a model over some rows; none without a row.
fn mean_loss(fitted: &Fitted, examples: &[Example]) -> Option<f64> {
    let losses = examples.iter().map(|(features, outcome)| fitted.loss(features, *outcome));
    (!examples.is_empty()).then(|| (losses.sum::<f64>() / real(examples.len())).min(f64::MAX))
}

/// A count, to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: usize) -> f64 {
    count as f64
}
