//! Tabulation: one pass over a view's rows, one accumulator per occupied cell.
//!
//! Cells live in a dense grid over the declared domains, with one more place per
//! dimension for its margin. A row is added to its inner cell and, when margins are
//! wanted, to every margin it belongs to; each of these folds units by itself, so a
//! person with rows in several inner cells counts once in their margin.

use std::borrow::Cow;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch},
        datatypes::{DataType, Float64Type, Int64Type, UInt32Type},
    },
    common::hash_utils::{QualityRandomState, create_hashes},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;
use roaring::RoaringBitmap;
use sluice_domain::contract::{Aggregate, Dimension, Tabulation, Totals};
use sluice_rows::cells::{CellKey, Cells, SnapshotRows, Zeros};

use crate::{
    ViewError,
    axis::Axis,
    fold::{Asked, CellFold, Wanted},
    noted::Noted,
    units::runs,
};

/// Most places of a table's grid, margins included.
const SLOTS_MAX: usize = 1 << 20;

/// Most dimensions: a row belongs to `2^dimensions` cells and margins.
const DIMENSIONS_MAX: usize = 8;

/// Most contributions that the quantiles of one table keep, margins included: 1 GiB.
const CONTRIBUTIONS_MAX: usize = 1 << 27;

/// Places of the grid over these dimensions, margins included; `None` if too many.
pub(crate) fn slots(dimensions: &[Dimension]) -> Option<usize> {
    if dimensions.len() > DIMENSIONS_MAX {
        return None;
    }
    let places = dimensions.iter().try_fold(1usize, |n, d| n.checked_mul(d.domain.len().checked_add(1)?))?;
    (places <= SLOTS_MAX).then_some(places)
}

/// The distinct measure columns of a plan with what is wanted of each, and what each
/// measure reads.
pub(crate) fn measure_columns(plan: &Tabulation) -> (Vec<Wanted>, Vec<Asked>) {
    let mut columns: Vec<Wanted> = Vec::new();
    let asked = plan.measures.iter().map(|m| {
        let quantile = if let Aggregate::Quantile(q) = m.aggregate { Some(q) } else { None };
        let Some(name) = &m.column else { return (None, None) };
        let place = columns.iter().position(|c| c.name == *name).unwrap_or(columns.len());
        if place == columns.len() {
            let zeros = if plan.derived.contains_key(name) { Zeros::Skip } else { Zeros::Count };
            columns.push(Wanted { name: name.clone(), zeros, aggregates: Vec::new() });
        }
        if let Some(column) = columns.get_mut(place) {
            column.aggregates.push(m.aggregate);
        }
        (Some(place), quantile)
    });
    let asked = asked.collect();
    (columns, asked)
}

/// Folds rows into cells. The rows' columns are the plan's dimensions, then the
/// columns of [`measure_columns`], then the row's number and the unit.
pub(crate) async fn tabulate(
    mut rows: SendableRecordBatchStream,
    plan: &Tabulation,
    totals: Totals,
    dominance_n: u32,
) -> Result<Cells, ViewError> {
    let mut grid = Grid::new(plan, totals, dominance_n)?;
    let mut last = None;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|_| ViewError::Read)?;
        let runs = runs(&batch, last)?;
        last = runs.last().map(|(unit, ..)| *unit).or(last);
        grid.batch(&batch, &runs)?;
    }
    grid.finish()
}

/// Gathers the rows of [`crate::provider::AuthorisedView::whole`].
pub(crate) async fn snapshot_rows(
    mut rows: SendableRecordBatchStream,
    zeros: Vec<Zeros>,
) -> Result<SnapshotRows, ViewError> {
    let columns = zeros.len();
    let columns_of = vec![Vec::new(); columns];
    let mut all = SnapshotRows { units: Vec::new(), contents: Vec::new(), columns: columns_of, zeros };
    let mut last = None;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|_| ViewError::Read)?;
        let runs = runs(&batch, last)?;
        let hidden = batch.num_columns().saturating_sub(2);
        // The stored numbers are the positions, or two runs would speak of other rows.
        if !(all.units.len()..).zip(numbered(&batch, hidden)?).all(|(at, row)| at == *row as usize) {
            return Err(ViewError::Read);
        }
        for (of, _, len) in &runs {
            last = Some(*of);
            all.units.extend(std::iter::repeat_n(*of, *len));
        }
        for (held, column) in all.columns.iter_mut().zip(batch.columns()) {
            held.extend(numbers(column)?.iter().map(said));
        }
        let mut contents = vec![0; batch.num_rows()];
        let stored = batch.columns().iter().take(hidden).skip(columns);
        create_hashes(stored, &QualityRandomState::with_seed(1), &mut contents).map_err(|_| ViewError::Read)?;
        all.contents.extend(contents);
    }
    Ok(all)
}

/// The numbers of all rows; they come in the first column.
pub(crate) async fn row_numbers(mut rows: SendableRecordBatchStream) -> Result<RoaringBitmap, ViewError> {
    let mut all = RoaringBitmap::new();
    while let Some(batch) = rows.next().await {
        all.extend(numbered(&batch.map_err(|_| ViewError::Read)?, 0)?);
    }
    Ok(all)
}

/// The column of row numbers, at this place.
fn numbered(batch: &RecordBatch, place: usize) -> Result<&[u32], ViewError> {
    let column = batch.columns().get(place).and_then(|c| c.as_primitive_opt::<UInt32Type>());
    column.map(|c| c.values().as_ref()).ok_or(ViewError::Read)
}

struct Grid {
    axes: Vec<Axis>,
    /// The inner cells, then every margin a row is added to.
    margins: Vec<Margin>,
    cells: Vec<Option<Box<CellFold>>>,
    /// The rows of every inner cell, by its place.
    rows: Vec<Noted>,
    columns: Vec<Wanted>,
    asked: Vec<Asked>,
    dominance_n: usize,
    /// No fewer than the contributions that the quantiles keep.
    kept: usize,
}

/// Where a row goes: the places of its keys, each times its stride, from `base` on. An
/// axis that is summed over has a stride of nothing here and its last place in `base`.
struct Margin {
    base: u32,
    strides: Vec<u32>,
}

impl Grid {
    fn new(plan: &Tabulation, totals: Totals, dominance_n: u32) -> Result<Self, ViewError> {
        let places = slots(&plan.dimensions).ok_or(ViewError::Domain)?;
        let axes: Vec<Axis> = plan.dimensions.iter().map(Axis::new).collect();
        let sets = match totals {
            Totals::None => 1,
            Totals::True | Totals::Redacted => 1usize << axes.len(),
        };
        let (columns, asked) = measure_columns(plan);
        Ok(Self {
            margins: (0..sets).map(|set| Margin::over(&axes, set)).collect(),
            axes,
            cells: std::iter::repeat_with(|| None).take(places).collect(),
            rows: std::iter::repeat_with(Noted::default).take(places).collect(),
            columns,
            asked,
            dominance_n: usize::try_from(dominance_n).unwrap_or(usize::MAX).min(1024),
            kept: 0,
        })
    }

    /// Adds rows, cut into units.
    fn batch(&mut self, rows: &RecordBatch, runs: &[(u64, usize, usize)]) -> Result<(), ViewError> {
        let quantiles = self.asked.iter().filter(|(_, quantile)| quantile.is_some()).count();
        self.kept = self.kept.saturating_add(rows.num_rows().saturating_mul(quantiles * self.margins.len()));
        if self.kept > CONTRIBUTIONS_MAX {
            return Err(ViewError::Read);
        }
        let mut columns = rows.columns().iter();
        let keys = self.axes.iter().zip(columns.by_ref()).map(|(axis, column)| axis.places(column));
        let keys: Vec<Vec<u32>> = keys.collect::<Result<_, _>>()?;
        let values = columns.take(self.columns.len()).map(numbers).collect::<Result<Vec<_>, _>>()?;
        let numbers = numbered(rows, self.axes.len() + self.columns.len())?;
        let new_cell = || Box::new(CellFold::new(&self.columns, self.dominance_n));
        for (at, margin) in self.margins.iter().enumerate() {
            let places = margin.places(&keys, rows.num_rows());
            for (unit, from, len) in runs {
                let mut from = *from;
                let of_unit = places.get(from..from + len).unwrap_or_default();
                for together in of_unit.chunk_by(|a, b| a == b) {
                    let place = together.first().map_or(0, |place| *place as usize);
                    let cell = self.cells.get_mut(place).ok_or(ViewError::Read)?.get_or_insert_with(new_cell);
                    let here = from..from + together.len();
                    cell.rows(*unit, together.len(), values.iter().map(|v| v.get(here.clone()).unwrap_or_default()));
                    if at == 0 {
                        let noted = self.rows.get_mut(place).ok_or(ViewError::Read)?;
                        noted.add(numbers.get(here.clone()).unwrap_or_default());
                    }
                    from = here.end;
                }
            }
        }
        Ok(())
    }

    /// The occupied cells in declared order, a margin after the keys it sums over.
    fn finish(self) -> Result<Cells, ViewError> {
        let Self { axes, cells, rows, asked, .. } = self;
        let rows = (0..).zip(rows).filter(|(_, rows)| !rows.is_empty());
        let rows = rows.map(|(place, rows)| Ok((key_of(&axes, place), rows.finish()?)));
        let rows = rows.collect::<Result<_, ViewError>>()?;
        let occupied = (0..).zip(cells).filter_map(|(place, cell)| Some((place, cell?)));
        let cells = occupied.map(|(place, cell)| (key_of(&axes, place), cell.finish(&asked)));
        Ok(Cells::new(cells.collect(), rows))
    }
}

impl Margin {
    /// Sums over the axes in `set`, a bit each.
    fn over(axes: &[Axis], set: usize) -> Self {
        let (mut base, mut stride) = (0, 1);
        let mut strides = vec![0; axes.len()];
        for ((at, axis), of) in axes.iter().enumerate().zip(&mut strides).rev() {
            if set >> at & 1 == 1 {
                base += axis.len * stride
            } else {
                *of = stride
            }
            stride *= axis.len + 1;
        }
        Self { base, strides }
    }

    /// The cells of so many rows.
    fn places(&self, keys: &[Vec<u32>], rows: usize) -> Vec<u32> {
        let mut places = vec![self.base; rows];
        for (keys, stride) in keys.iter().zip(&self.strides).filter(|(_, stride)| **stride > 0) {
            places.iter_mut().zip(keys).for_each(|(place, key)| *place += key * stride);
        }
        places
    }
}

/// Inverse of the grid's numbering.
fn key_of(axes: &[Axis], mut place: u32) -> CellKey {
    let mut key: CellKey = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        let at = place % (axis.len + 1);
        place /= axis.len + 1;
        key.push((at < axis.len).then_some(at));
    }
    key.reverse();
    key
}

/// The values of a measure column. Where [`said`] finds none, there is none.
pub(crate) fn numbers(column: &ArrayRef) -> Result<Cow<'_, [f64]>, ViewError> {
    match column.data_type() {
        DataType::Float64 if column.null_count() == 0 => {
            Ok(Cow::Borrowed(column.as_primitive::<Float64Type>().values()))
        }
        DataType::Float64 => Ok(column.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect()),
        #[expect(clippy::cast_precision_loss, reason = "sums are of f64; beyond 2^53 the last digits are not kept")]
        DataType::Int64 => {
            Ok(column.as_primitive::<Int64Type>().iter().map(|v| v.map_or(f64::NAN, |v| v as f64)).collect())
        }
        _ => Err(ViewError::Read),
    }
}

/// The value that a number of [`numbers`] stands for: what is not finite is none.
pub(crate) fn said(number: &f64) -> Option<f64> {
    Some(*number).filter(|n| n.is_finite())
}
