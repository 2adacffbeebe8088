//! Reads a CSV file (RFC 4180): a header line, UTF-8, blank for missing. Values
//! are not trimmed. Types are the catalogue's, never guessed.
//!
//! | type | reads |
//! |---|---|
//! | int | an optional sign and decimal digits, within 64 bits |
//! | float | decimal or scientific notation, `nan`, `inf`; the nearest double |
//! | text | anything |
//! | bool | `true` or `false`, in any case |
//! | date | `YYYY-MM-DD` |
//! | timestamp | `YYYY-MM-DDTHH:MM:SS`, optionally a point and up to six digits, and `Z`; `T` may be a blank. UTC |
//! | decimal | an optional sign, digits, optionally a point and digits |
//! | null | blanks only |
//!
//! Lists have no form in CSV: a catalogue with a list column is refused before
//! the first row is read.
//!
//! A float that overflows, a non-zero one that underflows, and a whole number
//! that no double holds are refused as lossy.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::Arc,
};

use csv::ByteRecord;
use sluice_domain::{Refusal, catalogue::ColumnType};
use sluice_rows::arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, NullBuilder,
        StringBuilder, TimestampMicrosecondBuilder,
    },
    compute::kernels::cast_utils::Parser as _,
    datatypes::Date32Type,
};

use super::{
    BATCH_ROWS, TEXT_BYTES_MAX,
    convert::arrow_type,
    decimal,
    intake::{Found, Intake, match_columns},
    refuse::{Broken, Fault},
};

/// Pours the file into the intake.
pub(super) fn read(path: &Path, intake: &mut Intake<'_>) -> Result<(), Refusal> {
    let file = File::open(path).map_err(|_| Broken::Unreadable.refusal())?;
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(without_bom(BufReader::new(file)).map_err(|_| Broken::Unreadable.refusal())?);
    let mut next = |record: &mut ByteRecord| {
        // The library's error text may quote the line: only that it failed is passed on.
        lines.read_byte_record(record).map_err(|_| Broken::Unreadable.refusal())
    };

    let mut header = ByteRecord::new();
    next(&mut header)?;
    let names: Option<Vec<&str>> = header.iter().map(|name| std::str::from_utf8(name).ok()).collect();
    let entry = intake.entry();
    let places = match_columns(entry, &names.ok_or_else(|| Broken::Header.refusal())?)?;

    if let Some(list) = entry.columns.iter().find(|c| matches!(c.kind, ColumnType::List(_))) {
        return Err(Broken::CsvList.refusal().at(format!("column {}", list.name)));
    }
    let builders = || entry.columns.iter().map(|c| Builder::of(c.kind)).collect::<Vec<_>>();
    let (mut record, mut batch, mut row) = (ByteRecord::new(), builders(), 0);
    let mut found = None;
    while next(&mut record)? {
        if record.len() != header.len() {
            // Faults of the rows before come first.
            let arrays = std::mem::replace(&mut batch, builders()).into_iter().map(Builder::finish).collect();
            intake.take(arrays, found)?;
            return Err(Broken::RowShape.refusal().at(format!("row {}", intake.next_row())));
        }
        for (column, (builder, place)) in batch.iter_mut().zip(&places).enumerate() {
            if let Err(fault) = builder.push(record.get(*place).unwrap_or_default()) {
                found = found.or(Some(Found { row, column, fault }));
            }
        }
        row += 1;
        if row == BATCH_ROWS || found.is_some() {
            let arrays = std::mem::replace(&mut batch, builders()).into_iter().map(Builder::finish).collect();
            intake.take(arrays, found.take())?;
            row = 0;
        }
    }
    if row > 0 {
        intake.take(batch.into_iter().map(Builder::finish).collect(), None)?;
    }
    Ok(())
}

/// A column under construction.
enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, u8, u8),
    Null(NullBuilder),
}

impl Builder {
    fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Int => Self::Int(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            ColumnType::Decimal { precision, scale } => {
                Self::Decimal(Decimal128Builder::new().with_data_type(arrow_type(kind)), precision, scale)
            }
            // Lists never come this far.
            ColumnType::Null | ColumnType::List(_) => Self::Null(NullBuilder::new()),
        }
    }

    /// Reads one field. A field that cannot be read is put down as missing, so
    /// that all columns stay of one length, and its fault is returned.
    fn push(&mut self, field: &[u8]) -> Result<(), Fault> {
        let text = if field.is_empty() { Ok(None) } else { std::str::from_utf8(field).map(Some) };
        let text = text.map_err(|_| Fault::Encoding);
        fn read<T>(
            text: Result<Option<&str>, Fault>,
            parse: impl Fn(&str) -> Result<T, Fault>,
        ) -> (Option<T>, Result<(), Fault>) {
            match text.and_then(|text| text.map(parse).transpose()) {
                Ok(value) => (value, Ok(())),
                Err(fault) => (None, Err(fault)),
            }
        }
        match self {
            Self::Int(builder) => {
                let (value, result) = read(text, |t| t.parse().map_err(|_| Fault::Unreadable));
                builder.append_option(value);
                result
            }
            Self::Float(builder) => {
                let (value, result) = read(text, float);
                builder.append_option(value);
                result
            }
            Self::Text(builder) => {
                let fits = |t: &str| if t.len() <= TEXT_BYTES_MAX { Ok(t.to_owned()) } else { Err(Fault::Long) };
                let (value, result) = read(text, fits);
                builder.append_option(value);
                result
            }
            Self::Bool(builder) => {
                let (value, result) = read(text, boolean);
                builder.append_option(value);
                result
            }
            Self::Date(builder) => {
                let (value, result) = read(text, date);
                builder.append_option(value);
                result
            }
            Self::Timestamp(builder) => {
                let (value, result) = read(text, timestamp);
                builder.append_option(value);
                result
            }
            Self::Decimal(builder, precision, scale) => {
                let (value, result) = read(text, |t| decimal::parse(t, *precision, *scale));
                builder.append_option(value);
                result
            }
            Self::Null(builder) => {
                builder.append_null();
                read(text, |_| Err::<(), _>(Fault::Unreadable)).1
            }
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Int(mut b) => Arc::new(b.finish()),
            Self::Float(mut b) => Arc::new(b.finish()),
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::Bool(mut b) => Arc::new(b.finish()),
            Self::Date(mut b) => Arc::new(b.finish()),
            Self::Timestamp(mut b) => Arc::new(b.finish()),
            Self::Decimal(mut b, ..) => Arc::new(b.finish()),
            Self::Null(mut b) => Arc::new(b.finish()),
        }
    }
}

fn float(text: &str) -> Result<f64, Fault> {
    let value: f64 = text.parse().map_err(|_| Fault::Unreadable)?;
    let spelled_out = text.bytes().any(|b| b.eq_ignore_ascii_case(&b'n'));
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let overflows = value.is_infinite() && !spelled_out;
    let underflows = value == 0.0 && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let no_such_double = text.parse::<i64>().is_ok_and(|whole| super::convert::whole_to_float(whole).is_none());
    if overflows || underflows || no_such_double { Err(Fault::Lossy) } else { Ok(value) }
}

fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        t if t.eq_ignore_ascii_case("true") => Ok(true),
        t if t.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::Unreadable),
    }
}

fn date(text: &str) -> Result<i32, Fault> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shape.then(|| Date32Type::parse(text)).flatten().ok_or(Fault::Unreadable)
}

fn timestamp(text: &str) -> Result<i64, Fault> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (day, time) = text.split_once(['T', ' ']).ok_or(Fault::Unreadable)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let [hour, minute, second] =
        <[&str; 3]>::try_from(clock.split(':').collect::<Vec<_>>()).map_err(|_| Fault::Unreadable)?;
    let part = |part: &str, below: i64| {
        let value = if part.len() == 2 && digits(part) { part.parse().ok() } else { None };
        value.filter(|v: &i64| *v < below).ok_or(Fault::Unreadable)
    };
    let seconds = (part(hour, 24)? * 60 + part(minute, 60)?) * 60 + part(second, 60)?;
    if !digits(fraction) {
        return Err(Fault::Unreadable);
    }
    // Six digits of a second are microseconds: a decimal of that scale.
    let micros = decimal::parse(&format!("0.{fraction}"), 6, 6)?;
    let micros = i64::try_from(micros).map_err(|_| Fault::Unreadable)?;
    Ok((i64::from(date(day)?) * 86_400 + seconds) * 1_000_000 + micros)
}

/// Drops a UTF-8 byte order mark, which spreadsheets put before the first name.
fn without_bom<R: Read>(mut source: R) -> std::io::Result<impl Read> {
    let mut first = Vec::with_capacity(3);
    source.by_ref().take(3).read_to_end(&mut first)?;
    if first == b"\xef\xbb\xbf" {
        first.clear();
    }
    Ok(std::io::Cursor::new(first).chain(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_exactly_or_refused() {
        assert_eq!(float("0.1"), Ok(0.1));
        assert_eq!(float("-0").map(f64::to_bits), Ok((-0.0_f64).to_bits()));
        assert_eq!(float("1e-300"), Ok(1e-300));
        assert_eq!(float("0e999"), Ok(0.0));
        assert_eq!(float("-INF"), Ok(f64::NEG_INFINITY));
        assert!(float("NaN").unwrap().is_nan());
        assert_eq!(float("9007199254740992"), Ok(9_007_199_254_740_992.0));
        for lossy in ["1e999", "-1e400", "1e-999", "9007199254740993", "9223372036854775807"] {
            assert_eq!(float(lossy), Err(Fault::Lossy), "{lossy}");
        }
        for bad in ["", " 1", "1 ", "1,5", "0x10", "1_000", "一"] {
            assert_eq!(float(bad), Err(Fault::Unreadable), "{bad}");
        }
    }

    #[test]
    fn dates_and_booleans_are_strict() {
        assert_eq!(date("1970-01-02"), Ok(1));
        assert_eq!(date("2024-02-29"), Ok(19_782));
        for bad in ["2023-02-29", "2024-1-01", "20240101", "2024/01/01", "2024-01-01T00:00:00", "-024-01-01"] {
            assert_eq!(date(bad), Err(Fault::Unreadable), "{bad}");
        }
        assert_eq!(timestamp("1970-01-01T00:00:01.5"), Ok(1_500_000));
        assert_eq!(timestamp("1969-12-31 23:59:59.999999Z"), Ok(-1));
        assert_eq!(timestamp("2024-02-29T12:00:00.1234560"), Ok(1_709_208_000_123_456));
        assert_eq!(timestamp("2024-02-29T12:00:00.1234567"), Err(Fault::Lossy));
        for bad in [
            "2024-02-29",
            "2024-02-29T24:00:00",
            "2024-02-29T12:00",
            "2023-02-29T12:00:00",
            "2024-02-29T12:00:60",
            "2024-02-29T12:00:00.",
            "2024-02-29T12:00:00+08:00",
            "2024-02-29T1:00:00",
            "x",
        ] {
            assert_eq!(timestamp(bad), Err(Fault::Unreadable), "{bad}");
        }
        assert_eq!((boolean("TRUE"), boolean("false")), (Ok(true), Ok(false)));
        assert!(boolean("1").is_err() && boolean("yes").is_err());
    }
}
