//! The hidden unit column and the stored order. Each unit gets a number: the
//! first 8 bytes (big-endian) of HMAC-SHA-256 over its id, with a tag for the
//! id's type. Rows are sorted by it, so that a unit's rows are adjacent; inside a
//! unit they keep the provider's order.
//!
//! Among n units two share a number with a chance of about n²/2⁶⁵ (ten million
//! units: 3 in a million). It is looked for and refused, never merged.

use sluice_domain::{
    Refusal,
    catalogue::{CatalogueEntry, ColumnRole},
};
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::{DataType, Int64Type},
};

use super::{
    intake::Columns,
    refuse::{Broken, Fault},
};
use crate::crypt::{Key, MacStream};

/// Type tags of unit ids, also used in the commitment; the same for ever.
pub(super) const TAG_INT: u8 = 1;
pub(super) const TAG_TEXT: u8 = 3;

/// One row's unit number, and where it stands in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    pub(super) unit: u64,
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// The stored order.
pub(super) struct Order {
    /// Every row, sorted.
    pub(super) rows: Vec<Placed>,
    /// Distinct units.
    pub(super) units: u64,
}

/// Numbers and sorts the rows.
pub(super) fn by_unit(key: &Key, entry: &CatalogueEntry, batches: &[Columns]) -> Result<Order, Refusal> {
    let place = entry.columns.iter().position(|c| c.role == ColumnRole::Unit);
    let ids: Option<Vec<&ArrayRef>> = batches.iter().map(|columns| columns.get(place?)).collect();
    let ids = ids.ok_or_else(|| Broken::ColumnMissing.refusal().at("the unit column"))?;
    sort(&|id| number(&key.stream(), id), &entry.dataset.unit, &ids)
}

/// A unit's id as it stands in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id<'a> {
    Int(i64),
    Text(&'a str),
}

fn number(keyed: &MacStream, id: Id<'_>) -> u64 {
    let mut mac = keyed.clone();
    match id {
        Id::Int(n) => {
            mac.raw(&[TAG_INT]);
            mac.raw(&n.to_le_bytes());
        }
        Id::Text(s) => {
            mac.raw(&[TAG_TEXT]);
            mac.raw(s.as_bytes());
        }
    }
    u64::from_be_bytes(*mac.finish().first_chunk().unwrap_or(&[0; 8]))
}

fn sort(number: &dyn Fn(Id<'_>) -> u64, column: &str, ids: &[&ArrayRef]) -> Result<Order, Refusal> {
    let id = |batch: u32, row: u32| ids.get(batch as usize).and_then(|array| id_at(array, row as usize));
    let mut rows = Vec::with_capacity(ids.iter().map(|a| a.len()).sum());
    let mut last: Option<(Id<'_>, u64)> = None;
    for (batch, array) in (0_u32..).zip(ids) {
        for row in 0..u32::try_from(array.len()).map_err(|_| Broken::TooManyRows.refusal())? {
            // The intake let no missing id through; if one is here, say so.
            let this = id(batch, row).ok_or_else(|| Fault::Missing.refusal(rows.len() as u64 + 1, column))?;
            let unit = match last {
                Some((same, unit)) if same == this => unit,
                _ => number(this),
            };
            last = Some((this, unit));
            rows.push(Placed { unit, batch, row });
        }
    }
    // (unit, batch, row) is unique, so an unstable sort keeps the provider's order.
    rows.sort_unstable();
    let mut units = u64::from(!rows.is_empty());
    for (a, b) in rows.iter().zip(rows.iter().skip(1)) {
        if a.unit != b.unit {
            units += 1;
        } else if id(a.batch, a.row) != id(b.batch, b.row) {
            return Err(Broken::Collision.refusal());
        }
    }
    Ok(Order { rows, units })
}

fn id_at(array: &ArrayRef, row: usize) -> Option<Id<'_>> {
    match array.data_type() {
        _ if array.is_null(row) => None,
        DataType::Int64 => Some(Id::Int(array.as_primitive::<Int64Type>().value(row))),
        DataType::Utf8 => Some(Id::Text(array.as_string::<i32>().value(row))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use sluice_rows::arrow::array::{Int64Array, StringArray};

    use super::*;

    fn ints(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    proptest! {
        #[test]
        fn units_are_adjacent_and_keep_their_order(ids in proptest::collection::vec(-9_i64..9, 1..200), cut in 0_usize..200) {
            let cut = cut.min(ids.len());
            let (a, b) = (ints(&ids[..cut]), ints(&ids[cut..]));
            let key = Key::random().unwrap();
            let order = sort(&|id| number(&key.stream(), id), "u", &[&a, &b]).unwrap();
            let source = |p: &Placed| p.row as usize + if p.batch == 1 { cut } else { 0 };
            let stored: Vec<usize> = order.rows.iter().map(source).collect();
            let distinct: std::collections::BTreeSet<i64> = ids.iter().copied().collect();
            prop_assert_eq!(order.units, distinct.len() as u64);
            // Every row once; a unit's rows in one run, in the provider's order.
            let mut sorted = stored.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..ids.len()).collect::<Vec<_>>());
            let runs = stored.windows(2).filter(|w| ids[w[0]] != ids[w[1]]).count() + 1;
            prop_assert_eq!(runs, distinct.len());
            prop_assert!(stored.windows(2).all(|w| ids[w[0]] != ids[w[1]] || w[0] < w[1]));
            prop_assert!(order.rows.windows(2).all(|w| w[0].unit <= w[1].unit));
        }
    }

    #[test]
    fn a_collision_is_refused_not_merged() {
        // A number of one bit: two of three ids must meet.
        let weak = |id: Id<'_>| match id {
            Id::Int(n) => (n & 1).unsigned_abs(),
            Id::Text(_) => 0,
        };
        assert_eq!(sort(&weak, "u", &[&ints(&[1, 2, 1, 2])]).unwrap().units, 2);
        let refused = sort(&weak, "u", &[&ints(&[1, 2, 3])]).err().unwrap();
        assert_eq!((refused.code, refused.place), ("ingest.unit-collision", None));
    }

    #[test]
    fn the_number_depends_on_key_and_type() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let of = |key: &Key, id: Id<'_>| number(&key.stream(), id);
        let eight = i64::from_le_bytes(*b"12345678");
        assert_eq!(of(&key, Id::Int(eight)), of(&key, Id::Int(eight)));
        assert_ne!(of(&key, Id::Int(eight)), of(&key, Id::Text("12345678")));
        assert_ne!(of(&key, Id::Int(eight)), of(&other, Id::Int(eight)));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let refused = sort(&|id| of(&key, id), "u", &[&texts]).err().unwrap();
        assert_eq!(refused.place.as_deref(), Some("row 2, column u"));
    }
}
