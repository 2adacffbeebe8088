//! Partition refinement, and which sets of rows follow from published ones.
//!
//! Rows that lie in exactly the same sets form an *atom*: no combination of the sets
//! can tell them apart. A set of atoms follows from the published sets exactly when
//! its indicator lies in their span. To decide that for many sets at once we draw one
//! vector of the null space modulo 2⁶¹ − 1, a *world* that nobody can tell from the
//! true one by what is published: a set follows if and only if its world sum is zero
//! (one-sided: a false yes has odds of 2⁻⁶¹, a false no is impossible).

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use crate::route_c::span::{P, Sparse, indicator, inverse, plus, times};

/// The atoms of some sets of rows.
pub(super) struct Refinement {
    /// The rows of each atom.
    pub(super) atoms: Vec<RoaringBitmap>,
    /// The atoms of each set, ascending.
    pub(super) of_set: Vec<Vec<u32>>,
}

impl Refinement {
    /// Cuts the rows of `sets` into atoms.
    pub(super) fn of(sets: &[&RoaringBitmap]) -> Self {
        let rows = sets.iter().filter_map(|set| set.max()).max().map_or(0, |row| row as usize + 1);
        let mut signatures = vec![0u128; rows];
        for (token, set) in (1u64..).zip(sets) {
            let token = u128::from(mix(token)) << 64 | u128::from(mix(token ^ u64::MAX));
            for row in *set {
                if let Some(signature) = signatures.get_mut(row as usize) {
                    *signature ^= token;
                }
            }
        }
        let mut atoms: Vec<RoaringBitmap> = Vec::new();
        let mut numbers: HashMap<u128, usize> = HashMap::new();
        for (row, signature) in (0u32..).zip(signatures).filter(|(_, signature)| *signature != 0) {
            let number = *numbers.entry(signature).or_insert(atoms.len());
            match atoms.get_mut(number) {
                Some(atom) => {
                    atom.insert(row);
                }
                None => atoms.push(RoaringBitmap::from_iter([row])),
            }
        }
        let inside = |set: &&RoaringBitmap| {
            let held = (0u32..).zip(&atoms).filter(|(_, atom)| atom.min().is_some_and(|row| set.contains(row)));
            held.map(|(i, _)| i).collect()
        };
        let of_set = sets.iter().map(inside).collect();
        Self { atoms, of_set }
    }
}

/// Published sets, eliminated.
#[derive(Default)]
pub(super) struct Published {
    basis: BTreeMap<u32, Sparse>,
}

impl Published {
    /// Publishes one more set of atoms.
    pub(super) fn add(&mut self, atoms: &[u32]) {
        let mut rest = indicator(atoms);
        while let Some((lead, coefficient)) = rest.first().copied() {
            let Some(row) = self.basis.get(&lead) else {
                self.basis.insert(lead, rest);
                return;
            };
            let scale = row.first().map_or(1, |(_, c)| *c);
            rest = plus(&rest, row, times(P - coefficient, inverse(scale)), |_| ());
        }
    }

    /// A world over `atoms` atoms in which every published sum is zero.
    pub(super) fn world(&self, atoms: usize) -> World {
        self.another_world(atoms, 0)
    }

    /// Worlds of different numbers are independent of each other.
    pub(super) fn another_world(&self, atoms: usize, number: u64) -> World {
        let seed = mix(number).wrapping_add(0x5_1CE);
        let mut values: Vec<u64> = (0u64..).take(atoms).map(|i| mix(i.wrapping_add(seed)) % P).collect();
        for (lead, row) in self.basis.iter().rev() {
            let rest = row.iter().skip(1).fold(0, |sum, (atom, coefficient)| {
                let value = values.get(*atom as usize).copied().unwrap_or(0);
                (sum + times(*coefficient, value)) % P
            });
            let scale = row.first().map_or(1, |(_, c)| *c);
            if let Some(value) = values.get_mut(*lead as usize) {
                *value = times((P - rest) % P, inverse(scale));
            }
        }
        World { values }
    }
}

/// One value per atom: see the module's text.
pub(super) struct World {
    values: Vec<u64>,
}

impl World {
    /// The value of one atom.
    pub(super) fn of(&self, atom: usize) -> u64 {
        self.values.get(atom).copied().unwrap_or(0)
    }

    /// Whether the sum over `atoms` follows from what is published.
    pub(super) fn tells(&self, atoms: impl IntoIterator<Item = u32>) -> bool {
        atoms.into_iter().fold(0, |sum, atom| (sum + self.of(atom as usize)) % P) == 0
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: std::ops::Range<u32>) -> RoaringBitmap {
        rows.collect()
    }

    #[test]
    fn overlapping_sets_are_cut_into_atoms() {
        let (a, b) = (set(0..10), set(5..20));
        let refined = Refinement::of(&[&a, &b]);
        let sizes: Vec<u64> = refined.atoms.iter().map(RoaringBitmap::len).collect();
        assert_eq!(sizes, [5, 5, 10]);
        assert_eq!(refined.of_set, [vec![0, 1], vec![1, 2]]);
    }

    #[test]
    fn what_follows_and_what_does_not() {
        let mut published = Published::default();
        published.add(&[0, 1, 2]);
        published.add(&[0, 1]);
        published.add(&[3, 4]);
        published.add(&[0, 3]);
        let world = published.world(5);
        assert!(world.tells([2]));
        assert!(world.tells([0, 1, 2]));
        assert!(world.tells([0, 1, 3, 4]));
        assert!(!world.tells([0]));
        assert!(world.tells([1, 2, 4]));
        assert!(!world.tells([1, 2]));
        assert!(!world.tells([0, 1, 3]));
    }
}
