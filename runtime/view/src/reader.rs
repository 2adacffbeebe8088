//! Reading: an authorisation and the vault in, rows behind the barrier out.
//!
//! A plan is rebuilt here from what planning left over, with the unit column carried
//! along, and runs in a session without doors ([`crate::session`]). Whatever fails
//! becomes one [`ViewError`]; DataFusion's words end here.

use std::{collections::BTreeMap, fmt, sync::Arc};

use datafusion::{
    common::Result as FusionResult,
    datasource::provider_as_source,
    execution::{SendableRecordBatchStream, SessionState},
    logical_expr::{Expr, LogicalPlanBuilder, ident, lit, utils::conjunction},
};
use futures::{Stream, TryStreamExt, stream};
use roaring::RoaringBitmap;
use sluice_domain::{
    catalogue::Key,
    contract::{Tabulation, Totals},
    id::ViewId,
    state::{Authorised, GrantedView},
};
use sluice_rows::{
    ROW_COLUMN, RowBatch, UNIT_COLUMN,
    cells::{Cells, SnapshotRows},
};
use sluice_vault::Vault;

use crate::{
    InputPlan, ViewError, mask::Pseudonyms, provider::AuthorisedView, sealed::Sealed, session, tabulate, units,
    units::Numbered,
};

/// The granted views of one authorisation, opened.
pub struct ViewReader {
    session: SessionState,
    views: BTreeMap<ViewId, Arc<AuthorisedView>>,
}

impl ViewReader {
    /// Opens every view of an authorisation: from here on the keys of its granted
    /// columns are in memory, and no others.
    ///
    /// # Errors
    /// [`ViewError::Open`], whatever is wrong.
    pub fn open(vault: &Vault, granted: &Authorised<Vec<GrantedView>>) -> Result<Self, ViewError> {
        let views = granted.get().iter().map(|view| {
            let columns = view.view.columns.iter().cloned().collect();
            let grant = vault.grant(&view.entry, &view.snapshot, &columns).map_err(|_| ViewError::Open)?;
            let keys = grant.decryption().map_err(|_| ViewError::Open)?;
            Ok((view, Sealed { path: grant.path().to_owned(), keys }))
        });
        let key = vault.pseudonym_key(granted.agreement());
        let pseudonyms: Pseudonyms = Arc::new(move |value| key.pseudonym(value));
        Self::over(views.collect::<Result<_, ViewError>>()?, &pseudonyms)
    }

    /// Puts views over their opened snapshots.
    pub(crate) fn over(views: Vec<(&GrantedView, Sealed)>, pseudonyms: &Pseudonyms) -> Result<Self, ViewError> {
        let pool = session::pool();
        let inner = session::inner(Arc::clone(&pool)).map_err(|_| ViewError::Open)?;
        let session = session::outer(pool).map_err(|_| ViewError::Open)?;
        let views = views.into_iter().map(|(granted, sealed)| {
            let view = AuthorisedView::new(granted, sealed, pseudonyms, Arc::clone(&inner))?;
            Ok((granted.id.clone(), Arc::new(view)))
        });
        Ok(Self { session, views: views.collect::<Result<_, ViewError>>()? })
    }

    /// The rows of an input, one batch per privacy unit in canonical order, without
    /// the unit column. Units without a row do not appear: whoever needs the roster
    /// has its size from the authorisation.
    ///
    /// One unit is held at a time. A unit of more than `rows_max` rows comes with
    /// `rows_max + 1` rows, so that its excess can be seen and stays bounded. Batches
    /// may share buffers with their neighbours: copy before they enter a room.
    ///
    /// # Errors
    /// Any [`ViewError`], as an item of the stream.
    pub fn units(&self, plan: &InputPlan, rows_max: u32) -> impl Stream<Item = Result<RowBatch, ViewError>> + Send {
        self.numbered(plan, rows_max).map_ok(Numbered::into_rows)
    }

    /// As [`Self::units`], each with its hidden number.
    pub(crate) fn numbered(
        &self,
        plan: &InputPlan,
        rows_max: u32,
    ) -> impl Stream<Item = Result<Numbered, ViewError>> + Send + use<> {
        let asked = self.ask_input(plan);
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        stream::once(async move { asked?.run().await }).map_ok(move |rows| units::units(rows, rows_max)).try_flatten()
    }

    /// The rows of an input as they come, the hidden unit column last.
    pub(crate) async fn raw(&self, plan: &InputPlan) -> Result<SendableRecordBatchStream, ViewError> {
        self.ask_input(plan)?.run().await
    }

    fn ask_input(&self, plan: &InputPlan) -> Result<Question, ViewError> {
        let outputs = plan.outputs.iter().zip(&plan.columns).map(|(e, (name, _))| e.clone().alias(name)).collect();
        self.ask(&plan.view, outputs, plan.filter.clone())
    }

    /// Tabulates a table of route C: every occupied cell and, unless `totals` is
    /// [`Totals::None`], every margin, each folded at the level of units.
    /// `dominance_n` is the rule pack's n.
    ///
    /// # Errors
    /// Any [`ViewError`].
    pub async fn tabulate(&self, plan: &Tabulation, totals: Totals, dominance_n: u32) -> Result<Cells, ViewError> {
        let (measures, _) = tabulate::measure_columns(plan);
        let named = plan.dimensions.iter().map(|d| d.name.as_str()).chain(measures.iter().map(|m| m.name.as_str()));
        let outputs = named.chain([ROW_COLUMN]).map(ident).collect();
        let filter = conjunction(plan.filter.iter().map(|(dimension, keys)| {
            ident(dimension.name.as_str()).in_list(keys.iter().map(literal).collect(), false)
        }));
        let rows = self.ask(&plan.view, outputs, filter)?.run().await?;
        tabulate::tabulate(rows, plan, totals, dominance_n).await
    }

    /// All rows of the snapshot under `view`, whatever the view filters, with the
    /// values of some of its number columns and approved measures. For the release ledger
    /// alone.
    ///
    /// # Errors
    /// Any [`ViewError`].
    pub async fn snapshot_rows(&self, view: &ViewId, columns: &[String]) -> Result<SnapshotRows, ViewError> {
        let view = self.views.get(view).ok_or(ViewError::NotGranted)?;
        let rows = view.whole(columns).await.map_err(|_| ViewError::Read)?;
        tabulate::snapshot_rows(rows, columns.iter().map(|name| view.zeros(name)).collect()).await
    }

    /// The hidden numbers of the rows that an input has. For the release ledger alone.
    ///
    /// # Errors
    /// Any [`ViewError`].
    pub async fn input_rows(&self, plan: &InputPlan) -> Result<RoaringBitmap, ViewError> {
        let rows = self.ask(&plan.view, vec![ident(ROW_COLUMN)], plan.filter.clone())?.run().await?;
        tabulate::row_numbers(rows).await
    }

    pub(crate) fn ask(&self, view: &ViewId, outputs: Vec<Expr>, filter: Option<Expr>) -> Result<Question, ViewError> {
        let view = self.views.get(view).ok_or(ViewError::NotGranted)?;
        Ok(Question { session: self.session.clone(), view: Arc::clone(view), outputs, filter })
    }
}

/// A rebuilt plan, ready to run.
pub(crate) struct Question {
    session: SessionState,
    view: Arc<AuthorisedView>,
    outputs: Vec<Expr>,
    filter: Option<Expr>,
}

impl Question {
    /// The rows: the outputs, then the unit column.
    pub(crate) async fn run(self) -> Result<SendableRecordBatchStream, ViewError> {
        self.start().await.map_err(|_| ViewError::Read)
    }

    async fn start(self) -> FusionResult<SendableRecordBatchStream> {
        let mut plan = LogicalPlanBuilder::scan("view", provider_as_source(self.view), None)?;
        if let Some(filter) = self.filter {
            plan = plan.filter(filter)?;
        }
        let plan = plan.project(self.outputs.into_iter().chain([ident(UNIT_COLUMN)]))?.build()?;
        let plan = self.session.create_physical_plan(&plan).await?;
        plan.execute(0, self.session.task_ctx())
    }
}

pub(crate) fn literal(key: &Key) -> Expr {
    match key {
        Key::Int(n) => lit(*n),
        Key::Text(s) => lit(s.as_str()),
    }
}

impl fmt::Debug for ViewReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewReader({} views, rows withheld)", self.views.len())
    }
}
