//! Typed reading of the columns that the host pushed, by name.
//!
//! Every batch is checked against the announced schema when it arrives, so the
//! iterators below have no way to fail.

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
}

impl Type {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "text" => Self::Text,
            "date" => Self::Date,
            _ => return None,
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
        self.read(name, Type::Int, |c, row| fixed(c, row).map(i64::from_le_bytes))
    }

    /// The float column `name`.
    ///
    /// # Errors
    /// As [`Self::i64`].
    pub fn f64(&self, name: &str) -> Result<impl Iterator<Item = Option<f64>>, Error> {
        self.read(name, Type::Float, |c, row| fixed(c, row).map(f64::from_le_bytes))
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
        self.read(name, Type::Date, |c, row| fixed(c, row).map(i32::from_le_bytes))
    }

    fn read<'a, T: 'a>(
        &'a self,
        name: &str,
        kind: Type,
        value: impl Fn(&'a abi::Column, usize) -> Option<T> + Copy + 'a,
    ) -> Result<impl Iterator<Item = Option<T>> + 'a, Error> {
        let at = self.schema.iter().position(|(n, k)| n == name && *k == kind);
        let at = at.ok_or_else(|| Error::new(format!("there is no {kind:?} column `{name}`")))?;
        Ok(self.batches.iter().filter_map(move |b| Some((b.rows as usize, b.columns.get(at)?))).flat_map(
            move |(rows, column)| {
                (0..rows).map(move |row| {
                    let valid = column.validity.as_ref().is_none_or(|v| bit(v, row) == Some(true));
                    if valid { value(column, row) } else { None }
                })
            },
        ))
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
}

impl Column {
    fn rows(&self) -> usize {
        match self {
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
            Self::Date(v) => v.len(),
        }
    }

    fn kind(&self) -> Type {
        match self {
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Bool(_) => Type::Bool,
            Self::Text(_) => Type::Text,
            Self::Date(_) => Type::Date,
        }
    }

    fn raw(&self) -> abi::Column {
        match self {
            Self::Int(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Float(v) => numbers(v, |x| x.to_le_bytes()),
            Self::Date(v) => numbers(v, |x| x.to_le_bytes()),
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
    let mut data = Vec::new();
    let mut offsets = 0i32.to_le_bytes().to_vec();
    for text in texts {
        data.extend_from_slice(text.as_bytes());
        // A batch beyond 2 GiB does not fit a 32-bit memory to begin with.
        offsets.extend_from_slice(&i32::try_from(data.len()).unwrap_or(i32::MAX).to_le_bytes());
    }
    (offsets, data)
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

fn fixed<const W: usize>(column: &abi::Column, row: usize) -> Option<[u8; W]> {
    column.data.as_chunks::<W>().0.get(row).copied()
}

fn slice_of(column: &abi::Column, row: usize) -> Option<&[u8]> {
    let offsets = column.offsets.as_ref()?.as_chunks::<4>().0;
    let at = |i: usize| usize::try_from(i32::from_le_bytes(*offsets.get(i)?)).ok();
    column.data.get(at(row)?..at(row + 1)?)
}

fn well_formed(column: &abi::Column, kind: Type, rows: u32) -> bool {
    let rows = rows as usize;
    let validity = match &column.validity {
        None => column.nulls == 0,
        Some(bits) => bits.len() == rows.div_ceil(8),
    };
    let shape = match kind {
        Type::Int | Type::Float => column.offsets.is_none() && column.data.len() == rows * 8,
        Type::Date => column.offsets.is_none() && column.data.len() == rows * 4,
        Type::Bool => column.offsets.is_none() && column.data.len() == rows.div_ceil(8),
        Type::Text => {
            column.offsets.as_ref().is_some_and(|o| o.len() == (rows + 1) * 4)
                && (0..rows).all(|row| slice_of(column, row).is_some_and(|s| std::str::from_utf8(s).is_ok()))
        }
    };
    validity && shape
}

#[cfg(test)]
mod tests {
    use super::{Column, Rows};

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
    fn a_wrong_name_type_or_length_is_an_error() {
        let rows = Rows::of(vec![("i", Column::Int(vec![Some(1)]))]).unwrap();
        assert!(rows.f64("i").is_err());
        assert!(rows.i64("j").is_err());
        let uneven = vec![("i", Column::Int(vec![Some(1)])), ("f", Column::Float(vec![]))];
        assert!(Rows::of(uneven).is_err());
    }
}
