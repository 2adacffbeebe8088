//! 外室, the child's side: the same jail, the same engine, a guest that sees cleared
//! cells only. One question, one fresh instance, one answer.
//!
//! A failure is answered as such: it depends on cleared cells alone.

use std::{
    io::{Read, Write},
    mem::ManuallyDrop,
};

use wasmtime::{
    Engine, StoreLimits,
    component::{ComponentExportIndex, InstancePre, Linker, WasmStr},
};

use super::{
    engine,
    guest::{BatchIn, columns_in, load, store},
    run::{memory, ready},
};
use crate::{
    error::ChildFault,
    inspect::OUTER_ROOM,
    jail,
    layer::Layer,
    wire::{
        BatchRef, Start, Tag, decode_compose, decode_start, decode_update, encode_artefacts, read_frame, write_frame,
    },
};

/// Bytes of the cleared tables and the state of one call.
const CLEARED_BYTES_MAX: u32 = 64 << 20;

/// A loaded outer guest and the limits of every call.
struct OuterGuest {
    engine: Engine,
    pre: InstancePre<StoreLimits>,
    update: ComponentExportIndex,
    compose: ComponentExportIndex,
    fuel: u64,
    memory_bytes: usize,
    output_bytes_max: usize,
}

type Tables<'a> = Vec<(&'a str, BatchIn<'a>)>;

/// Loads the guest of an `OUTER` message, shuts the jail and answers until the pipe
/// closes.
pub(super) fn serve(
    order: &[u8],
    mut layers: Vec<Layer>,
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<(), ChildFault> {
    let order = decode_start(order).map_err(|_| ChildFault::Message)?;
    jail::reserve(&mut layers, memory(&order), u64::from(order.cpu_seconds))?;
    // Never dropped: closing its memory image is not among the calls that are left.
    let guest = ManuallyDrop::new(OuterGuest::load(&order)?);
    // Once without fuel, so that everything the engine prepares is prepared now.
    let _ = guest.pre.instantiate(store(&guest.engine, 0, guest.memory_bytes, guest.output_bytes_max));
    jail::lock(&mut layers)?;
    ready(to, &layers)?;
    let mut body = Vec::new();
    loop {
        let answer = match read_frame(from, &mut body, CLEARED_BYTES_MAX) {
            Ok(Some(Tag::Update)) => {
                let (round, state, cleared) = decode_update(&body).map_err(|_| ChildFault::Message)?;
                guest.update(round, state, &cleared).map(|state| (Tag::State, state))
            }
            Ok(Some(Tag::Compose)) => {
                let (state, tables) = decode_compose(&body).map_err(|_| ChildFault::Message)?;
                guest.compose(state, &tables).map(|artefacts| (Tag::Artefacts, artefacts))
            }
            Ok(None) => return Ok(()),
            _ => return Err(ChildFault::Message),
        };
        let answer = answer.filter(|(_, bytes)| bytes.len() <= guest.output_bytes_max);
        let (tag, bytes) = answer.unwrap_or((Tag::Failed, Vec::new()));
        write_frame(to, tag, &bytes).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)?;
    }
}

impl OuterGuest {
    fn load(order: &Start<'_>) -> Result<Self, ChildFault> {
        let engine = engine::running(order.profile, order.memory_bytes, order.stack_bytes)?;
        let component = load(&engine, order.code)?;
        let room = component.get_export_index(None, OUTER_ROOM).ok_or(ChildFault::Abi)?;
        let function = |name: &str| component.get_export_index(Some(&room), name).ok_or(ChildFault::Abi);
        // The linker is empty: a component that needed anything would stop here.
        let pre = Linker::new(&engine).instantiate_pre(&component).map_err(|_| ChildFault::Abi)?;
        Ok(Self {
            pre,
            update: function("update")?,
            compose: function("compose")?,
            fuel: order.fuel,
            memory_bytes: usize::try_from(order.memory_bytes).map_err(|_| ChildFault::Engine)?,
            output_bytes_max: order.output_bytes_max as usize,
            engine,
        })
    }

    fn update(&self, round: u32, state: &[u8], cleared: &BatchRef<'_>) -> Option<Vec<u8>> {
        let mut store = store(&self.engine, self.fuel, self.memory_bytes, self.output_bytes_max);
        let instance = self.pre.instantiate(&mut store).ok()?;
        type Answer = (Result<Vec<u8>, WasmStr>,);
        let update = instance.get_typed_func::<(u32, &[u8], BatchIn<'_>), Answer>(&mut store, &self.update).ok()?;
        let columns = columns_in(cleared);
        update.call(&mut store, (round, state, BatchIn { rows: cleared.rows, columns: &columns })).ok()?.0.ok()
    }

    fn compose(&self, state: &[u8], tables: &[(&str, BatchRef<'_>)]) -> Option<Vec<u8>> {
        let mut store = store(&self.engine, self.fuel, self.memory_bytes, self.output_bytes_max);
        let instance = self.pre.instantiate(&mut store).ok()?;
        type Answer = (Result<Vec<(String, Vec<u8>)>, WasmStr>,);
        let compose =
            instance.get_typed_func::<(&[u8], &[(&str, BatchIn<'_>)]), Answer>(&mut store, &self.compose).ok()?;
        let columns: Vec<_> = tables.iter().map(|(_, table)| columns_in(table)).collect();
        let tables: Tables<'_> = tables
            .iter()
            .zip(&columns)
            .map(|((name, table), columns)| (*name, BatchIn { rows: table.rows, columns }))
            .collect();
        let artefacts = compose.call(&mut store, (state, &tables)).ok()?.0.ok()?;
        encode_artefacts(artefacts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).ok()
    }
}
