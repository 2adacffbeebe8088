//! error: E0277

use sluice_rows::{RowBatch, synthetic::Synthetic};

pub fn turn(rows: RowBatch) -> Synthetic {
    rows.into()
}
