//! error: E0308

use sluice_rows::{RowBatch, synthetic::Synthetic};

fn explain(_rows: Synthetic) {}

pub fn show(rows: RowBatch) {
    explain(rows);
}
