//! Everybody's rows, as the guest of a held table gets them in one call, and the same
//! with somebody left out, replaced or drawn. They go to a room and to nobody else.

use sluice_domain::Refusal;
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{RecordBatch, UInt32Array},
        compute::{concat_batches, take},
        datatypes::DataType,
    },
};

use super::{
    exposed::ROWS_MAX,
    variation::{Drawn, Person, Variation},
};
use crate::{
    evidence::scalar,
    held::{Columns, Example},
    refusals,
};

/// Rows of one call, by the input's number.
pub type Call = Vec<(u32, RowBatch)>;

/// Takes one unit after the other, in canonical order.
pub struct Gathering {
    inputs: Vec<(Vec<RecordBatch>, Vec<usize>)>,
}

/// Everybody.
pub struct People {
    inputs: Vec<Input>,
    units: usize,
}

struct Input {
    /// None where no unit has a row.
    rows: Option<RowBatch>,
    /// Unit u has the rows from the place before to place u.
    ends: Vec<usize>,
}

impl Gathering {
    /// Nobody yet, for a job of so many inputs.
    pub fn new(inputs: usize) -> Self {
        Self { inputs: (0..inputs).map(|_| (Vec::new(), Vec::new())).collect() }
    }

    /// The next unit's rows. An input that it has no rows in may be left out.
    pub fn unit(&mut self, call: &Call) {
        for (number, (parts, ends)) in (0u32..).zip(&mut self.inputs) {
            let mut end = ends.last().copied().unwrap_or(0);
            for (_, rows) in call.iter().filter(|(input, _)| *input == number) {
                end += rows.rows();
                parts.push(rows.slice(0, rows.rows()).into_inner());
            }
            ends.push(end);
        }
    }

    /// Everybody who came.
    ///
    /// # Errors
    /// `gate.host-fault` when the rows of one input do not have the same columns.
    pub fn whole(self) -> Result<People, Refusal> {
        let units = self.inputs.first().map_or(0, |(_, ends)| ends.len());
        let inputs = self.inputs.into_iter().map(|(parts, ends)| {
            let Some(first) = parts.first() else { return Some(Input { rows: None, ends }) };
            let rows = concat_batches(&first.schema(), &parts).ok()?;
            Some(Input { rows: Some(RowBatch::new(rows)), ends })
        });
        let inputs = inputs.collect::<Option<_>>().ok_or_else(|| refusals::misfit("inputs"))?;
        Ok(People { inputs, units })
    }
}

impl Input {
    fn of(&self, unit: usize) -> std::ops::Range<usize> {
        let from = unit.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        from..self.ends.get(unit).copied().unwrap_or(from)
    }

    fn total(&self) -> usize {
        self.rows.as_ref().map_or(0, RowBatch::rows)
    }

    fn columns(&self) -> usize {
        self.rows.as_ref().map_or(0, |rows| rows.columns().len())
    }

    fn number(&self, column: usize, row: usize) -> Option<f64> {
        let column = self.rows.as_ref()?.columns().get(column)?;
        // A text is no number, and too dear to copy in order to find that out.
        (row < column.len() && *column.data_type() != DataType::Utf8).then(|| scalar(column, row)?.number()).flatten()
    }

    /// The rows of these people, column by column: somebody who was drawn has a row of
    /// his own for every value.
    fn rows_of<'p>(&self, number: usize, who: impl Iterator<Item = Person<'p>>) -> Option<RowBatch> {
        let rows = self.rows.as_ref()?;
        let (mut taken, mut drawn) = (Vec::<u32>::new(), Vec::new());
        for person in who {
            match person {
                Person::Unit(unit) => {
                    taken.extend(self.of(unit).filter_map(|row| u32::try_from(row).ok()));
                }
                Person::Drawn(person) => {
                    let values = person.of(number);
                    let from = taken.len();
                    taken.extend(values.first()?);
                    drawn.push((from, values));
                }
            }
        }
        let column = |at: usize| {
            let mut of = taken.clone();
            for (from, values) in &drawn {
                let values = values.get(at)?;
                of.get_mut(*from..from + values.len())?.copy_from_slice(values);
            }
            take(rows.columns().get(at)?, &UInt32Array::from(of), None).ok()
        };
        let columns = (0..self.columns()).map(column).collect::<Option<Vec<_>>>()?;
        RecordBatch::try_new(rows.schema(), columns).ok().map(RowBatch::new)
    }
}

impl People {
    /// How many units there are.
    pub fn len(&self) -> usize {
        self.units
    }

    /// Whether nobody has a row.
    pub fn is_empty(&self) -> bool {
        self.units == 0
    }

    /// One call with everybody, as the product's own was.
    pub fn everybody(&self) -> Call {
        let inputs = (0u32..).zip(&self.inputs);
        let whole =
            |(number, input): (u32, &Input)| input.rows.as_ref().map(|rows| (number, rows.slice(0, rows.rows())));
        inputs.filter_map(whole).collect()
    }

    /// How many inputs there are.
    pub(super) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Names of an input's columns, none where nobody has a row; a model's only input is
    /// the first.
    pub fn names(&self, input: usize) -> Vec<String> {
        let rows = self.inputs.get(input).and_then(|input| input.rows.as_ref());
        rows.map(|rows| rows.schema().fields().iter().map(|f| f.name().clone()).collect()).unwrap_or_default()
    }

    /// The rows of one unit after the other in one input.
    pub(super) fn units(&self, input: usize) -> impl Iterator<Item = RowBatch> + '_ {
        let input = self.inputs.get(input);
        (0..self.units).filter_map(move |unit| {
            let (of, rows) = (input?.of(unit), input?.rows.as_ref()?);
            Some(rows.slice(of.start, of.len()))
        })
    }

    /// The rows that a unit has in each input.
    pub(super) fn sizes(&self, unit: usize) -> Vec<usize> {
        self.inputs.iter().map(|input| input.of(unit).len()).collect()
    }

    /// Somebody who does not exist, with so many rows in each input: every value is that
    /// of a real row, drawn column by column.
    pub(super) fn draw(&self, sizes: &[usize], mut below: impl FnMut(usize) -> usize) -> Drawn {
        let mut of = |input: &Input, rows: usize| {
            let mut row = || u32::try_from(below(input.total())).unwrap_or(0);
            (0..input.columns()).map(|_| (0..rows).map(|_| row()).collect()).collect()
        };
        Drawn::new(self.inputs.iter().zip(sizes).map(|(input, rows)| of(input, *rows)).collect())
    }

    /// One call with the people of a variation.
    pub(super) fn call(&self, variation: &Variation) -> Option<Call> {
        let mut call = Call::new();
        for (number, input) in self.inputs.iter().enumerate().filter(|(_, input)| input.rows.is_some()) {
            let rows = input.rows_of(number, variation.people(self.units))?;
            // An input in which nobody has a row is left out, as it is of any call.
            if rows.rows() > 0 {
                call.push((u32::try_from(number).ok()?, rows));
            }
        }
        Some(call)
    }

    /// The rows of somebody drawn, as a model sees them; so many at most as a rank is made of.
    pub(super) fn drawn_examples(&self, drawn: &Drawn, columns: &Columns) -> Vec<Example> {
        let Some(input) = self.inputs.first() else { return Vec::new() };
        let values = drawn.of(0);
        let rows = values.first().map_or(0, Vec::len).min(ROWS_MAX);
        let number = |at: usize, row: usize| input.number(at, *values.get(at)?.get(row)? as usize);
        (0..rows).filter_map(|row| columns.example(|at| number(at, row))).collect()
    }

    /// Everybody's rows, unit by unit, as a model sees them.
    pub(super) fn examples(&self, columns: &Columns) -> Vec<Vec<Example>> {
        self.units(0).map(|rows| columns.examples(&rows)).collect()
    }
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("People(withheld)")
    }
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gathering(withheld)")
    }
}
