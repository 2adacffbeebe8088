//! `sluice-try`: runs a guest as `sluice-run` does, in the same jail and under the
//! same limits, and tells everything: its words, its traps and where, fuel, memory.
//!
//! A program of its own, so that the one that sees people's rows has no code that
//! could tell. Its first message is a component to compile (with a map from machine
//! code to the guest's own places, which the fast program does without) or compiled
//! code to run; one life does one of the two, as the real children do.

use std::{
    io::{self, Write as _},
    mem::ManuallyDrop,
    process::ExitCode,
};

use wasmtime::{
    AsContextMut as _, Engine, Error, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, Trap, WasmBacktrace,
    component::{ComponentExportIndex, Instance, InstancePre, Linker, Lower, WasmStr},
};

use super::{
    answer, compile, engine,
    guest::{BatchIn, BatchOut, columns_in, load},
};
use crate::{
    error::ChildFault,
    explain::{Call, End, Frame, Told},
    inspect::{CORE_ITEMS_MAX, INNER_ROOM, MEMORIES_MAX},
    jail,
    wire::{BatchRef, GUEST_FRAME_MAX, Start, Tag, decode_call, decode_start, encode_ready, read_frame, write_frame},
};

/// Bytes beyond the output itself that a call may hand to the host: an error's text.
const SLACK: usize = 4096;
/// Memory beyond the guest's: the engine, the code, the pipes.
const HOST_BYTES: u64 = 512 << 20;
/// Bytes of one synthetic unit: what [`crate::RoomLimits`] allows at most.
const UNIT_BYTES_MAX: u32 = 64 << 20;
/// Frames of a trap that are told.
const FRAMES_MAX: usize = 24;

/// The program.
pub fn main() -> ExitCode {
    answer(serve)
}

fn serve() -> Result<(), ChildFault> {
    let layers = jail::enter()?;
    let mut body = Vec::new();
    // The lock on standard input ends with this line: `run` takes it again.
    let first = read_frame(&mut io::stdin().lock(), &mut body, GUEST_FRAME_MAX);
    match first {
        Ok(Some(Tag::Compile)) => compile::one(layers, &body, &mut io::stdout().lock(), engine::compiling_traceable),
        Ok(Some(Tag::Start)) => run(layers, body),
        Ok(None) => Ok(()),
        _ => Err(ChildFault::Message),
    }
}

fn run(mut layers: Vec<crate::Layer>, body: Vec<u8>) -> Result<(), ChildFault> {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let order = decode_start(&body).map_err(|_| ChildFault::Message)?;
    let bytes = order.memory_bytes + 3 * u64::from(UNIT_BYTES_MAX) + 4 * order.code.len() as u64 + HOST_BYTES;
    jail::reserve(&mut layers, bytes, u64::from(order.cpu_seconds))?;
    // Never dropped: closing its memory image is not among the calls that are left.
    let guest = ManuallyDrop::new(Guest::load(&order)?);
    jail::lock(&mut layers)?;
    let mut say =
        |tag, body: &[u8]| write_frame(&mut to, tag, body).and_then(|()| to.flush()).map_err(|_| ChildFault::Message);
    say(Tag::Ready, &encode_ready(&layers))?;
    let mut unit = Vec::new();
    loop {
        match read_frame(&mut from, &mut unit, UNIT_BYTES_MAX) {
            Ok(Some(Tag::Unit)) => {}
            Ok(None) => return Ok(()),
            _ => return Err(ChildFault::Message),
        }
        let rows = decode_call(&unit).map_err(|_| ChildFault::Message)?;
        let told = serde_json::to_vec(&guest.call(&rows)).map_err(|_| ChildFault::Message)?;
        say(Tag::Output, &told)?;
    }
}

/// The limits of a store, and how much memory was taken.
struct Meter {
    limits: StoreLimits,
    memory_bytes: usize,
    refused: Option<usize>,
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        let granted = self.limits.memory_growing(current, desired, maximum)?;
        if granted {
            self.memory_bytes += desired.saturating_sub(current);
        } else {
            self.refused = Some(desired);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

struct Guest {
    engine: Engine,
    pre: InstancePre<Meter>,
    start: ComponentExportIndex,
    process: ComponentExportIndex,
    finish: ComponentExportIndex,
    params: Vec<(String, String)>,
    fuel: u64,
    memory_bytes: usize,
    rows_max: u32,
    output_bytes_max: usize,
}

impl Guest {
    fn load(order: &Start<'_>) -> Result<Self, ChildFault> {
        let engine = engine::running_traceable(order.profile, order.memory_bytes, order.stack_bytes)?;
        let component = load(&engine, order.code)?;
        let room = component.get_export_index(None, INNER_ROOM).ok_or(ChildFault::Abi)?;
        let function = |name: &str| component.get_export_index(Some(&room), name).ok_or(ChildFault::Abi);
        let pre = Linker::new(&engine).instantiate_pre(&component).map_err(|_| ChildFault::Abi)?;
        let guest = Self {
            pre,
            start: function("start")?,
            process: function("process")?,
            finish: function("finish")?,
            params: order.params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            fuel: order.fuel,
            memory_bytes: usize::try_from(order.memory_bytes).map_err(|_| ChildFault::Engine)?,
            rows_max: order.rows_max,
            output_bytes_max: order.output_bytes_max as usize,
            engine,
        };
        // Everything the engine prepares once is prepared before the jail closes.
        let _ = guest.pre.instantiate(&mut guest.store(0));
        Ok(guest)
    }

    /// One unit, in a fresh instance.
    fn call(&self, rows: &[(u32, BatchRef<'_>)]) -> Told {
        let mut store = self.store(self.fuel);
        let end = self.unit(&mut store, rows).unwrap_or_else(|end| end);
        let left = store.get_fuel().unwrap_or(0);
        let meter = store.data();
        Told {
            end,
            fuel: self.fuel.saturating_sub(left),
            memory_bytes: meter.memory_bytes as u64,
            memory_refused: meter.refused.map(|bytes| bytes as u64),
        }
    }

    fn unit(&self, store: &mut Store<Meter>, rows: &[(u32, BatchRef<'_>)]) -> Result<End, End> {
        let instance = self.pre.instantiate(&mut *store).map_err(|e| broke(Call::Instantiate, &e))?;
        let params: Vec<(&str, &str)> = self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.step::<(&[(&str, &str)], &[u8])>(store, &instance, &self.start, Call::Start, (&params, &[]))?;
        for (input, rows) in rows {
            let columns = columns_in(rows);
            let batch = BatchIn { rows: rows.rows, columns: &columns };
            self.step::<(u32, BatchIn<'_>)>(store, &instance, &self.process, Call::Process, (*input, batch))?;
        }

        let broke = |e: Error| broke(Call::Finish, &e);
        let finish =
            instance.get_typed_func::<(), (Result<BatchOut, WasmStr>,)>(&mut *store, &self.finish).map_err(broke)?;
        let batch = match finish.call(&mut *store, ()).map_err(broke)?.0 {
            Ok(batch) => batch,
            Err(text) => return Err(End::Error { call: Call::Finish, text: said(&text, store) }),
        };
        let bytes: usize = batch
            .columns
            .iter()
            .map(|c| c.data.len() + c.validity.as_ref().map_or(0, Vec::len) + c.offsets.as_ref().map_or(0, Vec::len))
            .sum();
        if batch.rows > self.rows_max || bytes > self.output_bytes_max {
            return Err(End::TooMuchOutput { rows: batch.rows, bytes: bytes as u64 });
        }
        let nulls = batch.columns.iter().map(|c| u64::from(c.nulls)).sum();
        Ok(End::Finished { rows: batch.rows, columns: batch.columns.len() as u64, nulls })
    }

    /// One of the two calls that answer with nothing or a text.
    fn step<P: wasmtime::component::ComponentNamedList + Lower>(
        &self,
        store: &mut Store<Meter>,
        instance: &Instance,
        function: &ComponentExportIndex,
        call: Call,
        params: P,
    ) -> Result<(), End> {
        let function =
            instance.get_typed_func::<P, (Result<(), WasmStr>,)>(&mut *store, function).map_err(|e| broke(call, &e))?;
        match function.call(&mut *store, params).map_err(|e| broke(call, &e))?.0 {
            Ok(()) => Ok(()),
            Err(text) => Err(End::Error { call, text: said(&text, store) }),
        }
    }

    fn store(&self, fuel: u64) -> Store<Meter> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(self.memory_bytes)
            .instances(CORE_ITEMS_MAX as usize)
            .tables(CORE_ITEMS_MAX as usize)
            .memories(MEMORIES_MAX as usize)
            .build();
        let mut store = Store::new(&self.engine, Meter { limits, memory_bytes: 0, refused: None });
        store.limiter(|meter| meter);
        store.as_context_mut().set_hostcall_fuel(self.output_bytes_max + SLACK);
        // Fuel is on in this engine: setting it has no way to fail.
        let _ = store.set_fuel(fuel);
        store
    }
}

fn said(text: &WasmStr, store: &Store<Meter>) -> String {
    text.to_str(store).map_or_else(|_| "(not UTF-8)".to_owned(), |text| text.chars().take(SLACK).collect())
}

/// What the engine says of a call that did not come back.
fn broke(call: Call, error: &Error) -> End {
    if error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel) {
        return End::OutOfFuel { call };
    }
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let frames = frames.iter().take(FRAMES_MAX).map(|frame| Frame {
        function: frame.func_name().map(str::to_owned),
        offset: frame.module_offset().map(|offset| offset as u64),
        place: None,
    });
    End::Trap { call, reason: error.root_cause().to_string(), frames: frames.collect() }
}
