//! error: E0277

use sluice_rows::RowBatch;

fn to_json<T: serde::Serialize>(_value: &T) {}

pub fn out(rows: &RowBatch) {
    to_json(rows);
}
