//! What a tabulation knows about each cell of route C before any rule is applied.

use std::{collections::HashMap, fmt};

use roaring::RoaringBitmap;

/// True statistics of every cell of one table: inside the domain only.
/// One entry per cell that holds at least one row; absent cells are empty.
pub struct Cells {
    /// The cells, keyed by indices into the declared domains; `None` is the
    /// margin over that dimension.
    cells: Vec<(CellKey, CellStats)>,
    /// The rows of every inner cell by their hidden numbers: at most about two bytes
    /// a row, and a few dozen bytes per cell and 65 536 rows.
    rows: HashMap<CellKey, RoaringBitmap>,
}

/// Indices into the declared domains of a table's dimensions; `None` for a margin.
pub type CellKey = Vec<Option<u32>>;

/// Statistics of one cell.
#[derive(Default)]
pub struct CellStats {
    /// Rows.
    pub rows: u64,
    /// Distinct privacy units with a row.
    pub units: u64,
    /// One entry per measure of the table, in SELECT order (the entries of counts
    /// of rows and of units have no column and are left at their default).
    pub measures: Vec<MeasureStats>,
}

/// Statistics of one measure column in one cell. Contributions are summed per
/// unit inside the cell first; a unit counts when it has a non-null value.
#[derive(Default, Clone, Copy)]
pub struct MeasureStats {
    /// Rows with a value.
    pub count: u64,
    /// Units with a value.
    pub units: u64,
    /// Sum over rows.
    pub sum: f64,
    /// Sum of the absolute values of the units' contributions.
    pub abs_sum: f64,
    /// The two largest contributions by absolute value.
    pub top: [f64; 2],
    /// Sum of the n largest absolute contributions, n of the rule pack.
    pub top_n_sum: f64,
    /// Whether any row's value is negative.
    pub any_negative: bool,
    /// Whether all units' contributions are the same value.
    pub all_same: bool,
    /// The squares of the values, where a variance was asked for.
    pub squares: Option<Squares>,
    /// The quantile of the units' contributions, rounded, where it was asked for.
    pub quantile: Option<f64>,
}

/// The squares of a measure column's values in one cell; a unit contributes the sum
/// over its rows.
#[derive(Default, Clone, Copy)]
pub struct Squares {
    /// Sum over rows.
    pub sum: f64,
    /// The two largest contributions.
    pub top: [f64; 2],
    /// Sum of the n largest contributions, n of the rule pack.
    pub top_n_sum: f64,
    /// Whether all units' contributions are the same value.
    pub all_same: bool,
    /// Sum of the squared deviations of the rows' values from their mean.
    pub deviations: f64,
}

/// Whether a unit counts whose contribution to a measure is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// It has a value.
    Count,
    /// It does not: the measure was derived.
    Skip,
}

impl Cells {
    /// Takes the result of a tabulation into custody.
    pub fn new(cells: Vec<(CellKey, CellStats)>, rows: HashMap<CellKey, RoaringBitmap>) -> Self {
        Self { cells, rows }
    }

    /// The rows of a cell; those of a margin are the union over its inner cells.
    pub fn rows(&self, key: &CellKey) -> RoaringBitmap {
        if let Some(rows) = self.rows.get(key) {
            return rows.clone();
        }
        let inside = |inner: &CellKey| key.iter().zip(inner).all(|(part, code)| part.is_none() || part == code);
        self.rows.iter().filter(|(inner, _)| inside(inner)).fold(RoaringBitmap::new(), |all, (_, rows)| all | rows)
    }

    /// The cells, for the gate.
    pub fn iter(&self) -> impl Iterator<Item = &(CellKey, CellStats)> {
        self.cells.iter()
    }
}

/// All rows of a snapshot as the release ledger needs them: inside the domain only.
pub struct SnapshotRows {
    /// Of each row, the hidden number of its unit, ascending: the same in every snapshot.
    pub units: Vec<u64>,
    /// Of each row, a digest of every column that the run may see.
    pub contents: Vec<u64>,
    /// Of each column asked for, each row's value, if it has one.
    pub columns: Vec<Vec<Option<f64>>>,
    /// Of each column, whether a unit counts whose contribution is zero.
    pub zeros: Vec<Zeros>,
}

impl fmt::Debug for SnapshotRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotRows(withheld)")
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cells(withheld)")
    }
}
