//! The public schema of a view: what an operator may know before any row is read.
//!
//! It follows from the agreement and the catalogue alone. A masked column has the
//! type and the role that the mask leaves it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use sluice_domain::{
    Refusal,
    agreement::Mask,
    catalogue::{Binning, Column, ColumnRole, ColumnType, Key},
    contract::Dimension,
    state::GrantedView,
    text,
};
use sluice_vault::arrow_type;

use crate::{derived::derived, refuse::refuse};

/// One visible column of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewColumn {
    /// Name in SQL.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Type after the mask.
    pub kind: ColumnType,
    /// What it may be used for.
    pub role: ViewRole,
}

/// What a visible column may be used for.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewRole {
    /// Names the privacy unit: may be counted with DISTINCT.
    Unit,
    /// May stand in GROUP BY, with this declared domain.
    Dimension(Dimension),
    /// May be summed and averaged.
    Measure,
    /// Readable in the inner room only.
    Attribute,
}

impl ViewColumn {
    /// The declared domain, if it is a dimension.
    pub fn dimension(&self) -> Option<&Dimension> {
        match &self.role {
            ViewRole::Dimension(d) => Some(d),
            ViewRole::Unit | ViewRole::Measure | ViewRole::Attribute => None,
        }
    }
}

/// The visible columns of a view, in the order the agreement grants them, each followed
/// by its binnings; then the approved measures.
///
/// # Errors
/// `view.column` for a column that the catalogue does not have, `view.mask` for a
/// mask that does not fit its column's type, `view.measure` for a derived measure.
pub fn view_schema(granted: &GrantedView) -> Result<Vec<ViewColumn>, Refusal> {
    let mut columns = Vec::new();
    for (column, mask) in granted_columns(granted)? {
        if !matches!(mask, Some(Mask::Drop)) {
            columns.push(visible(granted, column, mask)?);
        }
        columns.extend(binnings(column, mask).map(|binning| ViewColumn {
            name: binning.name.clone(),
            title: binning.title.clone(),
            kind: ColumnType::Text,
            role: ViewRole::Dimension(binning.dimension(column)),
        }));
    }
    columns.extend(derived(granted)?.into_iter().map(|(name, _)| ViewColumn {
        name: name.to_owned(),
        title: granted.view.measures.get(name).cloned().unwrap_or_default(),
        kind: ColumnType::Float,
        role: ViewRole::Measure,
    }));
    Ok(columns)
}

/// The binnings that a view shows: those of a column that it shows as it is.
pub(crate) fn binnings<'a>(column: &'a Column, mask: Option<&Mask>) -> impl Iterator<Item = &'a Binning> + use<'a> {
    column.binnings.iter().take(if mask.is_none() { usize::MAX } else { 0 })
}

/// The catalogue columns that a view reads, each with its mask: also those that
/// serve its filter only.
pub(crate) fn granted_columns(granted: &GrantedView) -> Result<Vec<(&Column, Option<&Mask>)>, Refusal> {
    let columns = granted.view.columns.iter().map(|name| {
        let column = granted.entry.column(name).ok_or_else(|| {
            refuse(
                "view.column",
                name,
                text("目录中没有视图所授权的列", "the catalogue does not have a column that the view grants"),
                text("由主管部门改正授权协议", "the bureau corrects the agreement"),
            )
        })?;
        Ok((column, granted.view.masks.get(name)))
    });
    columns.collect()
}

fn visible(granted: &GrantedView, column: &Column, mask: Option<&Mask>) -> Result<ViewColumn, Refusal> {
    let of = |kind, role| ViewColumn { name: column.name.clone(), title: column.title.clone(), kind, role };
    let misfit = |what| {
        Err(refuse(
            "view.mask",
            &column.name,
            what,
            text("由主管部门改正授权协议", "the bureau corrects the agreement"),
        ))
    };
    match mask {
        Some(Mask::Pseudonym) if matches!(column.kind, ColumnType::List(_) | ColumnType::Null) => {
            misfit(text("列表列与 null 列不能用假名", "a list or null column can have no pseudonym"))
        }
        Some(Mask::Drop | Mask::Pseudonym) => {
            Ok(of(ColumnType::Text, if column.role == ColumnRole::Unit { ViewRole::Unit } else { ViewRole::Attribute }))
        }
        Some(Mask::Bin { from, to, width }) => {
            if !matches!(column.kind, ColumnType::Int | ColumnType::Float) {
                return misfit(text("只有整数或浮点列可以分箱", "only an int or a float column can be binned"));
            }
            // A missing value has no bin, so a table over it would have a cell outside its
            // domain. Of the bins of a column it is not told which the catalogue says
            // nobody is in, and the gate would take them for unknown.
            let role = if column.nullable || granted.entry.is_bound(&column.name) {
                ViewRole::Attribute
            } else {
                ViewRole::Dimension(Dimension {
                    name: column.name.clone(),
                    title: column.title.clone(),
                    domain: edges(*from, *to, *width)
                        .map(|a| (Key::Int(a), format!("{a}–{}", a.saturating_add(*width).min(*to))))
                        .collect(),
                    base: None,
                })
            };
            Ok(of(ColumnType::Int, role))
        }
        None => Ok(of(
            column.kind,
            match column.role {
                ColumnRole::Unit => ViewRole::Unit,
                ColumnRole::Measure => ViewRole::Measure,
                ColumnRole::Attribute => ViewRole::Attribute,
                ColumnRole::Dimension => ViewRole::Dimension(column.dimension()),
            },
        )),
    }
}

/// Lower edges of the bins of `width` that cover `from..to`, ascending.
pub(crate) fn edges(from: i64, to: i64, width: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(from), move |a| a.checked_add(width.max(1))).take_while(move |a| *a < to)
}

/// An arrow schema of named plain columns. All nullable: what a file promises about
/// missing values is data, and no expression may be simplified by it.
pub(crate) fn arrow_schema<'a>(columns: impl IntoIterator<Item = (&'a str, ColumnType)>) -> SchemaRef {
    let fields: Vec<_> = columns.into_iter().map(|(name, kind)| Field::new(name, arrow_type(kind), true)).collect();
    Arc::new(Schema::new(fields))
}
