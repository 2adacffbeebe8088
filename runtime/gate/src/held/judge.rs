//! The rules for a model that a guest made (gate.md §5): degrees of freedom and
//! parameters by **units**, and units in each leaf of a tree.
//!
//! n is the number of units and not of rows: the rows of one unit are alike, so counting
//! them would let a model with a parameter per person pass because each has many rows.
//! The numbers are those of route C's regressions ([`RegressionRules`]).

use sluice_domain::{
    Refusal,
    held::{Held, Model},
};
use sluice_rows::RowBatch;

use super::{Columns, Fitted};
use crate::{refusals, route_c::regression::RegressionRules};

/// Takes the rows of one unit after the other.
#[derive(Debug)]
pub struct Judge {
    fitted: Fitted,
    columns: Columns,
    rules: RegressionRules,
    judged: Judged,
}

/// What a model came to, which all rules allow: [`Judge::finish`] alone makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The model's table.
    pub(crate) table: String,
    /// Units with a row that has every value.
    pub(crate) units: u64,
    /// Parameters of the model.
    pub(crate) parameters: u64,
    /// Of a tree, the distinct units whose rows reach each leaf.
    pub(crate) leaf_units: Vec<u64>,
}

impl Judge {
    /// Reads the model of `held` from its numbers (see [`Fitted::read`]). The rows that
    /// come have columns with these names.
    ///
    /// # Errors
    /// `gate.model-form`; `gate.host-fault` when the input lacks a column of the model.
    pub fn new(
        held: &Held,
        model: &Model,
        numbers: &[Option<i64>],
        names: &[String],
        rules: RegressionRules,
    ) -> Result<Self, Refusal> {
        let fitted = Fitted::read(held, model, numbers)?;
        let columns = Columns::of(model, names).ok_or_else(|| refusals::misfit(&held.name))?;
        let (parameters, leaf_units) = (fitted.parameters(), vec![0; fitted.leaves()]);
        let judged = Judged { table: held.name.clone(), parameters, leaf_units, units: 0 };
        Ok(Self { fitted, columns, rules, judged })
    }

    /// All rows of the next unit.
    pub fn unit(&mut self, rows: &RowBatch) {
        let examples = self.columns.examples(rows);
        self.judged.units += u64::from(!examples.is_empty());
        let mut reached: Vec<usize> = examples.iter().filter_map(|(x, _)| self.fitted.leaf(x)).collect();
        reached.sort_unstable();
        reached.dedup();
        for leaf in reached {
            if let Some(units) = self.judged.leaf_units.get_mut(leaf) {
                *units += 1;
            }
        }
    }

    /// The verdict.
    ///
    /// # Errors
    /// `gate.model-leaf`, `gate.model-degrees`, `gate.model-share`; they say a rule's
    /// number and never one of the data.
    pub fn finish(self) -> Result<Judged, Refusal> {
        let Self { rules, judged, .. } = self;
        judged.allowed(&rules).map(|()| judged)
    }
}

impl Judged {
    /// n − parameters.
    pub fn degrees(&self) -> i64 {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        signed(self.units).saturating_sub(signed(self.parameters))
    }

    /// Parameters per unit; infinite without units.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn share(&self) -> f64 {
        self.parameters as f64 / self.units as f64
    }

    fn allowed(&self, rules: &RegressionRules) -> Result<(), Refusal> {
        let table = self.table.as_str();
        let few = |units: u64| rules.level_units.is_some_and(|k| units < k);
        if few(self.units) || self.leaf_units.iter().any(|units| few(*units)) {
            return Err(refusals::model_leaf(table, rules.level_units.unwrap_or(0)));
        }
        if let Some(least) = rules.degrees.filter(|least| i64::try_from(*least).is_ok_and(|l| self.degrees() < l)) {
            return Err(refusals::model_degrees(table, least));
        }
        // No share at all, where there are no units, is too much as well.
        if let Some(most) = rules.parameters_share.filter(|most| self.share().is_nan() || self.share() > *most) {
            return Err(refusals::model_share(table, most));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluice_domain::{
        held::{Held, ModelKind},
        rulepack::RulePack,
    };
    use sluice_rows::{
        RowBatch,
        arrow::array::{ArrayRef, Float64Array, RecordBatch},
    };

    use super::{Judge, Judged, RegressionRules};
    use crate::{
        held::fitted::tests::{line, model, tree},
        route_c::{Rules, Sensitivity},
    };

    fn rules() -> RegressionRules {
        let pack = RulePack::shipped().unwrap().disclosure;
        RegressionRules::of(&pack, &Rules::of(&pack, Sensitivity::Ordinary))
    }

    /// One unit: its rows' a, and y = 1.
    fn unit(a: &[Option<f64>]) -> RowBatch {
        let column = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
        let y = vec![Some(1.0); a.len()];
        RowBatch::new(RecordBatch::try_from_iter([("a", column(a.to_vec())), ("y", column(y))]).unwrap())
    }

    fn judged(
        held: &Held,
        numbers: &[i64],
        units: &[Vec<Option<f64>>],
        rules: RegressionRules,
    ) -> Result<Judged, &'static str> {
        let numbers: Vec<Option<i64>> = numbers.iter().map(|n| Some(*n)).collect();
        let names = ["a".to_owned(), "y".to_owned()];
        let mut judge = Judge::new(held, held.model.as_ref().unwrap(), &numbers, &names, rules).map_err(|e| e.code)?;
        units.iter().for_each(|a| judge.unit(&unit(a)));
        judge.finish().map_err(|e| e.code)
    }

    fn split() -> (Held, [i64; 15]) {
        let held = tree(3, &model(ModelKind::Tree, &["a"]));
        (held, [0, 1, 2, 0, 0, -1, -1, -1, 0, 10, -1, -1, -1, 0, 20])
    }

    #[test]
    fn a_leaf_counts_units_and_not_rows() {
        let (held, numbers) = split();
        // Twenty units on the right; one with nine rows, or nine units, on the left.
        let right = vec![vec![Some(1.0)]; 20];
        let one = [vec![vec![Some(-1.0); 10]], right.clone()].concat();
        assert_eq!(judged(&held, &numbers, &one, rules()), Err("gate.model-leaf"));
        let ten = [vec![vec![Some(-1.0)]; 10], right].concat();
        let all = judged(&held, &numbers, &ten, rules()).unwrap();
        assert_eq!(all, Judged { table: "t".into(), units: 30, parameters: 4, leaf_units: vec![10, 20] });
        let off = RegressionRules { level_units: None, ..rules() };
        assert!(judged(&held, &numbers, &one, off).is_ok(), "without the layer it passes");
    }

    #[test]
    fn degrees_of_freedom_are_counted_by_units() {
        let held = line(&model(ModelKind::Linear, &["a"]));
        let units = |n: usize, rows: usize| vec![vec![Some(1.0); rows]; n];
        // 11 units with a hundred rows each: 9 degrees of freedom, not 1098.
        assert_eq!(judged(&held, &[1, 2], &units(11, 100), rules()), Err("gate.model-degrees"));
        let twelve = judged(&held, &[1, 2], &units(12, 1), rules()).unwrap();
        assert_eq!((twelve.degrees(), twelve.parameters), (10, 2));
        let missing = [units(11, 1), vec![vec![None]; 30]].concat();
        assert_eq!(judged(&held, &[1, 2], &missing, rules()), Err("gate.model-degrees"), "rows without a value count");
        assert_eq!(judged(&held, &[1, 2], &[], rules()), Err("gate.model-leaf"));
    }

    #[test]
    fn too_many_parameters_for_the_units_are_refused() {
        let features = ["a"; 9];
        let held = line(&model(ModelKind::Linear, &features));
        let units = vec![vec![Some(1.0)]; 25];
        let numbers = [0i64; 10];
        // 25 − 10 = 15 degrees, but 10/25 = 0.4 parameters per unit.
        assert_eq!(judged(&held, &numbers, &units, rules()), Err("gate.model-share"));
        assert!(judged(&held, &numbers, &vec![vec![Some(1.0)]; 31], rules()).is_ok());
        let none = Judged { table: "t".into(), units: 0, parameters: 0, leaf_units: vec![] };
        let only = RegressionRules { parameters_share: Some(0.33), ..RegressionRules::none() };
        assert!(none.allowed(&only).is_err());
    }
}
