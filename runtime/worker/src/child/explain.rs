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

use wasmtime::{Engine, Error, ResourceLimiter, Trap, WasmBacktrace};

use super::{
    answer, compile, engine,
    guest::{Answer, Guest, Witness},
    limiter::Limits,
    outer::{CLEARED_BYTES_MAX, OuterGuest},
};
use crate::{
    error::ChildFault,
    explain::{End, Frame, Told},
    jail,
    step::Step,
    wire::{
        ColumnRef, GUEST_FRAME_MAX, Start, Tag, decode_call, decode_compose, decode_start, decode_update, encode_batch,
        encode_ready, encode_told, read_frame, write_frame,
    },
};

/// Memory beyond the guest's: the engine, the code, the pipes.
const HOST_BYTES: u64 = 512 << 20;
/// Bytes of one question: what [`crate::RoomLimits`] allows of a unit, and of cleared tables.
const QUESTION_BYTES_MAX: u32 = CLEARED_BYTES_MAX;
/// Frames of a trap that are told.
const FRAMES_MAX: usize = 24;
/// Letters of an error's text that are told.
const TEXT_MAX: usize = 4096;

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
        Ok(Some(tag @ (Tag::Start | Tag::Outer))) => run(layers, tag, &body),
        Ok(None) => Ok(()),
        _ => Err(ChildFault::Message),
    }
}

fn run(mut layers: Vec<crate::Layer>, first: Tag, body: &[u8]) -> Result<(), ChildFault> {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let order = decode_start(body).map_err(|_| ChildFault::Message)?;
    let bytes = order.memory_bytes + 3 * u64::from(QUESTION_BYTES_MAX) + 4 * order.code.len() as u64 + HOST_BYTES;
    jail::reserve(&mut layers, bytes, u64::from(order.cpu_seconds))?;
    let engine = engine::running_traceable(order.profile, order.memory_bytes, order.stack_bytes)?;
    // Never dropped: closing its memory image is not among the calls that are left.
    let guest = ManuallyDrop::new(Witnessed::load(&engine, first, &order)?);
    jail::lock(&mut layers)?;
    let mut say =
        |tag, body: &[u8]| write_frame(&mut to, tag, body).and_then(|()| to.flush()).map_err(|_| ChildFault::Message);
    say(Tag::Ready, &encode_ready(&layers))?;
    let mut question = Vec::new();
    loop {
        let (told, answer) = match read_frame(&mut from, &mut question, QUESTION_BYTES_MAX) {
            Ok(Some(tag)) => guest.ask(tag, &question, &order)?,
            Ok(None) => return Ok(()),
            Err(_) => return Err(ChildFault::Message),
        };
        let told = serde_json::to_vec(&told).map_err(|_| ChildFault::Message)?;
        say(Tag::Output, &encode_told(&told, &answer).map_err(|_| ChildFault::Message)?)?;
    }
}

/// A guest of either room.
enum Witnessed {
    Inner(Guest<Meter>),
    Outer(OuterGuest<Meter>),
}

impl Witnessed {
    /// Loads it and makes one instance, before the jail closes.
    fn load(engine: &Engine, first: Tag, order: &Start<'_>) -> Result<Self, ChildFault> {
        if first == Tag::Outer {
            let guest = OuterGuest::load(engine, order)?;
            guest.warm_up();
            return Ok(Self::Outer(guest));
        }
        let guest = Guest::load(engine, order)?;
        guest.warm_up();
        Ok(Self::Inner(guest))
    }

    /// What happened, and the answer of an inner guest.
    fn ask(&self, tag: Tag, question: &[u8], order: &Start<'_>) -> Result<(Told, Vec<u8>), ChildFault> {
        let malformed = |_| ChildFault::Message;
        let max = order.output_bytes_max as usize;
        let mut said = Vec::new();
        let (end, store) = match (self, tag) {
            (Self::Inner(guest), Tag::Unit) => {
                let (answer, store) = guest.witnessed(&decode_call(question).map_err(malformed)?);
                (answer.and_then(|answer| finished(&answer, max, &mut said)), store)
            }
            (Self::Outer(guest), Tag::Update) => {
                let (round, state, cleared) = decode_update(question).map_err(malformed)?;
                let (next, store) = guest.update(round, state, &cleared);
                (next.and_then(|state| sent(state.len(), max)), store)
            }
            (Self::Outer(guest), Tag::Compose) => {
                let (state, tables) = decode_compose(question).map_err(malformed)?;
                let (artefacts, store) = guest.compose(state, &tables);
                let bytes =
                    |all: Vec<(String, Vec<u8>)>| all.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
                (artefacts.and_then(|all| sent(bytes(all), max)), store)
            }
            _ => return Err(ChildFault::Message),
        };
        let meter = store.data();
        let told = Told {
            end: end.unwrap_or_else(|failure| failure),
            fuel: order.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
            memory_bytes: meter.memory_bytes as u64,
            memory_refused: meter.refused.map(|bytes| bytes as u64),
        };
        Ok((told, said))
    }
}

/// An inner guest's answer, encoded into `framed` and held to the same bytes as in a real room.
fn finished(answer: &Answer, max: usize, framed: &mut Vec<u8>) -> Result<End, End> {
    let batch = answer.as_batch();
    let fits = encode_batch(&batch, framed).is_ok() && framed.len() <= max;
    if !fits {
        framed.clear();
        return Err(Meter::too_much(answer));
    }
    let nulls = batch.columns.iter().map(|c| u64::from(c.nulls)).sum();
    Ok(End::Finished { rows: batch.rows, columns: batch.columns.len() as u64, nulls })
}

/// An outer guest's answer of so many bytes.
fn sent(bytes: usize, max: usize) -> Result<End, End> {
    let bytes = bytes as u64;
    if bytes > max as u64 { Err(End::TooMuchOutput { rows: 0, bytes }) } else { Ok(End::Sent { bytes }) }
}

/// The limits of a store, and how much memory was taken.
struct Meter {
    limits: Limits,
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

impl Witness for Meter {
    type Failure = End;
    type Text = String;

    fn new(limits: Limits) -> Self {
        Self { limits, memory_bytes: 0, refused: None }
    }

    fn broke(call: Step, error: Error) -> End {
        broke(call, &error)
    }

    fn said(call: Step, text: String) -> End {
        End::Error { call, text: text.chars().take(TEXT_MAX).collect() }
    }

    fn too_much(answer: &Answer) -> End {
        let batch = answer.as_batch();
        let bytes =
            |c: &ColumnRef<'_>| c.data.len() + c.validity.map_or(0, <[u8]>::len) + c.offsets.map_or(0, <[u8]>::len);
        let bytes: usize = batch.columns.iter().map(bytes).sum();
        End::TooMuchOutput { rows: batch.rows, bytes: bytes as u64 }
    }
}

/// What the engine says of a call that did not come back.
fn broke(call: Step, error: &Error) -> End {
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
