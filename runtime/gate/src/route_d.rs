//! Route D, held: the answer of one call over all rows, in a declared form.
//!
//! Nothing of it is believed and nothing is mended: an answer outside the declared
//! domain or range, a number that is none, a key twice, a term that is left out of a
//! model, no answer at all: the run is void. What remains is whole numbers on the
//! declared grid. A model is then held to its rules ([`judges`]) and the rows behind the
//! job to history. No guarantee comes of all this; what reviewers need to judge is made
//! elsewhere ([`crate::held`]).

use std::fmt;

use roaring::RoaringBitmap;
use sluice_domain::{
    Digest, Refusal,
    candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Route},
    catalogue::Key,
    contract::{Contract, Dimension, MeasureA},
    held::Held,
    id::ViewId,
    rulepack::RulePack,
};

use crate::{
    answer::Answer,
    held::{Judge, Judged},
    intake::{OutputSchema, RawBatch, decode},
    lineage::{Ledger, Record, Work, examine},
    refusals,
    route_c::{Rules, Sensitivity, regression::RegressionRules},
};

/// Takes the one answer to a held table.
pub struct Reducer {
    table: Held,
    schema: OutputSchema,
    answer: Result<Option<Exact>, Refusal>,
}

/// The answer to a held table: every number on its grid, or missing.
pub struct Exact {
    table: Held,
    /// Cell-major, then measure; in grid units.
    numbers: Vec<Option<i64>>,
}

impl Reducer {
    /// Waits for the answer to `table`, of at most `rows_max` rows.
    ///
    /// # Errors
    /// `gate.table` when no answer could be read.
    pub fn new(table: &Held, rows_max: u32) -> Result<Self, Refusal> {
        let schema = OutputSchema::new(&table.name, &table.dimensions, &table.measures, rows_max)?;
        Ok(Self { table: table.clone(), schema, answer: Ok(None) })
    }

    /// Takes the answer; `None` is a call that failed.
    pub fn add(&mut self, output: Option<&RawBatch>) {
        self.answer = match &self.answer {
            Ok(None) => read(&self.table, &self.schema, output).map(Some),
            _ => Err(refusals::misfit(&self.table.name)),
        };
    }

    /// The answer.
    ///
    /// # Errors
    /// `gate.held-answer` when there is none, or none that fits the contract to the
    /// letter; `gate.host-fault` when more than one call answered.
    pub fn finish(self) -> Result<Exact, Refusal> {
        self.answer?.ok_or_else(|| refusals::held_answer(&self.table.name))
    }
}

/// What the gate looks at of a held job beside its answers.
#[derive(Debug, Default)]
pub struct Behind {
    /// The rows of every input, by their hidden numbers, with the view they came through.
    pub inputs: Vec<(ViewId, RoaringBitmap)>,
    /// The verdicts on its models, in contract order, by judges who have seen every unit.
    pub judged: Vec<Judged>,
}

/// A judge for each model among the answers, in contract order; each has yet to see the
/// rows of every unit of the job's only input.
///
/// # Errors
/// `gate.model-form` when an answer does not read as its model.
pub fn judges(
    contract: &Contract,
    answers: &[Answer],
    rulepack: &RulePack,
    sensitivity: Sensitivity,
) -> Result<Vec<Judge>, Refusal> {
    let rules = Rules::of(&rulepack.disclosure, sensitivity);
    let names: Vec<String> =
        contract.inputs.values().flat_map(|input| &input.columns).map(|(name, _)| name.clone()).collect();
    let models = answers.iter().filter_map(|answer| match answer {
        Answer::Held(exact) => exact.table.model.as_ref().map(|model| (exact, model)),
        _ => None,
    });
    let own = || RegressionRules::of(&rulepack.disclosure, &rules);
    models.map(|(exact, model)| Judge::new(&exact.table, model, &exact.numbers, &names, own())).collect()
}

/// Takes a held job whole: its answers, the verdicts on its models, and history.
pub(crate) fn hold(
    contract: &Contract,
    answers: Vec<Answer>,
    behind: Behind,
    (rules, dominance_n): (&Rules, u32),
    ledgers: &[Ledger],
) -> Result<(Vec<CandidateTable>, Record), Refusal> {
    let misfit = || refusals::misfit(&contract.name);
    let Behind { inputs, judged } = behind;
    let models = contract.held().filter(|held| held.model.is_some()).map(|held| &held.name);
    if contract.held().count() != contract.tables.len() || answers.len() != contract.tables.len() {
        return Err(misfit());
    }
    if !models.eq(judged.iter().map(|judged| &judged.table)) || inputs.len() != contract.inputs.len() {
        return Err(misfit());
    }
    let taken = |(held, answer): (&Held, Answer)| match answer {
        Answer::Held(exact) if exact.table == *held => Ok(exact.table()),
        _ => Err(misfit()),
    };
    let tables = contract.held().zip(answers).map(taken).collect::<Result<Vec<_>, Refusal>>()?;
    against_history(contract, &inputs, rules, dominance_n, ledgers).map(|record| (tables, record))
}

/// A product of rows does not add up: where its rows, or their units, differ from those
/// behind another one, or its rows from those under a number of route C that reads a column,
/// by somebody and by fewer than k units, it would show them.
fn against_history(
    contract: &Contract,
    inputs: &[(ViewId, RoaringBitmap)],
    rules: &Rules,
    dominance_n: u32,
    ledgers: &[Ledger],
) -> Result<Record, Refusal> {
    let known = |view: &ViewId| ledgers.iter().filter(|ledger| ledger.reads(view)).count() == 1;
    if !inputs.iter().all(|(view, _)| known(view)) {
        return Err(refusals::misfit(&contract.name));
    }
    let mut record = Record::default();
    for ledger in ledgers {
        let of_root = inputs.iter().enumerate().filter(|(_, (view, _))| ledger.reads(view));
        let numbers: Vec<_> = of_root.map(|(at, (_, rows))| (at, Ledger::held(rows))).collect();
        let people = ledger.people(rules, usize::try_from(dominance_n).unwrap_or(usize::MAX));
        let entries = ledger.read(&numbers, rules);
        let examined = examine(&ledger.history(rules), &entries, &people, &Work::default())?;
        if !examined.withhold.is_empty() {
            return Err(refusals::held_history(&contract.name));
        }
        record.limit_reached |= examined.limit_reached;
        record.roots.push(ledger.root(numbers.into_iter().map(|(_, number)| number).collect()));
    }
    Ok(record)
}

/// Reads one answer whole, or refuses it whole.
fn read(table: &Held, schema: &OutputSchema, output: Option<&RawBatch>) -> Result<Exact, Refusal> {
    let refused = || refusals::held_answer(&table.name);
    let raw = output.ok_or_else(refused)?;
    let decoded = decode(raw, schema).ok_or_else(refused)?;
    let mut numbers: Vec<Option<i64>> = vec![None; schema.cells() * table.measures.len()];
    let mut seen = vec![false; schema.cells()];
    for cell in &decoded.cells {
        let seen = cell.and_then(|cell| seen.get_mut(cell)).ok_or_else(refused)?;
        if std::mem::replace(seen, true) {
            return Err(refused());
        }
    }
    let claimed = raw.columns.iter().skip(table.dimensions.len());
    for (m, ((measure, values), column)) in table.measures.iter().zip(&decoded.values).zip(claimed).enumerate() {
        // A null is a missing number, and the column has counted them; what else is none
        // was not a number.
        let missing = values.iter().filter(|v| v.is_none()).count();
        if u32::try_from(missing) != Ok(column.nulls) {
            return Err(refused());
        }
        for (cell, value) in decoded.cells.iter().zip(values) {
            if value.is_some_and(|v| !(measure.lo..=measure.hi).contains(&v)) {
                return Err(refused());
            }
            let place = cell.and_then(|cell| numbers.get_mut(cell * table.measures.len() + m));
            *place.ok_or_else(refused)? = *value;
        }
    }
    if table.model.is_some() && numbers.iter().any(Option::is_none) {
        return Err(refused());
    }
    Ok(Exact { table: table.clone(), numbers })
}

impl Exact {
    /// Commits to the answer with a keyed function, so that a replay can be compared
    /// with it.
    pub fn commitment(&self, commit: &dyn Fn(&[u8]) -> Digest) -> Digest {
        let mut bytes = format!("sluice held answer v1\n{}\n{}\n", self.table.name, self.numbers.len()).into_bytes();
        for number in &self.numbers {
            bytes.push(u8::from(number.is_some()));
            bytes.extend(number.unwrap_or(0).to_le_bytes());
        }
        commit(&bytes)
    }

    /// The numbers in grid units, cell by cell in canonical order, then by measure.
    pub fn numbers(&self) -> &[Option<i64>] {
        &self.numbers
    }

    /// The answer as a table in the contract's form. What of it may be shown to whom is
    /// for others to say: only [`crate::clear()`] makes a candidate of it.
    pub fn table(&self) -> CandidateTable {
        let heading = |name: &str| CandidateMeasure { name: name.to_owned(), sigma: None, error_95: None, made: None };
        let width = self.table.measures.len();
        #[expect(clippy::cast_precision_loss, reason = "within 2^53 by contract")]
        let own = |(n, m): (&Option<i64>, &MeasureA)| n.map(|n| n as f64 / f64::from(m.grid));
        let cells = keys(&self.table.dimensions).into_iter().zip(self.numbers.chunks(width.max(1)));
        CandidateTable {
            name: self.table.name.clone(),
            route: Route::D,
            dimensions: self.table.dimensions.clone(),
            measures: self.table.measures.iter().map(|m| heading(&m.name)).collect(),
            cells: cells
                .map(|(key, numbers)| {
                    let numbers = numbers.iter().zip(&self.table.measures).map(own).collect();
                    Cell { key, value: CellValue::Published(numbers) }
                })
                .collect(),
        }
    }
}

/// Every key of the declared domain, in canonical order.
pub(crate) fn keys(dimensions: &[Dimension]) -> Vec<Vec<Option<Key>>> {
    let mut keys: Vec<Vec<Option<Key>>> = vec![vec![]];
    for dimension in dimensions {
        let codes = || dimension.domain.iter().map(|(key, _)| Some(key.clone()));
        keys = keys.iter().flat_map(|k| codes().map(move |code| [k.as_slice(), &[code]].concat())).collect();
    }
    keys
}

impl fmt::Debug for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reducer({}, answer withheld)", self.table.name)
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exact({}, withheld)", self.table.name)
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        Digest,
        candidate::CellValue,
        held::{Held, Model, ModelKind},
    };

    use super::{Exact, Reducer};
    use crate::{
        fixtures::{self, output},
        intake::{RawBatch, RawColumn},
    };

    /// Three keys, one measure in [−2, 5] on halves.
    fn held() -> Held {
        let a = fixtures::table(3, &[(-4, 10, 2)], 1, 0.02);
        Held { name: a.name, dimensions: a.dimensions, measures: a.measures, model: None }
    }

    fn answer(table: &Held, output: Option<&RawBatch>) -> Result<Exact, &'static str> {
        let mut reducer = Reducer::new(table, 8).unwrap();
        reducer.add(output);
        reducer.finish().map_err(|refusal| refusal.code)
    }

    #[test]
    fn an_answer_is_put_on_the_grid_and_what_is_left_out_is_missing() {
        let exact = answer(&held(), Some(&output(&[(2, &[4.9]), (0, &[-0.0])]))).unwrap();
        let numbers = |exact: &Exact| -> Vec<Option<f64>> {
            let of = |value: &CellValue| if let CellValue::Published(n) = value { n[0] } else { panic!("published") };
            exact.table().cells.iter().map(|c| of(&c.value)).collect()
        };
        assert_eq!(numbers(&exact), [Some(0.0), None, Some(5.0)]);
        let again = answer(&held(), Some(&output(&[(0, &[0.1]), (2, &[5.1])]))).unwrap();
        assert_eq!(exact.commitment(&Digest::of), again.commitment(&Digest::of));
        let other = answer(&held(), Some(&output(&[(0, &[0.0]), (1, &[0.0]), (2, &[5.0])]))).unwrap();
        assert_ne!(exact.commitment(&Digest::of), other.commitment(&Digest::of));
    }

    #[test]
    fn whatever_does_not_fit_to_the_letter_is_refused_whole() {
        let good: &[(i64, &[f64])] = &[(0, &[1.0])];
        answer(&held(), Some(&output(good))).unwrap();
        let refused: &[&[(i64, &[f64])]] = &[
            &[(0, &[1.0]), (3, &[1.0])],
            &[(0, &[1.0]), (0, &[1.0])],
            &[(0, &[5.3])],
            &[(0, &[-2.3])],
            &[(0, &[f64::NAN])],
            &[(0, &[f64::INFINITY])],
            &[(0, &[1.0, 1.0])],
        ];
        for rows in refused {
            assert_eq!(answer(&held(), Some(&output(rows))).unwrap_err(), "gate.held-answer", "{rows:?}");
        }
        assert_eq!(answer(&held(), None).unwrap_err(), "gate.held-answer");
        assert_eq!(Reducer::new(&held(), 8).unwrap().finish().unwrap_err().code, "gate.held-answer");
    }

    #[test]
    fn a_null_is_missing_and_a_nan_beside_it_is_refused() {
        let batch = |second: f64| RawBatch {
            rows: 2,
            columns: vec![
                fixtures::int_column(&[0, 1]),
                RawColumn { nulls: 1, validity: Some(vec![0b10]), ..fixtures::float_column(&[9e9, second]) },
            ],
        };
        answer(&held(), Some(&batch(1.0))).unwrap();
        assert_eq!(answer(&held(), Some(&batch(f64::NAN))).unwrap_err(), "gate.held-answer");
    }

    #[test]
    fn a_model_answers_every_term_and_a_second_call_is_a_fault() {
        let kind = ModelKind::Linear;
        let model = Held { model: Some(Model { kind, features: vec![], outcome: "y".into() }), ..held() };
        let all: &[(i64, &[f64])] = &[(0, &[1.0]), (1, &[1.0]), (2, &[1.0])];
        answer(&model, Some(&output(all))).unwrap();
        assert_eq!(answer(&model, Some(&output(&all[..2]))).unwrap_err(), "gate.held-answer");
        let mut twice = Reducer::new(&model, 8).unwrap();
        twice.add(Some(&output(all)));
        twice.add(Some(&output(all)));
        assert_eq!(twice.finish().unwrap_err().code, "gate.host-fault");
    }
}
