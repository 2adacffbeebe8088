//! 回归: an ordinary least-squares regression of route C, over rows with every value,
//! computed by the host; and the tables that its coefficients give away.
//!
//! With dummies alone the coefficients *are* means by level, and in any regression with
//! a constant the residuals of each level add up to nothing. So the gate judges the
//! total and every level of every dimension as cells of ordinary tables, protects them
//! together with the job's others, and enters them in the release ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Key,
    contract::{Aggregate, Combination, Dimension, MeasureC, TableC, Tabulation, Totals},
    id::ViewId,
};

/// A regression with every name resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Name of the table.
    pub name: String,
    /// The view it reads.
    pub view: ViewId,
    /// The measure that is explained.
    pub outcome: String,
    /// What explains it, besides the constant.
    pub terms: Vec<Term>,
    /// Rows kept: every named dimension must have one of the listed keys.
    pub filter: Vec<(Dimension, Vec<Key>)>,
    /// The approved measures among its columns and what they are computed from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derived: BTreeMap<String, String>,
    /// What no row of the dataset has, by its catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impossible: Vec<Combination>,
}

/// One explaining column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// A measure as it is: one coefficient.
    Number(String),
    /// A dimension: a coefficient for every level but the first.
    Levels(Levels),
}

/// A dimension as dummies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Whole declared domain.
    pub dimension: Dimension,
    /// The levels that the filter leaves, in declared order; the first is the reference.
    pub kept: Vec<Key>,
}

impl Regression {
    /// The number columns of the product.
    pub const MEASURES: [&str; 3] = ["coefficient", "std_error", "units"];

    /// The measure columns it reads: the outcome, then the terms that are numbers.
    pub fn columns(&self) -> Vec<&str> {
        let numbers =
            self.terms.iter().filter_map(|t| if let Term::Number(name) = t { Some(name.as_str()) } else { None });
        std::iter::once(self.outcome.as_str()).chain(numbers).collect()
    }

    /// The dimensions among its terms.
    pub fn levels(&self) -> impl Iterator<Item = &Levels> {
        self.terms.iter().filter_map(|t| if let Term::Levels(levels) = t { Some(levels) } else { None })
    }

    /// The names of its coefficients: the constant, the numbers, then each dimension's
    /// levels but its first.
    pub fn parameters(&self) -> Vec<String> {
        let numbers = self.columns().into_iter().skip(1).map(str::to_owned);
        let dummies =
            self.levels().flat_map(|l| l.kept.iter().skip(1).map(|key| format!("{}={key}", l.dimension.name)));
        std::iter::once("const".to_owned()).chain(numbers).chain(dummies).collect()
    }

    /// Its rows in the product: one per coefficient.
    pub fn dimension(&self) -> Dimension {
        let domain = self.parameters().into_iter().map(|name| (Key::Text(name.clone()), name));
        Dimension { name: "term".to_owned(), title: "term".to_owned(), domain: domain.collect(), base: None }
    }

    /// The tables that it is taken to publish: the total with every column that it
    /// reads, and the outcome by each dimension.
    pub fn tables(&self) -> Vec<TableC> {
        let fit = |column: &str| MeasureC {
            name: format!("fit_{column}"),
            aggregate: Aggregate::Fit,
            column: Some(column.to_owned()),
        };
        let sum = MeasureC { name: "sum".to_owned(), aggregate: Aggregate::Sum, column: Some(self.outcome.clone()) };
        let table = |dimensions: Vec<Dimension>, measures: Vec<MeasureC>| TableC {
            name: self.name.clone(),
            sql: String::new(),
            plan: Tabulation {
                view: self.view.clone(),
                dimensions,
                measures,
                filter: self.filter.clone(),
                derived: self.derived.clone(),
                impossible: self.impossible.clone(),
            },
            totals: Totals::None,
        };
        let whole = std::iter::once(sum.clone()).chain(self.columns().into_iter().map(fit)).collect();
        let by_level = self.levels().map(|l| table(vec![l.dimension.clone()], vec![sum.clone()]));
        std::iter::once(table(Vec::new(), whole)).chain(by_level).collect()
    }

    /// Whether a cell of one of [`Self::tables`] is of a level that the filter leaves.
    pub fn keeps(&self, table: usize, key: &[Option<u32>]) -> bool {
        let Some(levels) = table.checked_sub(1).and_then(|i| self.levels().nth(i)) else { return true };
        let code = key.first().copied().flatten().and_then(|at| levels.dimension.domain.get(usize::try_from(at).ok()?));
        code.is_some_and(|(key, _)| levels.kept.contains(key))
    }
}
