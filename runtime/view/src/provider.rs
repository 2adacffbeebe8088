//! An authorised view as a table: its own filtered, masked scan behind the barrier.
//!
//! DataFusion cannot inline it, for it has no logical plan to show. The scan is put
//! together here by hand, so no rule of the asking session's planner touches it, in
//! this order: the snapshot's granted columns → the bureau's row filter → the masks →
//! leak-proof filters of the asker's → the columns asked for → the barrier.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::Session,
    common::{
        Column, DFSchema, DataFusionError, Result, plan_err,
        tree_node::{Transformed, TreeNode},
    },
    datasource::TableProvider,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{
        Expr, TableProviderFilterPushDown, TableType, ident,
        utils::{conjunction, split_conjunction},
    },
    physical_expr::PhysicalExpr,
    physical_plan::{ExecutionPlan, filter::FilterExec, projection::ProjectionExec},
};
use sluice_domain::state::GrantedView;
use sluice_rows::{ROW_COLUMN, UNIT_COLUMN, cells::Zeros};
use sluice_vault::arrow_type;

use crate::{
    ViewError,
    barrier::BarrierExec,
    derived::derived,
    expression::physical,
    filter::row_filter,
    leakproof::is_leakproof,
    mask::{self, Pseudonyms},
    schema::{binnings, granted_columns, view_schema},
    sealed::Sealed,
};

/// A granted view with its snapshot's keys: a table whose last columns are the row's
/// number and the unit's.
pub(crate) struct AuthorisedView {
    sealed: Sealed,
    context: Arc<TaskContext>,
    /// The granted columns as the snapshot has them, and the unit column.
    raw: DFSchema,
    /// The visible columns as masks leave them, and the unit column.
    visible: SchemaRef,
    /// One expression over `raw` per field of `visible`.
    masked: Vec<Expr>,
    /// Names of columns that are visible as they are.
    unmasked: BTreeSet<String>,
    /// The approved measures over `raw`, by name.
    derived: BTreeMap<String, Expr>,
    /// The bureau's row filter, made total.
    filter: Option<Expr>,
}

impl AuthorisedView {
    /// Puts a granted view over its opened snapshot.
    ///
    /// # Errors
    /// [`ViewError::Open`] if the agreement's view does not fit the catalogue.
    pub(crate) fn new(
        granted: &GrantedView,
        sealed: Sealed,
        pseudonyms: &Pseudonyms,
        context: Arc<TaskContext>,
    ) -> Result<Self, ViewError> {
        let columns = granted_columns(granted).map_err(|_| ViewError::Open)?;
        let raw = with_hidden(columns.iter().map(|(c, _)| Field::new(&c.name, arrow_type(c.kind), true)));
        let raw = DFSchema::try_from(raw).map_err(|_| ViewError::Open)?;
        let visible = view_schema(granted).map_err(|_| ViewError::Open)?;
        let visible = with_hidden(visible.iter().map(|c| Field::new(&c.name, arrow_type(c.kind), true)));
        let shown = columns.iter().flat_map(|(c, m)| {
            let binned = binnings(c, *m).map(|binning| mask::binned(c, binning));
            mask::visible(c, *m, pseudonyms).into_iter().chain(binned)
        });
        let derived = derived(granted).map_err(|_| ViewError::Open)?;
        let formulas = derived.iter().map(|(_, e)| e.clone());
        let masked = shown.chain(formulas).chain([ident(ROW_COLUMN), ident(UNIT_COLUMN)]).collect();
        let derived = derived.into_iter().map(|(name, e)| (name.to_owned(), e)).collect();
        let unmasked = columns.iter().filter(|(_, m)| m.is_none()).map(|(c, _)| c.name.clone()).collect();
        let filter = row_filter(granted).map_err(|_| ViewError::Open)?;
        Ok(Self { sealed, context, raw, visible: Arc::new(visible), masked, unmasked, derived, filter })
    }

    /// Every row of the snapshot, also those that the bureau's filter keeps from this
    /// view, in stored order: some of its number columns and approved measures, then every
    /// granted column, row and unit. For the release ledger alone, which must know whom a
    /// difference of views consists of, and who changed between two snapshots.
    pub(crate) async fn whole(&self, columns: &[String]) -> Result<SendableRecordBatchStream> {
        let raw = self.raw.as_arrow();
        let all: Vec<usize> = (0..raw.fields().len()).collect();
        let scan = self.sealed.scan(Arc::clone(self.raw.inner()), all, None).await?;
        let read = DFSchema::try_from(scan.schema().as_ref().clone())?;
        let measured = columns.iter().map(|name| self.derived.get(name).cloned().unwrap_or_else(|| ident(name)));
        let stored = raw.fields().iter().map(|field| ident(field.name()));
        let output = measured.chain(stored).enumerate().map(|(i, e)| Ok((physical(&e, &read)?, i.to_string())));
        let plan = ProjectionExec::try_new(output.collect::<Result<Vec<_>>>()?, scan)?;
        plan.execute(0, Arc::clone(&self.context))
    }

    /// Whether a unit counts whose contribution to a measure is zero.
    pub(crate) fn zeros(&self, measure: &str) -> Zeros {
        if self.derived.contains_key(measure) { Zeros::Skip } else { Zeros::Count }
    }

    /// The scan behind the barrier: fields `wanted` of the visible schema, in that
    /// order, of the granted rows that fulfil every one of `filters`.
    async fn behind_barrier(&self, wanted: &[usize], filters: &[Expr]) -> Result<Arc<dyn ExecutionPlan>> {
        let asked = conjunction(filters.iter().cloned());
        let mut visible: BTreeSet<usize> = wanted.iter().copied().collect();
        for name in asked.iter().flat_map(Expr::column_refs) {
            visible.insert(self.visible.index_of(&name.name)?);
        }
        let masks: Vec<(&Expr, &Field)> = visible
            .iter()
            .filter_map(|i| Some((self.masked.get(*i)?, self.visible.fields().get(*i)?.as_ref())))
            .collect();

        let needed = masks.iter().map(|(e, _)| *e).chain(&self.filter).flat_map(Expr::column_refs);
        let needed: BTreeSet<usize> =
            needed.map(|c| self.raw.as_arrow().index_of(&c.name)).collect::<Result<_, _>>()?;
        let columns: Vec<usize> = needed.into_iter().collect();
        let read = DFSchema::try_from(self.raw.as_arrow().project(&columns)?)?;
        let mut plan = self.sealed.scan(Arc::clone(self.raw.inner()), columns, self.prune(asked.as_ref())?).await?;

        if let Some(filter) = &self.filter {
            plan = Arc::new(FilterExec::try_new(physical(filter, &read)?, plan)?);
        }
        let exprs = masks.iter().map(|(e, f)| Ok((physical(e, &read)?, f.name().clone())));
        plan = Arc::new(ProjectionExec::try_new(exprs.collect::<Result<Vec<_>>>()?, plan)?);
        let shown = DFSchema::try_from(plan.schema().as_ref().clone())?;
        if let Some(asked) = &asked {
            plan = Arc::new(FilterExec::try_new(physical(asked, &shown)?, plan)?);
        }
        let output = wanted.iter().map(|i| {
            let name = self.visible.field(*i).name();
            Ok((physical(&ident(name.as_str()), &shown)?, name.clone()))
        });
        plan = Arc::new(ProjectionExec::try_new(output.collect::<Result<Vec<_>>>()?, plan)?);
        Ok(Arc::new(BarrierExec::over(plan, Arc::clone(&self.context))))
    }

    /// What of both filters speaks of raw columns and may be used to skip row groups.
    fn prune(&self, asked: Option<&Expr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let raw = self.raw.as_arrow();
        let own = self.filter.iter().flat_map(split_conjunction);
        let asked = asked
            .into_iter()
            .flat_map(split_conjunction)
            .filter(|e| e.column_refs().iter().all(|c| self.unmasked.contains(&c.name)));
        let parts = own.chain(asked).filter(|e| is_leakproof(e, raw)).cloned();
        conjunction(parts).map(|e| physical(&e, &self.raw)).transpose()
    }
}

fn with_hidden(fields: impl Iterator<Item = Field>) -> Schema {
    let hidden = [Field::new(ROW_COLUMN, DataType::UInt32, false), Field::new(UNIT_COLUMN, DataType::UInt64, false)];
    Schema::new(fields.chain(hidden).collect::<Vec<_>>())
}

/// The same expression over bare column names.
fn bare(expr: &Expr) -> Result<Expr> {
    let bare = expr.clone().transform_down(|e| match e {
        Expr::Column(c) if c.relation.is_some() => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(c.name)))),
        other => Ok(Transformed::no(other)),
    });
    bare.map(|t| t.data)
}

#[async_trait]
impl TableProvider for AuthorisedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.visible)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|f| {
            if is_leakproof(f, &self.visible) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        _asker: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filters = filters.iter().map(bare).collect::<Result<Vec<_>>>()?;
        if !filters.iter().all(|f| is_leakproof(f, &self.visible)) {
            return plan_err!("this filter does not pass the barrier");
        }
        let all: Vec<usize> = (0..self.visible.fields().len()).collect();
        let plan = self.behind_barrier(projection.unwrap_or(&all), &filters).await;
        plan.map_err(|_| DataFusionError::External(Box::new(ViewError::Open)))
    }
}

impl fmt::Debug for AuthorisedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorisedView({} columns, rows withheld)", self.visible.fields().len())
    }
}
