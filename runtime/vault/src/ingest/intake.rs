//! What both readers pour into: batches in the catalogue's order and plain types,
//! each value checked against the catalogue before the batch is kept.

use std::collections::HashSet;

use sluice_domain::{
    Refusal,
    catalogue::{CatalogueEntry, Column, ColumnRole, Key},
};
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::{DataType, Decimal128Type, Float64Type, Int64Type},
};

use super::{
    LIST_VALUES_MAX, ROWS_MAX, TEXT_BYTES_MAX,
    impossible::Impossible,
    refuse::{Broken, Fault},
};

/// Rows of one batch: one array per catalogue column, of its plain type.
pub(super) type Columns = Vec<ArrayRef>;

/// A fault that a reader met while it read, before the batch was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Row of the batch, from 0.
    pub(super) row: usize,
    /// Column of the catalogue.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) fault: Fault,
}

/// Collects the batches of one ingest.
pub(super) struct Intake<'a> {
    entry: &'a CatalogueEntry,
    checks: Vec<Check>,
    impossible: Impossible,
    batches: Vec<Columns>,
    rows: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Intake<'a> {
    pub(super) fn new(entry: &'a CatalogueEntry, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        let checks = entry.columns.iter().map(Check::of).collect();
        let impossible = Impossible::of(entry);
        Self { entry, checks, impossible, batches: Vec::new(), rows: 0, total: 0, progress }
    }

    pub(super) fn entry(&self) -> &'a CatalogueEntry {
        self.entry
    }

    /// Says how many rows will come, where the source knows.
    pub(super) fn expect(&mut self, total: u64) {
        self.total = total;
    }

    /// Number of the first row of the next batch, from 1.
    pub(super) fn next_row(&self) -> u64 {
        self.rows + 1
    }

    /// Keeps a batch, or refuses its first fault: the earliest row, then the
    /// leftmost column, then what its columns have together, whatever the source's format.
    pub(super) fn take(&mut self, columns: Columns, found: impl IntoIterator<Item = Found>) -> Result<(), Refusal> {
        let checked = columns.iter().zip(&self.checks).enumerate().filter_map(|(column, (array, check))| {
            check.first_fault(array).map(|(row, fault)| Found { row, column, fault })
        });
        let rows = columns.first().map_or(0, |c| c.len());
        let together = self.impossible.first_in(&columns, rows);
        // A value that could not be read was put down as missing: of two faults in
        // one place `min_by_key` keeps the first, which is the reader's.
        let first = found.into_iter().chain(checked).min_by_key(|f| (f.row, f.column));
        match (first, together) {
            (Some(first), together) if together.as_ref().is_none_or(|(row, _)| first.row <= *row) => {
                let name = self.entry.columns.get(first.column).map_or("?", |c| c.name.as_str());
                return Err(first.fault.refusal(self.next_row() + first.row as u64, name));
            }
            (_, Some((row, names))) => return Err(Fault::Impossible.refusal(self.next_row() + row as u64, &names)),
            (_, None) => {}
        }
        self.rows += rows as u64;
        if self.rows > ROWS_MAX {
            return Err(Broken::TooManyRows.refusal());
        }
        self.batches.push(columns);
        (self.progress)(self.rows, self.total);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Columns>, Refusal> {
        if self.rows == 0 { Err(Broken::Empty.refusal()) } else { Ok(self.batches) }
    }
}

/// What the catalogue asks of a column's values.
struct Check {
    nullable: bool,
    unit: bool,
    range: Option<[i64; 2]>,
    ints: HashSet<i64>,
    texts: HashSet<String>,
}

impl Check {
    fn of(column: &Column) -> Self {
        let (mut ints, mut texts) = (HashSet::new(), HashSet::new());
        for code in &column.codes {
            match &code.value {
                Key::Int(n) => drop(ints.insert(*n)),
                Key::Text(s) => drop(texts.insert(s.clone())),
            }
        }
        Self { nullable: column.nullable, unit: column.role == ColumnRole::Unit, range: column.range, ints, texts }
    }

    fn first_fault(&self, array: &ArrayRef) -> Option<(usize, Fault)> {
        (0..array.len()).find_map(|row| self.fault(array, row).map(|fault| (row, fault)))
    }

    fn fault(&self, array: &ArrayRef, row: usize) -> Option<Fault> {
        if array.is_null(row) {
            return (!self.nullable).then_some(Fault::Missing);
        }
        match array.data_type() {
            DataType::Int64 => {
                let value = array.as_primitive::<Int64Type>().value(row);
                let known = self.ints.is_empty() || self.ints.contains(&value);
                if known { self.outside(|[lo, hi]| lo <= value && value <= hi) } else { Some(Fault::Code) }
            }
            DataType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(row);
                #[expect(clippy::cast_precision_loss, reason = "a range's ends, compared as floats")]
                let outside = self.outside(|[lo, hi]| value.is_nan() || (lo as f64 <= value && value <= hi as f64));
                if value.is_nan() && !self.nullable { Some(Fault::Missing) } else { outside }
            }
            DataType::Decimal128(_, scale) => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                let one = 10_i128.pow(scale.unsigned_abs().into());
                // A bound beyond 128 bits bounds nothing.
                let end = |bound: i64| i128::from(bound).checked_mul(one);
                self.outside(|[lo, hi]| end(lo).is_none_or(|lo| lo <= value) && end(hi).is_none_or(|hi| value <= hi))
            }
            DataType::Utf8 => match array.as_string::<i32>().value(row) {
                long if long.len() > TEXT_BYTES_MAX => Some(Fault::Long),
                // A unit without a name is no unit.
                "" if self.unit => Some(Fault::Missing),
                other => (!self.texts.is_empty() && !self.texts.contains(other)).then_some(Fault::Code),
            },
            DataType::List(_) => list_fault(&array.as_list::<i32>().value(row)),
            _ => None,
        }
    }

    fn outside(&self, within: impl Fn([i64; 2]) -> bool) -> Option<Fault> {
        self.range.filter(|range| !within(*range)).map(|_| Fault::Range)
    }
}

/// A list has no missing value (NaN is one) and a bounded size.
fn list_fault(values: &ArrayRef) -> Option<Fault> {
    let nan = |a: &ArrayRef| a.as_primitive_opt::<Float64Type>().is_some_and(|a| a.values().iter().any(|v| v.is_nan()));
    let bytes = values.as_string_opt::<i32>().map_or(0, |a| a.iter().flatten().map(str::len).sum());
    if values.len() > LIST_VALUES_MAX || bytes > TEXT_BYTES_MAX {
        return Some(Fault::LongList);
    }
    (values.null_count() > 0 || nan(values)).then_some(Fault::Missing)
}

/// Where each catalogue column stands in the source: all of them, once, and no others.
pub(super) fn match_columns(entry: &CatalogueEntry, source: &[&str]) -> Result<Vec<usize>, Refusal> {
    // If no name is known, this is no header, and its words may be data: say none.
    if !source.iter().any(|name| entry.column(name).is_some()) {
        return Err(Broken::Header.refusal());
    }
    let mut seen = HashSet::new();
    for (at, name) in source.iter().enumerate() {
        let place = if is_plain(name) { format!("column {name}") } else { format!("column number {}", at + 1) };
        if entry.column(name).is_none() {
            return Err(Broken::ColumnUnknown.refusal().at(place));
        }
        if !seen.insert(*name) {
            return Err(Broken::ColumnTwice.refusal().at(place));
        }
    }
    let place = |column: &Column| {
        source
            .iter()
            .position(|name| *name == column.name)
            .ok_or_else(|| Broken::ColumnMissing.refusal().at(format!("column {}", column.name)))
    };
    entry.columns.iter().map(place).collect()
}

/// Whether a source's word may be repeated as a column's name: it looks like one
/// and not like a number.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_numeric())
}
