//! G2, canonical intake: the hostile output of one invocation becomes integers.
//!
//! A guest hands back Arrow-shaped buffers. Nothing of them is believed: lengths,
//! bitmaps, offsets and UTF-8 are checked, keys are looked up in the declared
//! domain, values are rounded to the grid. What is left is [`Decoded`]: cell
//! numbers and grid units. Bytes under nulls, dictionary order, NaN payloads, −0
//! and padding end here. Anything malformed is `None`: that unit's default.
//!
//! This module does not clamp and does not sum; [`crate::route_a`] does, in that
//! order and for a reason.

use std::{collections::HashMap, fmt};

use sluice_domain::{
    Refusal,
    catalogue::Key,
    contract::{Dimension, MeasureA, TableA},
};

use crate::refusals;

/// One column as it came out of the room, in the Arrow columnar layout.
pub struct RawColumn {
    /// Number of nulls the guest claims.
    pub nulls: u32,
    /// Validity bitmap, least significant bit first; none when nothing is null.
    pub validity: Option<Vec<u8>>,
    /// `rows + 1` little-endian `i32` offsets, for text only.
    pub offsets: Option<Vec<u8>>,
    /// Values: little-endian `i64` or `f64`, or the text's bytes.
    pub data: Vec<u8>,
}

/// One unit's whole output as it came out of the room.
pub struct RawBatch {
    /// Number of rows the guest claims.
    pub rows: u32,
    /// Dimensions first, then measures, in contract order.
    pub columns: Vec<RawColumn>,
}

impl fmt::Debug for RawColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawColumn(withheld)")
    }
}

impl fmt::Debug for RawBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawBatch(withheld)")
    }
}

/// What a guest's output must look like, from the contract alone.
pub struct OutputSchema {
    dimensions: Vec<Codes>,
    grids: Vec<u32>,
    cells: usize,
    rows_max: u32,
}

/// The declared keys of one dimension and their positions.
enum Codes {
    Int(HashMap<i64, usize>),
    Text(HashMap<String, usize>),
}

/// One unit's output after intake.
pub struct Decoded {
    /// The cell of each row, `None` for a key outside the declared domain.
    pub(crate) cells: Vec<Option<usize>>,
    /// Per measure, the value of each row in grid units; `None` for null and NaN.
    pub(crate) values: Vec<Vec<Option<i64>>>,
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoded(withheld)")
    }
}

impl OutputSchema {
    /// The schema of a route-A table; `rows_max` is the contract's reserved limit.
    ///
    /// # Errors
    /// `gate.table` when a domain is empty, repeats a key or mixes types, or when
    /// the number of cells overflows.
    pub fn of(table: &TableA, rows_max: u32) -> Result<Self, Refusal> {
        Self::new(&table.name, &table.dimensions, &table.measures, rows_max)
    }

    /// The schema of a table of these dimensions and measures.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn new(
        table: &str,
        dimensions: &[Dimension],
        measures: &[MeasureA],
        rows_max: u32,
    ) -> Result<Self, Refusal> {
        let bad = || {
            refusals::bad_table(
                table,
                "维度的代码表为空、重复或类型不一",
                "a dimension's code list is empty, repeats a key or mixes types",
            )
        };
        let cells = dimensions.iter().try_fold(1usize, |n, d| n.checked_mul(d.domain.len()));
        let cells = cells.ok_or_else(|| refusals::overflow(table))?;
        let dimensions = dimensions.iter().map(|d| codes(d).ok_or_else(bad)).collect::<Result<Vec<_>, Refusal>>()?;
        Ok(Self { dimensions, grids: measures.iter().map(|m| m.grid).collect(), cells, rows_max })
    }

    /// Number of cells of the declared domain.
    pub fn cells(&self) -> usize {
        self.cells
    }
}

/// Decodes one invocation's output; `None` when any part of it is malformed.
pub fn decode(raw: &RawBatch, schema: &OutputSchema) -> Option<Decoded> {
    let arity = schema.dimensions.len() + schema.grids.len();
    if raw.rows > schema.rows_max || raw.columns.len() != arity {
        return None;
    }
    let rows = usize::try_from(raw.rows).ok()?;
    let (keys, measures) = raw.columns.split_at_checked(schema.dimensions.len())?;
    // Before anything is allocated: the claimed rows must be there in bytes.
    let claimed = rows.checked_mul(8)?;
    if measures.is_empty() || measures.iter().any(|column| column.data.len() != claimed) {
        return None;
    }
    let mut cells = vec![Some(0usize); rows];
    for (codes, column) in schema.dimensions.iter().zip(keys) {
        let positions = codes.positions(column, rows)?;
        for (cell, position) in cells.iter_mut().zip(positions) {
            // Row-major: the last dimension varies fastest. The product was
            // checked when the schema was built, so this stays below `cells`.
            *cell = match (*cell, position) {
                (Some(c), Some(p)) => c.checked_mul(codes.len()).and_then(|c| c.checked_add(p)),
                _ => None,
            };
        }
    }
    let values = schema
        .grids
        .iter()
        .zip(measures)
        .map(|(grid, column)| {
            let numbers = words(column, rows)?.map(|word| word.map(f64::from_le_bytes));
            Some(numbers.map(|v| v.and_then(|v| to_grid(v, *grid))).collect())
        })
        .collect::<Option<Vec<Vec<Option<i64>>>>>()?;
    Some(Decoded { cells, values })
}

/// The nearest multiple of 1/grid, in grid units. Saturates; NaN is no value.
pub(crate) fn to_grid(value: f64, grid: u32) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
    let units = (value * f64::from(grid)).round() as i64;
    (!value.is_nan()).then_some(units)
}

fn codes(dimension: &Dimension) -> Option<Codes> {
    let keys = || dimension.domain.iter().map(|(key, _)| key).enumerate();
    let ints: HashMap<i64, usize> =
        keys().filter_map(|(i, k)| if let Key::Int(n) = k { Some((*n, i)) } else { None }).collect();
    let texts: HashMap<String, usize> =
        keys().filter_map(|(i, k)| if let Key::Text(s) = k { Some((s.clone(), i)) } else { None }).collect();
    let n = dimension.domain.len();
    match (ints.len(), texts.len()) {
        (_, 0) if n > 0 && ints.len() == n => Some(Codes::Int(ints)),
        (0, _) if n > 0 && texts.len() == n => Some(Codes::Text(texts)),
        _ => None,
    }
}

impl Codes {
    fn len(&self) -> usize {
        match self {
            Self::Int(codes) => codes.len(),
            Self::Text(codes) => codes.len(),
        }
    }

    /// The position of each row's key in the declared domain; `None` for a null
    /// or an undeclared key.
    fn positions(&self, column: &RawColumn, rows: usize) -> Option<Vec<Option<usize>>> {
        match self {
            Self::Int(codes) => Some(
                words(column, rows)?
                    .map(|word| word.and_then(|w| codes.get(&i64::from_le_bytes(w)).copied()))
                    .collect(),
            ),
            Self::Text(codes) => {
                Some(texts(column, rows)?.into_iter().map(|t| t.and_then(|t| codes.get(t).copied())).collect())
            }
        }
    }
}

/// Fixed-width values, eight bytes each; nulls are `None` whatever lies under them.
pub(crate) fn words(column: &RawColumn, rows: usize) -> Option<impl Iterator<Item = Option<[u8; 8]>>> {
    let valid = validity(column, rows)?;
    if column.offsets.is_some() || column.data.len() != rows.checked_mul(8)? {
        return None;
    }
    let (chunks, _) = column.data.as_chunks::<8>();
    Some(chunks.iter().zip(valid).map(|(word, valid)| valid.then_some(*word)))
}

/// Text values; the whole column must be UTF-8 and every offset in order.
pub(crate) fn texts(column: &RawColumn, rows: usize) -> Option<Vec<Option<&str>>> {
    let valid = validity(column, rows)?;
    let offsets = column.offsets.as_deref()?;
    if rows == 0 {
        // Arrow allows an empty offsets buffer for an empty array.
        return (column.data.is_empty() && matches!(offsets, [] | [0, 0, 0, 0])).then(Vec::new);
    }
    if offsets.len() != rows.checked_add(1)?.checked_mul(4)? {
        return None;
    }
    let (chunks, _) = offsets.as_chunks::<4>();
    let bounds = chunks.iter().map(|c| usize::try_from(i32::from_le_bytes(*c)).ok()).collect::<Option<Vec<usize>>>()?;
    if bounds.first() != Some(&0) || bounds.last() != Some(&column.data.len()) {
        return None;
    }
    let whole = std::str::from_utf8(&column.data).ok()?;
    bounds
        .windows(2)
        .zip(valid)
        .map(|(pair, valid)| {
            let [from, to] = *pair else { return None };
            // `get` refuses ranges that run backwards or cut a character.
            let text = whole.get(from..to)?;
            Some(valid.then_some(text))
        })
        .collect()
}

/// One flag per row. The bitmap must have the right length and as many zeros as
/// the guest claims nulls.
fn validity(column: &RawColumn, rows: usize) -> Option<Vec<bool>> {
    let Some(bitmap) = &column.validity else {
        return (column.nulls == 0).then(|| vec![true; rows]);
    };
    if bitmap.len() != rows.div_ceil(8) {
        return None;
    }
    let bits: Vec<bool> =
        bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).take(rows).collect();
    let nulls = bits.iter().filter(|valid| !**valid).count();
    (u32::try_from(nulls) == Ok(column.nulls)).then_some(bits)
}

#[cfg(test)]
mod tests;
