//! The engine's configuration. Everything that shapes machine code is the same
//! in both children, or the code would not load.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::{
    error::ChildFault,
    inspect::{CORE_ITEMS_MAX, MEMORIES_MAX},
    limits::Profile,
};

/// Elements of one table: what the larger interpreters need.
const TABLE_ELEMENTS: usize = 50_000;

/// What both children share.
fn config(profile: Profile) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .consume_fuel(true)
        .epoch_interruption(false)
        .memory_init_cow(true)
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .cranelift_nan_canonicalization(profile == Profile::Reproducible);
    config
}

/// An engine that compiles, on the one thread there is.
pub(super) fn compiling(profile: Profile) -> Result<Engine, ChildFault> {
    let mut config = config(profile);
    config.cranelift_opt_level(OptLevel::Speed).parallel_compilation(false);
    Engine::new(&config).map_err(|_| ChildFault::Engine)
}

/// An engine that has no compiler, with a pool that holds one unit.
pub(super) fn running(profile: Profile, memory_bytes: u64, stack_bytes: u32) -> Result<Engine, ChildFault> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1)
        .total_core_instances(CORE_ITEMS_MAX)
        .max_core_instances_per_component(CORE_ITEMS_MAX)
        .total_memories(MEMORIES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_memories_per_module(1)
        .total_tables(CORE_ITEMS_MAX)
        .max_tables_per_component(CORE_ITEMS_MAX)
        .max_tables_per_module(CORE_ITEMS_MAX)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(memory_bytes).map_err(|_| ChildFault::Engine)?)
        // Its page map would be one more open descriptor.
        .pagemap_scan(Enabled::No);
    let mut config = config(profile);
    config.max_wasm_stack(stack_bytes as usize);
    config.enable_compiler(false).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|_| ChildFault::Engine)
}
