//! One unit's call of a guest: a fresh instance on zeroed memory, the same fuel
//! for each, three calls, an answer within the limits or nothing.

use wasmtime::{
    AsContextMut as _, Engine, Error, ResourceLimiter, Store,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, ComponentType, Instance, InstancePre, Lift, Linker, Lower,
        WasmStr,
    },
};

use super::limiter::Limits;
use crate::{
    error::ChildFault,
    inspect::INNER_ROOM,
    limits::COLUMNS_MAX,
    step::Step,
    wire::{BatchRef, ColumnRef, Start},
};

/// Bytes that a call may make the host hold beside those of its answer: the records of
/// its columns, or an error's text.
const SLACK: usize = 4096 + COLUMNS_MAX * size_of::<ColumnOut>();

/// What becomes of a failure, and who counts what an instance takes. The program that
/// sees people's rows has [`Limits`], which drops every failure where it happens;
/// the only other one is in the program for synthetic rows.
pub trait Witness: ResourceLimiter + Sized + Send + 'static {
    /// What is left of a failure.
    type Failure;
    /// How a guest's error text is taken. The engine lets the guest clean up before a call
    /// comes back, so what is only pointed at cannot be read any more.
    type Text: ComponentType + Lift + 'static;

    /// Of a fresh instance.
    fn new(limits: Limits) -> Self;

    /// The engine did not come back from `call`.
    fn broke(call: Step, error: Error) -> Self::Failure;

    /// The guest returned an error.
    fn said(call: Step, text: Self::Text) -> Self::Failure;

    /// The answer is larger than the contract's limits.
    fn too_much(answer: &Answer) -> Self::Failure;
}

impl Witness for Limits {
    type Failure = ();
    // Left where it is: nobody reads it.
    type Text = WasmStr;

    fn new(limits: Limits) -> Self {
        limits
    }

    fn broke(_: Step, _: Error) {}

    fn said(_: Step, _: WasmStr) {}

    fn too_much(_: &Answer) {}
}

/// A loaded guest and the limits of every call.
pub struct Guest<W: Witness = Limits> {
    engine: Engine,
    pre: InstancePre<W>,
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

/// One unit's instance at work.
pub struct Call<'a, W: Witness = Limits> {
    guest: &'a Guest<W>,
    store: Store<W>,
    instance: Instance,
}

impl<W: Witness> Call<'_, W> {
    /// Hands in a batch of input number `input`.
    pub fn process(&mut self, input: u32, rows: &BatchRef<'_>) -> Result<(), W::Failure> {
        let columns = columns_in(rows);
        let batch = BatchIn { rows: rows.rows, columns: &columns };
        let (process, call) = (&self.guest.process, Step::Process);
        ask::<W, (u32, BatchIn<'_>), ()>(&mut self.store, &self.instance, process, call, (input, batch))
    }

    /// Takes the answer.
    pub fn finish(mut self) -> Result<Answer, W::Failure> {
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer, W::Failure> {
        let (finish, call) = (&self.guest.finish, Step::Finish);
        let answer = Answer(ask::<W, (), BatchOut>(&mut self.store, &self.instance, finish, call, ())?);
        if answer.0.rows > self.guest.rows_max { Err(W::too_much(&answer)) } else { Ok(answer) }
    }
}

impl<W: Witness> Guest<W> {
    /// Loads compiled code.
    pub fn load(engine: &Engine, order: &Start<'_>) -> Result<Self, ChildFault> {
        let component = load(engine, order.code)?;
        let [start, process, finish] = exports(&component, INNER_ROOM, ["start", "process", "finish"])?;
        Ok(Self {
            engine: engine.clone(),
            pre: closed(engine, &component)?,
            start,
            process,
            finish,
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

    /// One unit or block: its batches with their inputs' numbers, in order.
    pub fn call(&self, rows: &[(u32, BatchRef<'_>)]) -> Result<Answer, W::Failure> {
        self.witnessed(rows).0
    }

    /// As [`Guest::call`], with the store that it took place in.
    pub(super) fn witnessed(&self, rows: &[(u32, BatchRef<'_>)]) -> (Result<Answer, W::Failure>, Store<W>) {
        let mut store = self.store(self.fuel);
        let instance = match self.begin(&mut store) {
            Ok(instance) => instance,
            Err(failure) => return (Err(failure), store),
        };
        let mut call = Call { guest: self, store, instance };
        let handed = rows.iter().try_for_each(|(input, rows)| call.process(*input, rows));
        let answer = handed.and_then(|()| call.answer());
        (answer, call.store)
    }

    /// A fresh instance that has been told its parameters.
    pub fn start(&self) -> Result<Call<'_, W>, W::Failure> {
        let mut store = self.store(self.fuel);
        let instance = self.begin(&mut store)?;
        Ok(Call { guest: self, store, instance })
    }

    fn begin(&self, store: &mut Store<W>) -> Result<Instance, W::Failure> {
        let instance = self.pre.instantiate(&mut *store).map_err(|e| W::broke(Step::Instantiate, e))?;
        let params: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let told: (&[(&str, &str)], &[u8]) = (&params, &self.state);
        ask::<W, _, ()>(store, &instance, &self.start, Step::Start, told)?;
        Ok(instance)
    }

    fn store(&self, fuel: u64) -> Store<W> {
        store(&self.engine, fuel, self.memory_bytes, self.output_bytes_max)
    }
}

/// One call of the ABI: every one answers with `A` or a text.
pub(super) fn ask<W: Witness, P, A>(
    store: &mut Store<W>,
    instance: &Instance,
    function: &ComponentExportIndex,
    call: Step,
    params: P,
) -> Result<A, W::Failure>
where
    P: ComponentNamedList + Lower,
    A: ComponentType + Lift + 'static,
{
    let broke = |e| W::broke(call, e);
    let function = instance.get_typed_func::<P, (Result<A, W::Text>,)>(&mut *store, function).map_err(broke)?;
    function.call(&mut *store, params).map_err(broke)?.0.map_err(|text| W::said(call, text))
}

/// The functions of a room by their names.
pub(super) fn exports<const N: usize>(
    component: &Component,
    room: &str,
    names: [&str; N],
) -> Result<[ComponentExportIndex; N], ChildFault> {
    let room = component.get_export_index(None, room).ok_or(ChildFault::Abi)?;
    let found: Vec<_> = names.iter().filter_map(|name| component.get_export_index(Some(&room), name)).collect();
    found.try_into().map_err(|_| ChildFault::Abi)
}

/// The linker is empty: a component that needed anything would stop here.
pub(super) fn closed<W: Witness>(engine: &Engine, component: &Component) -> Result<InstancePre<W>, ChildFault> {
    Linker::new(engine).instantiate_pre(component).map_err(|_| ChildFault::Abi)
}

/// A batch in the ABI's form; the buffers stay where they are.
pub(super) fn columns_in<'a>(rows: &BatchRef<'a>) -> Vec<ColumnIn<'a>> {
    let column =
        |c: &ColumnRef<'a>| ColumnIn { nulls: c.nulls, validity: c.validity, offsets: c.offsets, data: c.data };
    rows.columns.iter().map(column).collect()
}

/// Fresh memory and fuel for one call.
pub(super) fn store<W: Witness>(engine: &Engine, fuel: u64, memory_bytes: usize, output_bytes_max: usize) -> Store<W> {
    let mut store = Store::new(engine, W::new(Limits::new(memory_bytes)));
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
