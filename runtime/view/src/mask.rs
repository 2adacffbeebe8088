//! Masks: what is done to a column before anybody sees it (R05).
//!
//! Each is an expression over the raw column that cannot fail on any value. They run
//! below the barrier, so nothing of the operator's can look behind them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, Int64Array, StringArray},
        compute::cast,
        datatypes::{DataType, Date32Type, Float64Type, Int64Type},
    },
    common::internal_err,
    logical_expr::{Expr, ident},
};
use sluice_domain::{
    agreement::Mask,
    catalogue::{Binning, Column, Key},
};

use crate::{functions::total, schema::edges};
use sluice_vault::arrow_type;

/// The keyed pseudonym of one agreement: the bytes of a value as text, to text.
pub(crate) type Pseudonyms = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// What is visible of `column`: itself, or the mask's view of it; nothing if dropped.
pub(crate) fn visible(column: &Column, mask: Option<&Mask>, pseudonyms: &Pseudonyms) -> Option<Expr> {
    let raw = ident(column.name.as_str());
    let kind = arrow_type(column.kind);
    match mask {
        None => Some(raw),
        Some(Mask::Drop) => None,
        Some(Mask::Pseudonym) => Some(pseudonym(kind, raw, Arc::clone(pseudonyms))),
        Some(Mask::Bin { from, to, width }) => Some(bin(kind, raw, *from, *to, *width)),
    }
}

fn pseudonym(kind: DataType, raw: Expr, pseudonyms: Pseudonyms) -> Expr {
    let udf = total("pseudonym", vec![kind], DataType::Utf8, move |args| match args {
        [values] => {
            // A date goes by its day number and a timestamp by its microseconds: arrow
            // cannot write every one of them as text.
            let values = match values.data_type() {
                DataType::Date32 => &cast(values, &DataType::Int32)?,
                DataType::Timestamp(..) => &cast(values, &DataType::Int64)?,
                _ => values,
            };
            let texts = cast(values, &DataType::Utf8)?;
            let out: StringArray =
                texts.as_string::<i32>().iter().map(|v| v.map(|v| pseudonyms(v.as_bytes()))).collect();
            Ok(Arc::new(out) as ArrayRef)
        }
        _ => internal_err!("one argument"),
    });
    udf.call(vec![raw])
}

fn bin(kind: DataType, raw: Expr, from: i64, to: i64, width: i64) -> Expr {
    let edges: Vec<i64> = edges(from, to, width).collect();
    let udf = total("bin", vec![kind.clone()], DataType::Int64, move |args| match args {
        [values] => {
            let out: Int64Array = match kind {
                DataType::Int64 => values
                    .as_primitive::<Int64Type>()
                    .iter()
                    .map(|v| v.and_then(|v| edge(&edges, |e| *e <= v)))
                    .collect(),
                #[expect(clippy::cast_precision_loss, reason = "edges are small; a bin is compared as a float")]
                _ => values
                    .as_primitive::<Float64Type>()
                    .iter()
                    .map(|v| v.filter(|v| !v.is_nan()).and_then(|v| edge(&edges, |e| *e as f64 <= v)))
                    .collect(),
            };
            Ok(Arc::new(out) as ArrayRef)
        }
        _ => internal_err!("one argument"),
    });
    udf.call(vec![raw])
}

/// The bin of each value of `column`, by a declared binning.
pub(crate) fn binned(column: &Column, binning: &Binning) -> Expr {
    let kind = arrow_type(column.kind);
    let binning = binning.clone();
    let udf = total("binning", vec![kind.clone()], DataType::Utf8, move |args| match args {
        [values] => {
            let missing = binning.missing.as_deref();
            let out: StringArray = match kind {
                DataType::Int64 => {
                    let bin = |v: i64| binning.bin_of_code(&Key::Int(v));
                    values.as_primitive::<Int64Type>().iter().map(|v| v.map_or(missing, bin)).collect()
                }
                DataType::Date32 => {
                    let bin = |v: i32| binning.bin_of(|edge| edge <= i64::from(v));
                    values.as_primitive::<Date32Type>().iter().map(|v| v.map_or(missing, bin)).collect()
                }
                #[expect(clippy::cast_precision_loss, reason = "edges are small; a value is compared as a float")]
                DataType::Float64 => {
                    let bin = |v: f64| binning.bin_of(|edge| edge as f64 <= v);
                    let values = values.as_primitive::<Float64Type>().iter().map(|v| v.filter(|v| !v.is_nan()));
                    values.map(|v| v.map_or(missing, bin)).collect()
                }
                _ => {
                    let bin = |v: &str| binning.bin_of_code(&Key::Text(v.to_owned()));
                    values.as_string::<i32>().iter().map(|v| v.map_or(missing, bin)).collect()
                }
            };
            Ok(Arc::new(out) as ArrayRef)
        }
        _ => internal_err!("one argument"),
    });
    udf.call(vec![ident(column.name.as_str())])
}

/// The last edge that is not above the value; the first for values below all of them.
fn edge(edges: &[i64], not_above: impl Fn(&i64) -> bool) -> Option<i64> {
    let bin = edges.partition_point(not_above).saturating_sub(1);
    edges.get(bin).copied()
}
