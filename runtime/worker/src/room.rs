//! 内室: a running child for one guest, as the parent sees it.
//!
//! Units go in one after the other and answers come back in the same order; as
//! many are in flight as the ring holds. The child is not believed: every frame is
//! bounded and checked, answers what it was asked and cannot have answered before
//! (each call brings a random token), and a breach of the protocol is a host fault,
//! not an answer. After a fault the room stays closed.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read as _, Write as _},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

use sluice_rows::RowBatch;

use crate::{
    Compiled, Layer, Programs, RawBatch, RawColumn, RoomLimits, UnitOutcome, WorkerError,
    encode::encode_unit,
    keeper::Keeper,
    ring::{Place, Put, RingWriter},
    wire::{self, GUEST_FRAME_MAX, ReadError, Sink, Tag, Token, WireError},
};

/// Buffer of each pipe's end.
const BUFFER: usize = 256 << 10;
/// Bytes of rows after which the other side is told: calls are told of while later
/// ones are still encoded, and answers while later ones are still computed.
pub(crate) const TELL_AFTER: usize = 64 << 10;

/// What one call of a guest is given: the rows of one unit or block, per input.
pub struct Invocation(Vec<(u32, RowBatch)>);

impl Invocation {
    /// Batches with their inputs' numbers, in the order in which they are handed in.
    pub fn new(parts: Vec<(u32, RowBatch)>) -> Self {
        Self(parts)
    }

    fn rows(&self) -> usize {
        self.0.iter().map(|(_, rows)| rows.rows()).sum()
    }

    fn encode(&self, out: &mut impl Sink) -> Result<(), WorkerError> {
        let inputs: Vec<u32> = self.0.iter().map(|(input, _)| *input).collect();
        wire::encode_call(&inputs, out, |i, out| match self.0.get(i) {
            Some((_, rows)) => encode_unit(rows, out),
            None => Ok(()),
        })
    }
}

impl From<RowBatch> for Invocation {
    fn from(rows: RowBatch) -> Self {
        Self(vec![(0, rows)])
    }
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invocation(rows withheld)")
    }
}

/// A running child for one guest.
pub struct Room {
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
    ring: RingWriter,
    keeper: Keeper,
    layers: Vec<Layer>,
    limits: RoomLimits,
    state: State,
    tokens: Tokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Broken,
}

/// What the reader has to expect for a unit, in order.
enum Expected {
    /// A frame from the child, with this token.
    Answer(Token),
    /// Nothing: the unit was beyond its limits and stayed outside.
    Failed,
}

impl Room {
    /// Starts a child, hands it the compiled guest, its limits and `params` (the
    /// guest's own, and one [`crate::schema_param`] per input), and waits until it
    /// has shut itself in.
    ///
    /// # Errors
    /// [`WorkerError`]. A missing layer that is not accepted by name is
    /// [`WorkerError::Layer`].
    pub fn open(
        programs: &Programs,
        compiled: &Compiled,
        limits: &RoomLimits,
        params: &[(String, String)],
    ) -> Result<Self, WorkerError> {
        Self::open_in_round(programs, compiled, limits, params, &[])
    }

    /// As [`Room::open`], in a round whose state the outer room handed back.
    ///
    /// # Errors
    /// As [`Room::open`].
    pub fn open_in_round(
        programs: &Programs,
        compiled: &Compiled,
        limits: &RoomLimits,
        params: &[(String, String)],
        state: &[u8],
    ) -> Result<Self, WorkerError> {
        Self::enter(programs, compiled, limits, Tag::Start, params, state)
    }

    /// Starts a child with `first` as its first message.
    pub(crate) fn enter(
        programs: &Programs,
        compiled: &Compiled,
        limits: &RoomLimits,
        first: Tag,
        params: &[(String, String)],
        state: &[u8],
    ) -> Result<Self, WorkerError> {
        let order = wire::encode_start_head(&wire::Start {
            profile: compiled.profile,
            fuel: limits.fuel,
            memory_bytes: limits.memory_bytes,
            stack_bytes: limits.stack_bytes,
            rows_max: limits.rows_max,
            output_bytes_max: limits.output_bytes_max,
            cpu_seconds: u32::try_from(limits.wall.as_secs().saturating_add(1)).unwrap_or(u32::MAX),
            params: params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            state,
            code: &compiled.code,
        })?;
        if (order.len() + compiled.code.len()) as u64 > u64::from(GUEST_FRAME_MAX) {
            return Err(WorkerError::TooLarge);
        }
        let mut room = Self::start(programs, limits)?;
        room.greet(first, &order, &compiled.code)?;
        programs.accept(&room.layers)?;
        Ok(room)
    }

    /// Runs the guest on one unit's rows. The rows' order is the caller's to make
    /// canonical.
    ///
    /// # Errors
    /// [`WorkerError`]; the room is closed afterwards.
    pub fn map(&mut self, rows: RowBatch) -> Result<UnitOutcome, WorkerError> {
        let mut outcome = None;
        self.map_all(std::iter::once(rows), |answer| outcome = Some(answer))?;
        outcome.ok_or(WorkerError::Died)
    }

    /// Runs the guest on each unit in turn, many in flight. `sink` gets one
    /// outcome per unit, in order, on another thread. Returns how many units.
    ///
    /// # Errors
    /// [`WorkerError`]; the room is closed afterwards, and what `sink` has got is
    /// part of a void run.
    pub fn map_all<U, S>(&mut self, units: U, sink: S) -> Result<u64, WorkerError>
    where
        U: IntoIterator<Item: Into<Invocation>>,
        S: FnMut(UnitOutcome) + Send,
    {
        if self.state == State::Broken {
            return Err(WorkerError::Closed);
        }
        // Until the last answer is in, anything that stops us leaves frames behind.
        self.state = State::Broken;
        let Self { to, from, ring, keeper, limits, tokens, .. } = self;
        let (expect, expected) = mpsc::channel();
        let answers = Answers::default();
        let (written, read) = thread::scope(|scope| {
            let (keeper, limits, answers): (&Keeper, &RoomLimits, &Answers) = (keeper, limits, &answers);
            let reader = thread::Builder::new().name("sluice-answers".to_owned()).spawn_scoped(scope, move || {
                let read = read_all(from, limits, keeper, &expected, answers, sink);
                if read.is_err() {
                    keeper.kill();
                }
                read
            });
            match reader {
                Err(e) => (Ok(()), Err(WorkerError::Spawn(e))),
                Ok(reader) => {
                    let mut writer =
                        Writer { to, ring, tokens, limits, keeper, answers, freed: 0, untold: 0, least: 0 };
                    let written = writer.write_all(units, &expect);
                    drop(expect);
                    if written.is_err() {
                        keeper.kill();
                    }
                    // The reader panics only where `sink` does.
                    (written, reader.join().unwrap_or(Err(WorkerError::Closed)))
                }
            }
        });
        // A reader's finding explains a writer's broken pipe, not the reverse;
        // but rows that could not be encoded are the writer's own.
        let count = match (written, read) {
            (Err(e @ (WorkerError::UnitColumn | WorkerError::ColumnType | WorkerError::TooLarge)), _) => Err(e),
            (_, Err(e)) => Err(e),
            (Err(e), Ok(_)) => Err(e),
            (Ok(()), Ok(count)) => Ok(count),
        }?;
        self.state = State::Open;
        Ok(count)
    }

    /// One question and its answer, for a room that is asked one at a time.
    pub(crate) fn ask(&mut self, tag: Tag, body: &[u8]) -> Result<(Tag, Vec<u8>), WorkerError> {
        if self.state == State::Broken {
            return Err(WorkerError::Closed);
        }
        self.state = State::Broken;
        let token = self.tokens.draw()?;
        let sent = wire::write_call(&mut self.to, tag, token, body).and_then(|()| self.to.flush());
        sent.map_err(|_| self.keeper.why())?;
        let mut answer = Vec::new();
        match wire::read_frame(&mut self.from, &mut answer, answer_max(&self.limits)) {
            Ok(Some(tag)) => {
                let answer = token.strip(&answer)?.to_vec();
                self.state = State::Open;
                Ok((tag, answer))
            }
            Err(ReadError::Wire(e)) => Err(e.into()),
            Ok(None) | Err(ReadError::Gone) => Err(self.keeper.why()),
        }
    }

    /// The jail's layers, as the child reported them.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The child's process id, for the host's log and tests.
    pub fn pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// Ends the child.
    pub fn close(self) {
        // Dropping the keeper kills and reaps it.
    }

    fn start(programs: &Programs, limits: &RoomLimits) -> Result<Self, WorkerError> {
        let (ring, shared) = RingWriter::new(limits.unit_bytes_max).map_err(WorkerError::Spawn)?;
        let (keeper, to, from) = Keeper::start_with(&programs.run, Stdio::from(shared), limits.wall)?;
        Ok(Self {
            to: BufWriter::with_capacity(BUFFER, to),
            from: BufReader::with_capacity(BUFFER, from),
            ring,
            keeper,
            layers: Vec::new(),
            limits: *limits,
            state: State::Open,
            tokens: Tokens::open()?,
        })
    }

    /// The first message and its answer.
    fn greet(&mut self, tag: Tag, order: &[u8], code: &[u8]) -> Result<(), WorkerError> {
        let sent = wire::write_parts(&mut self.to, tag, [order, code]).and_then(|()| self.to.flush());
        self.layers = self.keeper.greeted(&mut self.from)?;
        sent.map_err(|_| self.keeper.why())
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Room(child {}, {:?})", self.pid(), self.state)
    }
}

/// Answers that are in, counted by the reader; the writer waits for them when
/// the ring is full.
#[derive(Default)]
struct Answers {
    state: Mutex<AnswersState>,
    enough: Condvar,
}

#[derive(Default)]
struct AnswersState {
    count: u64,
    wanted: u64,
    over: bool,
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, AnswersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_more(&self) {
        let mut state = self.lock();
        state.count += 1;
        // Waking the writer for every answer would cost more than the answer.
        if state.count == state.wanted {
            self.enough.notify_one();
        }
    }

    fn count(&self) -> u64 {
        self.lock().count
    }

    /// How many there are, once there are `wanted` or no more will come.
    fn wait_for(&self, wanted: u64) -> u64 {
        let mut state = self.lock();
        state.wanted = wanted;
        let waiting = |state: &mut AnswersState| state.count < wanted && !state.over;
        self.enough.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner).count
    }
}

/// Says that no more answers will come, however the reader ends.
struct Over<'a>(&'a Answers);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.enough.notify_one();
    }
}

/// Tokens that nobody can guess: the kernel's random bytes, some hundred at a time.
struct Tokens(BufReader<File>);

impl Tokens {
    fn open() -> Result<Self, WorkerError> {
        let random = File::open("/dev/urandom").map_err(WorkerError::Spawn)?;
        Ok(Self(BufReader::with_capacity(4096, random)))
    }

    fn draw(&mut self) -> Result<Token, WorkerError> {
        let mut token = [0; Token::BYTES as usize];
        self.0.read_exact(&mut token).map_err(WorkerError::Spawn)?;
        Ok(Token(token))
    }
}

/// Bytes of one answer's frame.
fn answer_max(limits: &RoomLimits) -> u32 {
    limits.output_bytes_max.saturating_add(Token::BYTES)
}

/// The writer's half of a room at work.
struct Writer<'a> {
    to: &'a mut BufWriter<ChildStdin>,
    ring: &'a mut RingWriter,
    tokens: &'a mut Tokens,
    limits: &'a RoomLimits,
    keeper: &'a Keeper,
    answers: &'a Answers,
    /// Answers whose places are free again.
    freed: u64,
    /// Bytes in the ring that the child has not been told of.
    untold: usize,
    /// Room that the next unit is likely to need: the last one's.
    least: usize,
}

impl Writer<'_> {
    fn write_all(
        &mut self,
        units: impl IntoIterator<Item: Into<Invocation>>,
        expect: &mpsc::Sender<Expected>,
    ) -> Result<(), WorkerError> {
        for unit in units {
            let unit: Invocation = unit.into();
            let within = unit.rows() <= self.limits.unit_rows_max as usize;
            let place = if within { self.put(&unit)? } else { None };
            let expected = match place {
                Some(place) => Expected::Answer(self.tell(place)?),
                None => Expected::Failed,
            };
            // A reader that is gone has its own error to tell.
            expect.send(expected).map_err(|_| self.keeper.why())?;
        }
        self.flush()?;
        // The next call finds the ring empty.
        let left = self.ring.in_flight() as u64;
        self.free_to(self.freed + left)
    }

    /// Encodes a unit into the ring, as soon as there is room; `None` for one that is
    /// larger than a unit may be.
    fn put(&mut self, unit: &Invocation) -> Result<Option<Place>, WorkerError> {
        loop {
            match self.ring.put(self.least, |slot| unit.encode(slot))? {
                Put::At(place) => {
                    self.least = place.len as usize;
                    return Ok(Some(place));
                }
                Put::TooLarge => return Ok(None),
                Put::Needs(bytes) => self.least = bytes,
                // Those that are answered by now, or else half of those that are not.
                Put::InTheWay if self.answers.count() == self.freed => {
                    self.flush()?;
                    let half = (self.ring.in_flight() as u64).div_ceil(2);
                    self.free_to(self.freed + half)?;
                }
                Put::InTheWay => self.free_to(self.freed + 1)?,
            }
        }
    }

    /// Tells the child where a unit lies.
    fn tell(&mut self, place: Place) -> Result<Token, WorkerError> {
        let token = self.tokens.draw()?;
        wire::write_call(self.to, Tag::Unit, token, &wire::encode_place(place)).map_err(|_| self.keeper.why())?;
        self.untold += place.len as usize;
        if self.untold >= TELL_AFTER {
            self.flush()?;
        }
        Ok(token)
    }

    /// Frees the places of all answered units, of which there must be `wanted`.
    fn free_to(&mut self, wanted: u64) -> Result<(), WorkerError> {
        let answered = self.answers.wait_for(wanted);
        while self.freed < answered {
            self.ring.free();
            self.freed += 1;
        }
        if answered < wanted { Err(self.keeper.why()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WorkerError> {
        self.untold = 0;
        self.to.flush().map_err(|_| self.keeper.why())
    }
}

fn read_all(
    from: &mut BufReader<ChildStdout>,
    limits: &RoomLimits,
    keeper: &Keeper,
    expected: &mpsc::Receiver<Expected>,
    answers: &Answers,
    mut sink: impl FnMut(UnitOutcome),
) -> Result<u64, WorkerError> {
    let _over = Over(answers);
    let (mut count, mut body) = (0, Vec::new());
    for expected in expected {
        sink(match expected {
            Expected::Failed => UnitOutcome::Failed,
            Expected::Answer(token) => {
                let outcome = match wire::read_frame(from, &mut body, answer_max(limits)) {
                    Ok(Some(Tag::Output)) => UnitOutcome::Output(output(token.strip(&body)?, limits)?),
                    Ok(Some(Tag::Failed)) if token.strip(&body)?.is_empty() => UnitOutcome::Failed,
                    Ok(Some(_)) => return Err(WireError::Tag.into()),
                    Err(ReadError::Wire(e)) => return Err(e.into()),
                    Ok(None) | Err(ReadError::Gone) => return Err(keeper.why()),
                };
                answers.one_more();
                outcome
            }
        });
        count += 1;
    }
    Ok(count)
}

/// Copies an answer out of its frame. The child has checked the limits; so do we.
pub(crate) fn output(body: &[u8], limits: &RoomLimits) -> Result<RawBatch, WorkerError> {
    let batch = wire::decode_batch(body)?;
    if batch.rows > limits.rows_max {
        return Err(WireError::TooLarge.into());
    }
    let columns = batch.columns.iter().map(|c| RawColumn {
        nulls: c.nulls,
        validity: c.validity.map(<[u8]>::to_vec),
        offsets: c.offsets.map(<[u8]>::to_vec),
        data: c.data.to_vec(),
    });
    Ok(RawBatch { rows: batch.rows, columns: columns.collect() })
}
