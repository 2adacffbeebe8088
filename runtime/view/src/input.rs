//! Input of the inner room: a projection over an optional filter over one view.
//!
//! Such a query is unit-preserving by its shape (each output row comes from one row,
//! so from one unit) and total by its expressions. Aggregates and windows within a
//! unit, and joins with public tables, are not taken yet.

use std::collections::BTreeMap;

use datafusion::{
    common::DFSchema,
    logical_expr::{Expr, LogicalPlan},
};
use sluice_domain::{Refusal, catalogue::ColumnType, id::ViewId, state::GrantedView, text};

use crate::{
    expression::total,
    filter::row_filter,
    parse,
    refuse::{self, Form, refuse},
    schema::{arrow_schema, view_schema},
};

/// What is left of an input's SQL: everything the reader will run.
#[derive(Debug, Clone)]
pub struct InputPlan {
    /// The view it reads.
    pub view: ViewId,
    /// Names and types of the columns that land in the room, in SELECT order.
    pub columns: Vec<(String, ColumnType)>,
    /// One total expression per column, over the view's public columns.
    pub(crate) outputs: Vec<Expr>,
    /// A total condition on rows.
    pub(crate) filter: Option<Expr>,
}

/// Plans an input from its SQL. Pure: reads no data.
///
/// # Errors
/// `sql.*` with the place and the nearest allowed form; `view.*` if the agreement's
/// own view does not fit the catalogue.
pub fn plan_input(views: &[GrantedView], sql: &str) -> Result<InputPlan, Refusal> {
    let form = Form::Input;
    let (view, statement) = parse::statement(form, views, sql)?;
    let columns = view_schema(view)?;
    row_filter(view)?;
    let kinds: BTreeMap<&str, ColumnType> = columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    let schema = arrow_schema(columns.iter().map(|c| (c.name.as_str(), c.kind)));
    let over = DFSchema::try_from(schema.as_ref().clone()).map_err(|_| refuse::types(form, view.id.as_str()))?;

    let plan = parse::resolve(form, view, schema, statement)?;
    let (selected, condition) = shape(&plan).ok_or_else(|| shapeless(&plan))?;
    let filter = condition.map(|c| boolean(form, c, &over)).transpose()?;
    let mut named = Vec::new();
    let mut outputs = Vec::new();
    for expr in selected {
        let (output, kind) = total(form, expr, &over)?;
        let name = match expr {
            Expr::Alias(alias) => alias.name.clone(),
            Expr::Column(column) if kinds.contains_key(column.name.as_str()) => column.name.clone(),
            _ => return Err(parse::duplicate_name(&expr.to_string())),
        };
        named.push((name, kind));
        outputs.push(output);
    }
    parse::headings(named.iter().map(|(name, _)| name.as_str()))?;
    Ok(InputPlan { view: view.id.clone(), columns: named, outputs, filter })
}

/// A total condition, which must be true or false.
pub(crate) fn boolean(form: Form, condition: &Expr, over: &DFSchema) -> Result<Expr, Refusal> {
    match total(form, condition, over)? {
        (expr, ColumnType::Bool) => Ok(expr),
        _ => Err(refuse::types(form, &condition.to_string())),
    }
}

/// Projection over optional filter over the bare scan; anything else is `None`.
fn shape(plan: &LogicalPlan) -> Option<(&[Expr], Option<&Expr>)> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let (input, condition) = match projection.input.as_ref() {
        LogicalPlan::Filter(filter) => (filter.input.as_ref(), Some(&filter.predicate)),
        other => (other, None),
    };
    parse::is_bare_scan(input).then_some((projection.expr.as_slice(), condition))
}

/// Names the part of the plan that the form does not have.
fn shapeless(plan: &LogicalPlan) -> Refusal {
    let below = match plan {
        LogicalPlan::Projection(p) => p.input.as_ref(),
        other => other,
    };
    match below {
        LogicalPlan::Aggregate(a) => {
            let shown = a.aggr_expr.first().or(a.group_expr.first()).map(ToString::to_string).unwrap_or_default();
            refuse(
                "sql.aggregate",
                &shown,
                text("内室输入不能使用聚合", "an input of the inner room has no aggregates"),
                text(
                    "逐行取出列，由客体程序按隐私单元汇总；或改用路线 C 的表",
                    "select the rows and aggregate inside the guest, per unit; or use a table of route C",
                ),
            )
        }
        LogicalPlan::Window(_) => refuse::clause(Form::Input, "OVER"),
        other => refuse::clause(Form::Input, other.display().to_string().split(':').next().unwrap_or_default()),
    }
}
