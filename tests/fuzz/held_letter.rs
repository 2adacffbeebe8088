//! The target `held-letter`: answers of route D in every form, against code that shares
//! nothing with the gate's. Whatever the bytes, reading ends without a panic, an answer is
//! taken exactly when it fits its contract to the letter, and a model that is read stores
//! no number that no prediction reads. The bytes are a row's key by place and its numbers,
//! one each; the form in which a guest sends them is the target `held`.

use std::collections::BTreeSet;

use sluice_domain::{
    catalogue::Key,
    contract::{Dimension, MeasureA},
    held::{Held, Model, ModelKind},
};
use sluice_gate::{
    held::Fitted,
    intake::{RawBatch, RawColumn},
    route_d::{Exact, Reducer},
};

/// Rows that one answer may have.
const ROWS_MAX: u32 = 16;
/// Nodes of the tree.
const NODES: u32 = 7;
const KINDS: [Option<ModelKind>; 5] =
    [None, Some(ModelKind::Linear), Some(ModelKind::LogLinear), Some(ModelKind::Logistic), Some(ModelKind::Tree)];

/// One row of an answer: its key by place, and its numbers; none is a missing one.
type Row = (i8, Vec<Option<f64>>);

/// Reads `bytes` as the answer to a held table of each form: a byte for the key of a row,
/// a byte for each of its numbers.
pub(super) fn held_letter(bytes: &[u8]) {
    for kind in KINDS {
        let held = table(kind);
        let rows = rows(bytes, held.measures.len());
        let answer = read(&held, &rows);
        assert_eq!(answer.is_some(), to_the_letter(&held, &rows), "{kind:?} {rows:?}");
        let Some(exact) = answer else { continue };
        let within = |(n, m): (&Option<i64>, &MeasureA)| n.is_none_or(|n| (m.lo..=m.hi).contains(&n));
        assert!(exact.numbers().iter().zip(held.measures.iter().cycle()).all(within));
        if let Some(model) = &held.model
            && let Ok(fitted) = Fitted::read(&held, model, exact.numbers())
        {
            predicts(&held, &fitted, exact.numbers());
        }
    }
}

/// Leaves of the model that `bytes` are read as, none for a form that has none; `None` where
/// they are not taken.
pub fn leaves(kind: Option<ModelKind>, bytes: &[u8]) -> Option<usize> {
    let held = table(kind);
    let exact = read(&held, &rows(bytes, held.measures.len()))?;
    let Some(model) = &held.model else { return Some(0) };
    Fitted::read(&held, model, exact.numbers()).ok().map(|fitted| fitted.leaves())
}

fn read(held: &Held, rows: &[Row]) -> Option<Exact> {
    let mut reducer = Reducer::new(held, ROWS_MAX).unwrap();
    reducer.add(Some(&raw(held, rows)));
    reducer.finish().ok()
}

/// What a contract asks of an answer, without the gate's code.
fn to_the_letter(held: &Held, rows: &[Row]) -> bool {
    let keys: BTreeSet<i8> = rows.iter().map(|(key, _)| *key).collect();
    let cells = held.dimensions[0].domain.len();
    let declared = keys.iter().all(|key| usize::try_from(*key).is_ok_and(|key| key < cells));
    let number = |(x, m): (&Option<f64>, &MeasureA)| match x {
        None => held.model.is_none(),
        Some(x) => {
            let units = (x * f64::from(m.grid)).round();
            units >= m.lo as f64 && units <= m.hi as f64
        }
    };
    let fits = rows.iter().all(|(_, numbers)| numbers.iter().zip(&held.measures).all(number));
    rows.len() <= ROWS_MAX as usize
        && keys.len() == rows.len()
        && declared
        && fits
        && (held.model.is_none() || keys.len() == cells)
}

/// Every question has an answer, and nothing lies where no question comes by.
fn predicts(held: &Held, fitted: &Fitted, numbers: &[Option<i64>]) {
    let values = [-1e300, -3.0, 0.0, 0.5, 7.0, 1e300, f64::NAN];
    for a in values {
        for b in values {
            let leaf = fitted.leaf(&[a, b]);
            assert_eq!(leaf.is_some(), fitted.leaves() > 0);
            assert!(leaf.is_none_or(|leaf| leaf < fitted.leaves()));
            assert!(fitted.loss(&[a, b], b).is_finite());
        }
    }
    if fitted.leaves() > 0 {
        let blank = |node: &&[Option<i64>]| **node == [-1, -1, -1, 0, 0].map(Some);
        let used = numbers.chunks(held.measures.len()).filter(|node| !blank(node)).count();
        assert!(used < 2 * fitted.leaves(), "a number is stored where nobody reads it: {numbers:?}");
    }
}

fn table(kind: Option<ModelKind>) -> Held {
    let measure = |name: &str, grid| MeasureA { name: name.to_owned(), lo: -100, hi: 100, grid };
    let model = kind.map(|kind| Model { kind, features: vec!["a".into(), "b".into()], outcome: "y".into() });
    let (dimension, measures) = match &model {
        None => {
            let domain = (0..5).map(|key| (Key::Int(key), key.to_string())).collect();
            let dimension = Dimension { name: "k".into(), title: "k".into(), domain, base: None };
            (dimension, vec![measure("x", 2), measure("y", 1)])
        }
        Some(model) if model.kind == ModelKind::Tree => {
            (Model::nodes(NODES), Model::TREE.into_iter().map(|name| measure(name, 1)).collect())
        }
        Some(model) => (model.terms(), vec![measure(Model::COEFFICIENT, 4)]),
    };
    Held { name: "t".into(), dimensions: vec![dimension], measures, model }
}

fn rows(bytes: &[u8], width: usize) -> Vec<Row> {
    let row = |chunk: &[u8]| (chunk[0].cast_signed(), chunk[1..].iter().map(|byte| number(*byte)).collect());
    bytes.chunks_exact(width + 1).map(row).collect()
}

/// A small number, or one of those that readers stumble over.
fn number(byte: u8) -> Option<f64> {
    match byte {
        0x80 => None,
        0x81 => Some(f64::NAN),
        0x82 => Some(f64::INFINITY),
        0x83 => Some(f64::NEG_INFINITY),
        0x84 => Some(1e300),
        0x85 => Some(-0.0),
        0x86 => Some(0.4),
        byte => Some(f64::from(byte.cast_signed())),
    }
}

fn raw(held: &Held, rows: &[Row]) -> RawBatch {
    let domain = &held.dimensions[0].domain;
    let key = |at: i8| usize::try_from(at).ok().and_then(|at| domain.get(at)).map(|(key, _)| key.clone());
    let keys: Vec<Option<Key>> = rows.iter().map(|(at, _)| key(*at)).collect();
    let of_text = matches!(domain[0].0, Key::Text(_));
    let words = keys.iter().map(|key| key.as_ref().map_or("?".to_owned(), ToString::to_string));
    let column = |offsets, data| RawColumn { nulls: 0, validity: None, offsets, data };
    let keys = if of_text {
        let (mut offsets, mut data) = (vec![0i32], Vec::new());
        for word in words {
            data.extend(word.into_bytes());
            offsets.push(i32::try_from(data.len()).unwrap());
        }
        column(Some(offsets.iter().flat_map(|o| o.to_le_bytes()).collect()), data)
    } else {
        column(None, words.flat_map(|word| word.parse::<i64>().unwrap_or(99).to_le_bytes()).collect())
    };
    let measure = |m: usize| {
        let numbers: Vec<Option<f64>> = rows.iter().map(|(_, numbers)| numbers[m]).collect();
        let mut bits = vec![0u8; rows.len().div_ceil(8)];
        numbers.iter().enumerate().filter(|(_, n)| n.is_some()).for_each(|(at, _)| bits[at / 8] |= 1 << (at % 8));
        let nulls = u32::try_from(numbers.iter().filter(|n| n.is_none()).count()).unwrap();
        // What lies under a missing number is nobody's business.
        let data = numbers.iter().flat_map(|n| n.unwrap_or(7e77).to_le_bytes()).collect();
        RawColumn { nulls, validity: Some(bits), offsets: None, data }
    };
    let columns = std::iter::once(keys).chain((0..held.measures.len()).map(measure)).collect();
    RawBatch { rows: u32::try_from(rows.len()).unwrap(), columns }
}
