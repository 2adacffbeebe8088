//! SQL of route C, reduced to {dimensions, measures, filter} (gate.md §3).
//!
//! Nothing else of the text survives: the host tabulates what is in the
//! [`Tabulation`], by its own code, and the SQL is never executed.

use std::collections::BTreeMap;

use datafusion::{
    common::ScalarValue,
    logical_expr::{
        Aggregate as AggregatePlan, BinaryExpr, Expr, LogicalPlan, Operator, expr::InList, utils::split_conjunction,
    },
};
use sluice_domain::{
    Refusal,
    catalogue::{ColumnRole, ColumnType, Key},
    contract::{Dimension, MeasureC, Tabulation},
    state::GrantedView,
    text,
};

use crate::{
    filter::row_filter,
    measure::{listed, measure},
    nearest, parse,
    refuse::{self, Form, refuse},
    schema::{ViewColumn, ViewRole, arrow_schema, view_schema},
    tabulate::slots,
};

pub(crate) const FORM: Form = Form::Table;

/// Plans a table of route C from its SQL. Pure: reads no data.
///
/// # Errors
/// `sql.*` with the place and the nearest allowed form; `view.*` if the agreement's
/// own view does not fit the catalogue.
pub fn plan_table(views: &[GrantedView], sql: &str) -> Result<Tabulation, Refusal> {
    reduce(views, sql).map_err(|refusal| refuse::located(refusal, sql))
}

fn reduce(views: &[GrantedView], sql: &str) -> Result<Tabulation, Refusal> {
    let (view, statement) = parse::statement(FORM, views, sql)?;
    let columns = countable(view, view_schema(view)?);
    nearest::explain(view.id.as_str(), &columns, &statement)?;
    row_filter(view)?;
    let schema = arrow_schema(columns.iter().map(|c| (c.name.as_str(), c.kind)));
    let plan = parse::resolve(FORM, view, schema, statement)?;
    let (selected, aggregate) = aggregation(&plan)?;
    let filter = conditions(&columns, aggregate.input.as_ref())?;

    let mut dimensions: Vec<Dimension> = Vec::new();
    let mut measures: Vec<MeasureC> = Vec::new();
    for expr in selected {
        let (inner, alias) = unalias(expr);
        let Expr::Column(output) = inner else { return Err(refuse::expression(FORM, &inner.to_string())) };
        let place = aggregate.schema.index_of_column(output).map_err(|_| refuse::expression(FORM, output.name()))?;
        if let Some(key) = aggregate.group_expr.get(place) {
            dimensions.push(grouping(&columns, key, alias)?);
        } else {
            let call = aggregate.aggr_expr.get(place.saturating_sub(aggregate.group_expr.len()));
            let call = call.ok_or_else(|| refuse::expression(FORM, output.name()))?;
            measures.push(measure(view, &columns, call, alias)?);
        }
    }
    for key in &aggregate.group_expr {
        let dimension = grouping(&columns, key, None)?;
        if !dimensions.iter().any(|d| d.name == dimension.name) {
            return Err(refuse(
                "sql.group-by",
                &dimension.name,
                text("GROUP BY 的维度须出现在 SELECT 中", "a dimension of GROUP BY stands in SELECT, too"),
                FORM.next(),
            ));
        }
    }
    if measures.is_empty() {
        return Err(refuse(
            "sql.measure",
            "SELECT",
            text("表中须有至少一个聚合", "a table has at least one aggregate"),
            FORM.next(),
        ));
    }
    parse::headings(dimensions.iter().map(|d| d.name.as_str()).chain(measures.iter().map(|m| m.name.as_str())))?;
    if slots(&dimensions).is_none() {
        return Err(refuse(
            "sql.cells",
            "GROUP BY",
            text("维度组合过多", "the dimensions have too many combinations"),
            text("减少维度，或改用较粗的代码", "use fewer dimensions, or coarser codes"),
        ));
    }
    let approved = measures.iter().filter_map(|m| view.view.measures.get_key_value(m.column.as_deref()?));
    let derived = approved.map(|(name, formula)| (name.clone(), formula.clone())).collect();
    one_level(&dimensions)?;
    let impossible = view.entry.combinations();
    Ok(Tabulation { view: view.id.clone(), dimensions, measures, filter, derived, impossible })
}

/// Two levels of one hierarchy in one table would have cells that cannot hold anybody.
fn one_level(dimensions: &[Dimension]) -> Result<(), Refusal> {
    let twice = dimensions.iter().enumerate().find_map(|(i, d)| {
        let other = dimensions.iter().take(i).find(|other| other.base_name() == d.base_name())?;
        Some((other, d))
    });
    let Some((first, second)) = twice else { return Ok(()) };
    Err(refuse(
        "sql.hierarchy",
        &second.name,
        text(
            format!("`{}` 与 `{}` 出自同一列", first.name, second.name),
            format!("`{}` and `{}` are levels of one column", first.name, second.name),
        ),
        text(
            format!("按 `{}` 与按 `{}` 各写一个 [[table]]，它们一并受保护", first.name, second.name),
            format!(
                "write one [[table]] by `{}` and one by `{}`: they are protected together",
                first.name, second.name
            ),
        ),
    ))
}

/// The view's columns, and the unit's even if the view does not show it: a table
/// may always say how many units it counts.
fn countable(view: &GrantedView, mut columns: Vec<ViewColumn>) -> Vec<ViewColumn> {
    let unit = view.entry.columns.iter().find(|c| c.role == ColumnRole::Unit);
    if let Some(unit) = unit.filter(|u| !columns.iter().any(|c| c.name == u.name)) {
        columns.push(ViewColumn {
            name: unit.name.clone(),
            title: unit.title.clone(),
            kind: ColumnType::Text,
            role: ViewRole::Unit,
        });
    }
    columns
}

/// The SELECT list and the aggregation below it.
fn aggregation(plan: &LogicalPlan) -> Result<(&[Expr], &AggregatePlan), Refusal> {
    let LogicalPlan::Projection(projection) = plan else { return Err(refuse::clause(FORM, "SELECT")) };
    match projection.input.as_ref() {
        LogicalPlan::Aggregate(aggregate) => Ok((&projection.expr, aggregate)),
        LogicalPlan::Window(_) => Err(refuse::clause(FORM, "OVER")),
        _ => Err(refuse(
            "sql.measure",
            "SELECT",
            text("表中须有至少一个聚合", "a table has at least one aggregate"),
            FORM.next(),
        )),
    }
}

/// An expression without its names, and the heading that the operator gave it. The
/// planner itself names the star `count(*)` and an alias of a function `var_samp(x)`,
/// which are no headings.
pub(crate) fn unalias(mut expr: &Expr) -> (&Expr, Option<&str>) {
    let mut heading = None;
    while let Expr::Alias(alias) = expr {
        heading = heading.or(Some(alias.name.as_str()).filter(|name| !name.ends_with(')')));
        expr = &alias.expr;
    }
    (expr, heading)
}

fn grouping(columns: &[ViewColumn], key: &Expr, alias: Option<&str>) -> Result<Dimension, Refusal> {
    let Expr::Column(column) = key else { return Err(refuse::expression(FORM, &key.to_string())) };
    let dimension = dimension(columns, &column.name)?;
    if alias.is_some_and(|a| a != dimension.name) {
        return Err(refuse(
            "sql.name",
            alias.unwrap_or_default(),
            text("维度不能改名", "a dimension keeps its name"),
            text(format!("去掉 AS，使用 `{}`", dimension.name), format!("drop the AS and use `{}`", dimension.name)),
        ));
    }
    Ok(dimension)
}

fn dimension(columns: &[ViewColumn], name: &str) -> Result<Dimension, Refusal> {
    columns.iter().find(|c| c.name == name).and_then(ViewColumn::dimension).cloned().ok_or_else(|| {
        let known = listed(columns, |c| c.dimension().is_some());
        refuse(
            "sql.dimension",
            name,
            text(
                format!("列 `{name}` 没有声明的取值域，不能作维度"),
                format!("the column `{name}` has no declared domain, so it is no dimension"),
            ),
            text(format!("可用的维度：{known}"), format!("the dimensions are: {known}")),
        )
    })
}

/// The WHERE clause: declared dimensions against codes, joined by AND. Keys come out
/// in the order of their domain; a dimension named twice keeps what both allow.
fn conditions(columns: &[ViewColumn], input: &LogicalPlan) -> Result<Vec<(Dimension, Vec<Key>)>, Refusal> {
    let (predicate, below) = match input {
        LogicalPlan::Filter(f) => (Some(&f.predicate), f.input.as_ref()),
        other => (None, other),
    };
    if !parse::is_bare_scan(below) {
        return Err(refuse::clause(FORM, "FROM"));
    }
    let mut kept: BTreeMap<String, (Dimension, Vec<Key>)> = BTreeMap::new();
    for part in predicate.into_iter().flat_map(split_conjunction) {
        let (name, literals) = condition(part).ok_or_else(|| {
            refuse(
                "sql.filter",
                &part.to_string(),
                text(
                    "WHERE 只能是 维度 = 代码 或 维度 IN (代码, …)，以 AND 相连",
                    "WHERE holds only dimension = code and dimension IN (code, …), joined by AND",
                ),
                FORM.next(),
            )
        })?;
        let dimension = dimension(columns, name)?;
        let wanted = literals.into_iter().map(|l| code(&dimension, l)).collect::<Result<Vec<_>, _>>()?;
        let (dimension, keys) = kept.entry(dimension.name.clone()).or_insert_with(|| {
            let all = dimension.domain.iter().map(|(key, _)| key.clone()).collect();
            (dimension, all)
        });
        keys.retain(|key| wanted.contains(key));
        if keys.is_empty() {
            return Err(refuse(
                "sql.filter",
                &dimension.name,
                text("WHERE 的条件互相矛盾", "the conditions of WHERE exclude each other"),
                text("去掉其中一个条件", "drop one of them"),
            ));
        }
    }
    Ok(kept.into_values().collect())
}

/// `column = literal`, `literal = column` or `column IN (literals)`.
fn condition(part: &Expr) -> Option<(&str, Vec<&ScalarValue>)> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(c), Expr::Literal(v, _)) | (Expr::Literal(v, _), Expr::Column(c)) => Some((&c.name, vec![v])),
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(c) = expr.as_ref() else { return None };
            let literals = list.iter().map(|e| match e {
                Expr::Literal(v, _) => Some(v),
                _ => None,
            });
            Some((&c.name, literals.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn code(dimension: &Dimension, literal: &ScalarValue) -> Result<Key, Refusal> {
    let key = match literal {
        ScalarValue::Int64(Some(n)) => Some(Key::Int(*n)),
        ScalarValue::Utf8(Some(s)) => Some(Key::Text(s.clone())),
        _ => None,
    };
    key.filter(|k| dimension.domain.iter().any(|(known, _)| known == k)).ok_or_else(|| {
        let known: Vec<_> = dimension.domain.iter().take(50).map(|(key, _)| key.to_string()).collect();
        let known = known.join(", ");
        refuse(
            "sql.code",
            &dimension.name,
            text(
                format!("维度 `{}` 没有代码 `{literal}`", dimension.name),
                format!("the dimension `{}` has no code `{literal}`", dimension.name),
            ),
            text(format!("可用的代码：{known}"), format!("the codes are: {known}")),
        )
    })
}
