//! Forbidden constructs of route C's SQL, each by its own code, its place in the
//! text, and the nearest form that is allowed, computed from the query itself.
//!
//! This only explains. What it does not recognise is refused later by the planner's
//! allow-list ([`crate::table`]), which does not rely on it.

mod clause;
mod filter;
mod measure;

use std::ops::ControlFlow;

use datafusion::sql::{
    parser::Statement as AnyStatement,
    sqlparser::ast::{
        BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
        GroupByExpr, Select, SelectItem, SetExpr, Spanned, Statement, visit_expressions,
    },
};
use sluice_domain::{Refusal, Text, text};

use crate::{
    refuse::{self, refuse},
    schema::{ViewColumn, ViewRole},
};

pub(crate) use clause::clause;

/// What the aggregates of route C are called in SQL.
pub(crate) const AGGREGATES: [&str; 14] = [
    "count",
    "sum",
    "avg",
    "mean",
    "var",
    "var_samp",
    "var_sample",
    "var_pop",
    "var_population",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "median",
    "quantile",
];

/// Refuses the first construct of `statement` that route C never has.
///
/// # Errors
/// `sql.*`, each with its place and the nearest allowed form.
pub(crate) fn explain(view: &str, columns: &[ViewColumn], statement: &AnyStatement) -> Result<(), Refusal> {
    let Some(select) = select(statement) else { return Ok(()) };
    let known = Known { view, columns };
    match visit_expressions(select, |e| known.anywhere(e).map_or(ControlFlow::Continue(()), ControlFlow::Break)) {
        ControlFlow::Break(refusal) => return Err(refusal),
        ControlFlow::Continue(()) => {}
    }
    let found = select
        .projection
        .iter()
        .find_map(|item| match item {
            SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => known.selected(e),
            _ => None,
        })
        .or_else(|| select.selection.as_ref().and_then(|e| conjuncts(e).into_iter().find_map(|e| known.condition(e))))
        .or_else(|| match &select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.iter().find_map(|e| known.grouping(e)),
            GroupByExpr::All(_) => None,
        });
    found.map_or(Ok(()), Err)
}

fn select(statement: &AnyStatement) -> Option<&Select> {
    let AnyStatement::Statement(statement) = statement else { return None };
    let Statement::Query(query) = statement.as_ref() else { return None };
    if let SetExpr::Select(select) = query.body.as_ref() { Some(select) } else { None }
}

/// The public names of the view that is read.
struct Known<'a> {
    view: &'a str,
    columns: &'a [ViewColumn],
}

impl Known<'_> {
    /// What no part of the statement may hold.
    fn anywhere(&self, e: &Expr) -> Option<Refusal> {
        if matches!(e, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }) {
            return Some(no(
                "sql.subquery",
                e,
                text("子查询会读到行", "a subquery reaches rows"),
                text(
                    "把条件写成代码：WHERE 维度 IN (代码, …)；两个数各写一个 [[table]]",
                    "write the condition with codes: WHERE dimension IN (code, …); two numbers are two [[table]]s",
                ),
            ));
        }
        let Expr::Function(f) = e else { return None };
        self.function(e, f)
    }

    fn function(&self, e: &Expr, f: &Function) -> Option<Refusal> {
        let name = f.name.to_string().to_ascii_lowercase();
        if f.over.is_some() {
            let plain = Function { over: None, ..f.clone() };
            let nearest = if AGGREGATES.contains(&name.as_str()) { plain.to_string() } else { "count(*)".to_owned() };
            return Some(no(
                "sql.window",
                e,
                text("窗口函数按行给出数值", "a window gives a number for each row"),
                text(
                    format!("去掉 OVER，写 `{nearest}`，并把分区列放进 GROUP BY"),
                    format!("drop the OVER, write `{nearest}`, and put the partition's columns into GROUP BY"),
                ),
            ));
        }
        if let Some(condition) = &f.filter {
            let plain = Function { filter: None, ..f.clone() };
            return Some(no(
                "sql.aggregate-filter",
                e,
                text("聚合不能带 FILTER", "an aggregate has no FILTER"),
                text(
                    format!("另写一个 [[table]]：SELECT …, {plain} FROM {} WHERE {condition} GROUP BY …", self.view),
                    format!(
                        "write another [[table]]: SELECT …, {plain} FROM {} WHERE {condition} GROUP BY …",
                        self.view
                    ),
                ),
            ));
        }
        let first = argument(f).map(|a| a.to_string()).unwrap_or_default();
        match name.as_str() {
            "min" | "max" => Some(no(
                "sql.extreme",
                e,
                text("最小值与最大值是某一个人的数值", "a minimum or maximum is one person's value"),
                text(
                    format!("在路由 B 中求裁剪后的统计量，或用 avg({first})"),
                    format!("compute a clamped statistic by route B, or use avg({first})"),
                ),
            )),
            "percentile_cont" | "quantile_cont" | "approx_percentile_cont" | "approx_median" | "percentile_disc" => {
                Some(no(
                    "sql.quantile",
                    e,
                    text(
                        format!("`{name}` 不可用：分位数按隐私单元计，并按声明的网格取整"),
                        format!(
                            "`{name}` is not available: quantiles are over privacy units, rounded to a declared grid"
                        ),
                    ),
                    text(
                        format!("使用 median({first}) 或 quantile({first}, 0.25)"),
                        format!("use median({first}) or quantile({first}, 0.25)"),
                    ),
                ))
            }
            "first_value" | "last_value" | "nth_value" | "first" | "last" | "any_value" | "mode" => Some(no(
                "sql.single-value",
                e,
                text(format!("`{name}` 给出某一个人的数值"), format!("`{name}` gives one person's value")),
                text(format!("使用 avg({first}) 或 sum({first})"), format!("use avg({first}) or sum({first})")),
            )),
            "array_agg" | "string_agg" | "list" | "listagg" | "group_concat" | "json_agg" | "histogram" => Some(no(
                "sql.value-list",
                e,
                text(format!("`{name}` 列出各人的数值"), format!("`{name}` lists people's values")),
                text(
                    format!("按声明的维度分组计数：SELECT {0}, count(*) … GROUP BY {0}", self.some_dimension()),
                    format!(
                        "count by a declared dimension: SELECT {0}, count(*) … GROUP BY {0}",
                        self.some_dimension()
                    ),
                ),
            )),
            _ => self.distinct(e, f, &name),
        }
    }

    fn distinct(&self, e: &Expr, f: &Function, name: &str) -> Option<Refusal> {
        let FunctionArguments::List(list) = &f.args else { return None };
        if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) {
            return None;
        }
        let column = argument(f).and_then(column_of)?;
        let unit = self.listed(|c| c.role == ViewRole::Unit);
        if name == "count" && self.column(&column)?.role == ViewRole::Unit {
            return None;
        }
        let nearest = match name {
            "count" => format!("count(DISTINCT {unit})"),
            _ => format!("{name}({column})"),
        };
        Some(no(
            "sql.distinct",
            e,
            text("DISTINCT 只能用于统计隐私单元", "DISTINCT counts privacy units only"),
            text(format!("使用 {nearest}"), format!("use {nearest}")),
        ))
    }

    fn grouping(&self, e: &Expr) -> Option<Refusal> {
        let (code, cause, next) = match e {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => return None,
            Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) => (
                "sql.rollup",
                text("合计不写在 SQL 中", "margins are not asked for in SQL"),
                text(
                    "改写为 GROUP BY 维度, …，并在 [[table]] 中写 totals = \"true\"",
                    "write GROUP BY dimensions and set totals = \"true\" in the [[table]]",
                ),
            ),
            _ => (
                "sql.group-expression",
                text("只能按声明的维度分组", "grouping is by declared dimensions only"),
                text(
                    format!("可用的维度与分箱：{}", self.dimensions()),
                    format!("the dimensions and binnings are: {}", self.dimensions()),
                ),
            ),
        };
        Some(no(code, e, cause, next))
    }

    fn column(&self, name: &str) -> Option<&ViewColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The first column in `e` that is `which`.
    fn mentions(&self, e: &Expr, which: impl Fn(&ViewColumn) -> bool) -> Option<String> {
        let mut found = None;
        let _ = visit_expressions(e, |part| {
            found = column_of(part).filter(|name| self.column(name).is_some_and(&which));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    }

    fn listed(&self, which: impl Fn(&ViewColumn) -> bool) -> String {
        let names: Vec<&str> = self.columns.iter().filter(|c| which(c)).map(|c| c.name.as_str()).collect();
        names.join(", ")
    }

    fn dimensions(&self) -> String {
        self.listed(|c| c.dimension().is_some())
    }

    fn some_dimension(&self) -> &str {
        self.columns.iter().find_map(ViewColumn::dimension).map_or("…", |d| d.name.as_str())
    }
}

/// A refusal at the place of `e`.
fn no(code: &'static str, e: &Expr, cause: Text, next: Text) -> Refusal {
    let start = e.span().start;
    let refusal = refuse(code, &e.to_string(), cause, next);
    if start.line == 0 { refusal } else { refuse::at_position(refusal, start.line, start.column) }
}

fn conjuncts(e: &Expr) -> Vec<&Expr> {
    let (mut open, mut found) = (vec![e], Vec::new());
    while let Some(e) = open.pop() {
        match e {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([right.as_ref(), left.as_ref()]),
            other => found.push(other),
        }
    }
    found
}

/// The only unnamed argument, or the first of several.
fn argument(f: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &f.args else { return None };
    list.args.first().and_then(|a| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
        _ => None,
    })
}

/// The column that `e` is, as the planner compares names.
fn column_of(e: &Expr) -> Option<String> {
    let ident = match e {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        Expr::Nested(inner) => return column_of(inner),
        _ => return None,
    };
    Some(if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() })
}
