//! Turns the types that a Parquet file may hold into the catalogue's plain ones,
//! without loss or not at all.
//!
//! | catalogue | from |
//! |---|---|
//! | int | every integer type; a float whose values are whole and fit |
//! | float | every float type; an integer whose values a double holds exactly |
//! | text | UTF-8 strings, plain or dictionary |
//! | bool | booleans |
//! | date | dates; timestamps without a zone that fall on midnight |

use std::sync::Arc;

use sluice_domain::catalogue::ColumnType;
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, PrimitiveArray, new_null_array},
    compute::{can_cast_types, cast},
    datatypes::{
        DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt64Type,
    },
};

use super::refuse::Fault;

/// The Arrow type in which a catalogue type is stored, and in which it is read again.
pub fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Text => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
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
        (ColumnType::Text, T::Dictionary(_, values))
            if matches!(**values, T::Utf8 | T::LargeUtf8 | T::Utf8View)
                && can_cast_types(source.data_type(), &target) =>
        {
            Some((widen(&target)?, None))
        }
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
