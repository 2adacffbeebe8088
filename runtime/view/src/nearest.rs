//! Forbidden constructs of route C's SQL, each by its own code, its place in the
//! text, and the nearest form that is allowed, computed from the query itself.
//!
//! This only explains. What it does not recognise is refused later by the planner's
//! allow-list ([`crate::table`]), which does not rely on it.

use std::ops::ControlFlow;

use datafusion::sql::{
    parser::Statement as AnyStatement,
    sqlparser::ast::{
        BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
        GroupByExpr, Select, SelectItem, SetExpr, Spanned, Statement, UnaryOperator, Value, visit_expressions,
    },
};
use sluice_domain::{Refusal, Text, catalogue::Key, contract::Dimension, text};

use crate::{
    refuse::{self, Form, refuse},
    schema::{ViewColumn, ViewRole},
};

/// What the aggregates of route C are called in SQL.
pub(crate) const AGGREGATES: [&str; 4] = ["count", "sum", "avg", "mean"];

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

    /// An item of SELECT: a dimension, or an aggregate of a declared measure.
    fn selected(&self, e: &Expr) -> Option<Refusal> {
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

    /// One condition of WHERE, of those joined by AND.
    fn condition(&self, e: &Expr) -> Option<Refusal> {
        if let Some(unit) = self.mentions(e, |c| c.role == ViewRole::Unit) {
            return Some(no(
                "sql.filter-unit",
                e,
                text("WHERE 不得指认个人", "WHERE names no single person"),
                text(
                    format!("去掉 `{unit}` 的条件；可用的维度：{}", self.dimensions()),
                    format!("drop the condition on `{unit}`; the dimensions are: {}", self.dimensions()),
                ),
            ));
        }
        match e {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { op: BinaryOperator::Or, left, right } => Some(self.either(e, left, right)),
            Expr::UnaryOp { op: UnaryOperator::Not, .. }
            | Expr::InList { negated: true, .. }
            | Expr::Between { negated: true, .. }
            | Expr::IsNotNull(_)
            | Expr::BinaryOp { op: BinaryOperator::NotEq, .. } => Some(self.by_codes("sql.filter-not", e)),
            Expr::Between { .. }
            | Expr::BinaryOp {
                op: BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq,
                ..
            } => Some(self.by_codes("sql.filter-range", e)),
            _ => None,
        }
    }

    /// OR: over one dimension it is an IN, over two it is two tables.
    fn either(&self, e: &Expr, left: &Expr, right: &Expr) -> Refusal {
        let one = self.codes_of(e).map(|(dimension, codes)| membership(dimension, &codes));
        let nearest = one.unwrap_or_else(|| format!("WHERE {left}`, `WHERE {right}"));
        let zh = format!("用 AND 相连，或改写为 `{nearest}`（各为一个 [[table]]）");
        let en = format!("join by AND, or write `{nearest}`, each a [[table]] of its own");
        no("sql.filter-or", e, text("WHERE 的条件以 AND 相连", "conditions of WHERE are joined by AND"), text(zh, en))
    }

    /// A negation or range: the codes of a dimension that fulfil it, or what else there is.
    fn by_codes(&self, code: &'static str, e: &Expr) -> Refusal {
        let nearest = match self.codes_of(e) {
            Some((dimension, codes)) if !codes.is_empty() => {
                let same = membership(dimension, &codes);
                text(format!("改写为 `{same}`"), format!("write `{same}`"))
            }
            Some((dimension, _)) => text(
                format!("维度 `{}` 没有这样的代码，去掉该条件", dimension.name),
                format!("no code of `{}` fulfils it: drop the condition", dimension.name),
            ),
            None => self.without_codes(e),
        };
        let cause = match code {
            "sql.filter-not" => {
                text("WHERE 列出要保留的代码，不用否定", "WHERE lists the codes to keep, without negation")
            }
            _ => text("WHERE 列出要保留的代码，不用范围", "WHERE lists the codes to keep, without ranges"),
        };
        no(code, e, cause, nearest)
    }

    fn without_codes(&self, e: &Expr) -> Text {
        let name = self.mentions(e, |_| true).unwrap_or_default();
        let binnings = self.columns.iter().filter_map(ViewColumn::dimension).filter(|d| d.name != name);
        if let Some(binning) = binnings.into_iter().find(|d| d.base_name() == name) {
            let bins: Vec<&Key> = binning.domain.iter().map(|(key, _)| key).collect();
            let whole = membership(binning, &bins);
            return text(
                format!("用 `{name}` 的声明分箱，从 `{whole}` 中去掉不要的"),
                format!("use a declared binning of `{name}`: of `{whole}` drop what is not wanted"),
            );
        }
        text(
            format!("`{name}` 没有声明的分箱；可用的维度：{}，写作 `维度 IN (代码, …)`", self.dimensions()),
            format!(
                "`{name}` has no declared binning; the dimensions are: {}, written `dimension IN (code, …)`",
                self.dimensions()
            ),
        )
    }

    /// The codes of the one dimension that `e` speaks of which fulfil it.
    fn codes_of(&self, e: &Expr) -> Option<(&Dimension, Vec<&Key>)> {
        let name = self.mentions(e, |c| c.dimension().is_some())?;
        let dimension = self.column(&name)?.dimension()?;
        let keys = dimension.domain.iter().map(|(key, _)| key);
        let kept: Option<Vec<(bool, &Key)>> = keys.map(|key| Some((holds(e, &name, key)?, key))).collect();
        Some((dimension, kept?.into_iter().filter(|(kept, _)| *kept).map(|(_, key)| key).collect()))
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

fn holds_aggregate(e: &Expr) -> bool {
    visit_expressions(e, |part| match part {
        Expr::Function(f) if AGGREGATES.contains(&f.name.to_string().to_ascii_lowercase().as_str()) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
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

/// Whether `name = key` fulfils `e`; `None` where `e` says something else than that.
fn holds(e: &Expr, name: &str, key: &Key) -> Option<bool> {
    let order = |literal: &Expr| Some(key.cmp(&literal_key(literal).filter(|k| alike(k, key))?));
    let is_name = |e: &Expr| column_of(e).as_deref() == Some(name);
    match e {
        Expr::Nested(inner) => holds(inner, name, key),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => holds(expr, name, key).map(|b| !b),
        Expr::IsNotNull(inner) => is_name(inner).then_some(true),
        Expr::InList { expr, list, negated } if is_name(expr) => {
            let listed: Option<Vec<bool>> = list.iter().map(|l| order(l).map(|o| o.is_eq())).collect();
            Some(listed?.contains(&true) != *negated)
        }
        Expr::Between { expr, negated, low, high } if is_name(expr) => {
            Some((order(low)?.is_ge() && order(high)?.is_le()) != *negated)
        }
        Expr::BinaryOp { left, op, right } => {
            let both = || Some((holds(left, name, key)?, holds(right, name, key)?));
            let order = || match (is_name(left), is_name(right)) {
                (true, false) => order(right),
                (false, true) => order(left).map(std::cmp::Ordering::reverse),
                _ => None,
            };
            match op {
                BinaryOperator::And => both().map(|(a, b)| a && b),
                BinaryOperator::Or => both().map(|(a, b)| a || b),
                BinaryOperator::Eq => order().map(|o| o.is_eq()),
                BinaryOperator::NotEq => order().map(|o| o.is_ne()),
                BinaryOperator::Lt => order().map(|o| o.is_lt()),
                BinaryOperator::LtEq => order().map(|o| o.is_le()),
                BinaryOperator::Gt => order().map(|o| o.is_gt()),
                BinaryOperator::GtEq => order().map(|o| o.is_ge()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn alike(a: &Key, b: &Key) -> bool {
    matches!((a, b), (Key::Int(_), Key::Int(_)) | (Key::Text(_), Key::Text(_)))
}

fn literal_key(e: &Expr) -> Option<Key> {
    match e {
        Expr::Nested(inner) => literal_key(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal_key(expr)? {
            Key::Int(n) => n.checked_neg().map(Key::Int),
            Key::Text(_) => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(n, _) => n.to_string().parse().ok().map(Key::Int),
            Value::SingleQuotedString(s) => Some(Key::Text(s.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// `dimension IN (codes)`, as it would be written.
fn membership(dimension: &Dimension, codes: &[&Key]) -> String {
    let shown: Vec<String> = codes
        .iter()
        .map(|key| match key {
            Key::Int(n) => n.to_string(),
            Key::Text(s) => format!("'{}'", s.replace('\'', "''")),
        })
        .collect();
    format!("{} IN ({})", dimension.name, shown.join(", "))
}

/// The next step for a clause that route C does not have, and its code.
pub(crate) fn clause(name: &str) -> (&'static str, Text) {
    match name {
        "HAVING" => (
            "sql.having",
            text("去掉 HAVING：单位数少于 k 的单元格本来就会隐去", "leave it out: cells under k are withheld anyway"),
        ),
        "DISTINCT" => (
            "sql.distinct",
            text(
                "去掉 DISTINCT，改用 GROUP BY 维度：每个组合只出现一次",
                "drop DISTINCT and GROUP BY the dimensions: each combination comes once",
            ),
        ),
        "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" => (
            "sql.set-operation",
            text(
                "每个 SELECT 各写一个 [[table]]，它们一并受保护",
                "write each SELECT as a [[table]] of its own; they are protected together",
            ),
        ),
        "ORDER BY" | "LIMIT" | "FETCH" | "TOP" | "SORT BY" => (
            "sql.order",
            text(
                "去掉它：声明域的每个单元格都会给出，次序固定，名次由您自己计算",
                "leave it out: every cell of the declared domain comes, in a fixed order; rank them yourself",
            ),
        ),
        "JOIN" => (
            "sql.join",
            text(
                "只读一个授权视图；所需的连接由主管部门写进视图",
                "read one granted view; the bureau puts a join that is needed into the view",
            ),
        ),
        "WITH" | "FROM (SELECT …)" | "(SELECT …)" => (
            "sql.subquery",
            text(
                "直接从授权视图读取：SELECT 维度, 聚合 FROM 视图 GROUP BY 维度",
                "read from the granted view directly: SELECT dimensions, aggregates FROM view GROUP BY dimensions",
            ),
        ),
        "WINDOW" | "QUALIFY" | "OVER" => (
            "sql.window",
            text("去掉它，把分区列放进 GROUP BY", "leave it out and put the partition's columns into GROUP BY"),
        ),
        "GROUP BY ALL" | "GROUP BY … WITH" => (
            "sql.rollup",
            text(
                "改写为 GROUP BY 维度, …，并在 [[table]] 中写 totals = \"true\"",
                "write GROUP BY dimensions and set totals = \"true\" in the [[table]]",
            ),
        ),
        _ => ("sql.clause", Form::Table.next()),
    }
}
