//! One unit's call of a guest: a fresh instance on zeroed memory, the same fuel
//! for each, three calls, an answer within the limits or nothing.

use wasmtime::{
    AsContextMut as _, Engine, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, WasmStr},
};

use crate::{
    error::ChildFault,
    inspect::{CORE_ITEMS_MAX, INNER_ROOM, MEMORIES_MAX},
    wire::{BatchRef, ColumnRef, Start},
};

/// Bytes beyond the output itself that a call may hand to the host: an error's text.
const SLACK: usize = 4096;

/// A loaded guest and the limits of every call.
pub(super) struct Guest {
    engine: Engine,
    pre: InstancePre<StoreLimits>,
    start: ComponentExportIndex,
    process: ComponentExportIndex,
    finish: ComponentExportIndex,
    params: Vec<(String, String)>,
    state: Vec<u8>,
    fuel: u64,
    memory_bytes: usize,
    rows_max: u32,
    output_bytes_max: usize,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ColumnIn<'a> {
    nulls: u32,
    validity: Option<&'a [u8]>,
    offsets: Option<&'a [u8]>,
    data: &'a [u8],
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct BatchIn<'a> {
    pub(super) rows: u32,
    pub(super) columns: &'a [ColumnIn<'a>],
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct ColumnOut {
    nulls: u32,
    validity: Option<Vec<u8>>,
    offsets: Option<Vec<u8>>,
    data: Vec<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct BatchOut {
    rows: u32,
    columns: Vec<ColumnOut>,
}

/// What a unit's guest wrote, within the limits.
pub(super) struct Answer(BatchOut);

impl Answer {
    /// Borrowed, for the wire.
    pub(super) fn as_batch(&self) -> BatchRef<'_> {
        BatchRef {
            rows: self.0.rows,
            columns: self
                .0
                .columns
                .iter()
                .map(|c| ColumnRef {
                    nulls: c.nulls,
                    validity: c.validity.as_deref(),
                    offsets: c.offsets.as_deref(),
                    data: &c.data,
                })
                .collect(),
        }
    }
}

impl Guest {
    /// Loads compiled code.
    pub(super) fn load(engine: &Engine, order: &Start<'_>) -> Result<Self, ChildFault> {
        let component = load(engine, order.code)?;
        let room = component.get_export_index(None, INNER_ROOM).ok_or(ChildFault::Abi)?;
        let function = |name: &str| component.get_export_index(Some(&room), name).ok_or(ChildFault::Abi);
        // The linker is empty: a component that needed anything would stop here.
        let pre = Linker::new(engine).instantiate_pre(&component).map_err(|_| ChildFault::Abi)?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            start: function("start")?,
            process: function("process")?,
            finish: function("finish")?,
            params: order.params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            state: order.state.to_vec(),
            fuel: order.fuel,
            memory_bytes: usize::try_from(order.memory_bytes).map_err(|_| ChildFault::Engine)?,
            rows_max: order.rows_max,
            output_bytes_max: order.output_bytes_max as usize,
        })
    }

    /// Makes one instance without letting it compute, so that everything the
    /// engine prepares once is prepared before the jail closes.
    pub(super) fn warm_up(&self) {
        let mut store = self.store(0);
        // A guest with start functions runs out of fuel at once: that is enough.
        let _ = self.pre.instantiate(&mut store);
    }

    /// One unit or block: its batches with their inputs' numbers, in order. `None` is failure of any kind: the engine's error is dropped here.
    pub(super) fn call(&self, rows: &[(u32, BatchRef<'_>)]) -> Option<Answer> {
        let mut store = self.store(self.fuel);
        let instance = self.pre.instantiate(&mut store).ok()?;
        let params: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let start = instance
            .get_typed_func::<(&[(&str, &str)], &[u8]), (Result<(), WasmStr>,)>(&mut store, &self.start)
            .ok()?;
        start.call(&mut store, (&params, &self.state)).ok()?.0.ok()?;

        let process =
            instance.get_typed_func::<(u32, BatchIn<'_>), (Result<(), WasmStr>,)>(&mut store, &self.process).ok()?;
        for (input, rows) in rows {
            let columns = columns_in(rows);
            process.call(&mut store, (*input, BatchIn { rows: rows.rows, columns: &columns })).ok()?.0.ok()?;
        }

        let finish = instance.get_typed_func::<(), (Result<BatchOut, WasmStr>,)>(&mut store, &self.finish).ok()?;
        let batch = finish.call(&mut store, ()).ok()?.0.ok()?;
        (batch.rows <= self.rows_max).then_some(Answer(batch))
    }

    fn store(&self, fuel: u64) -> Store<StoreLimits> {
        store(&self.engine, fuel, self.memory_bytes, self.output_bytes_max)
    }
}

/// A batch in the ABI's form; the buffers stay where they are.
pub(super) fn columns_in<'a>(rows: &BatchRef<'a>) -> Vec<ColumnIn<'a>> {
    let column =
        |c: &ColumnRef<'a>| ColumnIn { nulls: c.nulls, validity: c.validity, offsets: c.offsets, data: c.data };
    rows.columns.iter().map(column).collect()
}

/// Fresh memory and fuel for one call.
pub(super) fn store(engine: &Engine, fuel: u64, memory_bytes: usize, output_bytes_max: usize) -> Store<StoreLimits> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(memory_bytes)
        .instances(CORE_ITEMS_MAX as usize)
        .tables(CORE_ITEMS_MAX as usize)
        .memories(MEMORIES_MAX as usize)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    // What the guest may make the host allocate in one call.
    store.as_context_mut().set_hostcall_fuel(output_bytes_max + SLACK);
    // Fuel is on in this engine: setting it has no way to fail.
    let _ = store.set_fuel(fuel);
    store
}

#[expect(unsafe_code, reason = "loading machine code is what this program is for")]
pub(super) fn load(engine: &Engine, code: &[u8]) -> Result<Component, ChildFault> {
    // SAFETY: the bytes must come from `precompile_component`. The parent sends
    // only what `sluice-compile` answered for an inspected guest, or what it finds
    // in its cache under a MAC that it made for such an answer. A parent that is
    // not ours gains nothing that it could not do itself.
    unsafe { Component::deserialize(engine, code) }.map_err(|_| ChildFault::Load)
}
