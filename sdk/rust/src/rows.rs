//! Typed reading of the columns that the host pushed, by name.
//!
//! Every batch is checked against the announced schema when it arrives, so the
//! iterators below have no way to fail.

use std::convert::Infallible;

use crate::{
    Error,
    abi::{self, Batch},
};

/// Plain column types of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// 64-bit signed integer.
    Int,
    /// 64-bit IEEE 754.
    Float,
    /// True or false.
    Bool,
    /// UTF-8 text.
    Text,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A decimal with so many digits after the point.
    Decimal {
        /// Digits after the point.
        scale: u8,
    },
    /// Lists of integers.
    ListInt,
    /// Lists of IEEE 754 numbers.
    ListFloat,
    /// Lists of texts.
    ListText,
    /// No value at all.
    Null,
}

impl Type {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "text" => Self::Text,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "list-int" => Self::ListInt,
            "list-float" => Self::ListFloat,
            "list-text" => Self::ListText,
            "null" => Self::Null,
            other => {
                let (_, scale) = other.strip_prefix("decimal-")?.split_once('-')?;
                Self::Decimal { scale: scale.parse().ok()? }
            }
        })
    }
}

/// The rows of one input.
#[derive(Debug, Default)]
pub struct Rows {
    schema: Vec<(String, Type)>,
    batches: Vec<Batch>,
}

impl Rows {
    /// Rows made by hand, for unit tests: columns of equal length.
    ///
    /// # Errors
    /// When the columns differ in length.
    pub fn of(columns: Vec<(&str, Column)>) -> Result<Self, Error> {
        let rows = columns.first().map_or(0, |(_, c)| c.rows());
        let schema = columns.iter().map(|(name, c)| ((*name).to_owned(), c.kind())).collect();
        let mut this = Self::of_schema(schema);
        let columns = columns.iter().map(|(_, c)| c.raw()).collect();
        this.push(Batch { rows: u32::try_from(rows).map_err(|_| Error::new("too many rows"))?, columns })?;
        Ok(this)
    }

    pub(crate) fn of_schema(schema: Vec<(String, Type)>) -> Self {
        Self { schema, batches: Vec::new() }
    }

    pub(crate) fn push(&mut self, batch: Batch) -> Result<(), Error> {
        let fits = batch.columns.len() == self.schema.len()
            && batch.columns.iter().zip(&self.schema).all(|(c, (_, kind))| well_formed(c, *kind, batch.rows));
        if !fits {
            return Err(Error::new("a batch does not fit its schema"));
        }
        self.batches.push(batch);
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|b| b.rows as usize).sum()
    }

    /// Whether there are none: the unit is on the roster and has no rows here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The int column `name`.
    ///
    /// # Errors
    /// When there is no int column of that name; the same holds for the others.
    pub fn i64(&self, name: &str) -> Result<impl Iterator<Item = Option<i64>>, Error> {
        self.read_fixed(name, Type::Int, i64::from_le_bytes)
    }

    /// The float column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn f64(&self, name: &str) -> Result<impl Iterator<Item = Option<f64>>, Error> {
        self.read_fixed(name, Type::Float, f64::from_le_bytes)
    }

    /// The bool column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn bool(&self, name: &str) -> Result<impl Iterator<Item = Option<bool>>, Error> {
        self.read(name, Type::Bool, |c, row| bit(&c.data, row))
    }

    /// The text column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn text(&self, name: &str) -> Result<impl Iterator<Item = Option<&str>>, Error> {
        self.read(name, Type::Text, |c, row| std::str::from_utf8(slice_of(c, row)?).ok())
    }

    /// The date column `name`, as days since 1970-01-01.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn date(&self, name: &str) -> Result<impl Iterator<Item = Option<i32>>, Error> {
        self.read_fixed(name, Type::Date, i32::from_le_bytes)
    }

    /// The timestamp column `name`, as microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn timestamp(&self, name: &str) -> Result<impl Iterator<Item = Option<i64>>, Error> {
        self.read_fixed(name, Type::Timestamp, i64::from_le_bytes)
    }

    /// The decimal column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn decimal(&self, name: &str) -> Result<impl Iterator<Item = Option<Decimal>>, Error> {
        let (at, kind) = self.find(name, |kind| matches!(kind, Type::Decimal { .. }), "Decimal")?;
        let scale = if let Type::Decimal { scale } = kind { scale } else { 0 };
        Ok(self.fixed(at, move |bytes| Decimal { units: i128::from_le_bytes(bytes), scale }))
    }

    /// The list-int column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn list_i64(&self, name: &str) -> Result<impl Iterator<Item = Option<Vec<i64>>>, Error> {
        self.read(name, Type::ListInt, |c, row| numbers_of(c, row, i64::from_le_bytes))
    }

    /// The list-float column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn list_f64(&self, name: &str) -> Result<impl Iterator<Item = Option<Vec<f64>>>, Error> {
        self.read(name, Type::ListFloat, |c, row| numbers_of(c, row, f64::from_le_bytes))
    }

    /// The list-text column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn list_text(&self, name: &str) -> Result<impl Iterator<Item = Option<Vec<&str>>>, Error> {
        let (at, _) = self.find(name, |k| k == Type::ListText, "ListText")?;
        Ok(self.column(at, texts_of))
    }

    /// The null column `name`: it has no value in any row.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn null(&self, name: &str) -> Result<impl Iterator<Item = Option<Infallible>>, Error> {
        self.read(name, Type::Null, |_, _| None)
    }

    fn read<'a, T: 'a>(
        &'a self,
        name: &str,
        kind: Type,
        value: impl Fn(&'a abi::Column, usize) -> Option<T> + Copy + 'a,
    ) -> Result<impl Iterator<Item = Option<T>> + 'a, Error> {
        let (at, _) = self.find(name, |k| k == kind, &format!("{kind:?}"))?;
        Ok(self.column(at, move |c, row, _| value(c, row)))
    }

    fn read_fixed<'a, T: 'a, const W: usize>(
        &'a self,
        name: &str,
        kind: Type,
        value: impl Fn([u8; W]) -> T + Copy + 'a,
    ) -> Result<impl Iterator<Item = Option<T>> + 'a, Error> {
        let (at, _) = self.find(name, |k| k == kind, &format!("{kind:?}"))?;
        Ok(self.fixed(at, value))
    }

    /// Place and type of the column `name`, if its type is `wanted`.
    fn find(&self, name: &str, wanted: impl Fn(Type) -> bool, called: &str) -> Result<(usize, Type), Error> {
        let found = self.schema.iter().enumerate().find(|(_, (n, k))| n == name && wanted(*k));
        let found = found.map(|(at, (_, kind))| (at, *kind));
        found.ok_or_else(|| Error::new(format!("there is no {called} column `{name}`")))
    }

    /// Each row's value of a column of `W` bytes a row.
    fn fixed<'a, T: 'a, const W: usize>(
        &'a self,
        at: usize,
        value: impl Fn([u8; W]) -> T + Copy + 'a,
    ) -> impl Iterator<Item = Option<T>> + 'a {
        self.batches.iter().filter_map(move |b| b.columns.get(at)).flat_map(move |column| Fixed {
            rows: column.data.as_chunks::<W>().0.iter(),
            validity: column.validity.as_deref(),
            row: 0,
            value,
        })
    }

    /// Each row's `value(column, row, rows)`, or nothing where none is.
    fn column<'a, T: 'a>(
        &'a self,
        at: usize,
        value: impl Fn(&'a abi::Column, usize, usize) -> Option<T> + Copy + 'a,
    ) -> impl Iterator<Item = Option<T>> + 'a {
        self.batches.iter().filter_map(move |b| Some((b.rows as usize, b.columns.get(at)?))).flat_map(
            move |(rows, column)| {
                (0..rows).map(move |row| {
                    let valid = column.validity.as_ref().is_none_or(|v| bit(v, row) == Some(true));
                    if valid { value(column, row, rows) } else { None }
                })
            },
        )
    }
}

/// The rows of one batch of a column of `W` bytes a row.
struct Fixed<'a, F, const W: usize> {
    rows: std::slice::Iter<'a, [u8; W]>,
    validity: Option<&'a [u8]>,
    row: usize,
    value: F,
}

impl<T, F: Fn([u8; W]) -> T, const W: usize> Iterator for Fixed<'_, F, W> {
    type Item = Option<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rows.next()?;
        let valid = self.validity.is_none_or(|v| bit(v, self.row) == Some(true));
        self.row += 1;
        Some(valid.then(|| (self.value)(*bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }

    /// Sixteen rows a turn where none is missing: fuel is counted once a turn, which
    /// for a plain sum takes longer than the sum (docs/benchmarks.md).
    fn fold<B, G: FnMut(B, Self::Item) -> B>(self, first: B, mut fold: G) -> B {
        if self.validity.is_some() {
            let mut this = self;
            return std::iter::from_fn(|| this.next()).fold(first, fold);
        }
        let value = self.value;
        let (turns, rest) = self.rows.as_slice().as_chunks::<16>();
        let mut one = |so_far, bytes: &[u8; W]| fold(so_far, Some(value(*bytes)));
        let so_far = turns.iter().fold(first, |so_far, turn| turn.iter().fold(so_far, &mut one));
        rest.iter().fold(so_far, one)
    }
}

/// A decimal number: `units` × 10^−`scale`. 12.30 in two digits is `1230`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// The number in units of its last digit.
    pub units: i128,
    /// Digits after the point.
    pub scale: u8,
}

impl Decimal {
    /// The nearest double.
    #[allow(clippy::cast_precision_loss, clippy::allow_attributes, reason = "the nearest double is what is asked for")]
    pub fn to_f64(self) -> f64 {
        self.units as f64 / 10f64.powi(i32::from(self.scale))
    }
}

/// A column made by hand, for [`Rows::of`].
#[derive(Debug, Clone)]
pub enum Column {
    /// Type int.
    Int(Vec<Option<i64>>),
    /// Type float.
    Float(Vec<Option<f64>>),
    /// Type bool.
    Bool(Vec<Option<bool>>),
    /// Type text.
    Text(Vec<Option<String>>),
    /// Type date.
    Date(Vec<Option<i32>>),
    /// Type timestamp.
    Timestamp(Vec<Option<i64>>),
    /// Type decimal, in units of the last of so many digits after the point.
    Decimal(u8, Vec<Option<i128>>),
    /// Type list-int.
    ListInt(Vec<Option<Vec<i64>>>),
    /// Type list-float.
    ListFloat(Vec<Option<Vec<f64>>>),
    /// Type list-text.
    ListText(Vec<Option<Vec<String>>>),
    /// Type null, with so many rows.
    Null(usize),
}

impl Column {
    fn rows(&self) -> usize {
        match self {
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
            Self::Date(v) => v.len(),
            Self::Timestamp(v) => v.len(),
            Self::Decimal(_, v) => v.len(),
            Self::ListInt(v) => v.len(),
            Self::ListFloat(v) => v.len(),
            Self::ListText(v) => v.len(),
            Self::Null(rows) => *rows,
        }
    }

    fn kind(&self) -> Type {
        match self {
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Bool(_) => Type::Bool,
            Self::Text(_) => Type::Text,
            Self::Date(_) => Type::Date,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Decimal(scale, _) => Type::Decimal { scale: *scale },
            Self::ListInt(_) => Type::ListInt,
            Self::ListFloat(_) => Type::ListFloat,
            Self::ListText(_) => Type::ListText,
            Self::Null(_) => Type::Null,
        }
    }

    fn raw(&self) -> abi::Column {
        match self {
            Self::Int(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Float(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Date(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Timestamp(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Decimal(_, v) => numbers(v, |x| x.to_le_bytes()),
            Self::ListInt(v) => lists(v, |all| (Vec::new(), all.flat_map(|x| x.to_le_bytes()).collect())),
            Self::ListFloat(v) => lists(v, |all| (Vec::new(), all.flat_map(|x| x.to_le_bytes()).collect())),
            Self::ListText(v) => lists(v, |all| text_buffers(&all.map(String::as_str).collect::<Vec<_>>())),
            Self::Null(rows) => {
                let (nulls, validity) = validity_of(&vec![None::<()>; *rows]);
                abi::Column { nulls, validity, offsets: None, data: Vec::new() }
            }
            Self::Bool(v) => {
                let (nulls, validity) = validity_of(v);
                let data = bitmap(v.iter().map(|x| x.unwrap_or_default()));
                abi::Column { nulls, validity, offsets: None, data }
            }
            Self::Text(v) => {
                let (nulls, validity) = validity_of(v);
                let texts: Vec<&str> = v.iter().map(|x| x.as_deref().unwrap_or_default()).collect();
                let (offsets, data) = text_buffers(&texts);
                abi::Column { nulls, validity, offsets: Some(offsets), data }
            }
        }
    }
}

/// Offsets and bytes of a text column.
pub(crate) fn text_buffers(texts: &[&str]) -> (Vec<u8>, Vec<u8>) {
    (offsets_of(texts.iter().map(|text| text.len())), texts.concat().into_bytes())
}

/// The ends of pieces of these lengths, from 0.
fn offsets_of(lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let ends = lengths.scan(0usize, |end, len| {
        *end += len;
        Some(*end)
    });
    // A batch beyond 2 GiB does not fit a 32-bit memory to begin with.
    std::iter::once(0).chain(ends).flat_map(|end| i32::try_from(end).unwrap_or(i32::MAX).to_le_bytes()).collect()
}

/// A list column: row offsets, then whatever `values` says of all values together.
fn lists<'a, T>(
    lists: &'a [Option<Vec<T>>],
    values: impl FnOnce(std::iter::Flatten<std::iter::Flatten<std::slice::Iter<'a, Option<Vec<T>>>>>) -> (Vec<u8>, Vec<u8>),
) -> abi::Column {
    let (nulls, validity) = validity_of(lists);
    let mut offsets = offsets_of(lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)));
    let (inner, data) = values(lists.iter().flatten().flatten());
    offsets.extend(inner);
    abi::Column { nulls, validity, offsets: Some(offsets), data }
}

fn numbers<T: Copy + Default, const W: usize>(values: &[Option<T>], bytes: impl Fn(T) -> [u8; W]) -> abi::Column {
    let (nulls, validity) = validity_of(values);
    let data = values.iter().flat_map(|x| bytes(x.unwrap_or_default())).collect();
    abi::Column { nulls, validity, offsets: None, data }
}

fn validity_of<T>(values: &[Option<T>]) -> (u32, Option<Vec<u8>>) {
    let nulls = u32::try_from(values.iter().filter(|v| v.is_none()).count()).unwrap_or(u32::MAX);
    (nulls, (nulls > 0).then(|| bitmap(values.iter().map(Option::is_some))))
}

fn bitmap(bits: impl Iterator<Item = bool>) -> Vec<u8> {
    let bits: Vec<bool> = bits.collect();
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |acc, b| (acc << 1) | u8::from(*b))).collect()
}

fn bit(bitmap: &[u8], row: usize) -> Option<bool> {
    Some(bitmap.get(row / 8)? >> (row % 8) & 1 == 1)
}

/// Where piece number `at` of the offsets from number `first` lies.
fn span(column: &abi::Column, first: usize, at: usize) -> Option<std::ops::Range<usize>> {
    let offsets = column.offsets.as_ref()?.as_chunks::<4>().0;
    let end = |i: usize| usize::try_from(i32::from_le_bytes(*offsets.get(first + i)?)).ok();
    let (from, to) = (end(at)?, end(at + 1)?);
    (from <= to).then_some(from..to)
}

fn slice_of(column: &abi::Column, row: usize) -> Option<&[u8]> {
    column.data.get(span(column, 0, row)?)
}

fn numbers_of<T>(column: &abi::Column, row: usize, number: fn([u8; 8]) -> T) -> Option<Vec<T>> {
    let values = column.data.as_chunks::<8>().0.get(span(column, 0, row)?)?;
    Some(values.iter().map(|bytes| number(*bytes)).collect())
}

/// The texts of list number `row`: their own offsets follow the `rows` + 1 of the lists.
fn texts_of(column: &abi::Column, row: usize, rows: usize) -> Option<Vec<&str>> {
    let text = |at| std::str::from_utf8(column.data.get(span(column, rows + 1, at)?)?).ok();
    span(column, 0, row)?.map(text).collect()
}

fn well_formed(column: &abi::Column, kind: Type, rows: u32) -> bool {
    let rows = rows as usize;
    let validity = match &column.validity {
        None => column.nulls == 0,
        Some(bits) => bits.len() == rows.div_ceil(8),
    };
    let plain = |bytes: usize| column.offsets.is_none() && column.data.len() == bytes;
    let offsets = column.offsets.as_ref().map_or(0, |o| o.len() / 4);
    let values = || span(column, 0, rows.checked_sub(1)?).map(|last| last.end);
    let values = if rows == 0 { 0 } else { values().unwrap_or(usize::MAX) };
    let shape = match kind {
        Type::Null => plain(0),
        Type::Int | Type::Float | Type::Timestamp => plain(rows * 8),
        Type::Decimal { .. } => plain(rows * 16),
        Type::Date => plain(rows * 4),
        Type::Bool => plain(rows.div_ceil(8)),
        Type::Text => {
            offsets == rows + 1
                && (0..rows).all(|row| slice_of(column, row).is_some_and(|s| std::str::from_utf8(s).is_ok()))
        }
        Type::ListInt | Type::ListFloat => {
            offsets == rows + 1
                && column.data.len() / 8 == values
                && (0..rows).all(|row| numbers_of(column, row, i64::from_le_bytes).is_some())
        }
        Type::ListText => {
            values.checked_add(rows + 2) == Some(offsets) && (0..rows).all(|row| texts_of(column, row, rows).is_some())
        }
    };
    validity && shape
}

#[cfg(test)]
mod tests {
    use super::{Column, Decimal, Rows, Type, well_formed};

    #[test]
    fn however_a_column_is_gone_through_it_is_the_same() {
        for rows in 0..50 {
            for missing in [0, 7] {
                let value = |n: i64| (n % 10 != missing || missing == 0).then_some(n * n - 7);
                let ints: Vec<_> = (0..rows).map(value).collect();
                let room = Rows::of(vec![("i", Column::Int(ints.clone()))]).unwrap();
                let folded = room.i64("i").unwrap().fold(Vec::new(), |mut all, one| {
                    all.push(one);
                    all
                });
                assert_eq!(folded, ints);
                let mut begun = room.i64("i").unwrap();
                assert_eq!(begun.by_ref().take(3).collect::<Vec<_>>(), ints[..ints.len().min(3)]);
                assert_eq!(begun.flatten().sum::<i64>(), ints.iter().skip(3).flatten().sum::<i64>());
            }
        }
    }

    #[test]
    fn every_type_comes_back_as_it_went_in() {
        let ints = vec![Some(i64::MIN), None, Some(7), Some(0), None, Some(-1), Some(2), Some(3), Some(9)];
        let floats: Vec<_> = ints.iter().map(|x| x.map(|x| x as f64 / 3.0)).collect();
        let bools: Vec<_> = ints.iter().map(|x| x.map(|x| x > 0)).collect();
        let texts: Vec<_> = ints.iter().map(|x| x.map(|x| format!("数{x}"))).collect();
        let dates: Vec<_> = ints.iter().map(|x| x.map(|x| x as i32)).collect();
        let rows = Rows::of(vec![
            ("i", Column::Int(ints.clone())),
            ("f", Column::Float(floats.clone())),
            ("b", Column::Bool(bools.clone())),
            ("t", Column::Text(texts.clone())),
            ("d", Column::Date(dates.clone())),
        ])
        .unwrap();
        assert_eq!(rows.len(), 9);
        assert_eq!(rows.i64("i").unwrap().collect::<Vec<_>>(), ints);
        assert_eq!(rows.f64("f").unwrap().collect::<Vec<_>>(), floats);
        assert_eq!(rows.bool("b").unwrap().collect::<Vec<_>>(), bools);
        assert_eq!(rows.text("t").unwrap().map(|t| t.map(str::to_owned)).collect::<Vec<_>>(), texts);
        assert_eq!(rows.date("d").unwrap().collect::<Vec<_>>(), dates);
    }

    #[test]
    fn the_wider_types_come_back_too() {
        let moments = vec![Some(-1), None, Some(i64::MAX)];
        let units = vec![Some(1230), None, Some(-(10i128.pow(38) - 1))];
        let ints = vec![Some(vec![1, i64::MIN]), None, Some(vec![])];
        let floats = vec![None, Some(vec![0.5]), Some(vec![-0.0, f64::INFINITY])];
        let texts = vec![Some(vec!["数".to_owned(), String::new()]), None, Some(vec!["b".to_owned()])];
        let rows = Rows::of(vec![
            ("m", Column::Timestamp(moments.clone())),
            ("d", Column::Decimal(2, units.clone())),
            ("i", Column::ListInt(ints.clone())),
            ("f", Column::ListFloat(floats.clone())),
            ("t", Column::ListText(texts.clone())),
            ("n", Column::Null(3)),
        ])
        .unwrap();
        assert_eq!(rows.timestamp("m").unwrap().collect::<Vec<_>>(), moments);
        let decimals: Vec<_> = rows.decimal("d").unwrap().collect();
        assert_eq!(decimals, units.iter().map(|u| u.map(|units| Decimal { units, scale: 2 })).collect::<Vec<_>>());
        assert_eq!(decimals[0].unwrap().to_f64(), 12.3);
        assert_eq!(rows.list_i64("i").unwrap().collect::<Vec<_>>(), ints);
        assert_eq!(rows.list_f64("f").unwrap().collect::<Vec<_>>(), floats);
        let owned = |t: Option<Vec<&str>>| t.map(|t| t.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(rows.list_text("t").unwrap().map(owned).collect::<Vec<_>>(), texts);
        assert_eq!(rows.null("n").unwrap().collect::<Vec<_>>(), [None; 3]);
        assert!(rows.i64("m").is_err() && rows.decimal("n").is_err());
        let words = "null timestamp decimal-18-2 list-int list-float list-text";
        assert!(words.split(' ').all(|word| Type::named(word).is_some()) && Type::named("decimal").is_none());
    }

    #[test]
    fn offsets_that_point_outside_are_no_list() {
        let good = Column::ListText(vec![Some(vec!["ab".to_owned()]), None]).raw();
        assert!(well_formed(&good, Type::ListText, 2));
        for at in 0..good.offsets.as_ref().unwrap().len() / 4 {
            let mut bad = good.clone();
            bad.offsets.as_mut().unwrap()[at * 4..at * 4 + 4].copy_from_slice(&9i32.to_le_bytes());
            assert!(!well_formed(&bad, Type::ListText, 2), "offset {at}");
        }
    }

    #[test]
    fn a_wrong_name_type_or_length_is_an_error() {
        let rows = Rows::of(vec![("i", Column::Int(vec![Some(1)]))]).unwrap();
        assert!(rows.f64("i").is_err());
        assert!(rows.i64("j").is_err());
        let uneven = vec![("i", Column::Int(vec![Some(1)])), ("f", Column::Float(vec![]))];
        assert!(Rows::of(uneven).is_err());
    }
}
