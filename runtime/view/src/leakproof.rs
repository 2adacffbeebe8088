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
