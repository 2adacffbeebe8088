//! A regression tree of doctor visits (CART: least squares, greedy, three levels), grown
//! over the rows of everybody at once: route D. What comes out is the tree itself, in the
//! form that the host reads; rows stay inside.
//!
//! It needs no randomness: the same rows give the same tree. Features are small whole
//! numbers, so a split is found by counting, in one pass per node.
#![forbid(unsafe_code)]

use sluice_guest::{Dimension, Error, Output, Room};

/// Columns that explain, in the contract's order.
const FEATURES: [&str; 4] = ["coins", "female", "site", "year"];
/// Levels below the root; so fifteen nodes.
const DEPTH: u32 = 3;
/// Nodes of a full tree.
const NODES: usize = 15;
/// Fewest rows of a leaf; nobody has more than five.
const LEAF_ROWS: usize = 500;
/// Visits of a year beyond this count as this: one wrong number must not make the tree.
const VISITS_MAX: i64 = 100;
/// Values of a feature are 0 to 100.
const VALUES: usize = 101;

/// One year of one person: features, and visits.
type Year = ([u8; FEATURES.len()], f64);

/// A node; a leaf where nothing splits it.
#[derive(Clone, Copy, Default)]
struct Node {
    split: Option<Split>,
    value: f64,
}

#[derive(Clone, Copy)]
struct Split {
    feature: usize,
    threshold: u8,
    left: usize,
}

/// The tree of all rows; `leaf_rows` among the parameters says another fewest.
///
/// # Errors
/// When the input lacks a column, or has no row.
pub fn tree(room: &Room) -> Result<Output<1, 5>, Error> {
    let leaf_rows = match room.param("leaf_rows") {
        Some(word) => word.parse().map_err(|_| Error::new("leaf_rows is a number"))?,
        None => LEAF_ROWS,
    };
    let years = read(room)?;
    if years.is_empty() {
        return Err(Error::new("there is no row"));
    }
    let mut out = Output::new([Dimension::int("node")], ["feature", "left", "right", "threshold", "value"]);
    for (number, node) in (0i64..).zip(grown(years, leaf_rows)) {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let [feature, left, right, threshold] = node.split.map_or([-1.0, -1.0, -1.0, 0.0], |split| {
            [split.feature as f64, split.left as f64, (split.left + 1) as f64, f64::from(split.threshold)]
        });
        out.add([number.into()], [feature, left, right, threshold, node.value])?;
    }
    Ok(out)
}

/// The rows in which nothing is missing.
fn read(room: &Room) -> Result<Vec<Year>, Error> {
    let rows = room.rows()?;
    let [coins, female, site, year] = FEATURES;
    let features = rows.i64(coins)?.zip(rows.i64(female)?).zip(rows.i64(site)?.zip(rows.i64(year)?));
    let years = features.zip(rows.i64("mdvis")?).filter_map(|(((coins, female), (site, year)), visits)| {
        let whole = |value: Option<i64>| u8::try_from(value?).ok().filter(|v| usize::from(*v) < VALUES);
        #[expect(clippy::cast_precision_loss, reason = "a number of visits")]
        let visits = visits?.clamp(0, VISITS_MAX) as f64;
        Some(([whole(coins)?, whole(female)?, whole(site)?, whole(year)?], visits))
    });
    Ok(years.collect())
}

/// Splits node after node, level by level, while it makes the squares smaller.
fn grown(years: Vec<Year>, leaf_rows: usize) -> [Node; NODES] {
    let mut nodes = [Node::default(); NODES];
    let (mut level, mut free) = (vec![(0, years)], 1);
    for depth in 0..=DEPTH {
        let mut next = Vec::new();
        for (at, years) in level {
            let split = if depth < DEPTH { best(&years, leaf_rows) } else { None };
            if let Some(node) = nodes.get_mut(at) {
                node.split = split.map(|(feature, threshold)| Split { feature, threshold, left: free });
                // The host takes no number that no prediction reads: only a leaf has a value.
                node.value = if split.is_some() { 0.0 } else { total(&years) / size(years.len()).max(1.0) };
            }
            if let Some((feature, threshold)) = split {
                let goes_left = |year: &Year| year.0.get(feature).is_some_and(|value| *value <= threshold);
                let (left, right) = years.into_iter().partition(goes_left);
                next.extend([(free, left), (free + 1, right)]);
                free += 2;
            }
        }
        level = next;
    }
    nodes
}

/// The feature and threshold that leave the least squares, if any make them smaller and
/// leave rows enough on both sides.
fn best(years: &[Year], leaf_rows: usize) -> Option<(usize, u8)> {
    let (all, sum) = (years.len(), total(years));
    // Σ(y − mean)² = Σy² − (Σy)²/n: what a split changes is the last term alone.
    let mut most = sum * sum / size(all);
    let mut found = None;
    for feature in 0..FEATURES.len() {
        let mut bins = [(0usize, 0.0f64); VALUES];
        for (features, visits) in years {
            if let Some((count, sum)) = features.get(feature).and_then(|v| bins.get_mut(usize::from(*v))) {
                *count += 1;
                *sum += visits;
            }
        }
        let (mut left, mut left_sum) = (0, 0.0);
        for (threshold, (count, sum_here)) in (0u8..).zip(&bins) {
            left += count;
            left_sum += sum_here;
            if *count == 0 || left < leaf_rows || all - left < leaf_rows.max(1) {
                continue;
            }
            let right_sum = sum - left_sum;
            let gain = left_sum * left_sum / size(left) + right_sum * right_sum / size(all - left);
            if gain > most + 1e-9 {
                (most, found) = (gain, Some((feature, threshold)));
            }
        }
    }
    found
}

fn total(years: &[Year]) -> f64 {
    years.iter().map(|(_, visits)| visits).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a number of rows")]
fn size(rows: usize) -> f64 {
    rows as f64
}

sluice_guest::inner!(tree);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::allow_attributes, reason = "tests may fail loudly")]
mod tests {
    use sluice_guest::{Column, Room, Rows};

    use super::tree;

    /// Visits are 4 where it is free, 1 where it is not, and 2 more for women.
    fn room(params: &[(&str, &str)]) -> Room {
        let years: Vec<[i64; 5]> = (0..400)
            .map(|i| {
                let (coins, female) = (if i % 2 == 0 { 0 } else { 95 }, i / 2 % 2);
                [coins, female, 1 + i % 6, 1 + i % 5, if coins == 0 { 4 } else { 1 } + 2 * female]
            })
            .collect();
        let column = |c: usize| Column::Int(years.iter().map(|y| y.get(c).copied()).collect());
        let names = ["coins", "female", "site", "year", "mdvis"];
        let columns = names.into_iter().enumerate().map(|(c, name)| (name, column(c))).collect();
        Room::of(params, vec![("claims", Rows::of(columns).unwrap())])
    }

    #[test]
    fn what_explains_most_splits_first() {
        let out = tree(&room(&[("leaf_rows", "50")])).unwrap();
        let nodes: Vec<[f64; 5]> = out.rows().iter().map(|(_, values)| *values).collect();
        assert_eq!(nodes.len(), 15);
        assert_eq!(nodes.first(), Some(&[0.0, 1.0, 2.0, 0.0, 0.0]));
        assert_eq!(nodes.get(1), Some(&[1.0, 3.0, 4.0, 0.0, 0.0]));
        assert_eq!(nodes.get(3), Some(&[-1.0, -1.0, -1.0, 0.0, 4.0]));
    }

    #[test]
    fn leaves_keep_their_rows() {
        let out = tree(&room(&[])).unwrap();
        assert!(out.rows().iter().all(|(_, [feature, ..])| feature.to_bits() == (-1.0f64).to_bits()));
        assert!(tree(&room(&[("leaf_rows", "x")])).is_err());
    }
}
