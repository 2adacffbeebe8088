//! Route B, sample and aggregate (Nissim, Raskhodnikova and Smith 2007): units are
//! dealt into blocks by a keyed hash, the guest answers once per block, and the
//! clamped answers are averaged with noise, or a private median of them is taken.
//!
//! A unit is in one block, so replacing its rows by none changes one answer, anywhere
//! in its range, for every key at once: Δ₂² = cells · Σ (hi − lo)². That is what a
//! route-A table over blocks has whose contributions are the answers shifted to start
//! at zero, with L0 = all keys ([`TableB::as_sums`]); so reduction, mechanism and
//! noise are route A's, and only the default and the last division are ours.
//!
//! A block whose call fails, or that says nothing of a key, answers the middle of the
//! range there. The divisor is the public number of blocks, never a count of answers.
//!
//! For a median the answers are kept one by one ([`BlockAnswers`]); for a mean they
//! are added up at once.

use sluice_domain::{
    Digest, Refusal,
    contract::{Combine, MeasureA, TableA, TableB},
};

use crate::{
    answer::Answer,
    intake::{OutputSchema, RawBatch, decode},
    refusals,
    route_a::PreNoise,
};

/// Most block answers that one table may come to hold.
const ANSWERS_MAX: usize = 1 << 22;

/// Adds up the answers of route B, one block at a time.
pub struct Reducer {
    table: TableB,
    sums: TableA,
    schema: OutputSchema,
    /// Cell-major, then measure; of answers shifted to start at zero.
    kept: Kept,
    answered: u32,
}

/// What is kept of the answers for each number of the table.
enum Kept {
    Sums(Vec<i128>),
    Blocks(Vec<Vec<i64>>),
}

/// The exact answers of all blocks to a table of medians, shifted to start at zero.
/// They leave as a keyed commitment, or through [`crate::noise::medians`], once.
pub struct BlockAnswers {
    table: TableB,
    /// Per number, cell-major, then measure: one answer a block, in ascending order, so
    /// that it does not matter which room a block was in.
    answers: Vec<Vec<i64>>,
}

impl Reducer {
    /// A reducer for `table`, whose blocks may each put out at most `rows_max` rows.
    ///
    /// # Errors
    /// `gate.table` when the contract cannot be kept.
    pub fn new(table: &TableB, rows_max: u32) -> Result<Self, Refusal> {
        let sums = table.as_sums().ok_or_else(|| refusals::overflow(&table.name))?;
        // Route A's own conditions: ranges, grids, sums below 2⁶², the table's size.
        crate::route_a::Reducer::new(&sums, u64::from(table.blocks), rows_max)?;
        let schema = OutputSchema::of(&sums, rows_max)?;
        let numbers = schema.cells() * sums.measures.len();
        let kept = match table.combine {
            Combine::Mean => Kept::Sums(vec![0; numbers]),
            Combine::Median => {
                let blocks = usize::try_from(table.blocks).unwrap_or(usize::MAX);
                if numbers.checked_mul(blocks).is_none_or(|n| n > ANSWERS_MAX) {
                    return Err(refusals::overflow(&table.name));
                }
                Kept::Blocks(vec![Vec::new(); numbers])
            }
        };
        Ok(Self { table: table.clone(), sums, schema, kept, answered: 0 })
    }

    /// Adds one block's answer; `None` is a block that failed.
    pub fn add(&mut self, output: Option<&RawBatch>) {
        self.answered = self.answered.saturating_add(1);
        let measures = self.table.measures.len();
        let mut said: Vec<Option<i128>> = vec![None; self.schema.cells() * measures];
        if let Some(decoded) = output.and_then(|raw| decode(raw, &self.schema)) {
            for (row, cell) in decoded.cells.iter().enumerate() {
                let Some(cell) = cell else { continue };
                for (slot, values) in said.iter_mut().skip(cell * measures).zip(&decoded.values) {
                    if let Some(value) = values.get(row).copied().flatten() {
                        *slot = Some(slot.unwrap_or(0) + i128::from(value));
                    }
                }
            }
        }
        let ranges = self.table.measures.iter().cycle();
        let shifted = said.into_iter().zip(ranges).map(|(said, m)| {
            said.map_or_else(|| default(m), |v| v.clamp(i128::from(m.lo), i128::from(m.hi)) - i128::from(m.lo))
        });
        self.kept.add(shifted);
    }

    /// Takes up what another reducer of the same table added.
    ///
    /// # Errors
    /// `gate.host-fault` when it is of another table.
    pub fn merge(mut self, other: Self) -> Result<Self, Refusal> {
        if self.table != other.table {
            return Err(refusals::host_fault(&self.table.name, "合并的不是同一张表", "another table's answers"));
        }
        self.answered = self.answered.saturating_add(other.answered);
        self.kept.merge(other.kept);
        Ok(self)
    }

    /// The exact answer. Blocks that were never called, because no unit fell into
    /// them, answer the default.
    ///
    /// # Errors
    /// `gate.host-fault` when more blocks answered than there are.
    pub fn finish(mut self) -> Result<Answer, Refusal> {
        let fault =
            || refusals::host_fault(&self.table.name, "作答的块多于合约所定", "more blocks answered than there are");
        let silent = self.table.blocks.checked_sub(self.answered).ok_or_else(fault)?;
        for _ in 0..silent {
            self.kept.add(self.table.measures.iter().cycle().map(default));
        }
        match self.kept {
            Kept::Sums(sums) => PreNoise::of(&self.sums, u64::from(self.table.blocks), &sums).map(Answer::Sums),
            Kept::Blocks(mut answers) => {
                answers.iter_mut().for_each(|number| number.sort_unstable());
                Ok(Answer::Blocks(BlockAnswers { table: self.table, answers }))
            }
        }
    }
}

impl Kept {
    /// One block's answers, one a number.
    fn add(&mut self, answers: impl Iterator<Item = i128>) {
        match self {
            Self::Sums(sums) => sums.iter_mut().zip(answers).for_each(|(sum, x)| *sum += x),
            // A range of i64 fits an i64 once the contract is frozen: `as_sums` checks it.
            Self::Blocks(blocks) => {
                blocks.iter_mut().zip(answers).for_each(|(b, x)| b.push(i64::try_from(x).unwrap_or(i64::MAX)))
            }
        }
    }

    /// Another room's; both are of the same table.
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Sums(a), Self::Sums(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
            (Self::Blocks(a), Self::Blocks(b)) => a.iter_mut().zip(b).for_each(|(a, b)| a.extend(b)),
            _ => {}
        }
    }
}

impl BlockAnswers {
    /// Commits to the answers with a keyed function; see [`PreNoise::commitment`].
    pub fn commitment(&self, commit: &dyn Fn(&[u8]) -> Digest) -> Digest {
        let (name, blocks) = (&self.table.name, self.table.blocks);
        let head = format!("sluice block answers v1\n{name}\n{blocks}\n{}\n", self.answers.len());
        let mut bytes = head.into_bytes();
        bytes.extend(self.answers.iter().flatten().flat_map(|answer| answer.to_le_bytes()));
        commit(&bytes)
    }

    /// Whether these are the answers to `table`.
    pub(crate) fn fits(&self, table: &TableB) -> bool {
        self.table == *table
    }

    /// The answers by number, for the medians alone.
    pub(crate) fn into_answers(self) -> Vec<Vec<i64>> {
        self.answers
    }
}

impl std::fmt::Debug for BlockAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockAnswers({}, withheld)", self.table.name)
    }
}

/// The middle of the range, from its low end, in grid units.
fn default(measure: &MeasureA) -> i128 {
    (i128::from(measure.hi) - i128::from(measure.lo)) / 2
}

impl std::fmt::Debug for Reducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reducer({}, answers withheld)", self.table.name)
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::contract::{Combine, TableB};

    use super::Reducer;
    use crate::{
        answer::Answer,
        fixtures::{self, output},
        noise::Mechanism,
    };

    fn table(blocks: u32) -> TableB {
        let a = fixtures::table(2, &[(-20, 20, 1)], 1, 0.02);
        TableB {
            name: a.name,
            dimensions: a.dimensions,
            measures: a.measures,
            blocks,
            combine: Combine::Mean,
            rho: a.rho,
        }
    }

    fn totals(answers: &[Option<&[(i64, &[f64])]>]) -> Vec<i64> {
        let mut reducer = Reducer::new(&table(4), 8).unwrap();
        answers.iter().for_each(|a| reducer.add(a.map(output).as_ref()));
        sums(reducer.finish().unwrap())
    }

    fn sums(answer: Answer) -> Vec<i64> {
        if let Answer::Sums(exact) = answer { exact.sums().to_vec() } else { panic!("a mean is of sums") }
    }

    #[test]
    fn a_median_keeps_one_answer_a_block_whichever_room_it_was_in() {
        let table = TableB { combine: Combine::Median, ..table(4) };
        let room = |answers: &[f64]| {
            let mut reducer = Reducer::new(&table, 8).unwrap();
            answers.iter().for_each(|x| reducer.add(Some(&output(&[(0, &[*x])]))));
            reducer
        };
        let all = |reducer: Reducer| {
            let Answer::Blocks(answers) = reducer.finish().unwrap() else { panic!("a median is of answers") };
            assert!(answers.fits(&table) && !answers.fits(&TableB { blocks: 5, ..table.clone() }));
            (answers.commitment(&sluice_domain::Digest::of), answers.into_answers())
        };
        let (one, kept) = all(room(&[9.0]).merge(room(&[-1e9, 3.0])).unwrap());
        // −1e9 → 0, 3 → 23, 9 → 29, and the silent block in the middle.
        assert_eq!(kept, [vec![0, 20, 23, 29], vec![20; 4]]);
        assert_eq!(one, all(room(&[3.0, 9.0, -1e9])).0);
        assert_ne!(one, all(room(&[3.0, 8.0, -1e9])).0);
    }

    #[test]
    fn answers_are_clamped_and_what_is_missing_is_the_middle() {
        // Shifted by 20: −20 → 0, 0 → 20, 20 → 40.
        assert_eq!(totals(&[]), [80, 80]);
        assert_eq!(totals(&[Some(&[(0, &[5.0])]), None, None, None]), [85, 80]);
        assert_eq!(totals(&[Some(&[(0, &[1e9]), (1, &[-1e9])])]), [100, 60]);
        assert_eq!(totals(&[Some(&[(0, &[f64::NAN]), (7, &[1.0])])]), [80, 80]);
        // Two rows of one key are one answer, clamped once.
        assert_eq!(totals(&[Some(&[(0, &[15.0]), (0, &[15.0])])]), [100, 80]);
    }

    #[test]
    fn one_block_moves_the_sums_by_the_sensitivity_and_no_more() {
        let low: &[(i64, &[f64])] = &[(0, &[-1e9]), (1, &[-1e9])];
        let high: &[(i64, &[f64])] = &[(0, &[1e9]), (1, &[1e9])];
        let (a, b) = (totals(&[Some(low)]), totals(&[Some(high)]));
        let moved: u128 = a.iter().zip(&b).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum();
        assert_eq!(Some(moved), table(4).as_sums().unwrap().sensitivity_l2_squared());
        assert_eq!(moved, 2 * 40 * 40);
    }

    #[test]
    fn merging_is_adding_and_too_many_blocks_are_a_fault() {
        let mut one = Reducer::new(&table(4), 8).unwrap();
        one.add(Some(&output(&[(0, &[5.0])])));
        let mut two = Reducer::new(&table(4), 8).unwrap();
        two.add(Some(&output(&[(1, &[7.0])])));
        assert_eq!(sums(one.merge(two).unwrap().finish().unwrap()), [85, 87]);
        let mut many = Reducer::new(&table(2), 8).unwrap();
        (0..3).for_each(|_| many.add(None));
        assert_eq!(many.finish().unwrap_err().code, "gate.host-fault");
    }

    #[test]
    fn the_noise_keeps_the_contracted_rho() {
        let sums = table(4).as_sums().unwrap();
        assert!(Mechanism::for_table(&sums).unwrap().rho() <= 0.02);
    }
}
