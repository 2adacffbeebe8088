//! A model as the host reads it: from numbers on their grids, and from nothing else.

use sluice_domain::{
    Refusal,
    held::{Held, Model, ModelKind},
};

use crate::refusals;

/// Numbers of one node of a tree.
const NODE: usize = Model::TREE.len();

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    kind: ModelKind,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// The constant, then a coefficient for each feature.
    Linear(Vec<f64>),
    /// By number; those that nobody reaches are blank.
    Tree(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Blank,
    /// The place among the leaves that are reached, and the value.
    Leaf(usize, f64),
    Inner {
        feature: usize,
        threshold: f64,
        left: usize,
        right: usize,
    },
}

impl Fitted {
    /// Reads `model` from the numbers of `held`, in grid units, cell by cell in canonical
    /// order and measure by measure.
    ///
    /// # Errors
    /// `gate.model-form` when a number is missing, a tree is none, or something is
    /// written where no prediction reads it: that would store rows, not a model.
    pub fn read(held: &Held, model: &Model, numbers: &[Option<i64>]) -> Result<Self, Refusal> {
        let form = match model.kind {
            ModelKind::Linear | ModelKind::LogLinear | ModelKind::Logistic => linear(held, model, numbers),
            ModelKind::Tree => tree(held, model, numbers),
        };
        form.map(|form| Self { kind: model.kind, form }).ok_or_else(|| refusals::model_form(&held.name))
    }

    /// What it says of a row with these features, in the model's order.
    pub fn predict(&self, features: &[f64]) -> f64 {
        let said = match &self.form {
            Form::Linear(coefficients) => {
                let terms = coefficients.iter().zip(std::iter::once(&1.0).chain(features));
                terms.map(|(coefficient, x)| coefficient * x).sum()
            }
            Form::Tree(nodes) => leaf(nodes, features).map_or(0.0, |(_, value)| value),
        };
        match self.kind {
            ModelKind::Linear | ModelKind::Tree => said,
            ModelKind::LogLinear => said.exp(),
            ModelKind::Logistic => 1.0 / (1.0 + (-said).exp()),
        }
    }

    /// How badly it explains an outcome: half the deviance of its kind (normal, Poisson,
    /// Bernoulli). Zero where it says the outcome itself, `f64::MAX` at most.
    pub fn loss(&self, features: &[f64], outcome: f64) -> f64 {
        let said = self.predict(features);
        // y·ln(y/p), which is 0 at y = 0.
        let term = |y: f64, p: f64| if y > 0.0 { y * (y / p.max(f64::MIN_POSITIVE)).ln() } else { 0.0 };
        let loss = match self.kind {
            ModelKind::Linear | ModelKind::Tree => (said - outcome).powi(2) / 2.0,
            ModelKind::LogLinear => term(outcome, said) - outcome.max(0.0) + said,
            ModelKind::Logistic => {
                let y = outcome.clamp(0.0, 1.0);
                term(y, said) + term(1.0 - y, 1.0 - said)
            }
        };
        // Infinite or no number at all: as bad as can be.
        if loss.is_nan() { f64::MAX } else { loss.clamp(0.0, f64::MAX) }
    }

    /// How many parameters were fitted: of a tree a feature and a threshold for each
    /// split and a value for each leaf.
    pub fn parameters(&self) -> u64 {
        match &self.form {
            Form::Linear(coefficients) => coefficients.len() as u64,
            Form::Tree(nodes) => {
                let of = |node: &Node| match node {
                    Node::Blank => 0,
                    Node::Leaf(..) => 1,
                    Node::Inner { .. } => 2,
                };
                nodes.iter().map(of).sum()
            }
        }
    }

    /// Leaves of a tree; none of another kind.
    pub fn leaves(&self) -> usize {
        match &self.form {
            Form::Linear(_) => 0,
            Form::Tree(nodes) => nodes.iter().filter(|n| matches!(n, Node::Leaf(..))).count(),
        }
    }

    /// Which leaf of a tree a row reaches.
    pub fn leaf(&self, features: &[f64]) -> Option<usize> {
        match &self.form {
            Form::Linear(_) => None,
            Form::Tree(nodes) => leaf(nodes, features).map(|(place, _)| place),
        }
    }
}

/// Children lie above their own node, so this ends.
fn leaf(nodes: &[Node], features: &[f64]) -> Option<(usize, f64)> {
    let mut at = 0;
    loop {
        match *nodes.get(at)? {
            Node::Blank => return None,
            Node::Leaf(place, value) => return Some((place, value)),
            Node::Inner { feature, threshold, left, right } => {
                at = if *features.get(feature)? <= threshold { left } else { right };
            }
        }
    }
}

fn linear(held: &Held, model: &Model, numbers: &[Option<i64>]) -> Option<Form> {
    let [coefficient] = held.measures.as_slice() else { return None };
    if numbers.len() != model.features.len() + 1 {
        return None;
    }
    numbers.iter().map(|n| n.map(|n| real(n, coefficient.grid))).collect::<Option<_>>().map(Form::Linear)
}

fn tree(held: &Held, model: &Model, numbers: &[Option<i64>]) -> Option<Form> {
    let names = held.measures.iter().map(|m| m.name.as_str());
    let (cells, []) = numbers.as_chunks::<NODE>() else { return None };
    if !names.eq(Model::TREE) || cells.is_empty() {
        return None;
    }
    let mut reached = vec![false; cells.len()];
    *reached.first_mut()? = true;
    let (mut nodes, mut leaves) = (Vec::with_capacity(cells.len()), 0);
    for (at, cell) in cells.iter().enumerate() {
        let [feature, left, right, threshold, value] = *cell;
        let [of_feature, of_left, of_right, of_threshold, of_value] = held.measures.as_slice() else { return None };
        let (feature, left) = (whole(feature?, of_feature.grid)?, whole(left?, of_left.grid)?);
        let (right, threshold, value) = (whole(right?, of_right.grid)?, threshold?, value?);
        nodes.push(match (reached.get(at)?, feature) {
            (false, -1) if (left, right, threshold, value) == (-1, -1, 0, 0) => Node::Blank,
            (true, -1) if (left, right, threshold) == (-1, -1, 0) => {
                leaves += 1;
                Node::Leaf(leaves - 1, real(value, of_value.grid))
            }
            (true, _) if value == 0 => {
                let feature = usize::try_from(feature).ok().filter(|f| *f < model.features.len())?;
                let [left, right] = [left, right].map(|child| usize::try_from(child).ok().filter(|c| *c > at));
                for child in [left?, right?] {
                    // Two ways to one node would be no tree.
                    if std::mem::replace(reached.get_mut(child)?, true) {
                        return None;
                    }
                }
                Node::Inner { feature, threshold: real(threshold, of_threshold.grid), left: left?, right: right? }
            }
            _ => return None,
        });
    }
    Some(Form::Tree(nodes))
}

/// Grid units as a whole number.
fn whole(units: i64, grid: u32) -> Option<i64> {
    let grid = i64::from(grid.max(1));
    (units % grid == 0).then_some(units / grid)
}

/// Grid units in the measure's own unit.
#[expect(
    clippy::cast_precision_loss,
    reason = "a contract's ranges stay below 2^62, and a double is what is published"
)]
fn real(units: i64, grid: u32) -> f64 {
    units as f64 / f64::from(grid.max(1))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use sluice_domain::{
        contract::{Dimension, MeasureA},
        held::{Held, Model, ModelKind},
    };

    use super::Fitted;

    pub(crate) fn model(kind: ModelKind, features: &[&str]) -> Model {
        Model { kind, features: features.iter().map(|f| (*f).to_owned()).collect(), outcome: "y".into() }
    }

    fn held(dimension: Dimension, measures: &[(&str, u32)], model: &Model) -> Held {
        let measure = |(name, grid): &(&str, u32)| MeasureA {
            name: (*name).to_owned(),
            lo: -1_000_000,
            hi: 1_000_000,
            grid: *grid,
        };
        Held {
            name: "t".into(),
            dimensions: vec![dimension],
            measures: measures.iter().map(measure).collect(),
            model: Some(model.clone()),
        }
    }

    /// A tree on a grid of tenths.
    pub(crate) fn tree(nodes: u32, model: &Model) -> Held {
        let grids = [1, 1, 1, 10, 10];
        let measures: Vec<(&str, u32)> = Model::TREE.into_iter().zip(grids).collect();
        held(Model::nodes(nodes), &measures, model)
    }

    /// A linear model on a grid of tenths.
    pub(crate) fn line(model: &Model) -> Held {
        held(model.terms(), &[(Model::COEFFICIENT, 10)], model)
    }

    fn read(held: &Held, numbers: &[i64]) -> Option<Fitted> {
        let numbers: Vec<Option<i64>> = numbers.iter().map(|n| Some(*n)).collect();
        Fitted::read(held, held.model.as_ref().unwrap(), &numbers).ok()
    }

    const LEAF: [i64; 5] = [-1, -1, -1, 0, 0];

    #[test]
    fn the_linear_kinds_predict_by_their_links() {
        for (kind, said) in [
            (ModelKind::Linear, 2.0),
            (ModelKind::LogLinear, 2f64.exp()),
            (ModelKind::Logistic, 0.880_797_077_977_882_3),
        ] {
            // η = 1 + 0.5·4 − 1·1
            let held = line(&model(kind, &["a", "b"]));
            let fitted = read(&held, &[10, 5, -10]).unwrap();
            assert!((fitted.predict(&[4.0, 1.0]) - said).abs() < 1e-12, "{kind:?}");
            assert_eq!((fitted.parameters(), fitted.leaf(&[4.0, 1.0])), (3, None));
        }
        let held = line(&model(ModelKind::Linear, &["a"]));
        assert!(read(&held, &[1]).is_none() && read(&held, &[1, 2, 3]).is_none());
        assert!(Fitted::read(&held, held.model.as_ref().unwrap(), &[Some(1), None]).is_err());
    }

    #[test]
    fn a_loss_is_least_where_the_prediction_is_the_outcome() {
        for kind in [ModelKind::Linear, ModelKind::LogLinear, ModelKind::Logistic] {
            let held = line(&model(kind, &["a"]));
            let fitted = read(&held, &[0, 10]).unwrap();
            let said = fitted.predict(&[0.5]);
            let [less, same, more] = [0.9, 1.0, 1.1].map(|f| fitted.loss(&[0.5 * f], said));
            assert!(same < less && same < more, "{kind:?}");
            let far = [f64::MAX, f64::MIN, f64::NAN].map(|x| fitted.loss(&[x], 1.0));
            assert!(far.iter().all(|x| x.is_finite()), "{kind:?} {far:?}");
        }
    }

    #[test]
    fn a_tree_sends_rows_left_up_to_the_threshold() {
        let held = tree(5, &model(ModelKind::Tree, &["a", "b"]));
        // a ≤ 1.5 ? 7 : (b ≤ 0 ? −2 : 3)
        let whole = [[0, 1, 2, 15, 0], [-1, -1, -1, 0, 70], [1, 3, 4, 0, 0], [-1, -1, -1, 0, -20], [-1, -1, -1, 0, 30]];
        let fitted = read(&held, whole.as_flattened()).unwrap();
        let said = [[1.5, 9.0], [1.6, 0.0], [1.6, 0.1]].map(|x| fitted.predict(&x));
        assert_eq!(said, [7.0, -2.0, 3.0]);
        assert_eq!((fitted.parameters(), fitted.leaves()), (2 * 2 + 3, 3));
        assert_eq!(fitted.leaf(&[1.6, 0.1]), Some(2));
    }

    #[test]
    fn what_no_prediction_reads_is_blank_and_a_tree_is_a_tree() {
        let held = tree(3, &model(ModelKind::Tree, &["a"]));
        let leaf = |value| [-1, -1, -1, 0, value];
        let root = [0, 1, 2, 5, 0];
        assert!(read(&held, [root, leaf(1), leaf(2)].as_flattened()).is_some());
        assert!(read(&held, [leaf(4), LEAF, LEAF].as_flattened()).is_some());
        for (why, cells) in [
            ("an unreachable leaf stores a number", [leaf(4), leaf(1), LEAF]),
            ("an unreachable node stores a threshold", [leaf(4), [-1, -1, -1, 9, 0], LEAF]),
            ("an unreachable node stores a split", [leaf(4), [0, 2, 2, 0, 0], LEAF]),
            ("a leaf stores a threshold", [[-1, -1, -1, 9, 4], LEAF, LEAF]),
            ("a leaf stores a child", [[-1, 2, -1, 0, 4], LEAF, LEAF]),
            ("an inner node stores a value", [[0, 1, 2, 5, 1], leaf(1), leaf(2)]),
            ("a cycle", [[0, 1, 2, 5, 0], [0, 0, 2, 5, 0], leaf(2)]),
            ("itself", [[0, 0, 2, 5, 0], LEAF, leaf(2)]),
            ("two ways to one node", [[0, 2, 2, 5, 0], LEAF, leaf(2)]),
            ("a child beyond the last", [[0, 1, 3, 5, 0], leaf(1), LEAF]),
            ("a feature beyond the last", [[1, 1, 2, 5, 0], leaf(1), leaf(2)]),
            ("one child", [[0, 1, -1, 5, 0], leaf(1), LEAF]),
        ] {
            assert!(read(&held, cells.as_flattened()).is_none(), "{why}");
        }
        assert!(read(&held, &[]).is_none() && read(&held, &[0; 7]).is_none());
    }

    proptest! {
        /// Whatever the numbers, reading and asking end, and a model has a finite loss.
        #[test]
        fn no_numbers_make_it_panic(
            numbers in prop::collection::vec(prop::option::weighted(0.97, prop_oneof![-2i64..8, any::<i64>()]), 0..40),
            x in prop::array::uniform2(any::<f64>()),
            outcome in any::<f64>(),
        ) {
            for kind in [ModelKind::Linear, ModelKind::LogLinear, ModelKind::Logistic, ModelKind::Tree] {
                let model = model(kind, &["a", "b"]);
                let nodes = u32::try_from(numbers.len() / 5).unwrap();
                let held = if kind == ModelKind::Tree { tree(nodes, &model) } else { line(&model) };
                if let Ok(fitted) = Fitted::read(&held, &model, &numbers) {
                    fitted.predict(&x);
                    prop_assert!(fitted.loss(&x, outcome).is_finite());
                    prop_assert!(fitted.leaf(&x).is_none_or(|leaf| leaf < fitted.leaves()));
                }
            }
        }

        /// Every tree that a guest could mean is read, and each leaf can be found in it.
        #[test]
        fn every_tree_is_read(splits in prop::collection::vec((0i64..2, -50i64..50), 0..20)) {
            let model = model(ModelKind::Tree, &["a", "b"]);
            // A chain: each split sends one side to a leaf, and goes on with the other.
            let mut cells = Vec::new();
            for (i, (feature, threshold)) in splits.iter().enumerate() {
                let at = i64::try_from(2 * i).unwrap();
                cells.push([*feature, at + 1, at + 2, *threshold, 0]);
                cells.push([-1, -1, -1, 0, at]);
            }
            cells.push([-1, -1, -1, 0, -5]);
            let held = tree(u32::try_from(cells.len()).unwrap(), &model);
            let fitted = read(&held, cells.as_flattened()).unwrap();
            prop_assert_eq!(fitted.leaves(), splits.len() + 1);
            prop_assert_eq!(fitted.leaf(&[1e9, 1e9]), Some(splits.len()));
        }
    }
}
