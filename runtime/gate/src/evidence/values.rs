//! Rows as plain values, and numbers by their digits: what a value is recognised by after
//! it was scaled or written in another way.

use std::collections::HashSet;

use sluice_rows::{
    RowBatch,
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType},
    },
};

/// Significant digits that a number is compared by.
const DIGITS: usize = 12;
/// Values per column that synthetic people are drawn from.
const SAMPLE_ROWS: usize = 4096;

/// One value. Truth values, missing ones and lists are none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scalar {
    /// A whole number.
    Int(i64),
    /// Any other number, by its bits.
    Float(u64),
    /// A text.
    Text(String),
    /// Days since 1970-01-01.
    Day(i32),
}

impl Scalar {
    /// Its number, if it has one.
    #[expect(clippy::cast_precision_loss, reason = "compared by twelve digits at most")]
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(bits) => Some(f64::from_bits(*bits)),
            Self::Day(_) | Self::Text(_) => None,
        }
    }
}

/// Rows of one unit, column by column.
pub(crate) struct Rows {
    columns: Vec<Vec<Option<Scalar>>>,
    len: usize,
}

impl Rows {
    pub(crate) fn of(batch: &RowBatch) -> Self {
        let column = |c: &ArrayRef| (0..c.len()).map(|row| scalar(c, row)).collect();
        Self { columns: batch.columns().iter().map(column).collect(), len: batch.rows() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Vec<Option<Scalar>>> {
        self.columns.iter()
    }

    pub(crate) fn get(&self, column: usize, row: usize) -> Option<&Scalar> {
        self.columns.get(column)?.get(row)?.as_ref()
    }
}

/// The value of a column in a row.
pub(crate) fn scalar(column: &ArrayRef, row: usize) -> Option<Scalar> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(Scalar::Int(column.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Some(Scalar::Text(column.as_string::<i32>().value(row).to_owned())),
        DataType::Date32 => Some(Scalar::Day(column.as_primitive::<Date32Type>().value(row))),
        DataType::Timestamp(..) => Some(Scalar::Int(column.as_primitive_opt::<TimestampMicrosecondType>()?.value(row))),
        #[expect(clippy::cast_precision_loss, reason = "compared by twelve digits at most")]
        DataType::Decimal128(_, scale) => {
            float(column.as_primitive::<Decimal128Type>().value(row) as f64 / 10f64.powi(i32::from(*scale)))
        }
        _ => None,
    }
}

fn float(x: f64) -> Option<Scalar> {
    x.is_finite().then(|| Scalar::Float((x + 0.0).to_bits()))
}

/// The significant digits of `x` as a whole number: the same for every power of ten and
/// either sign. None for zero and what is not finite.
pub(crate) fn significand(x: f64) -> Option<u64> {
    if x == 0.0 || !x.is_finite() {
        return None;
    }
    let places = DIGITS - 1;
    let written = format!("{:.places$e}", x.abs());
    let (mantissa, _) = written.split_once('e')?;
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_end_matches('0').parse().ok()
}

/// How many digits a significand has.
pub(crate) fn digits(significand: u64) -> usize {
    significand.checked_ilog10().map_or(1, |n| n as usize + 1)
}

/// Some real values of each column: its marginal.
#[derive(Default)]
pub(crate) struct Sample {
    columns: Vec<Vec<Option<Scalar>>>,
}

impl Sample {
    /// Takes rows while there is room: units come in keyed order.
    pub(crate) fn take(&mut self, rows: &Rows) {
        self.columns.resize_with(rows.columns.len(), Vec::new);
        for (held, column) in self.columns.iter_mut().zip(rows.columns()) {
            held.extend(column.iter().take(SAMPLE_ROWS.saturating_sub(held.len())).cloned());
        }
    }

    /// The marginals of the columns; those that are `measured` are smoothed, so that nobody
    /// who is drawn has a real person's number.
    pub(crate) fn marginals(&self, measured: impl Fn(usize) -> bool) -> Vec<Marginal> {
        let of = |(at, held): (usize, &Vec<Option<Scalar>>)| {
            let mut numbers: Vec<f64> = held.iter().flatten().filter_map(Scalar::number).collect();
            numbers.retain(|_| measured(at));
            numbers.sort_by(f64::total_cmp);
            Marginal { held: held.clone(), numbers }
        };
        self.columns.iter().enumerate().map(of).collect()
    }
}

/// The real values of one column; in ascending order too if it is measured.
pub(crate) struct Marginal {
    held: Vec<Option<Scalar>>,
    numbers: Vec<f64>,
}

impl Marginal {
    /// A value of somebody who does not exist; `below` draws a whole number below its
    /// argument. Between two neighbouring numbers every place is as likely.
    fn draw(&self, below: &mut impl FnMut(usize) -> usize) -> Option<Scalar> {
        const STEPS: usize = 1 << 20;
        let drawn = self.held.get(below(self.held.len().max(1))).cloned().flatten()?;
        if drawn.number().is_none() || self.numbers.len() < 2 {
            return Some(drawn);
        }
        let at = below(self.numbers.len() - 1);
        let (low, high) = (self.numbers.get(at)?, self.numbers.get(at + 1)?);
        #[expect(clippy::cast_precision_loss, reason = "a million steps")]
        let x = low + (high - low) * (below(STEPS) as f64 / STEPS as f64);
        match drawn {
            #[expect(clippy::cast_possible_truncation, reason = "between two whole numbers")]
            Scalar::Int(_) => Some(Scalar::Int(x.round() as i64)),
            _ => float(x),
        }
    }
}

/// One row of somebody who does not exist: each column drawn by itself.
pub(crate) fn nobody(marginals: &[Marginal], mut below: impl FnMut(usize) -> usize) -> Rows {
    Rows { columns: marginals.iter().map(|column| vec![column.draw(&mut below)]).collect(), len: 1 }
}

/// Every piece of `text` of one of `lengths` bytes, as it is and in small letters.
pub(crate) fn pieces(text: &str, lengths: &HashSet<usize>, mut each: impl FnMut(&str)) {
    let small = text.to_lowercase();
    for text in [text, small.as_str()] {
        for (from, _) in text.char_indices() {
            for length in lengths {
                if let Some(piece) = text.get(from..from + length) {
                    each(piece);
                }
            }
        }
    }
}
