//! Expressions of SELECT that are no measure of route C: what of them is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Function, visit_expressions};
use sluice_domain::{Refusal, text};

use super::{AGGREGATES, Known, argument, column_of, no};
use crate::schema::ViewRole;

impl Known<'_> {
    /// An item of SELECT: a dimension, or an aggregate of a declared measure.
    pub(super) fn selected(&self, e: &Expr) -> Option<Refusal> {
        match e {
            Expr::Nested(inner) => self.selected(inner),
            Expr::Function(f) => {
                let argument = argument(f)?;
                let aggregate = AGGREGATES.contains(&f.name.to_string().to_ascii_lowercase().as_str());
                let computed = !matches!(argument, Expr::Value(_)) && column_of(argument).is_none();
                (aggregate && computed).then(|| self.expression(e, &self.apart(f, argument), argument))
            }
            _ if holds_aggregate(e) => {
                let mut parts = Vec::new();
                let _ = visit_expressions(e, |part| {
                    if let Expr::Function(f) = part {
                        parts.push(f.to_string());
                    }
                    ControlFlow::<()>::Continue(())
                });
                Some(self.expression(e, &self.ratio(e).unwrap_or_else(|| parts.join(", ")), e))
            }
            _ => None,
        }
    }

    /// An expression where a measure belongs.
    fn expression(&self, e: &Expr, nearest: &str, formula: &Expr) -> Refusal {
        let known = self.listed(|c| c.role == ViewRole::Measure);
        let formula = if holds_aggregate(formula) { "…".to_owned() } else { formula.to_string() };
        no(
            "sql.measure-expression",
            e,
            text("聚合的对象须是声明的度量列", "an aggregate takes a declared measure column"),
            text(
                format!("改写为 {nearest}；可用的度量：{known}；或请主管部门在协议中批准 `{formula}`"),
                format!(
                    "write {nearest}; the measures are: {known}; or ask the bureau to approve `{formula}` in the agreement"
                ),
            ),
        )
    }

    /// `sum(a + b)` as `sum(a), sum(b)`; another expression as its columns' aggregates.
    fn apart(&self, f: &Function, argument: &Expr) -> String {
        let mut columns = Vec::new();
        let _ = visit_expressions(argument, |e| {
            if let Some(name) = column_of(e).filter(|name| !columns.contains(name)) {
                columns.push(name);
            }
            ControlFlow::<()>::Continue(())
        });
        let is_measure = |name: &String| self.column(name).is_some_and(|c| c.role == ViewRole::Measure);
        let calls: Vec<String> =
            columns.iter().filter(|n| is_measure(n)).map(|name| format!("{}({name})", f.name)).collect();
        if calls.is_empty() { "count(*)".to_owned() } else { calls.join(", ") }
    }

    /// `sum(x) / count(x)` is `avg(x)`.
    fn ratio(&self, e: &Expr) -> Option<String> {
        let Expr::BinaryOp { left, op: BinaryOperator::Divide, right } = e else { return None };
        let (Expr::Function(above), Expr::Function(below)) = (left.as_ref(), right.as_ref()) else { return None };
        let x = argument(above).and_then(column_of)?;
        let same = argument(below).and_then(column_of).as_ref() == Some(&x);
        let named = |f: &Function, name| f.name.to_string().eq_ignore_ascii_case(name);
        (named(above, "sum") && named(below, "count") && same).then(|| format!("avg({x})"))
    }
}

fn holds_aggregate(e: &Expr) -> bool {
    visit_expressions(e, |part| match part {
        Expr::Function(f) if AGGREGATES.contains(&f.name.to_string().to_ascii_lowercase().as_str()) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}
