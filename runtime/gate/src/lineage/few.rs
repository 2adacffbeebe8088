//! Combinations of the rows of a few units, however many atoms they lie in.
//!
//! Where people have several rows, the rows of two of them may lie in six atoms, and a
//! margin minus six cells shows them. For a set U of fewer than k units, let A be the
//! atoms all of whose units are in U. Something about U follows from the published sets
//! exactly when a non-zero vector over A lies in their span, that is, when the columns of
//! A in a basis of the null space are linearly dependent. As many random null vectors as
//! there are atoms stand for the basis ([`World`]; a false yes has odds of about 2⁻⁶⁰).
//!
//! The sets U are the units of small atoms, and unions of those that share a unit, up to
//! a limit. Units that share no atom's rows are for the unions of atoms.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use super::{
    People,
    refine::{Refinement, World},
};
use crate::route_c::span::{P, Sparse, inverse, times};

/// Most sets of units that are looked at.
const SETS_MAX: usize = 2_000;

/// Most atoms of one set of units, and so most null vectors.
pub(super) const ATOMS_MAX: usize = 24;

/// Small atoms by the units in them.
pub(super) struct Few {
    /// Atoms with fewer than k units.
    atoms: Vec<(u32, RoaringBitmap)>,
    /// Positions in `atoms` by unit.
    of_unit: BTreeMap<u32, Vec<usize>>,
}

impl Few {
    /// The small atoms; none if nobody is in two atoms.
    pub(super) fn of(refined: &Refinement, people: &People<'_>) -> Option<Self> {
        let units = (0u32..).zip(&refined.atoms).map(|(i, atom)| (i, people.data.unit_set(atom)));
        let atoms: Vec<(u32, RoaringBitmap)> = units.filter(|(_, units)| units.len() < people.k()).collect();
        let mut of_unit: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, (_, units)) in atoms.iter().enumerate() {
            for unit in units {
                of_unit.entry(unit).or_default().push(at);
            }
        }
        of_unit.values().any(|atoms| atoms.len() > 1).then_some(Self { atoms, of_unit })
    }

    /// Vectors over few units that follow in all `after` and not in `before`, and whether
    /// all sets of units were looked at.
    pub(super) fn told(&self, before: &World, after: &[World], people: &People<'_>) -> (Vec<Sparse>, bool) {
        let (sets, mut complete) = self.unit_sets(people.k());
        let mut found = Vec::new();
        for units in sets {
            let inside = self.inside(&units);
            if inside.len() > after.len() {
                complete = false;
                continue;
            }
            let rows = after.iter().take(inside.len() + 1);
            let matrix = rows.map(|world| inside.iter().map(|atom| world.of(*atom as usize)).collect()).collect();
            for vector in kernel(matrix, inside.len()) {
                let vector: Sparse = inside.iter().copied().zip(vector).filter(|(_, c)| *c != 0).collect();
                let sum = vector.iter().fold(0, |sum, (atom, c)| (sum + times(*c, before.of(*atom as usize))) % P);
                if sum != 0 {
                    found.push(vector);
                }
            }
        }
        (found, complete)
    }

    /// The units of small atoms, and of those that share a unit, while fewer than k.
    fn unit_sets(&self, k: u64) -> (BTreeSet<Vec<u32>>, bool) {
        let mut sets: BTreeSet<Vec<u32>> = BTreeSet::new();
        let mut open: Vec<RoaringBitmap> = self.atoms.iter().map(|(_, units)| units.clone()).collect();
        while let Some(units) = open.pop() {
            if !sets.insert(units.iter().collect()) {
                continue;
            }
            if sets.len() > SETS_MAX {
                return (sets, false);
            }
            let near = units.iter().filter_map(|unit| self.of_unit.get(&unit)).flatten();
            let near: BTreeSet<usize> = near.copied().collect();
            let grown = near.into_iter().filter_map(|at| self.atoms.get(at)).map(|(_, more)| &units | more);
            open.extend(grown.filter(|grown| grown.len() < k && grown.len() > units.len()));
        }
        (sets, true)
    }

    /// The small atoms that hold nobody else, ascending.
    fn inside(&self, units: &[u32]) -> Vec<u32> {
        let all: RoaringBitmap = units.iter().collect();
        let near = units.iter().filter_map(|unit| self.of_unit.get(unit)).flatten();
        let near: BTreeSet<usize> = near.copied().collect();
        let atoms = near.into_iter().filter_map(|at| self.atoms.get(at));
        atoms.filter(|(_, of)| of.is_subset(&all)).map(|(atom, _)| *atom).collect()
    }
}

/// A basis of the vectors that every row of `matrix` sends to zero modulo [`P`].
fn kernel(mut matrix: Vec<Vec<u64>>, width: usize) -> Vec<Vec<u64>> {
    let mut pivots: Vec<usize> = Vec::new();
    for column in 0..width {
        let rank = pivots.len();
        let entry = |row: &[u64]| row.get(column).copied().unwrap_or(0);
        let Some(at) = (rank..matrix.len()).find(|i| matrix.get(*i).is_some_and(|row| entry(row) != 0)) else {
            continue;
        };
        matrix.swap(rank, at);
        let Some(pivot) = matrix.get(rank).cloned() else { continue };
        let scale = inverse(entry(&pivot));
        let pivot: Vec<u64> = pivot.into_iter().map(|c| times(c, scale)).collect();
        for (i, row) in matrix.iter_mut().enumerate() {
            let factor = P - entry(row);
            if i == rank {
                row.clone_from(&pivot);
            } else if factor != P {
                row.iter_mut().zip(&pivot).for_each(|(c, p)| *c = (*c + times(factor, *p)) % P);
            }
        }
        pivots.push(column);
    }
    let free = (0..width).filter(|column| !pivots.contains(column));
    let vector = |column: usize| {
        let mut vector = vec![0; width];
        if let Some(own) = vector.get_mut(column) {
            *own = 1;
        }
        for (pivot, row) in pivots.iter().zip(&matrix) {
            if let (Some(slot), Some(c)) = (vector.get_mut(*pivot), row.get(column)) {
                *slot = (P - c) % P;
            }
        }
        vector
    };
    free.map(vector).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_what_every_row_sends_to_zero() {
        let matrix = vec![vec![1, 1, 0, 2], vec![0, 1, 1, 0], vec![1, 2, 1, 2]];
        let found = kernel(matrix.clone(), 4);
        assert_eq!(found.len(), 2);
        for vector in found {
            for row in &matrix {
                let sum = row.iter().zip(&vector).fold(0, |sum, (a, b)| (sum + times(*a, *b)) % P);
                assert_eq!(sum, 0);
            }
        }
        assert!(kernel(vec![vec![1, 0], vec![1, 1]], 2).is_empty());
    }
}
