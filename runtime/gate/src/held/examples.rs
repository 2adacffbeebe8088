//! Rows as a model sees them: its features and the outcome, as numbers.

use sluice_domain::held::Model;
use sluice_rows::RowBatch;

use crate::evidence::scalar;

/// The features of one row, in the model's order, and the outcome.
pub(crate) type Example = (Vec<f64>, f64);

/// Where the columns of a model stand among an input's.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    features: Vec<usize>,
    outcome: usize,
}

impl Columns {
    /// The places of the model's columns among `names`; none when one is missing.
    pub(crate) fn of(model: &Model, names: &[String]) -> Option<Self> {
        let at = |name: &String| names.iter().position(|n| n == name);
        Some(Self { features: model.features.iter().map(at).collect::<Option<_>>()?, outcome: at(&model.outcome)? })
    }

    /// One row; `number` says what stands in a column, none for a missing value or no
    /// number. A row with such a column is none.
    pub(crate) fn example(&self, number: impl Fn(usize) -> Option<f64>) -> Option<Example> {
        let features = self.features.iter().map(|at| number(*at)).collect::<Option<_>>()?;
        Some((features, number(self.outcome)?))
    }

    /// The rows of a unit that have every value.
    pub(crate) fn examples(&self, rows: &RowBatch) -> Vec<Example> {
        let number = |at: usize, row: usize| scalar(rows.columns().get(at)?, row)?.number();
        (0..rows.rows()).filter_map(|row| self.example(|at| number(at, row))).collect()
    }
}
