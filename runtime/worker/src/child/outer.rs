//! 外室, the child's side: the same jail, the same engine, a guest that sees cleared
//! cells only. One question, one fresh instance, one answer.
//!
//! A failure is answered as such: it depends on cleared cells alone.

use std::{
    io::{Read, Write},
    mem::ManuallyDrop,
};

use wasmtime::{
    Engine, Store,
    component::{ComponentExportIndex, ComponentNamedList, ComponentType, InstancePre, Lift, Lower},
};

use super::{
    engine,
    guest::{BatchIn, Witness, ask, closed, columns_in, exports, load, store},
    limiter::Limits,
    run::{memory, ready},
};
use crate::{
    error::ChildFault,
    inspect::OUTER_ROOM,
    jail,
    layer::Layer,
    step::Step,
    wire::{
        BatchRef, Start, Tag, Token, decode_compose, decode_start, decode_update, encode_artefacts, read_frame,
        write_call,
    },
};

/// Bytes of the cleared tables and the state of one call.
pub(super) const CLEARED_BYTES_MAX: u32 = 64 << 20;

/// A loaded outer guest and the limits of every call.
pub(super) struct OuterGuest<W: Witness = Limits> {
    engine: Engine,
    pre: InstancePre<W>,
    update: ComponentExportIndex,
    compose: ComponentExportIndex,
    fuel: u64,
    memory_bytes: usize,
    output_bytes_max: usize,
}

type Artefacts = Vec<(String, Vec<u8>)>;
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
    let engine = engine::running(order.profile, order.memory_bytes, order.stack_bytes)?;
    // Never dropped: closing its memory image is not among the calls that are left.
    let guest = ManuallyDrop::new(OuterGuest::<Limits>::load(&engine, &order)?);
    guest.warm_up();
    jail::lock(&mut layers)?;
    ready(to, &layers)?;
    let mut body = Vec::new();
    loop {
        let asked = match read_frame(from, &mut body, CLEARED_BYTES_MAX) {
            Ok(Some(tag)) => tag,
            Ok(None) => return Ok(()),
            Err(_) => return Err(ChildFault::Message),
        };
        let (token, body) = Token::split(&body).map_err(|_| ChildFault::Message)?;
        let answer = match asked {
            Tag::Update => {
                let (round, state, cleared) = decode_update(body).map_err(|_| ChildFault::Message)?;
                guest.update(round, state, &cleared).0.ok().map(|state| (Tag::State, state))
            }
            Tag::Compose => {
                let (state, tables) = decode_compose(body).map_err(|_| ChildFault::Message)?;
                let sent = guest.compose(state, &tables).0.ok();
                let sent = sent.and_then(|sent| {
                    encode_artefacts(sent.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).ok()
                });
                sent.map(|artefacts| (Tag::Artefacts, artefacts))
            }
            _ => return Err(ChildFault::Message),
        };
        let answer = answer.filter(|(_, bytes)| bytes.len() <= guest.output_bytes_max);
        let (tag, bytes) = answer.unwrap_or((Tag::Failed, Vec::new()));
        write_call(to, tag, token, &bytes).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)?;
    }
}

impl<W: Witness> OuterGuest<W> {
    pub(super) fn load(engine: &Engine, order: &Start<'_>) -> Result<Self, ChildFault> {
        let component = load(engine, order.code)?;
        let [update, compose] = exports(&component, OUTER_ROOM, ["update", "compose"])?;
        Ok(Self {
            engine: engine.clone(),
            pre: closed(engine, &component)?,
            update,
            compose,
            fuel: order.fuel,
            memory_bytes: usize::try_from(order.memory_bytes).map_err(|_| ChildFault::Engine)?,
            output_bytes_max: order.output_bytes_max as usize,
        })
    }

    /// Once without fuel, so that everything the engine prepares is prepared now.
    pub(super) fn warm_up(&self) {
        let _ = self.pre.instantiate(self.store(0));
    }

    /// The next state, and the store that it was made in.
    pub(super) fn update(
        &self,
        round: u32,
        state: &[u8],
        cleared: &BatchRef<'_>,
    ) -> (Result<Vec<u8>, W::Failure>, Store<W>) {
        let columns = columns_in(cleared);
        let cleared = BatchIn { rows: cleared.rows, columns: &columns };
        self.asked::<(u32, &[u8], BatchIn<'_>), _>(&self.update, Step::Update, (round, state, cleared))
    }

    /// Names and bytes, and the store that they were made in.
    pub(super) fn compose(
        &self,
        state: &[u8],
        tables: &[(&str, BatchRef<'_>)],
    ) -> (Result<Artefacts, W::Failure>, Store<W>) {
        let columns: Vec<_> = tables.iter().map(|(_, table)| columns_in(table)).collect();
        let tables: Tables<'_> = tables
            .iter()
            .zip(&columns)
            .map(|((name, table), columns)| (*name, BatchIn { rows: table.rows, columns }))
            .collect();
        self.asked::<(&[u8], &[(&str, BatchIn<'_>)]), _>(&self.compose, Step::Compose, (state, &tables))
    }

    /// One call in a fresh instance.
    fn asked<P: ComponentNamedList + Lower, A: ComponentType + Lift + 'static>(
        &self,
        function: &ComponentExportIndex,
        call: Step,
        params: P,
    ) -> (Result<A, W::Failure>, Store<W>) {
        let mut store = self.store(self.fuel);
        let instance = self.pre.instantiate(&mut store).map_err(|e| W::broke(Step::Instantiate, e));
        (instance.and_then(|instance| ask(&mut store, &instance, function, call, params)), store)
    }

    fn store(&self, fuel: u64) -> Store<W> {
        store(&self.engine, fuel, self.memory_bytes, self.output_bytes_max)
    }
}
