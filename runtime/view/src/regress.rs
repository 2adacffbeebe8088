//! Regression of route C: names to a plan, and two passes over the view's rows.
//!
//! Rows without one of the values are left out of both. What the fit may say is the
//! gate's to decide.

use datafusion::{arrow::array::RecordBatch, logical_expr::ident, logical_expr::utils::conjunction};
use futures::StreamExt;
use sluice_domain::{
    Refusal,
    contract::{Dimension, Levels, Regression, RegressionFile, Term},
    state::GrantedView,
    text,
};
use sluice_rows::fit::{Fit, Products, Shape};

use crate::{
    ViewError, ViewReader,
    axis::Axis,
    measure::listed,
    reader::literal,
    refuse::refuse,
    schema::{ViewColumn, ViewRole, view_schema},
    tabulate::{numbers, said},
    units::runs,
};

/// Most coefficients: a pass costs their square for every row.
const PARAMETERS_MAX: usize = 128;

/// Plans a regression from its names. Pure: reads no data.
///
/// # Errors
/// `regression.*` with the name that does not fit.
pub fn plan_regression(views: &[GrantedView], name: &str, file: &RegressionFile) -> Result<Regression, Refusal> {
    let view = views.iter().find(|v| v.id == file.view).ok_or_else(|| {
        let known: Vec<_> = views.iter().map(|v| v.id.as_str()).collect();
        refuse(
            "regression.view",
            file.view.as_str(),
            text("协议没有授权此视图", "the agreement grants no such view"),
            text(format!("可用的视图：{}", known.join(", ")), format!("the views are: {}", known.join(", "))),
        )
    })?;
    let columns = view_schema(view)?;
    let filter = file.filter.iter().map(|(name, keys)| {
        let dimension = find(&columns, name)?.dimension().ok_or_else(|| misfit(&columns, name))?;
        let inside = |key| dimension.domain.iter().any(|(code, _)| code == key);
        if keys.is_empty() || !keys.iter().all(inside) {
            return Err(misfit(&columns, name));
        }
        Ok((dimension.clone(), keys.clone()))
    });
    let filter: Vec<(Dimension, Vec<_>)> = filter.collect::<Result<_, Refusal>>()?;
    let term = |name: &String| match &find(&columns, name)?.role {
        ViewRole::Measure if *name != file.outcome => Ok(Term::Number(name.clone())),
        ViewRole::Dimension(dimension) => {
            let wanted = filter.iter().find(|(d, _)| d.name == *name).map(|(_, keys)| keys);
            let domain = dimension.domain.iter().map(|(key, _)| key.clone());
            let kept = domain.filter(|key| wanted.is_none_or(|keys| keys.contains(key))).collect();
            Ok(Term::Levels(Levels { dimension: dimension.clone(), kept }))
        }
        _ => Err(misfit(&columns, name)),
    };
    let terms = file.terms.iter().map(term).collect::<Result<Vec<_>, Refusal>>()?;
    let mut bases: Vec<&str> = terms
        .iter()
        .map(|t| match t {
            Term::Number(name) => name.as_str(),
            Term::Levels(levels) => levels.dimension.base_name(),
        })
        .collect();
    bases.sort_unstable();
    if let Some([twice, _]) = bases.array_windows().find(|[a, b]| a == b) {
        return Err(misfit(&columns, twice));
    }
    if find(&columns, &file.outcome)?.role != ViewRole::Measure {
        return Err(misfit(&columns, &file.outcome));
    }
    let mut plan = Regression {
        name: name.to_owned(),
        view: view.id.clone(),
        outcome: file.outcome.clone(),
        terms,
        filter,
        derived: [].into(),
        impossible: view.entry.combinations(),
    };
    let parameters = plan.parameters().len();
    if !(2..=PARAMETERS_MAX).contains(&parameters) {
        return Err(refuse(
            "regression.size",
            "terms",
            text(
                format!("共 {parameters} 个系数，须为 2 至 {PARAMETERS_MAX} 个"),
                format!("{parameters} coefficients, but 2 to {PARAMETERS_MAX} are allowed"),
            ),
            text("增减各项，或改用较粗的分箱", "add or drop terms, or use a coarser binning"),
        ));
    }
    let approved = plan.columns().into_iter().filter_map(|c| view.view.measures.get_key_value(c));
    plan.derived = approved.map(|(name, formula)| (name.clone(), formula.clone())).collect();
    Ok(plan)
}

fn find<'a>(columns: &'a [ViewColumn], name: &str) -> Result<&'a ViewColumn, Refusal> {
    columns.iter().find(|c| c.name == name).ok_or_else(|| misfit(columns, name))
}

fn misfit(columns: &[ViewColumn], name: &str) -> Refusal {
    let measures = listed(columns, |c| c.role == ViewRole::Measure);
    let dimensions = listed(columns, |c| c.dimension().is_some());
    refuse(
        "regression.term",
        name,
        text(
            "回归的因变量须是声明的度量，各项须是其余度量或维度，每列至多一次，筛选须用声明的代码",
            "the outcome is a declared measure, the terms are other measures or dimensions, each column once, and a filter has declared codes",
        ),
        text(
            format!("可用的度量：{measures}；可用的维度：{dimensions}"),
            format!("the measures are: {measures}; the dimensions are: {dimensions}"),
        ),
    )
}

impl ViewReader {
    /// Computes a regression of route C, in two passes over the view.
    ///
    /// # Errors
    /// Any [`ViewError`].
    pub async fn regress(&self, plan: &Regression) -> Result<Fit, ViewError> {
        let (numbers, levels) = (plan.columns().len() - 1, plan.levels().map(|l| l.kept.len()).collect());
        let mut products = Products::new(Shape::new(numbers, levels));
        self.rows_of(plan, |unit, x, levels, y| products.add(unit, x, levels, y)).await?;
        let mut residuals = products.solve();
        self.rows_of(plan, |unit, x, levels, y| residuals.add(unit, x, levels, y)).await?;
        Ok(residuals.finish())
    }

    /// Every row with all values: unit, numbers, places of its levels, outcome.
    async fn rows_of(
        &self,
        plan: &Regression,
        mut see: impl FnMut(u64, &[f64], &[usize], f64),
    ) -> Result<(), ViewError> {
        let levels: Vec<&Levels> = plan.levels().collect();
        let axes: Vec<Axis> = levels.iter().map(|l| Axis::new(&l.dimension)).collect();
        // Of each declared code, its place among the levels that the filter leaves.
        let kept: Vec<Vec<Option<usize>>> = levels
            .iter()
            .map(|l| l.dimension.domain.iter().map(|(key, _)| l.kept.iter().position(|k| k == key)).collect())
            .collect();
        let columns = plan.columns();
        let outputs = columns.iter().copied().chain(levels.iter().map(|l| l.dimension.name.as_str()));
        let filter = conjunction(plan.filter.iter().map(|(dimension, keys)| {
            ident(dimension.name.as_str()).in_list(keys.iter().map(literal).collect(), false)
        }));
        let mut rows = self.ask(&plan.view, outputs.map(ident).collect(), filter)?.run().await?;
        let mut last = None;
        while let Some(batch) = rows.next().await {
            let batch: RecordBatch = batch.map_err(|_| ViewError::Read)?;
            let runs = runs(&batch, last)?;
            last = runs.last().map(|(unit, ..)| *unit).or(last);
            let (values, codes) = batch.columns().split_at(columns.len());
            let values = values.iter().map(numbers).collect::<Result<Vec<_>, _>>()?;
            let places = axes.iter().zip(codes).map(|(axis, column)| axis.places(column));
            let places = places.collect::<Result<Vec<_>, _>>()?;
            for (unit, from, len) in runs {
                for row in from..from + len {
                    let found = values.iter().map(|v| v.get(row).and_then(said)).collect::<Option<Vec<f64>>>();
                    let Some(Some((outcome, x))) = found.as_deref().map(<[f64]>::split_first) else { continue };
                    let level =
                        |(places, kept): (&Vec<u32>, &Vec<Option<usize>>)| *kept.get(*places.get(row)? as usize)?;
                    let levels = places.iter().zip(&kept).map(level).collect::<Option<Vec<usize>>>();
                    see(unit, x, &levels.ok_or(ViewError::Domain)?, *outcome);
                }
            }
        }
        Ok(())
    }
}
