//! 留置 (route D): a product that a guest takes straight from person rows, in a form that
//! the host reads: cells of declared keys, or a model of a declared kind whose parameters
//! are such cells.
//!
//! No guarantee exists for it. It is off unless the agreement allows it, and two people
//! see it with all the evidence of gate.md §5 before it goes anywhere.

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Key,
    contract::{Dimension, MeasureA},
    lang::text,
    refusal::Refusal,
};

/// A held table with every name resolved. The guest's output has a column for each
/// dimension, then one for each measure, as a route-A table's has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Name of the table.
    pub name: String,
    /// Declared keys; of a model, its terms or nodes.
    pub dimensions: Vec<Dimension>,
    /// The numbers of each key, each within its range and on its grid.
    pub measures: Vec<MeasureA>,
    /// What the numbers mean, where they are a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
}

/// A model: it explains one column of the job's only input by others, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Which kind.
    pub kind: ModelKind,
    /// Number columns that explain, in order. A row with a null counts for nothing.
    pub features: Vec<String>,
    /// The number column that is explained.
    pub outcome: String,
}

/// The kinds of models that the host can read. Whatever stores rows (nearest
/// neighbours, support vectors) is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// η = const + Σ coefficient · feature; the prediction is η.
    Linear,
    /// The prediction is exp(η).
    LogLinear,
    /// The prediction is 1/(1 + exp(−η)).
    Logistic,
    /// A binary tree: a row goes left where its feature is at most the threshold.
    Tree,
}

impl ModelKind {
    /// The kind that a job file calls `name`.
    ///
    /// # Errors
    /// `job.model-kind`, with the nearest kind that there is.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "linear" => Self::Linear,
            "log-linear" => Self::LogLinear,
            "logistic" => Self::Logistic,
            "tree" => Self::Tree,
            _ => return Err(no_such_kind(name)),
        })
    }
}

fn no_such_kind(name: &str) -> Refusal {
    let word: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let stores = ["knn", "kneighbors", "kneighbours", "nearestneighbors", "nearestneighbours", "svm", "svc", "svr"];
    let cause = if stores.contains(&word.as_str()) {
        text(
            "这种模型（近邻、支持向量等）保存原始行，不得出域",
            "such a model (nearest neighbours, support vectors) stores rows, which may not leave",
        )
    } else {
        text("主机读不懂这种模型：没有它的申报形式", "the host cannot read such a model: it has no declared form")
    };
    let next = text(
        "改用 tree、linear、log-linear 或 logistic，或改走路线 A、B",
        "use `tree`, `linear`, `log-linear` or `logistic`, or take route A or B",
    );
    Refusal::refused("job.model-kind", cause, next)
}

impl Model {
    /// The key of the constant among a linear model's terms.
    pub const CONST: &'static str = "const";
    /// The one measure of a linear model.
    pub const COEFFICIENT: &'static str = "coefficient";
    /// The measures of a tree, in the order of the guest's columns (alphabetical):
    /// `feature` counts from 0 and is −1 in a leaf, `left` and `right` are nodes above
    /// their own (−1 in a leaf), `threshold` and `value` are numbers. Node 0 is the
    /// root; a node that is not used is a leaf that nobody reaches.
    pub const TREE: [&'static str; 5] = ["feature", "left", "right", "threshold", "value"];

    /// The dimension of a linear model's terms: the constant, then each feature.
    pub fn terms(&self) -> Dimension {
        let names = std::iter::once(Self::CONST).chain(self.features.iter().map(String::as_str));
        let domain = names.map(|name| (Key::Text(name.to_owned()), name.to_owned())).collect();
        Dimension { name: "term".to_owned(), title: "term".to_owned(), domain, base: None }
    }

    /// The dimension of a tree's `count` nodes.
    pub fn nodes(count: u32) -> Dimension {
        let domain = (0..count).map(|node| (Key::Int(node.into()), node.to_string())).collect();
        Dimension { name: "node".to_owned(), title: "node".to_owned(), domain, base: None }
    }
}

impl Held {
    /// The bits that the product can hold: Σ log₂ of the values that each number may
    /// have, a missing one included.
    pub fn capacity_bits(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let bits = |m: &MeasureA| (m.hi.abs_diff(m.lo) as f64 + 2.0).log2();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let cells = self.cells().map_or(f64::INFINITY, |n| n as f64);
        cells * self.measures.iter().map(bits).sum::<f64>()
    }

    /// Number of cells: the product of the domains' sizes. `None` on overflow.
    pub fn cells(&self) -> Option<usize> {
        self.dimensions.iter().try_fold(1usize, |n, d| n.checked_mul(d.domain.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stores_rows_is_no_kind_of_model() {
        for kind in ["knn", "k-NN", "SVM", "svc"] {
            let refusal = ModelKind::named(kind).unwrap_err();
            assert_eq!(refusal.code, "job.model-kind");
            assert!(refusal.cause.en.contains("stores rows") && refusal.next.en.contains("tree"), "{refusal:?}");
        }
        assert!(ModelKind::named("neural-network").unwrap_err().cause.en.contains("cannot read"));
        assert_eq!(ModelKind::named("log-linear").unwrap(), ModelKind::LogLinear);
    }

    #[test]
    fn capacity_counts_every_value_of_every_cell() {
        let measure = MeasureA { name: "x".into(), lo: -1, hi: 5, grid: 1 };
        let held =
            Held { name: "t".into(), dimensions: vec![Model::nodes(4)], measures: vec![measure; 2], model: None };
        // Seven values and a missing one: three bits, for two numbers of four nodes.
        assert!((held.capacity_bits() - 24.0).abs() < 1e-9);
    }
}
