//! Predicates that may be evaluated on hidden rows: they can neither fail nor tell.
//!
//! A column against a literal of its own type, IN, BETWEEN, IS NULL, and these joined
//! by AND, OR and NOT. Everything else stays above the barrier.

use datafusion::{
    arrow::datatypes::{DataType, Schema},
    logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList},
};

/// Whether `expr` may be evaluated below the barrier of a view with this schema.
pub(crate) fn is_leakproof(expr: &Expr, schema: &Schema) -> bool {
    let literal = |e: &Expr, kind: &DataType| matches!(e, Expr::Literal(v, _) if v.data_type() == *kind);
    let column = |e: &Expr| match e {
        Expr::Column(c) => schema.field_with_name(&c.name).ok().map(|f| f.data_type().clone()),
        _ => None,
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_leakproof(left, schema) && is_leakproof(right, schema)
        }
        Expr::Not(inner) => is_leakproof(inner, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            column(left).is_some_and(|kind| literal(right, &kind))
                || column(right).is_some_and(|kind| literal(left, &kind))
        }
        Expr::InList(InList { expr, list, .. }) => {
            column(expr).is_some_and(|kind| list.iter().all(|e| literal(e, &kind)))
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            column(expr).is_some_and(|kind| literal(low, &kind) && literal(high, &kind))
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner).is_some(),
        _ => false,
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::datatypes::Field,
        logical_expr::{cast, col, lit},
    };

    use super::*;

    #[test]
    fn only_what_can_neither_fail_nor_tell() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)]);
        let yes = [
            col("n").gt(lit(1i64)),
            lit("x").eq(col("t")),
            col("n").in_list(vec![lit(1i64), lit(2i64)], true),
            col("n").between(lit(1i64), lit(5i64)),
            col("t").is_null().and(!col("n").is_not_null().or(col("n").not_eq(lit(3i64)))),
        ];
        let no = [
            cast(col("t"), DataType::Int64).gt(lit(1i64)),
            (lit(1i64) / (col("n") - lit(77i64))).gt(lit(-5i64)),
            col("n").gt(lit(1.5)),
            col("n").gt(col("n")),
            col("t").like(lit("x%")),
            col("missing").gt(lit(1i64)),
            col("n").in_list(vec![lit(1i64) / lit(0i64)], false),
            col("n").between(lit(1i64), col("n")),
            (col("n") / lit(0i64)).is_null(),
            col("n").gt(lit(1i64)).and(cast(col("t"), DataType::Int64).gt(lit(1i64))),
            lit(true),
        ];
        assert!(yes.iter().all(|e| is_leakproof(e, &schema)));
        for expr in no {
            assert!(!is_leakproof(&expr, &schema), "{expr}");
        }
    }
}
