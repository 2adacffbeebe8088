//! The types that hold people's rows. Nothing may print, copy, store or send them.
//!
//! A [`RowBatch`] has two sinks: the worker's channel, which copies it, and the
//! code inside the domain that computes on rows ([`RowBatch::columns`]). It has no `Clone`, no `Serialize`, and a
//! `Debug` that says how much there is and nothing of what.
#![forbid(unsafe_code)]

pub mod cells;
pub mod fit;
pub mod follow;
pub mod refit;
pub mod sum;
pub mod synthetic;

use std::fmt;

pub use arrow;
use arrow::{array::ArrayRef, datatypes::SchemaRef, record_batch::RecordBatch};

/// Name of the hidden column that carries the privacy unit's keyed pseudonym
/// (`UInt64`, never null). Snapshots are sorted by it; no SQL can name it.
pub const UNIT_COLUMN: &str = "__unit";

/// Name of the hidden column that numbers a snapshot's rows from 0 in stored order
/// (`UInt32`, never null), so that sets of rows can be compared across views and jobs.
/// No SQL can name it, and no guest sees it.
pub const ROW_COLUMN: &str = "__row";

/// Rows of people, in Arrow columns.
pub struct RowBatch(RecordBatch);

impl RowBatch {
    /// Takes rows into custody.
    pub fn new(batch: RecordBatch) -> Self {
        Self(batch)
    }

    /// Number of rows. Depends on the data: never for an operator's eyes.
    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    /// The public schema.
    pub fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    /// The columns, for code that computes on rows inside the domain.
    pub fn columns(&self) -> &[ArrayRef] {
        self.0.columns()
    }

    /// The rows of one unit: `len` rows from `from`, as their own batch.
    /// The caller copies them before they enter a room.
    #[must_use]
    pub fn slice(&self, from: usize, len: usize) -> Self {
        Self(self.0.slice(from, len))
    }

    /// Gives the rows up to a writer or a channel.
    pub fn into_inner(self) -> RecordBatch {
        self.0
    }
}

impl fmt::Debug for RowBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowBatch({} columns, rows withheld)", self.0.num_columns())
    }
}
