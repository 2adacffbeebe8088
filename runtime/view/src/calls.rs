//! What one call of a guest is given: the rows of one unit (route A) or of one block
//! of units (route B), over all inputs of the job.
//!
//! Units of several inputs meet by their hidden number; the roster is the union.
//! Blocks are gathered within a memory budget: what does not fit is left for another
//! pass over the sealed snapshot, so that a table may be larger than memory. Budget
//! and passes change nothing of what comes out.

use std::collections::BTreeMap;

use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch, UInt32Array},
        compute::{concat_batches, take_record_batch},
        datatypes::UInt64Type,
    },
    execution::SendableRecordBatchStream,
};
use futures::{Stream, StreamExt, stream};
use sluice_rows::RowBatch;

use crate::{InputPlan, ViewError, ViewReader, units::Numbered};

/// Rows of one call, per input number. An input without rows is left out.
pub type Call = Vec<(u32, RowBatch)>;

/// Blocks of route B: how many, what they may hold, and who is in which.
pub struct Blocks<'a> {
    /// How many.
    pub count: u32,
    /// Rows that one block may have; of a larger one comes one batch more.
    pub rows_max: u32,
    /// Bytes of rows that are held at once.
    pub bytes_max: usize,
    /// The block of a unit's number.
    pub of: &'a (dyn Fn(u64) -> u32 + Send + Sync),
}

impl ViewReader {
    /// One call per unit that has a row in any input, in canonical order. A unit of
    /// more than `rows_max` rows in an input comes with one row more.
    ///
    /// # Errors
    /// Any [`ViewError`], as an item of the stream.
    pub fn unit_calls<'a>(
        &'a self,
        plans: &'a [InputPlan],
        rows_max: u32,
    ) -> impl Stream<Item = Result<Call, ViewError>> + Send + 'a {
        let open = async move {
            let mut inputs = Vec::new();
            for plan in plans {
                let mut units = Box::pin(self.numbered(plan, rows_max));
                let next = units.next().await.transpose()?;
                inputs.push((units, next));
            }
            Ok(stream::try_unfold(inputs, |mut inputs| async move {
                let Some(first) = inputs.iter().filter_map(|(_, next)| next.as_ref().map(Numbered::unit)).min() else {
                    return Ok(None);
                };
                let mut call = Call::new();
                for (input, (units, next)) in (0u32..).zip(&mut inputs) {
                    if next.as_ref().is_some_and(|n| n.unit() == first) {
                        let after = units.next().await.transpose()?;
                        call.extend(std::mem::replace(next, after).map(|n| (input, n.into_rows())));
                    }
                }
                Ok(Some((call, inputs)))
            }))
        };
        stream::once(open).flat_map(|opened| match opened {
            Ok(calls) => calls.boxed(),
            Err(e) => stream::once(async move { Err(e) }).boxed(),
        })
    }

    /// One call per block that has a row, in the order of blocks; within a block,
    /// units in canonical order. Reads the snapshot as often as the budget asks for.
    ///
    /// # Errors
    /// Any [`ViewError`], as an item of the stream.
    pub fn block_calls<'a>(
        &'a self,
        plans: &'a [InputPlan],
        blocks: &'a Blocks<'a>,
    ) -> impl Stream<Item = Result<Call, ViewError>> + Send + 'a {
        stream::try_unfold((0u32, Vec::<Call>::new().into_iter()), move |(mut from, mut ready)| async move {
            loop {
                if let Some(call) = ready.next() {
                    return Ok(Some((call, (from, ready))));
                }
                if from >= blocks.count {
                    return Ok(None);
                }
                let mut gathered = Gathered::new(blocks, from);
                for (input, plan) in (0u32..).zip(plans) {
                    let mut rows: SendableRecordBatchStream = self.raw(plan).await?;
                    while let Some(batch) = rows.next().await {
                        gathered.add(input, &batch.map_err(|_| ViewError::Read)?)?;
                    }
                }
                from = gathered.until;
                ready = gathered.calls()?.into_iter();
            }
        })
    }
}

/// Rows of the blocks `from..until`, as many as the budget takes.
struct Gathered<'a> {
    blocks: &'a Blocks<'a>,
    from: u32,
    until: u32,
    bytes: usize,
    held: BTreeMap<u32, Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    rows: usize,
    parts: BTreeMap<u32, Vec<RecordBatch>>,
}

impl<'a> Gathered<'a> {
    fn new(blocks: &'a Blocks<'a>, from: u32) -> Self {
        Self { blocks, from, until: blocks.count, bytes: 0, held: BTreeMap::new() }
    }

    fn add(&mut self, input: u32, batch: &RecordBatch) -> Result<(), ViewError> {
        let units = batch.columns().last().and_then(|c| c.as_primitive_opt::<UInt64Type>()).ok_or(ViewError::Read)?;
        let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut last: Option<(u64, u32)> = None;
        for (row, unit) in (0u32..).zip(units.values()) {
            // A unit's rows are adjacent: one keyed hash per unit and batch.
            let block = match last {
                Some((same, block)) if same == *unit => block,
                _ => (self.blocks.of)(*unit),
            };
            last = Some((*unit, block));
            if (self.from..self.until).contains(&block) {
                rows.entry(block).or_default().push(row);
            }
        }
        let columns: Vec<usize> = (0..batch.num_columns().saturating_sub(1)).collect();
        let public = batch.project(&columns).map_err(|_| ViewError::Read)?;
        for (block, rows) in rows {
            // Beyond the limit a block has failed: its excess is not kept.
            if self.held.get(&block).is_some_and(|h| h.rows > self.blocks.rows_max as usize) || block >= self.until {
                continue;
            }
            let part = take_record_batch(&public, &UInt32Array::from(rows)).map_err(|_| ViewError::Read)?;
            let bytes = part.get_array_memory_size();
            let held = self.held.entry(block).or_default();
            held.bytes += bytes;
            held.rows += part.num_rows();
            held.parts.entry(input).or_default().push(part);
            self.bytes += bytes;
            self.keep_within_budget();
        }
        Ok(())
    }

    /// Leaves the last blocks for another pass; one always stays, so that passes end.
    fn keep_within_budget(&mut self) {
        while self.bytes > self.blocks.bytes_max && self.held.len() > 1 {
            let Some((block, held)) = self.held.pop_last() else { return };
            self.bytes = self.bytes.saturating_sub(held.bytes);
            self.until = block;
        }
    }

    fn calls(self) -> Result<Vec<Call>, ViewError> {
        let whole = |parts: Vec<RecordBatch>| {
            let schema = parts.first().map(RecordBatch::schema).ok_or(ViewError::Read)?;
            concat_batches(&schema, &parts).map(RowBatch::new).map_err(|_| ViewError::Read)
        };
        let call = |held: Held| held.parts.into_iter().map(|(input, parts)| Ok((input, whole(parts)?))).collect();
        self.held.into_values().map(call).collect()
    }
}
