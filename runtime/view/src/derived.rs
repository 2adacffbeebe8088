//! Derived measures: arithmetic over a view's columns that the bureau approved by name.
//!
//! `[view.NAME.measures]` of the agreement. Only + − × ÷ over number columns that the
//! view shows unmasked, never the unit; computed in floats, so that nothing wraps, and
//! made total: a division by zero has no value.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, Operator, cast, ident},
};
use sluice_domain::{
    Refusal,
    catalogue::{ColumnRole, ColumnType},
    state::GrantedView,
    text,
};

use crate::{
    expression::total,
    parse,
    refuse::{Form, refuse},
    schema::{arrow_schema, granted_columns},
};

/// Each approved measure with its total form over the view's raw columns.
///
/// # Errors
/// `view.measure` that names the one which is not of the allowed form.
pub(crate) fn derived(granted: &GrantedView) -> Result<Vec<(&str, Expr)>, Refusal> {
    let columns = granted_columns(granted)?;
    let number = |kind| matches!(kind, ColumnType::Int | ColumnType::Float);
    let usable = columns.iter().filter(|(c, mask)| mask.is_none() && c.role != ColumnRole::Unit && number(c.kind));
    let schema = arrow_schema(usable.map(|(c, _)| (c.name.as_str(), ColumnType::Float)));
    let taken = |name: &str| {
        columns.iter().any(|(c, _)| c.name == name || c.binnings.iter().any(|binning| binning.name == name))
    };
    granted
        .view
        .measures
        .iter()
        .map(|(name, sql)| {
            let bad = |zh: &str, en: &str| {
                refuse(
                    "view.measure",
                    &format!("{}.measures.{name}", granted.id),
                    text(zh, en),
                    text("由主管部门改正授权协议", "the bureau corrects the agreement"),
                )
            };
            let form = || {
                bad(
                    "派生度量只能由视图中未脱敏的数值列与数字经 + - * / 算得",
                    "a derived measure is + - * / over unmasked number columns of the view and numbers",
                )
            };
            if parse::headings([name.as_str()]).is_err() || taken(name) {
                return Err(bad("派生度量的名称不可用或已被占用", "the measure's name cannot be used or is taken"));
            }
            let over = DFSchema::try_from(schema.as_ref().clone()).map_err(|_| form())?;
            let parsed = parse::condition(&over, sql).map_err(|_| form())?;
            let floats = in_floats(parsed).filter(is_arithmetic).ok_or_else(form)?;
            match total(Form::Filter, &floats, &over) {
                Ok((total, ColumnType::Float)) => Ok((name.as_str(), over_raw(total).ok_or_else(form)?)),
                _ => Err(form()),
            }
        })
        .collect()
}

/// Whole literals as floats.
fn in_floats(expr: Expr) -> Option<Expr> {
    let floats = expr.transform_up(|e| match e {
        #[expect(clippy::cast_precision_loss, reason = "a factor beyond 2^53 has no use")]
        Expr::Literal(ScalarValue::Int64(Some(n)), m) => {
            Ok(Transformed::yes(Expr::Literal(ScalarValue::Float64(Some(n as f64)), m)))
        }
        other => Ok(Transformed::no(other)),
    });
    floats.ok().map(|t| t.data)
}

/// Plain arithmetic that reads at least one column.
fn is_arithmetic(expr: &Expr) -> bool {
    let mut plain = true;
    let walked = expr.apply(|e| {
        plain &= match e {
            Expr::Column(_) | Expr::Negative(_) | Expr::Literal(ScalarValue::Float64(Some(_)), _) => true,
            Expr::BinaryExpr(b) => {
                matches!(b.op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide)
            }
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && plain && !expr.column_refs().is_empty()
}

/// The same over the columns as the snapshot has them.
fn over_raw(expr: Expr) -> Option<Expr> {
    let raw = expr.transform_up(|e| match e {
        Expr::Column(c) => Ok(Transformed::yes(cast(ident(c.name), DataType::Float64))),
        other => Ok(Transformed::no(other)),
    });
    raw.ok().map(|t| t.data)
}
