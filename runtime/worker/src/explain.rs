//! What an author is shown of a guest's calls, on synthetic rows only.
//!
//! [`Explainer::pass`] takes [`Synthetic`] rows and nothing else takes its place: people's
//! rows are another type. The guest runs in a child of its own (`sluice-try`), in the
//! jail and under the limits of a real run; what it says comes back in words.
//!
//! Not here: any verdict. The real path has its own rooms; this only tells why.

use std::{
    io::{BufReader, Write as _},
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sluice_rows::synthetic::Synthetic;

use crate::{
    Inspected, Programs, RawBatch, RoomLimits, Table, WorkerError,
    encode::encode_unit,
    keeper::Keeper,
    places::Places,
    room,
    step::Step,
    wire::{self, GUEST_FRAME_MAX, ReadError, STATUS_FRAME_MAX, Tag, WireError},
};

/// Wall time of a compilation.
const WALL_COMPILING: Duration = Duration::from_secs(180);
/// Wall time of all units together. There is nothing to hide in it.
const WALL_RUNNING: Duration = Duration::from_secs(600);
/// Largest telling of one unit.
const TOLD_MAX: u32 = 256 << 10;

/// What happened to one unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// How it ended.
    pub end: End,
    /// Fuel it used.
    pub fuel: u64,
    /// Linear memory it took, bytes.
    pub memory_bytes: u64,
    /// Size of a memory that it asked for and was refused, bytes.
    pub memory_refused: Option<u64>,
}

/// What happened to one unit, and what its guest answered, if it did.
#[derive(Debug)]
pub struct Explained {
    /// What happened.
    pub told: Told,
    /// The answer, held to the limits of a real room and to nothing else.
    pub answer: Option<RawBatch>,
}

/// How a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// It answered.
    Finished {
        /// Rows of the answer.
        rows: u32,
        /// Its columns.
        columns: u64,
        /// Nulls that it claims.
        nulls: u64,
    },
    /// An outer guest answered.
    Sent {
        /// Bytes of the state or the artefacts.
        bytes: u64,
    },
    /// It returned an error.
    Error {
        /// Where.
        call: Step,
        /// Its words.
        text: String,
    },
    /// It used all its fuel.
    OutOfFuel {
        /// Where.
        call: Step,
    },
    /// It trapped.
    Trap {
        /// Where.
        call: Step,
        /// The engine's words.
        reason: String,
        /// The guest's functions that were under way, innermost first.
        frames: Vec<Frame>,
    },
    /// Its answer is larger than the contract's limits.
    TooMuchOutput {
        /// Rows of the answer.
        rows: u32,
        /// Its bytes.
        bytes: u64,
    },
    /// The unit is larger than what is handed to a guest.
    TooMuchInput,
    /// It answered, and a column is not of the contract's type. Said by who knows the contract.
    Unreadable,
}

/// A function under way at a trap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Frame {
    /// Its name, where the guest has names.
    pub function: Option<String>,
    /// Where in the component, bytes from its first.
    pub offset: Option<u64>,
    /// `file:line` of the source, where the guest has debug information.
    pub place: Option<String>,
}

/// What a call of an inner guest is given here: rows of nobody, by input number.
pub type SyntheticCall = Vec<(u32, Synthetic)>;

/// A guest, compiled so that its code knows its places.
pub struct Explainer {
    programs: Programs,
    guest: Inspected,
    limits: RoomLimits,
    code: Vec<u8>,
}

impl Explainer {
    /// Compiles `guest` in a child that sees no rows.
    ///
    /// # Errors
    /// [`WorkerError`] of the host.
    pub fn new(programs: &Programs, guest: Inspected, limits: RoomLimits) -> Result<Self, WorkerError> {
        let order = wire::encode_compile(&wire::Compile { profile: limits.profile, component: &guest.bytes })?;
        let mut child = Child::start(programs, WALL_COMPILING)?;
        programs.accept(&wire::decode_ready(&child.ask(Tag::Compile, &order, Tag::Ready, STATUS_FRAME_MAX)?)?)?;
        let code = child.answer(Tag::Compiled, GUEST_FRAME_MAX)?;
        Ok(Self { programs: programs.clone(), guest, limits, code })
    }

    /// Runs an inner guest on each call's synthetic rows and tells what happened, in
    /// order.
    ///
    /// # Errors
    /// [`WorkerError`] of the host; a guest's failure is a [`Told`].
    pub fn pass(
        &self,
        params: &[(String, String)],
        state: &[u8],
        calls: impl IntoIterator<Item = SyntheticCall>,
    ) -> Result<Vec<Explained>, WorkerError> {
        let mut child = self.enter(Tag::Start, params, state)?;
        let places = Places::of(&self.guest.bytes);
        let mut frame = Vec::new();
        let too_much = || Told { end: End::TooMuchInput, fuel: 0, memory_bytes: 0, memory_refused: None };
        let calls = calls.into_iter().map(|call| {
            frame.clear();
            if !self.fits(&call, &mut frame)? {
                return Ok(Explained { told: too_much(), answer: None });
            }
            let (told, answer) = child.told(Tag::Unit, &frame, &places, self.limits.output_bytes_max)?;
            let answered = matches!(told.end, End::Finished { .. });
            let answer = answered.then(|| room::output(&answer, &self.limits)).transpose()?;
            Ok(Explained { told, answer })
        });
        calls.collect()
    }

    /// What happens when an outer guest makes the next state.
    ///
    /// # Errors
    /// As [`Explainer::pass`].
    pub fn update(&self, round: u32, state: &[u8], cleared: &Table) -> Result<Told, WorkerError> {
        self.once(Tag::Update, &cleared.question_of_update(round, state)?)
    }

    /// What happens when an outer guest composes.
    ///
    /// # Errors
    /// As [`Explainer::pass`].
    pub fn compose(&self, state: &[u8], tables: &[(String, Table)]) -> Result<Told, WorkerError> {
        self.once(Tag::Compose, &Table::question_of_compose(state, tables)?)
    }

    fn once(&self, tag: Tag, question: &[u8]) -> Result<Told, WorkerError> {
        let (told, _) = self.enter(Tag::Outer, &[], &[])?.told(tag, question, &Places::of(&self.guest.bytes), 0)?;
        Ok(told)
    }

    /// Encodes a call that is within the limits of a real room.
    fn fits(&self, call: &[(u32, Synthetic)], frame: &mut Vec<u8>) -> Result<bool, WorkerError> {
        let rows: usize = call.iter().map(|(_, rows)| rows.get().rows()).sum();
        if rows > self.limits.unit_rows_max as usize {
            return Ok(false);
        }
        let inputs: Vec<u32> = call.iter().map(|(input, _)| *input).collect();
        wire::encode_call(&inputs, frame, |i, frame| match call.get(i) {
            Some((_, rows)) => encode_unit(rows.get(), frame),
            None => Ok(()),
        })?;
        Ok(frame.len() <= self.limits.unit_bytes_max as usize)
    }

    /// A child that runs the guest, shut in.
    fn enter(&self, first: Tag, params: &[(String, String)], state: &[u8]) -> Result<Child, WorkerError> {
        let limits = &self.limits;
        let order = wire::encode_start(&wire::Start {
            profile: limits.profile,
            fuel: limits.fuel,
            memory_bytes: limits.memory_bytes,
            rows_max: limits.rows_max,
            output_bytes_max: limits.output_bytes_max,
            stack_bytes: limits.stack_bytes,
            cpu_seconds: u32::try_from(WALL_RUNNING.as_secs()).unwrap_or(u32::MAX),
            params: params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            state,
            code: &self.code,
        })?;
        let mut child = Child::start(&self.programs, WALL_RUNNING)?;
        let layers = wire::decode_ready(&child.ask(first, &order, Tag::Ready, STATUS_FRAME_MAX)?)?;
        self.programs.accept(&layers)?;
        Ok(child)
    }
}

/// A running `sluice-try`.
struct Child {
    keeper: Keeper,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Child {
    fn start(programs: &Programs, wall: Duration) -> Result<Self, WorkerError> {
        let (keeper, to, from) = Keeper::start(&programs.explain()?, wall)?;
        Ok(Self { keeper, to, from: BufReader::new(from) })
    }

    /// One question to the guest and what happened, traps with their places; then its
    /// answer, of at most `answer_max` bytes.
    fn told(
        &mut self,
        tag: Tag,
        question: &[u8],
        places: &Places<'_>,
        answer_max: u32,
    ) -> Result<(Told, Vec<u8>), WorkerError> {
        let body = self.ask(tag, question, Tag::Output, TOLD_MAX.saturating_add(answer_max))?;
        let (told, answer) = wire::decode_told(&body)?;
        let mut told: Told = serde_json::from_slice(told).map_err(|_| WireError::Malformed)?;
        if let End::Trap { frames, .. } = &mut told.end {
            // A caller's offset is that of its call already, not of where it goes on.
            for frame in frames {
                frame.place = frame.offset.and_then(|offset| places.find(offset));
            }
        }
        Ok((told, answer.to_vec()))
    }

    /// One message and its answer, which must be of kind `wanted`.
    fn ask(&mut self, tag: Tag, body: &[u8], wanted: Tag, max: u32) -> Result<Vec<u8>, WorkerError> {
        let sent = wire::write_frame(&mut self.to, tag, body).and_then(|()| self.to.flush());
        let answer = self.answer(wanted, max)?;
        sent.map(|()| answer).map_err(|_| self.keeper.why())
    }

    /// The next message, which must be of kind `wanted`.
    fn answer(&mut self, wanted: Tag, max: u32) -> Result<Vec<u8>, WorkerError> {
        let mut answer = Vec::new();
        match wire::read_frame(&mut self.from, &mut answer, max) {
            Ok(Some(tag)) if tag == wanted => Ok(answer),
            Ok(Some(Tag::Fault)) => Err(WorkerError::Child(wire::decode_fault(&answer)?)),
            Ok(Some(_)) => Err(WireError::Tag.into()),
            Err(ReadError::Wire(e)) => Err(e.into()),
            Ok(None) | Err(ReadError::Gone) => Err(self.keeper.why()),
        }
    }
}
