//! One unit's call of a guest: a fresh instance on zeroed memory, the same fuel
//! for each, three calls, an answer within the limits or nothing.

use wasmtime::{
    AsContextMut as _, Engine, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component, ComponentExportIndex, ComponentType, Instance, InstancePre, Lift, Linker, Lower, WasmStr},
};

use crate::{
    error::ChildFault,
    inspect::{CORE_ITEMS_MAX, INNER_ROOM, MEMORIES_MAX},
    wire::{BatchRef, ColumnRef, Start},
};

/// Bytes beyond the output itself that a call may hand to the host: an error's text.
const SLACK: usize = 4096;

/// A loaded guest and the limits of every call.
pub struct Guest {
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
pub(super) struct ColumnOut {
    pub(super) nulls: u32,
    pub(super) validity: Option<Vec<u8>>,
    pub(super) offsets: Option<Vec<u8>>,
    pub(super) data: Vec<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct BatchOut {
    pub(super) rows: u32,
    pub(super) columns: Vec<ColumnOut>,
}

/// What a unit's guest wrote, within the limits.
pub struct Answer(BatchOut);

impl Answer {
    /// Borrowed, for the wire.
    pub fn as_batch(&self) -> BatchRef<'_> {
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

/// What `start` and `process` answer. The text is not looked at.
type Done = (Result<(), WasmStr>,);

/// One unit's instance at work.
pub struct Call<'a> {
    guest: &'a Guest,
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Call<'_> {
    /// Hands in a batch of input number `input`.
    pub fn process(&mut self, input: u32, rows: &BatchRef<'_>) -> Option<()> {
        let columns = columns_in(rows);
        let batch = BatchIn { rows: rows.rows, columns: &columns };
        let process =
            self.instance.get_typed_func::<(u32, BatchIn<'_>), Done>(&mut self.store, &self.guest.process).ok()?;
        process.call(&mut self.store, (input, batch)).ok()?.0.ok()
    }

    /// Takes the answer.
    pub fn finish(mut self) -> Option<Answer> {
        let finish = self
            .instance
            .get_typed_func::<(), (Result<BatchOut, WasmStr>,)>(&mut self.store, &self.guest.finish)
            .ok()?;
        let batch = finish.call(&mut self.store, ()).ok()?.0.ok()?;
        (batch.rows <= self.guest.rows_max).then_some(Answer(batch))
    }
}

impl Guest {
    /// Loads compiled code.
    pub fn load(engine: &Engine, order: &Start<'_>) -> Result<Self, ChildFault> {
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
    pub fn warm_up(&self) {
        let mut store = self.store(0);
        // A guest with start functions runs out of fuel at once: that is enough.
        let _ = self.pre.instantiate(&mut store);
    }

    /// One unit or block: its batches with their inputs' numbers, in order. `None` is
    /// failure of any kind: the engine's error is dropped here.
    pub fn call(&self, rows: &[(u32, BatchRef<'_>)]) -> Option<Answer> {
        let mut call = self.start()?;
        for (input, rows) in rows {
            call.process(*input, rows)?;
        }
        call.finish()
    }

    /// A fresh instance that has been told its parameters.
    pub fn start(&self) -> Option<Call<'_>> {
        let mut store = self.store(self.fuel);
        let instance = self.pre.instantiate(&mut store).ok()?;
        let params: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let start = instance.get_typed_func::<(&[(&str, &str)], &[u8]), Done>(&mut store, &self.start).ok()?;
        start.call(&mut store, (&params, &self.state)).ok()?.0.ok()?;
        Some(Call { guest: self, store, instance })
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
    let component = unsafe { Component::deserialize(engine, code) }.map_err(|_| ChildFault::Load)?;
    // Otherwise made at the first instance, which a guest with a start function does
    // not reach before the jail closes.
    component.initialize_copy_on_write_image().map_err(|_| ChildFault::Load)?;
    Ok(component)
}
