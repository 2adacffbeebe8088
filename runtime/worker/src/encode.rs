//! Writes one unit's rows in the ABI's form, straight to where they go.
//!
//! Everything is copied and nothing is shared: a slice brings none of the buffer
//! it was cut from, and bytes under nulls, which may be another value's remains,
//! become zero.

use sluice_domain::catalogue::ColumnType;
use sluice_rows::{
    ROW_COLUMN, RowBatch, UNIT_COLUMN,
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _, ListArray, PrimitiveArray},
        compute::cast,
        datatypes::{
            DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
            ToByteSlice as _,
        },
    },
};

use crate::{
    WorkerError,
    limits::COLUMNS_MAX,
    wire::{Sink, put_gap},
};

#[cfg(target_endian = "big")]
compile_error!("the guest ABI is little-endian, and buffers are copied as they are");

/// The parameter that announces an input to the guest: `input.<name>` =
/// `column:type,…`. Pass one per input, in the order of their names.
pub fn schema_param(input: &str, columns: &[(String, ColumnType)]) -> (String, String) {
    let columns: Vec<String> = columns.iter().map(|(name, kind)| format!("{name}:{kind}")).collect();
    (format!("input.{input}"), columns.join(","))
}

/// Appends the body of a `UNIT` frame.
pub(crate) fn encode_unit(rows: &RowBatch, out: &mut impl Sink) -> Result<(), WorkerError> {
    if rows.columns().len() > COLUMNS_MAX {
        return Err(WorkerError::TooLarge);
    }
    if rows.schema().fields().iter().any(|f| [ROW_COLUMN, UNIT_COLUMN].contains(&f.name().as_str())) {
        return Err(WorkerError::UnitColumn);
    }
    put(out, rows.rows())?;
    put(out, rows.columns().len())?;
    rows.columns().iter().try_for_each(|column| encode_column(column, out))
}

fn encode_column(column: &ArrayRef, out: &mut impl Sink) -> Result<(), WorkerError> {
    match column.data_type() {
        DataType::Int64 => fixed(column.as_primitive::<Int64Type>(), out)?,
        DataType::Float64 => fixed(column.as_primitive::<Float64Type>(), out)?,
        DataType::Date32 => fixed(column.as_primitive::<Date32Type>(), out)?,
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            fixed(column.as_primitive::<TimestampMicrosecondType>(), out)?;
        }
        DataType::Decimal128(..) => fixed(column.as_primitive::<Decimal128Type>(), out)?,
        DataType::Null => null(column.len(), out)?,
        DataType::List(_) => list(column.as_list::<i32>(), out)?,
        // A dictionary may hold values that no row has: its rows' plain values go in.
        DataType::Dictionary(_, values) => {
            let plain = cast(column, values).map_err(|_| WorkerError::ColumnType)?;
            encode_column(&plain, out)?;
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            head(values, Offsets::None, out)?;
            begin(out, values.len().div_ceil(8))?;
            bitmap(values.iter().map(Option::unwrap_or_default), out);
        }
        DataType::Utf8 => text(column, column.as_string::<i32>().iter(), out)?,
        DataType::LargeUtf8 => text(column, column.as_string::<i64>().iter(), out)?,
        DataType::Utf8View => text(column, column.as_string_view().iter(), out)?,
        _ => return Err(WorkerError::ColumnType),
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Offsets {
    None,
    Present,
}

/// Nulls, flags and validity.
fn head(column: &dyn Array, offsets: Offsets, out: &mut impl Sink) -> Result<(), WorkerError> {
    let nulls = column.logical_null_count();
    put(out, nulls)?;
    out.add(&[u8::from(nulls > 0) | u8::from(offsets == Offsets::Present) << 1]);
    if nulls > 0 {
        begin(out, column.len().div_ceil(8))?;
        bitmap((0..column.len()).map(|row| column.is_valid(row)), out);
    }
    Ok(())
}

fn fixed<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, out: &mut impl Sink) -> Result<(), WorkerError> {
    head(column, Offsets::None, out)?;
    begin(out, size_of_val::<[T::Native]>(column.values()))?;
    if column.null_count() == 0 {
        out.add(column.values().inner().as_slice());
    } else {
        let zero = T::Native::default();
        column.iter().for_each(|v| out.add(v.unwrap_or(zero).to_byte_slice()));
    }
    Ok(())
}

fn text<'a>(
    column: &dyn Array,
    values: impl Iterator<Item = Option<&'a str>> + Clone,
    out: &mut impl Sink,
) -> Result<(), WorkerError> {
    head(column, Offsets::Present, out)?;
    let length = |value: Option<&str>| value.map_or(0, str::len);
    begin(out, (column.len() + 1) * 4)?;
    offsets(values.clone().map(length), out)?;
    begin(out, values.clone().map(length).sum())?;
    values.flatten().for_each(|value| out.add(value.as_bytes()));
    Ok(())
}

/// A column without values: all of it is its validity bitmap.
fn null(rows: usize, out: &mut impl Sink) -> Result<(), WorkerError> {
    put(out, rows)?;
    out.add(&[u8::from(rows > 0)]);
    if rows > 0 {
        begin(out, rows.div_ceil(8))?;
        bitmap(std::iter::repeat_n(false, rows), out);
    }
    put(out, 0)
}

/// Row offsets and the lists' values; for texts a second run of offsets, of the
/// values into their bytes, follows the first.
fn list(column: &ListArray, out: &mut impl Sink) -> Result<(), WorkerError> {
    // Values under a missing list, or outside the slice, are somebody else's.
    let lists: Vec<ArrayRef> = column.iter().flatten().collect();
    if lists.iter().any(|values| values.null_count() > 0) {
        return Err(WorkerError::ColumnType);
    }
    head(column, Offsets::Present, out)?;
    let texts = || lists.iter().flat_map(|l| l.as_string::<i32>().iter().flatten());
    let kind = column.value_type();
    let values: usize = lists.iter().map(Array::len).sum();
    let inner = if kind == DataType::Utf8 { values + 1 } else { 0 };
    begin(out, (column.len() + 1 + inner) * 4)?;
    offsets((0..column.len()).map(|row| if column.is_valid(row) { column.value(row).len() } else { 0 }), out)?;
    match kind {
        DataType::Int64 | DataType::Float64 => {
            begin(out, values * 8)?;
            for list in &lists {
                match kind {
                    DataType::Int64 => out.add(list.as_primitive::<Int64Type>().values().to_byte_slice()),
                    _ => out.add(list.as_primitive::<Float64Type>().values().to_byte_slice()),
                }
            }
        }
        DataType::Utf8 => {
            offsets(texts().map(str::len), out)?;
            begin(out, texts().map(str::len).sum())?;
            texts().for_each(|text| out.add(text.as_bytes()));
        }
        _ => return Err(WorkerError::ColumnType),
    }
    Ok(())
}

/// The ends of pieces of these lengths, from 0.
fn offsets(lengths: impl Iterator<Item = usize>, out: &mut impl Sink) -> Result<(), WorkerError> {
    let mut end = 0;
    put_offset(out, end)?;
    for len in lengths {
        end += len;
        put_offset(out, end)?;
    }
    Ok(())
}

fn bitmap(mut bits: impl Iterator<Item = bool>, out: &mut impl Sink) {
    while let Some(first) = bits.next() {
        let byte = (1..8).fold(u8::from(first), |byte, at| byte | u8::from(bits.next().unwrap_or_default()) << at);
        out.add(&[byte]);
    }
}

/// The length of a buffer, and what lies before its first byte.
fn begin(out: &mut impl Sink, len: usize) -> Result<(), WorkerError> {
    put(out, len)?;
    put_gap(out, len);
    Ok(())
}

fn put(out: &mut impl Sink, len: usize) -> Result<(), WorkerError> {
    out.add(&u32::try_from(len).map_err(|_| WorkerError::TooLarge)?.to_le_bytes());
    Ok(())
}

fn put_offset(out: &mut impl Sink, offset: usize) -> Result<(), WorkerError> {
    out.add(&i32::try_from(offset).map_err(|_| WorkerError::TooLarge)?.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluice_rows::arrow::{
        array::{
            BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListBuilder,
            NullArray, StringArray, StringBuilder, StringViewArray, TimestampMicrosecondArray, UInt64Array,
        },
        buffer::{NullBuffer, OffsetBuffer, ScalarBuffer},
        datatypes::Int32Type,
        record_batch::RecordBatch,
    };

    use super::*;
    use crate::wire::{BatchRef, LARGE, LINE, decode_batch, decode_call, encode_call};

    fn rows(columns: Vec<(&str, ArrayRef)>) -> RowBatch {
        RowBatch::new(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap())
    }

    fn encoded(rows: &RowBatch) -> Vec<u8> {
        let mut out = Vec::new();
        encode_unit(rows, &mut out).unwrap();
        out
    }

    #[test]
    fn a_slice_brings_its_own_rows_only_and_nulls_bring_nothing() {
        // The value under the null is somebody else's.
        let secret =
            Int64Array::new(ScalarBuffer::from(vec![9, 77, 5]), Some(NullBuffer::from(vec![true, false, true])));
        let words = StringArray::from(vec![Some("before"), None, Some("数闸")]);
        let batch = rows(vec![("n", Arc::new(secret)), ("t", Arc::new(words))]).slice(1, 2);
        let body = encoded(&batch);
        let BatchRef { rows, columns } = decode_batch(&body).unwrap();
        assert_eq!((rows, columns.len()), (2, 2));
        assert_eq!((columns[0].nulls, columns[0].validity), (1, Some(&[0b10u8][..])));
        assert_eq!(columns[0].data, [0i64.to_le_bytes(), 5i64.to_le_bytes()].concat());
        assert_eq!(columns[1].data, "数闸".as_bytes());
        assert_eq!(columns[1].offsets.unwrap(), [0i32, 0, 6].map(i32::to_le_bytes).concat());
        assert!(!body.windows(6).any(|w| w == b"before"));
        assert!(!body.windows(8).any(|w| w == 77i64.to_le_bytes()));
    }

    #[test]
    fn every_type_has_its_layout() {
        let batch = rows(vec![
            ("f", Arc::new(Float64Array::from(vec![1.5, -0.0]))),
            ("d", Arc::new(Date32Array::from(vec![1, -1]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("v", Arc::new(StringViewArray::from(vec!["a", "a word too long to be inline"]))),
        ]);
        let body = encoded(&batch);
        let columns = decode_batch(&body).unwrap().columns;
        assert_eq!(columns[0].data, [1.5f64.to_le_bytes(), (-0.0f64).to_le_bytes()].concat());
        assert!(columns[0].validity.is_none() && columns[0].offsets.is_none());
        assert_eq!(columns[1].data, [1i32, -1].map(i32::to_le_bytes).concat());
        assert_eq!((columns[2].data, columns[2].validity), (&[1u8][..], Some(&[1u8][..])));
        assert_eq!(columns[3].data, b"aa word too long to be inline");
    }

    #[test]
    fn the_wider_types_have_their_layouts_and_hide_what_no_row_shows() {
        let i32s = |values: &[i32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let mut words = ListBuilder::new(StringBuilder::new());
        words.append_value([Some("before")]);
        words.append_value([Some("数"), Some("")]);
        words.append_null();
        let ints = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(77)]),
            Some(vec![Some(1), Some(-2)]),
            None,
        ]);
        // The last list is missing and has a value all the same.
        let validity = NullBuffer::from(vec![true, true, false]);
        let (field, _, values, _) = ints.into_parts();
        let values = sluice_rows::arrow::compute::concat(&[&values, &Int64Array::from(vec![88])]).unwrap();
        let ints = ListArray::new(field, OffsetBuffer::from_lengths([1, 2, 1]), values, Some(validity));
        let dictionary: DictionaryArray<Int32Type> = vec![Some("before"), Some("b"), None].into_iter().collect();
        let batch = rows(vec![
            ("n", Arc::new(NullArray::new(3))),
            ("m", Arc::new(TimestampMicrosecondArray::from(vec![Some(77), Some(-1), None]))),
            ("d", Arc::new(Decimal128Array::from(vec![Some(77), Some(-1), None]))),
            ("i", Arc::new(ints)),
            ("w", Arc::new(words.finish())),
            ("k", Arc::new(dictionary)),
        ])
        .slice(1, 2);
        let body = encoded(&batch);
        let columns = decode_batch(&body).unwrap().columns;
        assert_eq!((columns[0].nulls, columns[0].validity, columns[0].data), (2, Some(&[0u8][..]), &[][..]));
        assert_eq!(columns[1].data, [(-1i64).to_le_bytes(), [0; 8]].concat());
        assert_eq!(columns[2].data, [(-1i128).to_le_bytes(), [0; 16]].concat());
        assert_eq!(columns[3].offsets.unwrap(), i32s(&[0, 2, 2]));
        assert_eq!(columns[3].data, [1i64.to_le_bytes(), (-2i64).to_le_bytes()].concat());
        assert_eq!(columns[4].offsets.unwrap(), i32s(&[0, 2, 2, 0, 3, 3]));
        assert_eq!((columns[4].nulls, columns[4].data), (1, "数".as_bytes()));
        assert_eq!((columns[5].data, columns[5].offsets.unwrap()), (&b"b"[..], i32s(&[0, 1, 1]).as_slice()));
        for secret in [77i64, 88] {
            assert!(!body.windows(8).any(|w| w == secret.to_le_bytes()));
        }
        assert!(!body.windows(6).any(|w| w == b"before"));
    }

    #[test]
    fn large_buffers_begin_on_a_line_and_small_ones_where_they_are() {
        let ints = Int64Array::from_iter((0..600).map(|n| (n % 7 > 0).then_some(n)));
        let batch = rows(vec![
            ("n", Arc::new(ints)),
            ("t", Arc::new(StringArray::from_iter_values((0..600).map(|n| format!("{n} 数闸"))))),
        ]);
        let mut body = Vec::new();
        encode_call::<WorkerError, _>(&[0, 3], &mut body, |_, out| encode_unit(&batch, out)).unwrap();
        let at = |buffer: &[u8]| buffer.as_ptr().addr() - body.as_ptr().addr();
        let mut gaps = Vec::new();
        for (_, part) in decode_call(&body).unwrap() {
            let [n, t] = part.columns.as_slice() else { panic!("two columns") };
            assert_eq!(n.data[16..24], 2i64.to_le_bytes());
            assert!(t.data.starts_with("0 数闸1 数闸".as_bytes()));
            for buffer in [n.validity, Some(n.data), t.offsets, Some(t.data)].into_iter().flatten() {
                let begins = at(buffer);
                let long = (buffer.len() as u32).to_le_bytes();
                if buffer.len() < LARGE {
                    assert_eq!(body[begins - 4..begins], long);
                } else {
                    assert_eq!(begins % LINE, 0);
                    let length = (4..4 + LINE).find(|back| body[begins - back..][..4] == long).unwrap();
                    gaps.extend(begins - length + 4..begins);
                }
            }
        }
        // Two inputs of two columns: it cannot be chance that none is missing anything.
        assert!(!gaps.is_empty());
        for gap in gaps {
            let mut other = body.clone();
            other[gap] = 1;
            assert!(decode_call(&other).is_err(), "a second form of the same rows");
        }
    }

    #[test]
    fn the_unit_column_and_foreign_types_stay_outside() {
        let mut out = Vec::new();
        let unit = rows(vec![(UNIT_COLUMN, Arc::new(UInt64Array::from(vec![1])))]);
        assert!(matches!(encode_unit(&unit, &mut out), Err(WorkerError::UnitColumn)));
        let foreign = rows(vec![("u", Arc::new(UInt64Array::from(vec![1])))]);
        assert!(matches!(encode_unit(&foreign, &mut out), Err(WorkerError::ColumnType)));
    }

    #[test]
    fn the_schema_is_announced_by_name_and_type() {
        let columns = [("year".to_owned(), ColumnType::Int), ("plan".to_owned(), ColumnType::Text)];
        assert_eq!(schema_param("claims", &columns), ("input.claims".to_owned(), "year:int,plan:text".to_owned()));
    }
}
