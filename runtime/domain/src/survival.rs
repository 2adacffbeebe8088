//! 生存: a survival curve of route C (Kaplan and Meier 1958) over one observation per
//! unit, on times that the contract declares; and the counts that it is made of.
//!
//! Every number of a curve is a function of how many units of a group left between two
//! steps with the event, how many left without, and how many stayed. So the gate judges
//! these counts as cells of ordinary tables, whose last dimension is the unit's *fate*,
//! protects them together with the job's others, and enters them in the release ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Key,
    contract::{Aggregate, Base, Combination, Dimension, MeasureC, Table, TableC, Tabulation, Totals},
    id::ViewId,
};

/// A survival curve with every name resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// Name of the table.
    pub name: String,
    /// The view it reads.
    pub view: ViewId,
    /// The column that says how long a unit was followed.
    pub time: String,
    /// What says whether the event ended it.
    pub event: Event,
    /// A curve for each combination of these; one curve where there are none.
    pub by: Vec<Dimension>,
    /// The times at which the curve may be shown, ascending.
    pub steps: Vec<f64>,
    /// The steps of every curve of the contract over the same times and events.
    pub grid: Vec<f64>,
    /// Rows kept: every named dimension must have one of the listed keys.
    pub filter: Vec<(Dimension, Vec<Key>)>,
    /// What no row of the dataset has, by its catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impossible: Vec<Combination>,
}

/// What says that a row ends with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A measure that is above 0; a row where it is below is left out.
    Measure(String),
    /// A dimension that has one of these codes.
    Codes(Dimension, Vec<Key>),
}

impl Event {
    /// The column.
    pub fn column(&self) -> &str {
        match self {
            Self::Measure(name) => name,
            Self::Codes(dimension, _) => &dimension.name,
        }
    }
}

impl Survival {
    /// The number columns of the product: the estimate and its standard error; at risk
    /// after the step that was shown before; left since then, with the event and without.
    pub const MEASURES: [&str; 5] = ["survival", "std_error", "at_risk", "events", "censored"];
    /// The key column of the product that the steps stand in.
    pub const STEP: &str = "step";

    /// Its keys in the product.
    pub fn dimensions(&self) -> Vec<Dimension> {
        let whole = self.steps.iter().all(|step| step.fract() == 0.0 && *step < EXACT);
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2⁵³")]
        let key = |step: &f64| if whole { Key::Int(*step as i64) } else { Key::Text(step.to_string()) };
        let domain = self.steps.iter().map(|step| (key(step), step.to_string())).collect();
        let step = Dimension { name: Self::STEP.to_owned(), title: self.time.clone(), domain, base: None };
        self.by.iter().cloned().chain([step]).collect()
    }

    /// How units end, told apart at the steps with these places: with the event and
    /// without it up to each, and after the last.
    pub fn fates(&self, ends: &[usize]) -> Dimension {
        let ends: Vec<f64> = ends.iter().filter_map(|at| self.steps.get(*at).copied()).collect();
        let left = ends.iter().flat_map(|end| [format!("event {end}"), format!("censored {end}")]);
        let domain = left.chain(["after".to_owned()]).map(|name| (Key::Text(name.clone()), name)).collect();
        let place = |time: &f64, without: usize| match ends.iter().position(|end| end >= time) {
            Some(interval) => 2 * interval + without,
            None => 2 * ends.len(),
        };
        let parts = self.grid.iter().flat_map(|time| [place(time, 0), place(time, 1)]).chain([2 * ends.len()]);
        let of_part = parts.map(|place| u32::try_from(place).unwrap_or(u32::MAX)).collect();
        // Curves with other steps cut other lines: only those of one grid are one axis.
        let name = format!("{} until {} on {:?}", self.time, self.event.column(), self.grid);
        Dimension { title: name.clone(), name: "fate".to_owned(), domain, base: Some(Base { name, of_part }) }
    }

    /// The counts at every step, by group: what is tabulated.
    pub fn table(&self) -> TableC {
        let every: Vec<usize> = (0..self.steps.len()).collect();
        self.counts(self.by.iter().cloned().chain([self.fates(&every)]).collect(), self.filter.clone())
    }

    /// The counts of one group, by the places of its codes, at the steps with these
    /// places: what its curve tells where it is shown at these steps.
    pub fn shown(&self, group: &[u32], ends: &[usize]) -> TableC {
        let code = |(dimension, at): (&Dimension, &u32)| {
            let (key, _) = dimension.domain.get(usize::try_from(*at).ok()?)?;
            Some((dimension.clone(), vec![key.clone()]))
        };
        let of_group = self.by.iter().zip(group).filter_map(code);
        self.counts(vec![self.fates(ends)], self.filter.iter().cloned().chain(of_group).collect())
    }

    fn counts(&self, dimensions: Vec<Dimension>, filter: Vec<(Dimension, Vec<Key>)>) -> TableC {
        let units = MeasureC { name: "units".to_owned(), aggregate: Aggregate::Units, column: None };
        let (view, measures, impossible) = (self.view.clone(), vec![units], self.impossible.clone());
        TableC {
            name: self.name.clone(),
            sql: String::new(),
            plan: Tabulation { view, dimensions, measures, filter, derived: BTreeMap::new(), impossible },
            totals: Totals::None,
        }
    }

    /// Gives the curves over the same times and events one grid, so that what one shows
    /// is a sum of what the other does.
    pub fn share_grids(tables: &mut [Table]) {
        let mut grids: BTreeMap<(ViewId, String, String), Vec<f64>> = BTreeMap::new();
        let key = |s: &Self| (s.view.clone(), s.time.clone(), format!("{:?}", s.event));
        for table in tables.iter() {
            let Table::Survival(curve) = table else { continue };
            let grid = grids.entry(key(curve)).or_default();
            grid.extend(&curve.steps);
            grid.sort_by(f64::total_cmp);
            grid.dedup();
        }
        for table in tables {
            let Table::Survival(curve) = table else { continue };
            if let Some(grid) = grids.get(&key(curve)) {
                curve.grid.clone_from(grid);
            }
        }
    }
}

/// 2⁵³: below it every whole number is a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(steps: &[f64]) -> Survival {
        Survival {
            name: "s".into(),
            view: "v".parse().unwrap(),
            time: "year".into(),
            event: Event::Measure("stay".into()),
            by: vec![],
            steps: steps.to_vec(),
            grid: steps.to_vec(),
            filter: vec![],
            impossible: vec![],
        }
    }

    #[test]
    fn coarser_fates_are_sums_of_finer_ones() {
        let mut tables = [Table::Survival(curve(&[1.0, 3.0])), Table::Survival(curve(&[2.0, 3.0, 5.0]))];
        Survival::share_grids(&mut tables);
        let [Table::Survival(first), Table::Survival(second)] = &tables else { panic!("two curves") };
        assert_eq!((&first.grid, &second.grid), (&vec![1.0, 2.0, 3.0, 5.0], &vec![1.0, 2.0, 3.0, 5.0]));
        let of_part = |d: Dimension| d.base.unwrap().of_part;
        // Pairs of (event, censored) at 1, 2, 3, 5, then after.
        assert_eq!(of_part(first.fates(&[0, 1])), [0, 1, 2, 3, 2, 3, 4, 4, 4]);
        assert_eq!(of_part(second.fates(&[1])), [0, 1, 0, 1, 0, 1, 2, 2, 2]);
        assert_eq!(first.fates(&[1]).domain.len(), 3);
        assert_eq!(first.fates(&[0]).base_name(), second.fates(&[]).base_name());
        assert_ne!(first.fates(&[0]).base_name(), curve(&[1.0]).fates(&[0]).base_name());
    }

    #[test]
    fn steps_that_are_whole_are_numbers() {
        let keys = |steps: &[f64]| curve(steps).dimensions().remove(0).domain.into_iter().map(|(k, _)| k);
        assert!(keys(&[1.0, 2.0]).eq([Key::Int(1), Key::Int(2)]));
        assert!(keys(&[0.5, 2.0]).eq([Key::Text("0.5".into()), Key::Text("2".into())]));
    }
}
