//! What a job puts out: keys and numbers, in the contract's column order.
//!
//! The host believes none of it: it drops undeclared keys, rounds, sums and
//! clamps. A wrong column order would be an honest author's mistake, so the
//! measures are sorted here.

use crate::{
    Error,
    abi::{Batch, Column},
    rows::text_buffers,
};

/// A dimension of the table, by name and type of its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    name: &'static str,
    kind: KeyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Int,
    Text,
}

impl Dimension {
    /// A dimension whose codes are numbers.
    pub const fn int(name: &'static str) -> Self {
        Self { name, kind: KeyKind::Int }
    }

    /// A dimension whose codes are words.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: KeyKind::Text }
    }
}

/// One code of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A number.
    Int(i64),
    /// A word.
    Text(String),
}

impl From<i64> for Key {
    fn from(code: i64) -> Self {
        Self::Int(code)
    }
}

impl From<&str> for Key {
    fn from(code: &str) -> Self {
        Self::Text(code.to_owned())
    }
}

/// The contributions of one unit: `D` dimensions, `M` measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<const D: usize, const M: usize> {
    dimensions: [Dimension; D],
    measures: [&'static str; M],
    rows: Vec<([Key; D], [f64; M])>,
}

impl<const D: usize, const M: usize> Output<D, M> {
    /// An empty table. Dimensions stand in the contract's order; measures may
    /// be named in any order, their values follow the same one.
    pub fn new(dimensions: [Dimension; D], measures: [&'static str; M]) -> Self {
        Self { dimensions, measures, rows: Vec::new() }
    }

    /// Adds `values` to the cell `key`.
    ///
    /// # Errors
    /// When a key is a word where the dimension has numbers, or the reverse.
    pub fn add(&mut self, key: [Key; D], values: [f64; M]) -> Result<(), Error> {
        for (key, dimension) in key.iter().zip(&self.dimensions) {
            if !matches!((key, dimension.kind), (Key::Int(_), KeyKind::Int) | (Key::Text(_), KeyKind::Text)) {
                return Err(Error::new(format!("a key of `{}` has the wrong type", dimension.name)));
            }
        }
        self.rows.push((key, values));
        Ok(())
    }

    /// What was added, for unit tests.
    pub fn rows(&self) -> &[([Key; D], [f64; M])] {
        &self.rows
    }

    /// The ABI's form: dimensions in order, then measures sorted by name.
    #[doc(hidden)]
    pub fn into_batch(self) -> Batch {
        let mut columns = Vec::with_capacity(D + M);
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let keys = self.rows.iter().filter_map(|(keys, _)| keys.get(at));
            columns.push(match dimension.kind {
                KeyKind::Int => plain(
                    keys.flat_map(|k| match k {
                        Key::Int(code) => code.to_le_bytes(),
                        Key::Text(_) => [0; 8],
                    })
                    .collect(),
                ),
                KeyKind::Text => {
                    let words: Vec<&str> = keys
                        .map(|k| match k {
                            Key::Text(word) => word.as_str(),
                            Key::Int(_) => "",
                        })
                        .collect();
                    let (offsets, data) = text_buffers(&words);
                    Column { nulls: 0, validity: None, offsets: Some(offsets), data }
                }
            });
        }
        let mut order: Vec<(usize, &str)> = self.measures.iter().copied().enumerate().collect();
        order.sort_by_key(|(_, name)| *name);
        for (at, _) in order {
            let values = self.rows.iter().filter_map(|(_, values)| values.get(at));
            columns.push(plain(values.flat_map(|v| v.to_le_bytes()).collect()));
        }
        Batch { rows: u32::try_from(self.rows.len()).unwrap_or(u32::MAX), columns }
    }
}

fn plain(data: Vec<u8>) -> Column {
    Column { nulls: 0, validity: None, offsets: None, data }
}

#[cfg(test)]
mod tests {
    use super::{Dimension, Output};

    #[test]
    fn measures_come_out_in_alphabetical_order_after_the_keys() {
        let mut out = Output::new([Dimension::int("coins"), Dimension::text("plan")], ["rose", "persons"]);
        out.add([25.into(), "甲".into()], [0.5, 1.0]).unwrap();
        out.add([0.into(), "b".into()], [0.25, 2.0]).unwrap();
        let batch = out.into_batch();
        assert_eq!(batch.rows, 2);
        let [coins, plan, persons, rose] = batch.columns.as_slice() else { panic!("four columns") };
        assert_eq!(coins.data, [25i64.to_le_bytes(), 0i64.to_le_bytes()].concat());
        assert_eq!(plan.data, "甲b".as_bytes());
        assert_eq!(plan.offsets.as_deref(), Some([0i32, 3, 4].map(i32::to_le_bytes).concat().as_slice()));
        assert_eq!(persons.data, [1f64.to_le_bytes(), 2f64.to_le_bytes()].concat());
        assert_eq!(rose.data, [0.5f64.to_le_bytes(), 0.25f64.to_le_bytes()].concat());
    }

    #[test]
    fn a_key_of_the_wrong_type_is_an_error() {
        let mut out = Output::new([Dimension::int("coins")], ["persons"]);
        assert!(out.add(["x".into()], [1.0]).is_err());
        assert!(out.rows().is_empty());
    }
}
