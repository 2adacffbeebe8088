//! A view's row filter: the bureau's condition, held to the same list as operators'.
//!
//! It may speak of every column the view grants, also of masked and dropped ones, and
//! sees their raw values. Made total, it cannot fail on a row either.

use datafusion::{common::DFSchema, logical_expr::Expr};
use sluice_domain::{Refusal, state::GrantedView, text};

use crate::{
    input::boolean,
    parse,
    refuse::{Form, refuse},
    schema::{arrow_schema, granted_columns},
};

/// The total form of a view's row filter, over its granted raw columns.
///
/// # Errors
/// `view.filter` if it is not a condition of the allowed form; `view.column`.
pub(crate) fn row_filter(granted: &GrantedView) -> Result<Option<Expr>, Refusal> {
    let Some(sql) = &granted.view.filter else { return Ok(None) };
    let columns = granted_columns(granted)?;
    let schema = arrow_schema(columns.iter().map(|(c, _)| (c.name.as_str(), c.kind)));
    let bad = |why: Option<Refusal>| {
        let (zh, en) = why.map(|w| (w.cause.zh.clone(), w.cause.en.clone())).unwrap_or_default();
        refuse(
            "view.filter",
            granted.id.as_str(),
            text(format!("视图的 filter 不可用：{zh}"), format!("the view's filter cannot be used: {en}")),
            Form::Filter.next(),
        )
    };
    let over = DFSchema::try_from(schema.as_ref().clone()).map_err(|_| bad(None))?;
    let condition = parse::condition(&over, sql).map_err(|e| bad(Some(e)))?;
    boolean(Form::Filter, &condition, &over).map(Some).map_err(|e| bad(Some(e)))
}
