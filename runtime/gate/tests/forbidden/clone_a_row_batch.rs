//! error: E0599

use sluice_rows::RowBatch;

pub fn twice(rows: RowBatch) -> (RowBatch, RowBatch) {
    (rows.clone(), rows)
}
