//! Rows that the catalogue says cannot be: found by declared codes alone.

use sluice_domain::catalogue::{Binning, CatalogueEntry, Column, ColumnRole, Key};
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::{DataType, Date32Type, Float64Type, Int64Type},
};

/// The impossible combinations of one dataset.
pub struct Impossible {
    combinations: Vec<Vec<Side>>,
}

/// What one column of a combination must not have.
struct Side {
    column: usize,
    name: String,
    binning: Option<Binning>,
    codes: Vec<Key>,
}

impl Impossible {
    /// Those of `entry`, whose columns stand in its order.
    pub fn of(entry: &CatalogueEntry) -> Self {
        let side = |(name, codes): (&String, &Vec<Key>)| {
            let column = |(at, c): (usize, &Column)| {
                let binning = c.binnings.iter().find(|b| b.name == *name);
                (binning.is_some() || (c.name == *name && c.role == ColumnRole::Dimension)).then(|| Side {
                    column: at,
                    name: name.clone(),
                    binning: binning.cloned(),
                    codes: codes.clone(),
                })
            };
            entry.columns.iter().enumerate().find_map(column)
        };
        // The catalogue's check has let no unknown name through.
        let combinations = entry.impossible.iter().map(|i| i.codes.iter().filter_map(side).collect());
        Self { combinations: combinations.collect() }
    }

    /// The first row of a batch of so many that has one, and the names of what it has
    /// together.
    pub(super) fn first_in(&self, columns: &[ArrayRef], rows: usize) -> Option<(usize, String)> {
        (0..rows).find_map(|row| self.at(columns, row).map(|sides| (row, named(sides))))
    }

    /// Whether a row has one.
    pub fn is_at(&self, columns: &[ArrayRef], row: usize) -> bool {
        self.at(columns, row).is_some()
    }

    fn at(&self, columns: &[ArrayRef], row: usize) -> Option<&[Side]> {
        let all =
            |sides: &&Vec<Side>| sides.iter().all(|side| columns.get(side.column).is_some_and(|c| side.has(c, row)));
        self.combinations.iter().find(all).map(Vec::as_slice)
    }
}

impl Side {
    fn has(&self, column: &ArrayRef, row: usize) -> bool {
        let code = match &self.binning {
            None => value(column, row),
            Some(binning) => bin(binning, column, row).map(|label| Key::Text(label.to_owned())),
        };
        code.is_some_and(|code| self.codes.contains(&code))
    }
}

fn named(sides: &[Side]) -> String {
    sides.iter().map(|side| side.name.as_str()).collect::<Vec<_>>().join(" × ")
}

fn value(column: &ArrayRef, row: usize) -> Option<Key> {
    match column.data_type() {
        _ if column.is_null(row) => None,
        DataType::Int64 => Some(Key::Int(column.as_primitive::<Int64Type>().value(row))),
        DataType::Utf8 => Some(Key::Text(column.as_string::<i32>().value(row).to_owned())),
        _ => None,
    }
}

/// The bin as the view has it: NaN is missing.
fn bin<'a>(binning: &'a Binning, column: &ArrayRef, row: usize) -> Option<&'a str> {
    let missing = binning.missing.as_deref();
    match column.data_type() {
        _ if column.is_null(row) => missing,
        DataType::Date32 => {
            let day = i64::from(column.as_primitive::<Date32Type>().value(row));
            binning.bin_of(|edge| edge <= day)
        }
        #[expect(clippy::cast_precision_loss, reason = "edges are small; a value is compared as a float")]
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            nan if nan.is_nan() => missing,
            value => binning.bin_of(|edge| edge as f64 <= value),
        },
        _ => binning.bin_of_code(&value(column, row)?),
    }
}
