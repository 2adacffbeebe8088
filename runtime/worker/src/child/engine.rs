//! The engine's configuration. Everything that shapes machine code is the same
//! in both children, or the code would not load.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig};

use crate::{
    error::ChildFault,
    inspect::{CORE_ITEMS_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX},
    jail::GUEST_STACK_MAX,
    limits::Profile,
};

/// Bytes at the start of a memory or table that are written back to what they were
/// between two units; the rest goes back to the kernel. A small guest costs no
/// system call and no page fault this way, which is two thirds of its time
/// (docs/benchmarks.md); writing back more than this would cost a large one more
/// than it saves.
const KEEP_RESIDENT: usize = 256 << 10;

/// What both children share.
fn config(profile: Profile) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        // For the engine's own adapters between components inside a guest, as interpreters
        // have them; `inspect` refuses a module of the guest's own with two memories.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .consume_fuel(true)
        .operator_cost(prices())
        .epoch_interruption(false)
        .memory_init_cow(true)
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .cranelift_nan_canonicalization(profile == Profile::Reproducible);
    config
}

/// Fuel of asking for memory or for places in a table, granted or not: a call out of
/// the guest, which takes ten times as long as one fuel is declared to.
const GROW: u8 = 100;

/// What an operation costs. The engine's own prices hold for all others: one for each,
/// and one more for each byte or element of a bulk operation (`tests/fuel.rs`).
fn prices() -> OperatorCost {
    OperatorCost { MemoryGrow: GROW, TableGrow: GROW, ..OperatorCost::new() }
}

/// An engine that compiles, on the one thread there is.
pub(super) fn compiling(profile: Profile) -> Result<Engine, ChildFault> {
    compiler(config(profile))
}

/// As [`compiling`]: code that knows its places in the guest, for synthetic rows only.
pub(super) fn compiling_traceable(profile: Profile) -> Result<Engine, ChildFault> {
    compiler(traceable(config(profile)))
}

fn traceable(mut config: Config) -> Config {
    config.generate_address_map(true).wasm_backtrace_max_frames(NonZeroUsize::new(32));
    config
}

fn compiler(mut config: Config) -> Result<Engine, ChildFault> {
    config.cranelift_opt_level(OptLevel::Speed).parallel_compilation(false);
    Engine::new(&config).map_err(|_| ChildFault::Engine)
}

/// An engine that has no compiler, with a pool that holds one unit.
pub(super) fn running(profile: Profile, memory_bytes: u64, stack_bytes: u32) -> Result<Engine, ChildFault> {
    runner(running_config(profile, memory_bytes, stack_bytes)?)
}

/// As [`running`], for what [`compiling_traceable`] made.
pub(super) fn running_traceable(profile: Profile, memory_bytes: u64, stack_bytes: u32) -> Result<Engine, ChildFault> {
    runner(traceable(running_config(profile, memory_bytes, stack_bytes)?))
}

fn runner(mut config: Config) -> Result<Engine, ChildFault> {
    Engine::new(config.enable_compiler(false)).map_err(|_| ChildFault::Engine)
}

/// What that engine is made of.
///
/// # Errors
/// `Engine` for more memory than an address can name, or more stack than there is for a guest.
pub fn running_config(profile: Profile, memory_bytes: u64, stack_bytes: u32) -> Result<Config, ChildFault> {
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
        .table_elements(TABLE_ELEMENTS_MAX as usize)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .max_memory_size(usize::try_from(memory_bytes).map_err(|_| ChildFault::Engine)?)
        // Its page map would be one more open descriptor.
        .pagemap_scan(Enabled::No);
    if u64::from(stack_bytes) > GUEST_STACK_MAX {
        return Err(ChildFault::Engine);
    }
    let mut config = config(profile);
    // Nothing here runs on a stack of its own, but the engine wants that one no smaller.
    config.max_wasm_stack(stack_bytes as usize).async_stack_size(stack_bytes as usize);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}
