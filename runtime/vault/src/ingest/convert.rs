//! Turns the types that a Parquet file may hold into the catalogue's plain ones,
//! without loss or not at all. A dictionary is taken for its plain values.
//!
//! | catalogue | from |
//! |---|---|
//! | null | a column without a value, of whatever type |
//! | bool | booleans |
//! | int | every integer type; a float or decimal whose values are whole and fit |
//! | float | every float type; an integer whose values a double holds exactly |
//! | decimal | decimals and integers whose values fit unchanged; never a float |
//! | text | UTF-8 strings |
//! | date | dates; timestamps without a zone that fall on midnight |
//! | timestamp | timestamps whose values are whole microseconds: with a zone the instant they name, without one taken for UTC |
//! | list | lists (also large and of fixed size) of what turns into the item's type |

use std::sync::Arc;

use sluice_domain::catalogue::{ColumnType, ListItem};
use sluice_rows::arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray as _, Decimal128Array, GenericListArray, ListArray,
        OffsetSizeTrait, PrimitiveArray, new_null_array,
    },
    buffer::OffsetBuffer,
    compute::{can_cast_types, cast, concat},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
    },
};

use super::{decimal::rescale, refuse::Fault};

/// The Arrow type in which a catalogue type is stored, and in which it is read again.
pub fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Null => DataType::Null,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        // At most 38: the scale fits.
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0)),
        ColumnType::Text => DataType::Utf8,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::List(item) => DataType::List(Arc::new(Field::new("element", arrow_type(item_type(item)), false))),
    }
}

/// The catalogue type that is stored in this Arrow type, if there is one.
pub fn plain_type(stored: &DataType) -> Option<ColumnType> {
    let kind = match stored {
        DataType::Null => ColumnType::Null,
        DataType::Boolean => ColumnType::Bool,
        DataType::Int64 => ColumnType::Int,
        DataType::Float64 => ColumnType::Float,
        DataType::Decimal128(precision, scale) => {
            ColumnType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        DataType::Utf8 => ColumnType::Text,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
        DataType::List(element) => {
            let items = [ListItem::Int, ListItem::Float, ListItem::Text];
            ColumnType::List(items.into_iter().find(|i| arrow_type(item_type(*i)) == *element.data_type())?)
        }
        _ => return None,
    };
    (arrow_type(kind) == *stored).then_some(kind)
}

fn item_type(item: ListItem) -> ColumnType {
    match item {
        ListItem::Int => ColumnType::Int,
        ListItem::Float => ColumnType::Float,
        ListItem::Text => ColumnType::Text,
    }
}

/// A converted column, and the first row whose value could not be kept.
pub(super) type Converted = (ArrayRef, Option<(usize, Fault)>);

/// Converts one column; `None` when the type as such cannot become the catalogue's.
pub(super) fn to_plain(kind: ColumnType, source: &ArrayRef) -> Option<Converted> {
    use DataType as T;
    let target = arrow_type(kind);
    if *source.data_type() == target {
        return Some((Arc::clone(source), None));
    }
    let widen = |to: &DataType| cast(source, to).ok();
    match (kind, source.data_type()) {
        // A column without a single value has no type of its own.
        (_, T::Null) => Some((new_null_array(&target, source.len()), None)),
        (ColumnType::Null, _) => {
            let value = (0..source.len()).find(|row| source.is_valid(*row));
            Some((new_null_array(&target, source.len()), value.map(|row| (row, Fault::Lossy))))
        }
        (_, T::Dictionary(_, values)) if can_cast_types(source.data_type(), values) => to_plain(kind, &widen(values)?),
        (ColumnType::Int, T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32)
        | (ColumnType::Float, T::Float16 | T::Float32) => Some((widen(&target)?, None)),
        (ColumnType::Int, T::UInt64) => each::<UInt64Type, Int64Type>(source, |v| i64::try_from(v).ok()),
        (ColumnType::Int, T::Float64) => each::<Float64Type, Int64Type>(source, float_to_whole),
        (ColumnType::Int, T::Float16 | T::Float32) => {
            each::<Float64Type, Int64Type>(&widen(&T::Float64)?, float_to_whole)
        }
        (ColumnType::Float, T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32) => {
            each::<Int64Type, Float64Type>(&widen(&T::Int64)?, whole_to_float)
        }
        (ColumnType::Float, T::UInt64) => {
            each::<UInt64Type, Float64Type>(source, |v| i64::try_from(v).ok().and_then(whole_to_float))
        }
        (ColumnType::Text, T::LargeUtf8 | T::Utf8View) => Some((widen(&target)?, None)),
        (ColumnType::Int, T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..)) => {
            let (source, scale) = wide_decimal(source)?;
            each::<Decimal128Type, Int64Type>(&source, |v| rescale(v, scale, 0, 38)?.try_into().ok())
        }
        (ColumnType::Decimal { precision, scale: to }, other) => {
            let (source, from) = match other {
                T::UInt64 => {
                    let values = source.as_primitive_opt::<UInt64Type>()?.iter().map(|v| v.map(i128::from));
                    (Arc::new(values.collect::<Decimal128Array>()) as ArrayRef, 0)
                }
                T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => {
                    let values = widen(&T::Int64)?;
                    let values = values.as_primitive_opt::<Int64Type>()?.iter().map(|v| v.map(i128::from));
                    (Arc::new(values.collect::<Decimal128Array>()) as ArrayRef, 0)
                }
                _ => wide_decimal(source)?,
            };
            let (array, fault) = each::<Decimal128Type, Decimal128Type>(&source, |v| rescale(v, from, to, precision))?;
            Some((widen_to(&array, precision, to)?, fault))
        }
        (ColumnType::Timestamp, T::Timestamp(unit, _)) => match unit {
            TimeUnit::Second => {
                each::<TimestampSecondType, TimestampMicrosecondType>(&utc(source)?, |v| v.checked_mul(1_000_000))
            }
            TimeUnit::Millisecond => {
                each::<TimestampMillisecondType, TimestampMicrosecondType>(&utc(source)?, |v| v.checked_mul(1_000))
            }
            TimeUnit::Microsecond => Some((utc(source)?, None)),
            TimeUnit::Nanosecond => each::<TimestampNanosecondType, TimestampMicrosecondType>(&utc(source)?, |v| {
                (v % 1_000 == 0).then_some(v / 1_000)
            }),
        },
        (ColumnType::List(item), T::List(_)) => list(item, source.as_list::<i32>()),
        (ColumnType::List(item), T::LargeList(_)) => list(item, source.as_list::<i64>()),
        (ColumnType::List(_), T::FixedSizeList(element, _)) => to_plain(kind, &widen(&T::List(Arc::clone(element)))?),
        (ColumnType::Date, T::Timestamp(TimeUnit::Second, None)) => {
            each::<TimestampSecondType, Date32Type>(source, |v| whole_days(v, 86_400))
        }
        (ColumnType::Date, T::Timestamp(TimeUnit::Millisecond, None)) => {
            each::<TimestampMillisecondType, Date32Type>(source, |v| whole_days(v, 86_400_000))
        }
        (ColumnType::Date, T::Timestamp(TimeUnit::Microsecond, None)) => {
            each::<TimestampMicrosecondType, Date32Type>(source, |v| whole_days(v, 86_400_000_000))
        }
        (ColumnType::Date, T::Timestamp(TimeUnit::Nanosecond, None)) => {
            each::<TimestampNanosecondType, Date32Type>(source, |v| whole_days(v, 86_400_000_000_000))
        }
        _ => None,
    }
}

/// The same decimals in 128 bits, and their scale.
fn wide_decimal(source: &ArrayRef) -> Option<(ArrayRef, i8)> {
    use DataType::{Decimal32, Decimal64, Decimal128};
    let (Decimal32(precision, scale) | Decimal64(precision, scale) | Decimal128(precision, scale)) = source.data_type()
    else {
        return None;
    };
    Some((cast(source, &Decimal128(*precision, *scale)).ok()?, *scale))
}

fn widen_to(decimals: &ArrayRef, precision: u8, scale: u8) -> Option<ArrayRef> {
    let decimals = decimals.as_primitive_opt::<Decimal128Type>()?.clone();
    Some(Arc::new(decimals.with_precision_and_scale(precision, i8::try_from(scale).ok()?).ok()?))
}

/// The same ticks without their zone's name: with a zone they are UTC already.
fn utc(source: &ArrayRef) -> Option<ArrayRef> {
    let DataType::Timestamp(unit, _) = source.data_type() else { return None };
    cast(&cast(source, &DataType::Int64).ok()?, &DataType::Timestamp(*unit, None)).ok()
}

/// Lists whose values are converted one for one. A value that is missing or could
/// not be kept is named by its list's row.
fn list<O: OffsetSizeTrait>(item: ListItem, source: &GenericListArray<O>) -> Option<Converted> {
    let kind = ColumnType::List(item);
    let DataType::List(element) = arrow_type(kind) else { return None };
    // Lists under nulls may hide values, and a slice the whole: only what is shown counts.
    let (mut lengths, mut shown) = (Vec::with_capacity(source.len()), Vec::with_capacity(source.len()));
    for row in 0..source.len() {
        let values = source.is_valid(row).then(|| source.value(row));
        lengths.push(values.as_ref().map_or(0, |v| v.len()));
        shown.extend(values);
    }
    let shown: Vec<&dyn Array> = shown.iter().map(AsRef::as_ref).collect();
    let values = match shown.as_slice() {
        [] => new_null_array(source.values().data_type(), 0),
        some => concat(some).ok()?,
    };
    let (values, fault) = to_plain(item_type(item), &values)?;
    let missing = (0..values.len()).find(|at| values.is_null(*at)).map(|at| (at, Fault::Missing));
    let fault = match (fault, missing) {
        (Some(fault), Some(missing)) => Some(if missing.0 < fault.0 { missing } else { fault }),
        (fault, missing) => fault.or(missing),
    };
    let row_of = |at: usize| {
        let ends = lengths.iter().scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        ends.take_while(|end| *end <= at).count()
    };
    let fault = fault.map(|(at, fault)| (row_of(at), fault));
    if let Some((row, _)) = fault {
        // What follows the fault is not looked at any more, and need not be there.
        lengths.iter_mut().skip(row).for_each(|len| *len = 0);
    }
    let values = values.slice(0, lengths.iter().sum());
    let lists = ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), values, source.nulls().cloned());
    Some((Arc::new(lists.ok()?), fault))
}

/// The double that is this whole number, if there is one.
#[expect(clippy::cast_precision_loss, reason = "the loss is what is looked for")]
pub(super) fn whole_to_float(whole: i64) -> Option<f64> {
    let float = whole as f64;
    (float as i128 == i128::from(whole)).then_some(float)
}

/// The whole number that is this double, bit for bit: no fraction, no NaN, no −0.
fn float_to_whole(float: f64) -> Option<i64> {
    let whole = float as i64; // saturates; the way back shows it
    (whole_to_float(whole)?.to_bits() == float.to_bits()).then_some(whole)
}

fn whole_days(ticks: i64, per_day: i64) -> Option<i32> {
    (ticks.rem_euclid(per_day) == 0).then(|| i32::try_from(ticks.div_euclid(per_day)).ok()).flatten()
}

fn each<S: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    source: &ArrayRef,
    convert: impl Fn(S::Native) -> Option<T::Native>,
) -> Option<Converted> {
    let source = source.as_primitive_opt::<S>()?;
    let mut fault = None;
    let values = source.iter().enumerate().map(|(row, value)| {
        let value = value?;
        let converted = convert(value);
        if converted.is_none() {
            fault = fault.or(Some((row, Fault::Lossy)));
        }
        converted
    });
    let array: PrimitiveArray<T> = values.collect();
    Some((Arc::new(array), fault))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_rows::arrow::array::{Float64Array, Int32Array, StringArray, TimestampMillisecondArray};

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_come_back(whole in any::<i64>()) {
            if let Some(float) = whole_to_float(whole) {
                prop_assert_eq!(float as i128, i128::from(whole));
                prop_assert_eq!(float_to_whole(float), Some(whole));
            } else {
                prop_assert!(whole.unsigned_abs() > 1 << 53);
            }
        }

        #[test]
        fn a_double_becomes_an_int_only_bit_for_bit(float in any::<f64>()) {
            if let Some(whole) = float_to_whole(float) {
                prop_assert_eq!((whole as f64).to_bits(), float.to_bits());
            } else {
                let odd = float.fract() != 0.0 || !float.is_finite() || float.abs() >= 9.2e18 || float == 0.0;
                prop_assert!(odd);
            }
        }
    }

    #[test]
    fn edges_of_the_int_range() {
        assert_eq!(float_to_whole(-9_223_372_036_854_775_808.0), Some(i64::MIN));
        assert_eq!(float_to_whole(9_223_372_036_854_775_808.0), None);
        assert_eq!(float_to_whole(-0.0), None);
        assert_eq!(float_to_whole(f64::NAN), None);
        assert_eq!(whole_to_float(i64::MAX), None);
    }

    #[test]
    fn converts_without_loss_or_names_the_row() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(3.0), None, Some(0.5), Some(0.25)]));
        let (array, fault) = to_plain(ColumnType::Int, &floats).unwrap();
        assert_eq!(array.as_primitive::<Int64Type>().value(0), 3);
        assert!(array.is_null(1));
        assert_eq!(fault, Some((2, Fault::Lossy)));

        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(-7), None]));
        let (array, fault) = to_plain(ColumnType::Float, &ints).unwrap();
        assert_eq!((array.as_primitive::<Float64Type>().value(0), array.is_null(1), fault), (-7.0, true, None));

        let midnight: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![-86_400_000, 86_400_001]));
        let (array, fault) = to_plain(ColumnType::Date, &midnight).unwrap();
        assert_eq!((array.as_primitive::<Date32Type>().value(0), fault), (-1, Some((1, Fault::Lossy))));

        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        assert!(to_plain(ColumnType::Int, &texts).is_none());
        assert!(to_plain(ColumnType::Bool, &ints).is_none());
        assert!(to_plain(ColumnType::Text, &ints).is_none());
    }
}
