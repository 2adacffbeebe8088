//! Several snapshots of one dataset on one numbering of rows.
//!
//! A unit has the same hidden number in every snapshot. A row that a later snapshot
//! holds unchanged, as far as the run may see it, keeps its number; what was changed,
//! added or removed is a row of its own. So a number that was cleared on an earlier
//! snapshot is a set of rows here like any other, and whatever adds up on one snapshot
//! adds up over all of them: rows are paired only where their values are equal.

use std::collections::HashMap;

use roaring::RoaringBitmap;
use sluice_rows::cells::{SnapshotRows, Zeros};

/// Rows of all snapshots, a unit's rows adjacent.
pub(super) struct Joined {
    /// Of each row, its unit, numbered from 0.
    pub(super) units: Vec<u32>,
    /// Of each column, each row's value.
    pub(super) columns: Vec<Vec<Option<f64>>>,
    /// Of each column, whether a unit counts whose contribution is zero.
    pub(super) zeros: Vec<Zeros>,
    /// Per snapshot, in the order given, the new number of each of its rows.
    pub(super) numbers: Vec<Renumbered>,
    /// Rows that are gone, each with a changed row of the same unit in the first snapshot:
    /// a count of rows is the same of either.
    pub(super) replaced: HashMap<u32, u32>,
}

/// The new number of each row of one snapshot.
pub(super) enum Renumbered {
    /// There is one snapshot only.
    Same,
    /// By the old number.
    To(Vec<u32>),
}

impl Renumbered {
    /// One row under its new number.
    pub(super) fn row(&self, row: u32) -> Option<u32> {
        match self {
            Self::Same => Some(row),
            Self::To(numbers) => numbers.get(row as usize).copied(),
        }
    }

    /// A set of rows under its new numbers.
    pub(super) fn rows(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        match self {
            Self::Same => rows.clone(),
            Self::To(_) => rows.iter().filter_map(|row| self.row(row)).collect(),
        }
    }
}

/// Puts `snapshots`, each with its units ascending, on one numbering.
pub(super) fn join(mut snapshots: Vec<SnapshotRows>) -> Joined {
    let zeros = snapshots.first_mut().map(|s| std::mem::take(&mut s.zeros)).unwrap_or_default();
    let width = snapshots.first().map_or(0, |s| s.columns.len());
    let mut joined = Joined {
        units: Vec::new(),
        columns: vec![Vec::new(); width],
        zeros,
        numbers: Vec::new(),
        replaced: HashMap::new(),
    };
    if let [only] = snapshots.as_mut_slice() {
        joined.units = dense(&only.units);
        joined.columns = std::mem::take(&mut only.columns);
        joined.numbers.push(Renumbered::Same);
        return joined;
    }
    let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); snapshots.len()];
    let mut unit = 0u32;
    loop {
        let next = snapshots.iter().zip(&numbers).filter_map(|(s, done)| s.units.get(done.len()));
        let Some(next) = next.min().copied() else { break };
        // Its rows so far: content, and the last snapshot that took it.
        let mut rows: Vec<(u32, u64, usize)> = Vec::new();
        let mut first = 0;
        for (at, (snapshot, numbers)) in snapshots.iter().zip(&mut numbers).enumerate() {
            while snapshot.units.get(numbers.len()) == Some(&next) {
                let row = numbers.len();
                let content = snapshot.contents.get(row).copied().unwrap_or_default();
                let free = rows.iter_mut().find(|(_, held, taken)| *held == content && *taken != at);
                if let Some((number, _, taken)) = free {
                    *taken = at;
                    numbers.push(*number);
                    continue;
                }
                let number = u32::try_from(joined.units.len()).unwrap_or(u32::MAX);
                rows.push((number, content, at));
                numbers.push(number);
                joined.units.push(unit);
                for (all, column) in joined.columns.iter_mut().zip(&snapshot.columns) {
                    all.push(column.get(row).copied().flatten());
                }
            }
            if at == 0 {
                first = rows.len();
            }
            // What changed is told apart by its values, in the order of the file.
            let (of_first, own) = rows.split_at(first);
            let changed = of_first.iter().filter(|(.., taken)| *taken != at).map(|(number, ..)| *number);
            let gone = own.iter().filter(|(.., taken)| *taken == at).map(|(number, ..)| *number);
            joined.replaced.extend(gone.zip(changed));
        }
        unit = unit.saturating_add(1);
    }
    joined.numbers = numbers.into_iter().map(Renumbered::To).collect();
    joined
}

/// Ascending hidden numbers as 0, 1, 2, …
fn dense(units: &[u64]) -> Vec<u32> {
    let (mut last, mut number) = (None, 0u32);
    let of = |unit: &u64| {
        number += u32::from(last.is_some_and(|last| last != *unit));
        last = Some(*unit);
        number
    };
    units.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(rows: &[(u64, u64)]) -> SnapshotRows {
        SnapshotRows {
            units: rows.iter().map(|(unit, _)| *unit).collect(),
            contents: rows.iter().map(|(_, content)| *content).collect(),
            zeros: vec![Zeros::Count],
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            columns: vec![rows.iter().map(|(_, content)| Some(*content as f64)).collect()],
        }
    }

    #[test]
    fn unchanged_rows_keep_their_number_and_the_rest_get_their_own() {
        let now = snapshot(&[(3, 10), (3, 11), (7, 20), (9, 30)]);
        let before = snapshot(&[(3, 11), (3, 11), (5, 50), (9, 31)]);
        let joined = join(vec![now, before]);
        let of = |i: usize| match &joined.numbers[i] {
            Renumbered::To(numbers) => numbers.clone(),
            Renumbered::Same => vec![],
        };
        // One of the two equal rows is the one that is still there.
        assert_eq!(of(0), [0, 1, 4, 5]);
        assert_eq!(of(1), [1, 2, 3, 6]);
        assert_eq!(joined.units, [0, 0, 0, 1, 2, 3, 3]);
        assert_eq!(joined.replaced, HashMap::from([(2, 0), (6, 5)]));
        assert_eq!(joined.columns[0], [10.0, 11.0, 11.0, 50.0, 20.0, 30.0, 31.0].map(Some));
    }
}
