//! Cuts an ordered stream into privacy units.
//!
//! Rows come sorted by the hidden unit column, so a unit's rows are adjacent; at most
//! one unit is held at a time. A unit number below the one before means that order
//! was lost somewhere: the read fails rather than hand out half a unit twice.

use std::collections::VecDeque;

use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch},
        compute::concat_batches,
        datatypes::{SchemaRef, UInt64Type},
    },
    execution::SendableRecordBatchStream,
};
use futures::{Stream, StreamExt, stream};
use sluice_rows::RowBatch;

use crate::ViewError;

/// The units of `rows`, whose last column is the unit's: one batch per unit, in
/// order, without that column. A unit of more than `rows_max` rows comes with
/// `rows_max + 1` of them, so that its excess can be seen and stays bounded.
pub(crate) fn units(
    rows: SendableRecordBatchStream,
    rows_max: usize,
) -> impl Stream<Item = Result<Numbered, ViewError>> + Send {
    let cutter = Cutter { rows, rows_max, ready: VecDeque::new(), open: None, ended: false };
    stream::try_unfold(cutter, |mut cutter| async move {
        let unit = cutter.next().await?;
        Ok(unit.map(|unit| (unit, cutter)))
    })
}

/// One unit's rows and its hidden number, which orders units and is never shown.
pub(crate) struct Numbered {
    unit: u64,
    rows: RowBatch,
}

impl Numbered {
    pub(crate) fn unit(&self) -> u64 {
        self.unit
    }

    pub(crate) fn into_rows(self) -> RowBatch {
        self.rows
    }
}

/// The runs of equal units in a batch: unit, first row, number of rows.
pub(crate) fn runs(batch: &RecordBatch, last: Option<u64>) -> Result<Vec<(u64, usize, usize)>, ViewError> {
    let units = batch.columns().last().and_then(|c| c.as_primitive_opt::<UInt64Type>()).ok_or(ViewError::Read)?;
    if units.null_count() > 0 {
        return Err(ViewError::Order);
    }
    let (mut before, mut from) = (last, 0);
    let run = |run: &[u64]| {
        let unit = run.first().copied().unwrap_or_default();
        if before.replace(unit).is_some_and(|before| before > unit) {
            return Err(ViewError::Order);
        }
        from += run.len();
        Ok((unit, from - run.len(), run.len()))
    };
    units.values().chunk_by(|a, b| a == b).map(run).collect()
}

struct Cutter {
    rows: SendableRecordBatchStream,
    rows_max: usize,
    ready: VecDeque<Numbered>,
    open: Option<Open>,
    ended: bool,
}

/// The unit whose rows may go on in the next batch.
struct Open {
    unit: u64,
    rows: usize,
    parts: Vec<RecordBatch>,
}

impl Cutter {
    async fn next(&mut self) -> Result<Option<Numbered>, ViewError> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Ok(Some(unit));
            }
            if self.ended {
                return Ok(None);
            }
            match self.rows.next().await {
                Some(Ok(batch)) => self.cut(&batch)?,
                Some(Err(_)) => return Err(ViewError::Read),
                None => {
                    self.ended = true;
                    self.close()?;
                }
            }
        }
    }

    fn cut(&mut self, batch: &RecordBatch) -> Result<(), ViewError> {
        let runs = runs(batch, self.open.as_ref().map(|o| o.unit))?;
        let columns: Vec<usize> = (0..batch.num_columns().saturating_sub(1)).collect();
        let public = batch.project(&columns).map_err(|_| ViewError::Read)?;
        for (unit, from, len) in runs {
            if self.open.as_ref().is_some_and(|o| o.unit != unit) {
                self.close()?;
            }
            let open = self.open.get_or_insert_with(|| Open { unit, rows: 0, parts: Vec::new() });
            let room = self.rows_max.saturating_add(1).saturating_sub(open.rows);
            let len = len.min(room);
            if len > 0 {
                open.rows += len;
                open.parts.push(public.slice(from, len));
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ViewError> {
        let Some(Open { unit, parts, .. }) = self.open.take() else { return Ok(()) };
        let whole = match <[RecordBatch; 1]>::try_from(parts) {
            Ok([only]) => only,
            Err(parts) => {
                let schema: Option<SchemaRef> = parts.first().map(RecordBatch::schema);
                concat_batches(&schema.ok_or(ViewError::Read)?, &parts).map_err(|_| ViewError::Read)?
            }
        };
        self.ready.push_back(Numbered { unit, rows: RowBatch::new(whole) });
        Ok(())
    }
}
