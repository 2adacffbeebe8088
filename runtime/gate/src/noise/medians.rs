//! The private medians of one route-B table: one exponential mechanism a number.
//!
//! A unit is in one block, and that block's answer may move for every key and measure:
//! the numbers share the table's ρ in equal parts, which add up (Bun and Steinke 2016,
//! lemma 2.3). [`super::median`] has the mechanism and its refusal rule.

use sluice_domain::{Refusal, contract::TableB};

use super::{account::Cost, median::Median};
use crate::{refusals, route_b::BlockAnswers};

/// The mechanism of one table of medians.
pub struct Medians {
    table: TableB,
    cells: usize,
    /// One a measure; a cell's numbers are drawn by all of them.
    each: Vec<Median>,
}

impl Medians {
    /// The mechanisms that keep `table`'s ρ by opendp's own map.
    ///
    /// # Errors
    /// `gate.table` when a number is out of range; `gate.blocks` when there are too few
    /// blocks, saying how many are needed.
    pub fn for_table(table: &TableB) -> Result<Self, Refusal> {
        let overflow = || refusals::overflow(&table.name);
        let sums = table.as_sums().ok_or_else(overflow)?;
        let cells = sums.cells().ok_or_else(overflow)?;
        let numbers = cells.checked_mul(sums.measures.len()).and_then(|n| u32::try_from(n).ok());
        let numbers = numbers.filter(|n| *n > 0).ok_or_else(overflow)?;
        // A little less, so that the parts are never more than the whole.
        let rho = (table.rho / f64::from(numbers)).next_down();
        let median = |m: &sluice_domain::contract::MeasureA| Median::new(&table.name, (0, m.hi), table.blocks, rho);
        let each = sums.measures.iter().map(median).collect::<Result<_, _>>()?;
        Ok(Self { table: table.clone(), cells, each })
    }

    /// What opendp's maps say the table costs; at most the contract's ρ.
    pub fn cost(&self) -> Cost {
        let cell: Vec<Cost> = self.each.iter().map(|m| Cost::concentrated(m.rho())).collect();
        (0..self.cells).flat_map(|_| cell.iter().copied()).sum()
    }

    /// Per measure: [`Median::rank_error_95`].
    pub fn rank_errors_95(&self) -> Vec<f64> {
        self.each.iter().map(Median::rank_error_95).collect()
    }

    /// Draws every median, once: the answers are used up. Per cell in canonical order,
    /// per measure, in the measure's own unit.
    ///
    /// # Errors
    /// `gate.host-fault` when the answers are another table's or the engine fails.
    pub fn draw(&self, answers: BlockAnswers) -> Result<Vec<Vec<f64>>, Refusal> {
        if !answers.fits(&self.table) {
            return Err(refusals::noise(&self.table.name));
        }
        let mut answers = answers.into_answers().into_iter();
        let mut cell = || -> Result<Vec<f64>, Refusal> {
            let numbers = self.each.iter().zip(&self.table.measures);
            numbers
                .map(|(median, m)| {
                    let drawn = median.draw(answers.next().unwrap_or_default())?;
                    #[expect(clippy::cast_precision_loss, reason = "within 2^53 by contract")]
                    let value = drawn.saturating_add(m.lo) as f64;
                    Ok(value / f64::from(m.grid))
                })
                .collect()
        };
        (0..self.cells).map(|_| cell()).collect()
    }
}

impl std::fmt::Debug for Medians {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Medians({}, {} cells)", self.table.name, self.cells)
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::contract::{Combine, TableB};

    use super::Medians;
    use crate::{
        answer::Answer,
        fixtures::{self, output},
        route_b::Reducer,
    };

    fn table(blocks: u32) -> TableB {
        let a = fixtures::table(2, &[(-20, 20, 2), (0, 100, 1)], 1, 0.05);
        let (dimensions, measures) = (a.dimensions, a.measures);
        TableB { name: a.name, dimensions, measures, blocks, combine: Combine::Median, rho: 0.05 }
    }

    #[test]
    fn every_number_is_within_its_rank_error_of_the_median_and_all_cost_rho() {
        let table = table(1000);
        let medians = Medians::for_table(&table).unwrap();
        let cost = medians.cost();
        assert!(cost.rho <= 0.05 && cost.rho > 0.0499 && cost.delta == 0.0, "{cost:?}");
        let mut reducer = Reducer::new(&table, 8).unwrap();
        // Key 0: answers spread evenly; key 1: one value that nearly all blocks share.
        let answer = |i: i32| [f64::from(i % 41 - 20) / 2.0, f64::from(i % 101)];
        (0..1000).for_each(|i| reducer.add(Some(&output(&[(0, &answer(i)), (1, &[7.5, 42.0])]))));
        let Answer::Blocks(answers) = reducer.finish().unwrap() else { panic!() };
        let drawn = medians.draw(answers).unwrap();
        for (m, (value, error)) in drawn[0].iter().zip(medians.rank_errors_95()).enumerate() {
            // Ten times the 95 % rank error: e^(-27) and less.
            let below = (0..1000).filter(|i| answer(*i)[m] < *value).count() as f64;
            let above = (0..1000).filter(|i| answer(*i)[m] > *value).count() as f64;
            assert!(below.max(above) <= 500.0 + 10.0 * error, "{m}: {value}, {below}, {above}, {error}");
            assert!(error < 250.0);
        }
        assert_eq!(drawn[1], [7.5, 42.0], "weight e^(-1000/S) for any other");
    }

    #[test]
    fn too_few_blocks_for_all_numbers_are_refused_with_how_many() {
        let no = Medians::for_table(&table(190)).unwrap_err();
        assert_eq!(no.code, "gate.blocks");
        // S = 4/ε per number, ε = √(8·0.05/4): l ≥ (8/ε)(ln 101 + ln 20), the wider range.
        let needed = (8.0 / (8.0f64 * 0.0125).sqrt() * (101f64.ln() + 20f64.ln())).ceil();
        assert!(no.cause.en.contains(&format!(" {needed} ")), "{}", no.cause.en);
        assert!(Medians::for_table(&table(needed as u32)).is_ok());
    }
}
