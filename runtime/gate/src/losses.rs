//! What the gate leaves out of one answer, in words, for an author.
//!
//! Intake and reducers drop, round, clamp and cut in silence, as they must over people's
//! rows. [`losses`] takes the same steps and tells. It takes [`Synthetic`] answers only:
//! one over a snapshot is of another type. It decides nothing, and nothing is built on it.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Serialize;
use sluice_domain::{
    catalogue::Key,
    contract::{Dimension, KeyKind, Law, MeasureA, OpenTable, Table, TableA},
    held::Held,
};
use sluice_rows::synthetic::Synthetic;

use crate::{
    intake::{OutputSchema, RawBatch, RawColumn, decode, texts, to_grid, words},
    route_a::open::presentable,
    route_d,
};

/// A value is on the grid when it is no further from it than this, in grid units.
const ON_GRID: f64 = 1e-6;

/// Something of an answer that does not count as the guest wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "loss", rename_all = "kebab-case")]
pub enum Loss {
    /// The whole answer: a column is not of its type or length.
    Unreadable,
    /// Rows of a key that the table does not declare, or may not show.
    UndeclaredKey {
        /// `dimension = value`.
        key: String,
    },
    /// Keys of one call beyond `keys_per_unit`.
    KeyBeyond {
        /// The first that is cut.
        key: String,
    },
    /// A sum outside its declared range.
    Clamped {
        /// Measure.
        measure: String,
    },
    /// A value between two points of the grid.
    Rounded {
        /// Measure.
        measure: String,
    },
    /// A value that is not a number counts as nothing.
    NotANumber {
        /// Measure.
        measure: String,
    },
    /// A key of a held table with more than one row.
    KeyTwice {
        /// `dimension = value`.
        key: String,
    },
    /// A key that a model does not answer.
    KeyLeftOut {
        /// The first such.
        key: String,
    },
}

/// How a table takes what a guest writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Routes A and B: sums per key.
    Summed,
    /// Route D: each key once, and a number may be missing.
    Held,
    /// Route D, a model: each key once, all of them, with every number.
    Model,
}

/// What does not count of a call's `answer` to `table`, each once, in order. `rows_max`
/// is the contract's limit.
pub fn losses(table: &Table, rows_max: u32, answer: &Synthetic<RawBatch>) -> Vec<Loss> {
    of_raw(table, rows_max, answer.get())
}

fn of_raw(table: &Table, rows_max: u32, raw: &RawBatch) -> Vec<Loss> {
    let told = match table {
        Table::A(a) => declared(a, &a.measures, raw, rows_max, Form::Summed),
        // Every key may be answered by a block, and the clamps are those before the shift.
        Table::B(b) => b.as_sums().and_then(|sums| declared(&sums, &b.measures, raw, rows_max, Form::Summed)),
        Table::Open(open) => undeclared(open, raw, rows_max),
        // Any of it, but for rounding, voids a held run.
        Table::D(held) => {
            let form = if held.model.is_some() { Form::Model } else { Form::Held };
            declared(&as_sums(held), &held.measures, raw, rows_max, form)
        }
        _ => Some(Vec::new()),
    };
    let mut told = told.unwrap_or_else(|| vec![Loss::Unreadable]);
    told.sort();
    told.dedup();
    told
}

/// A held table in the form of one that may answer every key.
fn as_sums(held: &Held) -> TableA {
    TableA {
        name: held.name.clone(),
        dimensions: held.dimensions.clone(),
        measures: held.measures.clone(),
        keys_per_unit: u32::MAX,
        rho: 0.0,
        noise: Law::Gaussian,
        shares: Vec::new(),
        consistent: None,
    }
}

/// Where a row counts, with its key in words; or why it does not.
type Placed<K> = Result<(K, String), Loss>;

fn declared(table: &TableA, measures: &[MeasureA], raw: &RawBatch, rows_max: u32, form: Form) -> Option<Vec<Loss>> {
    let decoded = decode(raw, &OutputSchema::of(table, rows_max).ok()?)?;
    let (columns, values) = raw.columns.split_at_checked(table.dimensions.len())?;
    let keys = table.dimensions.iter().zip(columns).map(|(d, column)| keys(d, column, decoded.cells.len()));
    let keys = keys.collect::<Option<Vec<_>>>()?;
    let placed = decoded.cells.iter().enumerate().map(|(row, cell)| {
        let named = table.dimensions.iter().zip(&keys).filter_map(|(d, column)| Some((d, column.get(row)?)));
        let said = |(d, key): (&Dimension, &Key)| format!("{} = {key}", d.name);
        let foreign = |(d, key): &(&Dimension, &Key)| d.domain.iter().all(|(known, _)| known != *key);
        match cell {
            Some(cell) => Ok((*cell, named.map(said).collect::<Vec<_>>().join(", "))),
            None => Err(Loss::UndeclaredKey { key: named.filter(foreign).map(said).collect::<Vec<_>>().join(", ") }),
        }
    });
    let mut told = counted(placed.collect(), values, measures, table.keys_per_unit, form)?;
    if form == Form::Model {
        let answered: BTreeSet<usize> = decoded.cells.iter().flatten().copied().collect();
        let mut keys = route_d::keys(&table.dimensions).into_iter().enumerate();
        told.extend(keys.find(|(cell, _)| !answered.contains(cell)).map(|(_, key)| {
            let named = table.dimensions.iter().zip(key.into_iter().flatten());
            Loss::KeyLeftOut { key: named.map(|(d, key)| format!("{} = {key}", d.name)).collect::<Vec<_>>().join(", ") }
        }));
    }
    Some(told)
}

fn undeclared(table: &OpenTable, raw: &RawBatch, rows_max: u32) -> Option<Vec<Loss>> {
    let rows = usize::try_from(raw.rows).ok().filter(|_| raw.rows <= rows_max)?;
    let (column, values) = raw.columns.split_first()?;
    let keys: Vec<Key> = match table.keys {
        KeyKind::Int => ints(column, rows)?,
        KeyKind::Text => strings(column, rows)?,
    };
    let placed = keys.into_iter().map(|key| {
        let said = format!("{} = {key}", table.key);
        match &key {
            Key::Text(word) if !presentable(word) => Err(Loss::UndeclaredKey { key: said }),
            _ => Ok((key, said)),
        }
    });
    counted(placed.collect(), values, &table.measures, table.keys_per_unit, Form::Summed)
}

/// The reducer's steps: to the grid, sums per key, the first keys, clamps.
fn counted<K: Ord>(
    placed: Vec<Placed<K>>,
    columns: &[RawColumn],
    measures: &[MeasureA],
    keys_per_unit: u32,
    form: Form,
) -> Option<Vec<Loss>> {
    let rows = placed.len();
    let columns = columns.iter().map(|column| Some(words(column, rows)?.collect::<Vec<_>>()));
    let columns = columns.collect::<Option<Vec<_>>>().filter(|columns| columns.len() == measures.len())?;
    let (mut told, mut sums) = (Vec::new(), BTreeMap::new());
    for (row, placed) in placed.into_iter().enumerate() {
        let (key, said) = match placed {
            Ok(placed) => placed,
            Err(loss) => {
                told.push(loss);
                continue;
            }
        };
        let sums = match sums.entry(key) {
            Entry::Occupied(_) if form != Form::Summed => {
                told.push(Loss::KeyTwice { key: said });
                continue;
            }
            entry => &mut entry.or_insert_with(|| (said, vec![0i128; measures.len()])).1,
        };
        for ((sum, column), m) in sums.iter_mut().zip(&columns).zip(measures) {
            let word = column.get(row).copied().flatten();
            if word.is_none() && form == Form::Held {
                continue;
            }
            let value = word.map_or(f64::NAN, f64::from_le_bytes);
            match to_grid(value, m.grid) {
                None => told.push(Loss::NotANumber { measure: m.name.clone() }),
                Some(units) => {
                    *sum += i128::from(units);
                    let exact = value * f64::from(m.grid);
                    if exact.is_finite() && (exact - exact.round()).abs() > ON_GRID {
                        told.push(Loss::Rounded { measure: m.name.clone() });
                    }
                }
            }
        }
    }
    let most = usize::try_from(keys_per_unit).unwrap_or(usize::MAX);
    told.extend(sums.values().nth(most).map(|(said, _)| Loss::KeyBeyond { key: said.clone() }));
    for (_, sums) in sums.values().take(most) {
        let outside = |(sum, m): &(&i128, &MeasureA)| !(i128::from(m.lo)..=i128::from(m.hi)).contains(*sum);
        let clamped = sums.iter().zip(measures).filter(outside);
        told.extend(clamped.map(|(_, m)| Loss::Clamped { measure: m.name.clone() }));
    }
    Some(told)
}

/// A dimension's keys as the guest wrote them.
fn keys(dimension: &Dimension, column: &RawColumn, rows: usize) -> Option<Vec<Key>> {
    match dimension.domain.first()? {
        (Key::Int(_), _) => ints(column, rows),
        (Key::Text(_), _) => strings(column, rows),
    }
}

fn ints(column: &RawColumn, rows: usize) -> Option<Vec<Key>> {
    words(column, rows)?.map(|word| Some(Key::Int(i64::from_le_bytes(word?)))).collect()
}

fn strings(column: &RawColumn, rows: usize) -> Option<Vec<Key>> {
    texts(column, rows)?.into_iter().map(|text| Some(Key::Text(text?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use sluice_domain::held::{Model, ModelKind};

    use super::*;
    use crate::fixtures::{self, float_column, text_column};

    fn of(table: &Table, raw: RawBatch) -> Vec<Loss> {
        of_raw(table, 100, &raw)
    }

    #[test]
    fn an_answer_as_the_contract_wants_it_loses_nothing() {
        let table = Table::A(fixtures::table(3, &[(0, 10, 4)], 2, 0.1));
        assert_eq!(of(&table, fixtures::output(&[(0, &[0.25]), (2, &[2.5]), (0, &[2.25])])), []);
    }

    #[test]
    fn each_loss_is_told_with_its_key_or_measure() {
        let table = Table::A(fixtures::table(3, &[(0, 10, 1), (-5, 5, 1)], 2, 0.1));
        let measure = |n: u8| format!("m{n}");
        let out = fixtures::output(&[(7, &[1.0, 1.0]), (0, &[6.0, 0.5]), (0, &[6.0, f64::NAN]), (1, &[1.0, 1.0])]);
        assert_eq!(
            of(&table, out),
            [
                Loss::UndeclaredKey { key: "k = 7".into() },
                Loss::Clamped { measure: measure(0) },
                Loss::Rounded { measure: measure(1) },
                Loss::NotANumber { measure: measure(1) },
            ]
        );
        let many = fixtures::output(&[(2, &[1.0, 1.0]), (0, &[1.0, 1.0]), (1, &[1.0, 1.0])]);
        assert_eq!(of(&table, many), [Loss::KeyBeyond { key: "k = 2".into() }]);
    }

    #[test]
    fn a_held_table_takes_a_missing_number_and_no_key_twice() {
        let a = fixtures::table(3, &[(0, 10, 1)], 1, 0.0);
        let plain = Held { name: a.name, dimensions: a.dimensions, measures: a.measures, model: None };
        let model = Model { kind: ModelKind::Linear, features: vec![], outcome: "y".into() };
        let model = Table::D(Held { model: Some(model), ..plain.clone() });
        let plain = Table::D(plain);
        let missing = || RawBatch {
            rows: 2,
            columns: vec![
                fixtures::int_column(&[0, 1]),
                RawColumn { nulls: 1, validity: Some(vec![0b10]), ..float_column(&[9e9, 1.0]) },
            ],
        };
        assert_eq!(of(&plain, missing()), []);
        let (lost, out) = (|key: &str| Loss::KeyLeftOut { key: key.into() }, Loss::NotANumber { measure: "m0".into() });
        assert_eq!(of(&model, missing()), [out, lost("k = 2")]);
        let twice = || fixtures::output(&[(0, &[1.0]), (2, &[10.0]), (2, &[10.0])]);
        let told = Loss::KeyTwice { key: "k = 2".into() };
        assert_eq!(of(&plain, twice()), std::slice::from_ref(&told), "its numbers are not added up");
        assert_eq!(of(&model, twice()), [told, lost("k = 1")]);
    }

    #[test]
    fn an_answer_of_other_types_is_lost_whole() {
        let table = Table::A(fixtures::table(3, &[(0, 10, 1)], 1, 0.1));
        let text = RawBatch { rows: 1, columns: vec![text_column(&["0"]), float_column(&[1.0])] };
        assert_eq!(of(&table, text), [Loss::Unreadable]);
    }
}
