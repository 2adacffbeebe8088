//! The barrier: a leaf of the plan that passes rows up and lets nothing down.
//!
//! It shows the optimizer no children, no statistics, no metrics and no expressions,
//! and accepts no filter, limit, projection or repartitioning. Its inner plan runs in
//! a context of its own, which alone knows the snapshot and its keys. Whatever goes
//! wrong inside comes out as the same sentence.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::SchemaRef,
    common::{DataFusionError, Result, internal_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::TryStreamExt;

use crate::ViewError;

/// A view's filtered and masked rows, in unit order, in one partition.
pub(crate) struct BarrierExec {
    inner: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    properties: Arc<PlanProperties>,
}

impl BarrierExec {
    /// Puts the barrier over `inner`, which runs in `context` whoever asks.
    pub(crate) fn over(inner: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(inner.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { inner, context, properties }
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &'static str {
        "BarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("the barrier has no children") }
    }

    fn execute(&self, partition: usize, _asker: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.inner.properties().output_partitioning().partition_count() != 1 {
            return Err(silent());
        }
        let schema: SchemaRef = self.schema();
        let rows = self.inner.execute(0, Arc::clone(&self.context)).map_err(|_| silent())?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.map_err(|_| silent()))))
    }
}

/// The one error that crosses the barrier.
fn silent() -> DataFusionError {
    DataFusionError::External(Box::new(ViewError::Read))
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarrierExec")
    }
}

impl fmt::Debug for BarrierExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarrierExec(plan withheld)")
    }
}
