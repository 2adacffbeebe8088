//! The Merkle tree of RFC 6962 §2.1, kept as the roots of its complete subtrees.
//!
//! Why not `ct_merkle`'s own tree: it holds every entry in memory and cannot take a
//! leaf back when the disk refuses it, whereas this is a copy of at most 64 hashes.
//! The checking side ([`crate::verify`]) uses `ct_merkle`, and the tests here hold
//! the two against each other.

use sha2::{Digest as _, Sha256};
use sluice_domain::Digest;

/// An append-only tree: its size and its root, not its leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    /// Roots of the complete subtrees, largest first: one per 1 bit of `size`.
    peaks: Vec<Digest>,
}

impl Tree {
    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, given as its hash.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        // Each trailing 1 bit of the size is a complete subtree that this leaf completes again.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The Merkle tree hash: of no bytes when empty.
    pub(crate) fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Digest::of(b""),
            Some(last) => peaks.fold(*last, |right, left| parent_hash(left, &right)),
        }
    }
}

impl FromIterator<Digest> for Tree {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

/// Hash of a leaf: SHA-256(0x00 ‖ entry).
pub(crate) fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
fn parent_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::from_bytes(
        Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes()).finalize().into(),
    )
}

/// PATH(m, D) of RFC 6962 §2.1.1, deepest sibling first: what shows that leaf
/// `index` is in the tree over `leaves`. `None` when there is no such leaf.
pub(crate) fn inclusion_path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    let (mut part, mut at, mut path) = (leaves, index, Vec::new());
    part.get(at)?;
    while part.len() > 1 {
        // The largest power of two that is smaller than the number of leaves.
        let (left, right) = part.split_at(part.len().next_power_of_two() / 2);
        let (mine, sibling) = if at < left.len() { (left, right) } else { (right, left) };
        if at >= left.len() {
            at -= left.len();
        }
        path.push(sibling.iter().copied().collect::<Tree>().root());
        part = mine;
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;

    fn bytes(d: &[Digest]) -> Vec<u8> {
        d.iter().flat_map(|d| *d.as_bytes()).collect()
    }

    /// Every size up to 130 crosses all shapes a tree of that height can have.
    #[test]
    fn agrees_with_ct_merkle_on_roots_and_paths() {
        let (mut ours, mut theirs, mut leaves) = (Tree::default(), MemoryBackedTree::<Sha256, Vec<u8>>::new(), vec![]);
        assert_eq!(ours.root().as_bytes().as_slice(), theirs.root().as_bytes().as_slice());
        for i in 0_u8..130 {
            let entry = vec![i; usize::from(i)];
            leaves.push(leaf_hash(&entry));
            ours.push(leaf_hash(&entry));
            theirs.push(entry);
            assert_eq!(ours.size(), theirs.len());
            assert_eq!(ours.root().as_bytes().as_slice(), theirs.root().as_bytes().as_slice(), "size {}", i + 1);
            for at in 0..leaves.len() {
                let path = inclusion_path(&leaves, at).unwrap();
                assert_eq!(bytes(&path), theirs.prove_inclusion(at).as_bytes(), "leaf {at} of {}", leaves.len());
            }
        }
        assert!(inclusion_path(&leaves, leaves.len()).is_none());
    }
}
