//! An aggregate of route C's SQL: which one, of which declared measure column.

use datafusion::{
    common::ScalarValue,
    logical_expr::{
        Expr,
        expr::{AggregateFunction, AggregateFunctionParams},
    },
};
use sluice_domain::{
    Refusal,
    contract::{Aggregate, Grid, MeasureC, Quantile, Rank},
    state::GrantedView,
    text,
};

use crate::{
    refuse::{self, refuse},
    schema::{ViewColumn, ViewRole},
    table::{FORM, unalias},
};

/// The measure that `call` asks for, under the heading `alias` if it has one.
///
/// # Errors
/// `sql.*`, with the nearest allowed form.
pub(crate) fn measure(
    view: &GrantedView,
    columns: &[ViewColumn],
    call: &Expr,
    alias: Option<&str>,
) -> Result<MeasureC, Refusal> {
    let shown = call.to_string();
    let (call, _) = unalias(call);
    let Expr::AggregateFunction(AggregateFunction { func, params }) = call else {
        return Err(refuse::expression(FORM, &shown));
    };
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
    if filter.is_some() || !order_by.is_empty() || null_treatment.is_some() {
        return Err(refuse::expression(FORM, &shown));
    }
    let named = |aggregate, heading: String, column: Option<&str>| MeasureC {
        name: alias.map_or(heading, str::to_owned),
        aggregate,
        column: column.map(str::to_owned),
    };
    let of = |aggregate, word: &str, name: &str| {
        measured(columns, name).map(|column| named(aggregate, format!("{word}_{column}"), Some(column)))
    };
    let quantile = |rank, word: &str, name: &str| {
        let column = measured(columns, name)?;
        of(Aggregate::Quantile(Quantile { rank, grid: grid(view, column)? }), word, column)
    };
    match (func.name(), distinct, args.as_slice()) {
        // What DataFusion makes of the star.
        ("count", false, [Expr::Literal(ScalarValue::Int64(Some(1)), _)]) => {
            Ok(named(Aggregate::Rows, "count".to_owned(), None))
        }
        ("count", true, [Expr::Column(c)]) => match columns.iter().find(|v| v.name == c.name).map(|v| &v.role) {
            Some(ViewRole::Unit) => Ok(named(Aggregate::Units, "units".to_owned(), None)),
            _ => {
                let unit = listed(columns, |c| c.role == ViewRole::Unit);
                Err(refuse(
                    "sql.measure",
                    &shown,
                    text("DISTINCT 只能用于统计隐私单元", "DISTINCT counts privacy units only"),
                    text(format!("使用 count(DISTINCT {unit})"), format!("use count(DISTINCT {unit})")),
                ))
            }
        },
        ("count", false, [Expr::Column(c)]) => of(Aggregate::Count, "count", &c.name),
        ("sum", false, [Expr::Column(c)]) => of(Aggregate::Sum, "sum", &c.name),
        ("avg", false, [Expr::Column(c)]) => of(Aggregate::Mean, "avg", &c.name),
        ("var", false, [Expr::Column(c)]) => of(Aggregate::VarSamp, "var", &c.name),
        ("var_pop", false, [Expr::Column(c)]) => of(Aggregate::VarPop, "var_pop", &c.name),
        ("stddev", false, [Expr::Column(c)]) => of(Aggregate::StddevSamp, "stddev", &c.name),
        ("stddev_pop", false, [Expr::Column(c)]) => of(Aggregate::StddevPop, "stddev_pop", &c.name),
        ("median", false, [Expr::Column(c)]) => quantile(Rank::HALF, "median", &c.name),
        ("quantile", false, [Expr::Column(c), Expr::Literal(q, _)]) => {
            quantile(rank(&shown, &c.name, q)?, "quantile", &c.name)
        }
        ("count" | "sum" | "avg" | "var" | "var_pop" | "stddev" | "stddev_pop" | "median" | "quantile", ..) => {
            Err(refuse::expression(FORM, &shown))
        }
        (name, ..) => Err(refuse::function(FORM, name)),
    }
}

/// The second argument of `quantile`.
fn rank(shown: &str, column: &str, q: &ScalarValue) -> Result<Rank, Refusal> {
    let share = match q {
        ScalarValue::Float64(Some(q)) => Rank::of(*q),
        _ => None,
    };
    share.ok_or_else(|| {
        let nearest = format!("quantile({column}, 0.05), median({column}), quantile({column}, 0.95)");
        refuse(
            "sql.quantile",
            shown,
            text(
                "分位数的 q 须在 0 与 1 之间，至多四位小数；两端是某一个人的数值",
                "q of a quantile lies between 0 and 1, with four decimals at most; the ends are one person's value",
            ),
            text(format!("例如 {nearest}"), format!("such as {nearest}")),
        )
    })
}

/// What quantiles of a measure are rounded to.
fn grid(view: &GrantedView, column: &str) -> Result<Grid, Refusal> {
    view.entry.column(column).and_then(|c| c.grid).ok_or_else(|| {
        refuse(
            "sql.grid",
            column,
            text(
                format!("目录没有为 `{column}` 声明取整的网格，不能求分位数"),
                format!("the catalogue declares no grid for `{column}`, so it has no quantiles"),
            ),
            text(
                format!("使用 avg({column}) 与 stddev({column})，或请主管部门在目录中为该列声明 grid"),
                format!("use avg({column}) and stddev({column}), or ask the bureau to declare a `grid` for the column"),
            ),
        )
    })
}

fn measured<'a>(columns: &'a [ViewColumn], name: &str) -> Result<&'a str, Refusal> {
    let found = columns.iter().find(|c| c.name == name && c.role == ViewRole::Measure);
    found.map(|c| c.name.as_str()).ok_or_else(|| {
        let known = listed(columns, |c| c.role == ViewRole::Measure);
        refuse(
            "sql.measure",
            name,
            text(format!("列 `{name}` 不是度量"), format!("the column `{name}` is not a measure")),
            text(format!("可用的度量：{known}"), format!("the measures are: {known}")),
        )
    })
}

/// The names of the columns that are `which`, for a refusal.
pub(crate) fn listed(columns: &[ViewColumn], which: impl Fn(&ViewColumn) -> bool) -> String {
    let names: Vec<_> = columns.iter().filter(|c| which(c)).map(|c| c.name.as_str()).collect();
    names.join(", ")
}
