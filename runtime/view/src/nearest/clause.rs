//! Clauses that route C's SQL does not have, each with its code and its nearest form.

use sluice_domain::{Text, text};

use crate::refuse::Form;

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
