//! Tabulation: one pass over a view's rows, one accumulator per occupied cell.
//!
//! Cells live in a dense grid over the declared domains, with one more place per
//! dimension for its margin. A row is added to its inner cell and, when margins are
//! wanted, to every margin it belongs to; each of these folds units by itself, so a
//! person with rows in several inner cells counts once in their margin.

use std::collections::HashMap;

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
use sluice_domain::{
    catalogue::Key,
    contract::{Aggregate, Dimension, Tabulation, Totals},
};
use sluice_rows::cells::{CellKey, Cells, SnapshotRows, Zeros};

use crate::{
    ViewError,
    fold::{Asked, CellFold, Wanted},
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
    Ok(grid.finish())
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
            held.extend(numbers(column)?);
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
    rows: Vec<RoaringBitmap>,
    columns: Vec<Wanted>,
    asked: Vec<Asked>,
    dominance_n: usize,
    /// No fewer than the contributions that the quantiles keep.
    kept: usize,
}

/// Where a row goes: the places of its keys, each times its stride, from `base` on. An
/// axis that is summed over has a stride of nothing here and its last place in `base`.
struct Margin {
    base: usize,
    strides: Vec<usize>,
}

/// One dimension's places: its keys in declared order, then the margin.
pub(crate) struct Axis {
    keys: Places,
    len: usize,
}

/// From a code to its place.
enum Places {
    /// Whole numbers close to each other: a table that starts at `from`.
    Near {
        from: i64,
        places: Vec<Option<usize>>,
    },
    Ints(HashMap<i64, usize>),
    Texts(HashMap<String, usize, QualityRandomState>),
}

/// Widest range of codes that a table of their places is kept for.
const NEAR_MAX: u64 = 1 << 16;

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
            rows: vec![RoaringBitmap::new(); places],
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
        let keys: Vec<Vec<usize>> = keys.collect::<Result<_, _>>()?;
        let values = columns.take(self.columns.len()).map(numbers).collect::<Result<Vec<_>, _>>()?;
        let numbers = numbered(rows, self.axes.len() + self.columns.len())?;
        let new_cell = || Box::new(CellFold::new(&self.columns, self.dominance_n));
        for (at, margin) in self.margins.iter().enumerate() {
            let places = margin.places(&keys, rows.num_rows());
            if at == 0 {
                note(&mut self.rows, &places, numbers)?;
            }
            for (unit, from, len) in runs {
                for (row, place) in (*from..).zip(places.get(*from..from + len).unwrap_or_default()) {
                    let cell = self.cells.get_mut(*place).ok_or(ViewError::Read)?.get_or_insert_with(new_cell);
                    cell.row(*unit, values.iter().map(|v| v.get(row).copied().flatten()));
                }
            }
        }
        Ok(())
    }

    /// The occupied cells in declared order, a margin after the keys it sums over.
    fn finish(self) -> Cells {
        let Self { axes, cells, rows, asked, .. } = self;
        let rows = rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        let rows = rows.map(|(place, rows)| (key_of(&axes, place), rows)).collect();
        let occupied = cells.into_iter().enumerate().filter_map(|(place, cell)| Some((place, cell?)));
        Cells::new(occupied.map(|(place, cell)| (key_of(&axes, place), cell.finish(&asked))).collect(), rows)
    }
}

/// Notes which rows are in which inner cell. They come in ascending order.
fn note(cells: &mut [RoaringBitmap], places: &[usize], rows: &[u32]) -> Result<(), ViewError> {
    for (place, row) in places.iter().zip(rows) {
        cells.get_mut(*place).ok_or(ViewError::Read)?.try_push(*row).map_err(|_| ViewError::Order)?;
    }
    Ok(())
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
    fn places(&self, keys: &[Vec<usize>], rows: usize) -> Vec<usize> {
        let mut places = vec![self.base; rows];
        for (keys, stride) in keys.iter().zip(&self.strides).filter(|(_, stride)| **stride > 0) {
            places.iter_mut().zip(keys).for_each(|(place, key)| *place += key * stride);
        }
        places
    }
}

/// Inverse of the grid's numbering.
fn key_of(axes: &[Axis], mut place: usize) -> CellKey {
    let mut key: CellKey = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        let at = place % (axis.len + 1);
        place /= axis.len + 1;
        key.push(u32::try_from(at).ok().filter(|_| at < axis.len));
    }
    key.reverse();
    key
}

impl Axis {
    pub(crate) fn new(dimension: &Dimension) -> Self {
        let (mut ints, mut texts) = (HashMap::new(), HashMap::with_hasher(QualityRandomState::default()));
        for (place, (key, _)) in dimension.domain.iter().enumerate() {
            match key {
                Key::Int(n) => ints.insert(*n, place),
                Key::Text(s) => texts.insert(s.clone(), place),
            };
        }
        let keys = if texts.is_empty() { Places::of(ints) } else { Places::Texts(texts) };
        Self { keys, len: dimension.domain.len() }
    }

    /// The place of each row's value.
    pub(crate) fn places(&self, column: &ArrayRef) -> Result<Vec<usize>, ViewError> {
        let ints = column.as_primitive_opt::<Int64Type>();
        let places: Option<Vec<usize>> = match (&self.keys, ints, column.as_string_opt::<i32>()) {
            (Places::Near { from, places }, Some(column), _) => {
                let place = |n: i64| *places.get(usize::try_from(n.checked_sub(*from)?).ok()?)?;
                column.iter().map(|n| place(n?)).collect()
            }
            (Places::Ints(places), Some(column), _) => column.iter().map(|n| places.get(&n?).copied()).collect(),
            (Places::Texts(places), _, Some(column)) => column.iter().map(|s| places.get(s?).copied()).collect(),
            _ => None,
        };
        places.ok_or(ViewError::Domain)
    }
}

impl Places {
    fn of(ints: HashMap<i64, usize>) -> Self {
        let (from, to) = (ints.keys().min().copied().unwrap_or(0), ints.keys().max().copied().unwrap_or(0));
        match usize::try_from(to.abs_diff(from)) {
            Ok(width) if to.abs_diff(from) < NEAR_MAX => {
                let mut places = vec![None; width + 1];
                for (n, place) in ints {
                    let at = usize::try_from(n.abs_diff(from)).ok().and_then(|at| places.get_mut(at));
                    at.into_iter().for_each(|at| *at = Some(place));
                }
                Self::Near { from, places }
            }
            _ => Self::Ints(ints),
        }
    }
}

/// The values of a measure column. What is not a finite number is no value.
pub(crate) fn numbers(column: &ArrayRef) -> Result<Vec<Option<f64>>, ViewError> {
    match column.data_type() {
        #[expect(clippy::cast_precision_loss, reason = "sums are of f64; beyond 2^53 the last digits are not kept")]
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v as f64)).collect()),
        DataType::Float64 => {
            Ok(column.as_primitive::<Float64Type>().iter().map(|v| v.filter(|v| v.is_finite())).collect())
        }
        _ => Err(ViewError::Read),
    }
}
