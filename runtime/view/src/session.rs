//! Sessions without doors.
//!
//! Two environments share one bounded memory pool: [`inner`] runs the plan below the
//! barrier and is the only one that can open a file; [`outer`] runs what is left of
//! the operator's query and has no store, no catalogue, no function registry, no
//! table functions and no file formats. Neither may write to disk: what does not fit
//! into memory fails. There is one partition, so units are not split and order
//! survives, and only two optimizer rules, both needed to push a leak-proof filter
//! and the column list down to the view.

use std::sync::Arc;

use datafusion::{
    error::Result,
    execution::{
        SessionState, SessionStateBuilder, TaskContext,
        context::SessionConfig,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{GreedyMemoryPool, MemoryPool},
        object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry, ObjectStoreUrl},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    optimizer::{optimize_projections::OptimizeProjections, push_down_filter::PushDownFilter},
};

/// Memory that one reader's queries may hold together, in bytes.
const MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Memory for the two environments of one reader.
pub(crate) fn pool() -> Arc<dyn MemoryPool> {
    Arc::new(GreedyMemoryPool::new(MEMORY_BYTES_MAX))
}

/// The context below the barrier: local files, nothing else.
pub(crate) fn inner(pool: Arc<dyn MemoryPool>) -> Result<Arc<TaskContext>> {
    let runtime = runtime(pool, Arc::new(DefaultObjectStoreRegistry::new()))?;
    let context = TaskContext::default().with_session_config(config()).with_runtime(runtime);
    Ok(Arc::new(context))
}

/// The session above the barrier.
pub(crate) fn outer(pool: Arc<dyn MemoryPool>) -> Result<SessionState> {
    let stores = DefaultObjectStoreRegistry::new();
    stores.deregister_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    let runtime = runtime(pool, Arc::new(stores))?;
    Ok(SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(runtime)
        .with_analyzer_rules(Vec::new())
        .with_optimizer_rules(vec![Arc::new(OptimizeProjections::new()), Arc::new(PushDownFilter::new())])
        .with_physical_optimizer_rules(Vec::new())
        .build())
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.optimizer.skip_failed_rules = false;
    // A cache outlives the query, and this one's key is the file's name only.
    options.execution.parquet.schema_force_view_types = false;
    config
}

fn runtime(pool: Arc<dyn MemoryPool>, stores: Arc<dyn ObjectStoreRegistry>) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_object_store_registry(stores)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
}
