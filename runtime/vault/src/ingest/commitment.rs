//! The snapshot's commitment: HMAC-SHA-256, under the vault's commitment key,
//! over the following bytes. It depends on the values alone, not on the file they
//! came in nor on how they are stored.
//!
//! ```text
//! snapshot   = frame("sluice snapshot v1") u32(columns) column* u64(rows) row*
//! column     = frame(name) u8(type) u8(nullable)       in catalogue order
//! row        = value* u64(unit number)                 in stored order
//! value      = 0x00                                     missing
//!            | 0x01 bytes                               present
//! bytes      = int: i64 · float: the 64 bits as they are, NaN and −0 included
//!            | bool: u8 · text: frame(UTF-8) · date: i32, days since 1970-01-01
//!            | timestamp: i64, µs since 1970-01-01T00:00:00Z
//!            | decimal: i128, in units of the last digit
//!            | list: u64(values) bytes*, one per value
//! type       = 1 int · 2 float · 3 text · 4 bool · 5 date · 6 timestamp · 7 null
//!            | 8 decimal u8(precision) u8(scale) · 9 list of type
//! frame(x)   = u64(length of x) x                       all integers little-endian
//! ```

use sluice_domain::{
    Digest,
    catalogue::{CatalogueEntry, ColumnType, ListItem},
};
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType},
};

use super::arrange::{TAG_INT, TAG_TEXT};
use crate::crypt::{Key, MacStream};

/// A commitment in progress.
pub(super) struct Commitment(MacStream);

impl Commitment {
    /// Starts with the public part.
    pub(super) fn new(key: &Key, entry: &CatalogueEntry, rows: u64) -> Self {
        let mut mac = key.stream();
        mac.frame(b"sluice snapshot v1");
        mac.raw(&u32::try_from(entry.columns.len()).unwrap_or(u32::MAX).to_le_bytes());
        for column in &entry.columns {
            mac.frame(column.name.as_bytes());
            mac.raw(&tag(column.kind));
            mac.raw(&[u8::from(column.nullable)]);
        }
        mac.raw(&rows.to_le_bytes());
        Self(mac)
    }

    /// Adds rows in stored order: the catalogue's columns, and each row's unit.
    pub(super) fn add(&mut self, columns: &[ArrayRef], units: &[u64]) {
        for (row, unit) in units.iter().enumerate() {
            for array in columns {
                self.value(array, row);
            }
            self.0.raw(&unit.to_le_bytes());
        }
    }

    /// The commitment.
    pub(super) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finish())
    }

    fn value(&mut self, array: &ArrayRef, row: usize) {
        // A null column has no validity bitmap to look at.
        if array.is_null(row) || *array.data_type() == DataType::Null {
            return self.0.raw(&[0]);
        }
        self.0.raw(&[1]);
        self.bytes(array, row);
    }

    fn bytes(&mut self, array: &ArrayRef, row: usize) {
        match array.data_type() {
            DataType::Int64 => self.0.raw(&array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
            DataType::Float64 => self.0.raw(&array.as_primitive::<Float64Type>().value(row).to_bits().to_le_bytes()),
            DataType::Boolean => self.0.raw(&[u8::from(array.as_boolean().value(row))]),
            DataType::Date32 => self.0.raw(&array.as_primitive::<Date32Type>().value(row).to_le_bytes()),
            DataType::Timestamp(..) => {
                self.0.raw(&array.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes());
            }
            DataType::Decimal128(..) => self.0.raw(&array.as_primitive::<Decimal128Type>().value(row).to_le_bytes()),
            DataType::List(_) => {
                let values = array.as_list::<i32>().value(row);
                self.0.raw(&(values.len() as u64).to_le_bytes());
                (0..values.len()).for_each(|at| self.bytes(&values, at));
            }
            // The intake holds no other type than these and text.
            _ => self.0.frame(array.as_string_opt::<i32>().map_or(&[][..], |a| a.value(row).as_bytes())),
        }
    }
}

fn tag(kind: ColumnType) -> Vec<u8> {
    match kind {
        ColumnType::Int => vec![TAG_INT],
        ColumnType::Float => vec![2],
        ColumnType::Text => vec![TAG_TEXT],
        ColumnType::Bool => vec![4],
        ColumnType::Date => vec![5],
        ColumnType::Timestamp => vec![6],
        ColumnType::Null => vec![7],
        ColumnType::Decimal { precision, scale } => vec![8, precision, scale],
        ColumnType::List(ListItem::Int) => vec![9, TAG_INT],
        ColumnType::List(ListItem::Float) => vec![9, 2],
        ColumnType::List(ListItem::Text) => vec![9, TAG_TEXT],
    }
}
