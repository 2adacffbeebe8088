//! What parent and child say to each other over two pipes. Rows do not go through
//! them: a `UNIT` frame says where in the ring (`ring`) they lie.
//!
//! A frame is a tag, a length and a body; all integers are little-endian. The
//! decoders are plain functions over byte slices: they borrow, bound everything
//! before they allocate, and never panic, whatever the bytes.
//!
//! Parent to child: one `START`, `OUTER`, `PROBE` or `COMPILE`, then per call one
//! `UNIT`, `UPDATE` or `COMPOSE`; end of file is the end. Child to parent: one `READY`
//! or `FAULT`, then one `COMPILED` or `FAULT`, or one `TRIED`, or one `OUTPUT`, `STATE`,
//! `ARTEFACTS` or `FAILED` per call, in order. A call and its answer begin with the
//! call's [`Token`].

use std::io::{self, Read, Write};

use crate::{
    attempt::Attempt,
    error::ChildFault,
    layer::{Layer, LayerName, LayerStatus},
    limits::{COLUMNS_MAX, PARAMS_MAX, Profile},
    ring::Place,
};

/// First bytes of every first message: protocol and version.
const MAGIC: [u8; 8] = *b"SLUICEW1";
/// Largest frame that carries a guest.
pub const GUEST_FRAME_MAX: u32 = 512 << 20;
/// Largest `READY` or `FAULT` frame.
pub const STATUS_FRAME_MAX: u32 = 4096;
/// Bytes of a frame before its body.
pub const HEADER: usize = 5;
/// Where a unit's rows begin in the ring, and each of its large buffers: the guest's
/// allocator puts large blocks so too (`sdk/rust/src/heap.rs`). A copy to 1 to 15 bytes
/// beyond its own offset in a page takes twelve times as long (docs/benchmarks.md).
pub const LINE: usize = 64;
/// A buffer of so many bytes is large.
pub const LARGE: usize = 4 << 10;

/// What a call brings and its answer gives back: drawn at random when the call is
/// sent, so that nobody can have answered it before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(pub(crate) [u8; Token::BYTES as usize]);

impl Token {
    /// Bytes of a token.
    pub const BYTES: u32 = 8;

    /// The token that `body` begins with, and the rest.
    ///
    /// # Errors
    /// `Malformed` for a body without one.
    pub fn split(body: &[u8]) -> Result<(Self, &[u8]), WireError> {
        body.split_first_chunk().map(|(token, rest)| (Self(*token), rest)).ok_or(WireError::Malformed)
    }

    /// The answer in `body`, if it is this call's.
    ///
    /// # Errors
    /// `Token` for another call's, or for none.
    pub fn strip<'a>(&self, body: &'a [u8]) -> Result<&'a [u8], WireError> {
        body.strip_prefix(&self.0).ok_or(WireError::Token)
    }
}

/// Where a call's rows are written: a vector, or their place in the ring.
pub(crate) trait Sink {
    /// Appends.
    fn add(&mut self, bytes: &[u8]);

    /// Bytes so far.
    fn written(&self) -> usize;

    /// Writes a length over the four bytes at `at`, which are there.
    fn patch(&mut self, at: usize, len: u32);
}

impl Sink for Vec<u8> {
    fn add(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn written(&self) -> usize {
        self.len()
    }

    fn patch(&mut self, at: usize, len: u32) {
        if let Some(place) = self.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_le_bytes());
        }
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, clippy::allow_attributes, reason = "the module's text names them")]
pub enum Tag {
    Start = 1,
    Probe = 2,
    Compile = 3,
    Unit = 4,
    Outer = 7,
    Update = 8,
    Compose = 9,
    Ready = 16,
    Compiled = 17,
    Fault = 18,
    Output = 19,
    Failed = 20,
    Tried = 21,
    State = 22,
    Artefacts = 23,
}

impl Tag {
    fn from_wire(byte: u8) -> Result<Self, WireError> {
        use Tag::*;
        [
            Start, Probe, Compile, Unit, Outer, Update, Compose, Ready, Compiled, Fault, Output, Failed, Tried, State,
            Artefacts,
        ]
        .into_iter()
        .find(|t| *t as u8 == byte)
        .ok_or(WireError::Tag)
    }
}

/// The bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// An unknown or unexpected tag.
    #[error("unexpected tag")]
    Tag,
    /// A frame, list or buffer beyond its limit.
    #[error("beyond its limit")]
    TooLarge,
    /// A body that ends early, goes on, or contradicts itself.
    #[error("malformed body")]
    Malformed,
    /// Another protocol or version.
    #[error("another protocol or version")]
    Version,
    /// An answer that is not this call's.
    #[error("an answer to another call")]
    Token,
}

/// What a run child needs to know. The parameters are public to the job's parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start<'a> {
    /// Engine profile.
    pub profile: Profile,
    /// Fuel per unit.
    pub fuel: u64,
    /// Linear memory per unit, bytes.
    pub memory_bytes: u64,
    /// Stack of the guest, bytes.
    pub stack_bytes: u32,
    /// Rows that one output may have.
    pub rows_max: u32,
    /// Bytes that one output may have.
    pub output_bytes_max: u32,
    /// CPU seconds of the whole child.
    pub cpu_seconds: u32,
    /// Handed to the guest's `start`.
    pub params: Vec<(&'a str, &'a str)>,
    /// Handed to the guest's `start`: the state of the round.
    pub state: &'a [u8],
    /// The compiled guest.
    pub code: &'a [u8],
}

/// What a compile child needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compile<'a> {
    /// Engine profile.
    pub profile: Profile,
    /// The component.
    pub component: &'a [u8],
}

/// A column whose buffers lie in somebody else's memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ColumnRef<'a> {
    /// Claimed nulls.
    pub nulls: u32,
    /// Validity bitmap.
    pub validity: Option<&'a [u8]>,
    /// Offsets of text.
    pub offsets: Option<&'a [u8]>,
    /// Values.
    pub data: &'a [u8],
}

/// A batch whose buffers lie in somebody else's memory.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchRef<'a> {
    /// Claimed rows.
    pub rows: u32,
    /// Columns.
    pub columns: Vec<ColumnRef<'a>>,
}

/// A message that carries rows must not print them.
macro_rules! redacted {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(withheld)"))
            }
        }
    )*};
}
redacted! { ColumnRef BatchRef }

/// Writes one frame.
///
/// # Errors
/// The pipe's, or `InvalidInput` for a body beyond 4 GiB.
pub fn write_frame(to: &mut impl Write, tag: Tag, body: &[u8]) -> io::Result<()> {
    write_parts(to, tag, [body])
}

/// Writes one call, or its answer.
///
/// # Errors
/// As [`write_frame`].
pub fn write_call(to: &mut impl Write, tag: Tag, token: Token, body: &[u8]) -> io::Result<()> {
    write_parts(to, tag, [&token.0, body])
}

/// As [`write_frame`], with a body that lies in parts.
pub(crate) fn write_parts<const N: usize>(to: &mut impl Write, tag: Tag, parts: [&[u8]; N]) -> io::Result<()> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let len = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut header = [tag as u8, 0, 0, 0, 0];
    header[1..].copy_from_slice(&len.to_le_bytes());
    to.write_all(&header)?;
    parts.iter().try_for_each(|part| to.write_all(part))
}

/// A frame's tag and body length.
///
/// # Errors
/// An unknown tag, or a length beyond `max`.
pub fn decode_header(header: [u8; HEADER], max: u32) -> Result<(Tag, u32), WireError> {
    let [tag, len @ ..] = header;
    let len = u32::from_le_bytes(len);
    if len > max {
        return Err(WireError::TooLarge);
    }
    Ok((Tag::from_wire(tag)?, len))
}

/// Why a frame could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The other side is gone in the middle of a frame; between two it is `Ok(None)`.
    Gone,
    /// The bytes are not a frame.
    Wire(WireError),
}

/// Reads one frame into `body`; `None` at the end of the stream.
///
/// # Errors
/// [`ReadError`]. `body` grows with what arrives, not with what the header claims.
pub fn read_frame(from: &mut impl Read, body: &mut Vec<u8>, max: u32) -> Result<Option<Tag>, ReadError> {
    let mut header = [0; HEADER];
    let mut have = 0;
    while let Some(rest) = header.get_mut(have..).filter(|r| !r.is_empty()) {
        match from.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(ReadError::Gone),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(ReadError::Gone),
        }
    }
    let (tag, len) = decode_header(header, max).map_err(ReadError::Wire)?;
    body.clear();
    match from.take(u64::from(len)).read_to_end(body) {
        Ok(n) if n as u64 == u64::from(len) => Ok(Some(tag)),
        _ => Err(ReadError::Gone),
    }
}

/// The body of a `START` frame.
///
/// # Errors
/// `TooLarge` beyond the limits on parameters.
pub fn encode_start(start: &Start<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = encode_start_head(start)?;
    out.extend_from_slice(start.code);
    Ok(out)
}

/// The same body up to the code, which is large and lies elsewhere already.
pub(crate) fn encode_start_head(start: &Start<'_>) -> Result<Vec<u8>, WireError> {
    if start.params.len() > PARAMS_MAX {
        return Err(WireError::TooLarge);
    }
    let mut out = MAGIC.to_vec();
    out.push(start.profile as u8);
    out.extend_from_slice(&start.fuel.to_le_bytes());
    out.extend_from_slice(&start.memory_bytes.to_le_bytes());
    for limit in [start.stack_bytes, start.rows_max, start.output_bytes_max, start.cpu_seconds] {
        out.extend_from_slice(&limit.to_le_bytes());
    }
    put_len(&mut out, start.params.len())?;
    for (key, value) in &start.params {
        put_bytes(&mut out, key.as_bytes())?;
        put_bytes(&mut out, value.as_bytes())?;
    }
    put_bytes(&mut out, start.state)?;
    put_len(&mut out, start.code.len())?;
    Ok(out)
}

/// The body of what `sluice-try` answers: what it tells, and the guest's own answer.
///
/// # Errors
/// `TooLarge` beyond 4 GiB.
pub fn encode_told(told: &[u8], answer: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(told.len() + answer.len() + 4);
    put_bytes(&mut out, told)?;
    out.extend_from_slice(answer);
    Ok(out)
}

/// Reads the body of what `sluice-try` answers.
///
/// # Errors
/// [`WireError`].
pub fn decode_told(body: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut from = Cursor::of(body);
    let told = from.bytes()?;
    Ok((told, from.rest))
}

/// Reads the body of a `START` frame.
///
/// # Errors
/// [`WireError`].
pub fn decode_start(body: &[u8]) -> Result<Start<'_>, WireError> {
    let mut from = Cursor::of(body);
    from.magic()?;
    let start = Start {
        profile: from.profile()?,
        fuel: from.u64()?,
        memory_bytes: from.u64()?,
        stack_bytes: from.u32()?,
        rows_max: from.u32()?,
        output_bytes_max: from.u32()?,
        cpu_seconds: from.u32()?,
        params: {
            let count = from.count(PARAMS_MAX)?;
            (0..count).map(|_| Ok((from.text()?, from.text()?))).collect::<Result<_, WireError>>()?
        },
        state: from.bytes()?,
        code: from.bytes()?,
    };
    from.end()?;
    Ok(start)
}

/// The body of a `COMPILE` frame.
///
/// # Errors
/// `TooLarge` beyond 4 GiB.
pub fn encode_compile(compile: &Compile<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = MAGIC.to_vec();
    out.push(compile.profile as u8);
    put_bytes(&mut out, compile.component)?;
    Ok(out)
}

/// Reads the body of a `COMPILE` frame.
///
/// # Errors
/// [`WireError`].
pub fn decode_compile(body: &[u8]) -> Result<Compile<'_>, WireError> {
    let mut from = Cursor::of(body);
    from.magic()?;
    let compile = Compile { profile: from.profile()?, component: from.bytes()? };
    from.end()?;
    Ok(compile)
}

/// The body of a `PROBE` frame: nothing, or what to try and the process id of
/// another child to try it on.
pub fn encode_probe(order: Option<(Attempt, u32)>) -> Vec<u8> {
    let attempt = |(attempt, other): (Attempt, u32)| [&[attempt as u8], other.to_le_bytes().as_slice()].concat();
    order.map(attempt).unwrap_or_default()
}

/// Reads the body of a `PROBE` frame.
///
/// # Errors
/// [`WireError`].
pub fn decode_probe(body: &[u8]) -> Result<Option<(Attempt, u32)>, WireError> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut from = Cursor::of(body);
    let [attempt] = from.array()?;
    let order = (Attempt::from_wire(attempt).ok_or(WireError::Malformed)?, from.u32()?);
    from.end()?;
    Ok(Some(order))
}

/// The body of a `TRIED` frame: the kernel's error number, or 0 when it was possible.
pub fn encode_tried(errno: i32) -> [u8; 4] {
    errno.to_le_bytes()
}

/// Reads the body of a `TRIED` frame.
///
/// # Errors
/// `Malformed`.
pub fn decode_tried(body: &[u8]) -> Result<i32, WireError> {
    body.try_into().map(i32::from_le_bytes).map_err(|_| WireError::Malformed)
}

/// The body of a `READY` frame.
pub fn encode_ready(layers: &[Layer]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for layer in layers {
        let (status, errno) = match layer.status {
            LayerStatus::InForce => (0u8, 0),
            LayerStatus::Partly => (1, 0),
            LayerStatus::Missing(errno) => (2, errno),
        };
        let name = LayerName::ALL.iter().position(|n| *n == layer.name).and_then(|at| u8::try_from(at).ok());
        out.push(name.unwrap_or(u8::MAX));
        out.push(status);
        out.extend_from_slice(&errno.to_le_bytes());
    }
    out
}

/// Reads the body of a `READY` frame: each layer exactly once, in order.
///
/// # Errors
/// [`WireError`].
pub fn decode_ready(body: &[u8]) -> Result<Vec<Layer>, WireError> {
    let mut from = Cursor::of(body);
    from.magic()?;
    let mut layers = Vec::with_capacity(LayerName::ALL.len());
    for (at, name) in LayerName::ALL.into_iter().enumerate() {
        let [said, status] = from.array()?;
        let errno = u16::from_le_bytes(from.array()?);
        let status = match status {
            0 => LayerStatus::InForce,
            1 => LayerStatus::Partly,
            2 => LayerStatus::Missing(errno),
            _ => return Err(WireError::Malformed),
        };
        if usize::from(said) != at {
            return Err(WireError::Malformed);
        }
        layers.push(Layer { name, status });
    }
    from.end()?;
    Ok(layers)
}

/// Reads the body of a `FAULT` frame.
///
/// # Errors
/// `Malformed` when it is no known fault.
pub fn decode_fault(body: &[u8]) -> Result<ChildFault, WireError> {
    match body {
        [code] => ChildFault::from_wire(*code).ok_or(WireError::Malformed),
        _ => Err(WireError::Malformed),
    }
}

/// The body of a `UNIT` frame, behind its token.
pub fn encode_place(place: Place) -> [u8; 8] {
    (u64::from(place.at) | u64::from(place.len) << 32).to_le_bytes()
}

/// Reads the body of a `UNIT` frame, behind its token. Whether the place is inside the ring is the
/// ring's to say.
///
/// # Errors
/// `Malformed` for any other length.
pub fn decode_place(body: &[u8]) -> Result<Place, WireError> {
    let mut from = Cursor::of(body);
    let place = Place { at: from.u32()?, len: from.u32()? };
    from.end()?;
    Ok(place)
}

/// Appends a batch: the body of an `OUTPUT` frame.
///
/// # Errors
/// `TooLarge` for more columns or bytes than the format can carry.
pub fn encode_batch(batch: &BatchRef<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    if batch.columns.len() > COLUMNS_MAX {
        return Err(WireError::TooLarge);
    }
    out.extend_from_slice(&batch.rows.to_le_bytes());
    put_len(out, batch.columns.len())?;
    for column in &batch.columns {
        out.extend_from_slice(&column.nulls.to_le_bytes());
        out.push(u8::from(column.validity.is_some()) | u8::from(column.offsets.is_some()) << 1);
        for buffer in [column.validity, column.offsets, Some(column.data)].into_iter().flatten() {
            put_bytes(out, buffer)?;
        }
    }
    Ok(())
}

/// Reads the body of an `OUTPUT` frame. The buffers' lengths say nothing about
/// `rows`: whether they fit is for whoever knows the schema.
///
/// # Errors
/// [`WireError`].
pub fn decode_batch(body: &[u8]) -> Result<BatchRef<'_>, WireError> {
    batch(Cursor::of(body), Cursor::bytes)
}

/// All that is left of `from`, a batch whose buffers are read by `buffer`.
fn batch<'a>(
    mut from: Cursor<'a>,
    buffer: fn(&mut Cursor<'a>) -> Result<&'a [u8], WireError>,
) -> Result<BatchRef<'a>, WireError> {
    let rows = from.u32()?;
    let count = from.count(COLUMNS_MAX)?;
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let nulls = from.u32()?;
        let [flags] = from.array()?;
        if flags > 3 {
            return Err(WireError::Malformed);
        }
        let validity = if flags & 1 == 1 { Some(buffer(&mut from)?) } else { None };
        let offsets = if flags & 2 == 2 { Some(buffer(&mut from)?) } else { None };
        columns.push(ColumnRef { nulls, validity, offsets, data: buffer(&mut from)? });
    }
    from.end()?;
    Ok(BatchRef { rows, columns })
}

/// The body of an `UPDATE` frame.
///
/// # Errors
/// As [`encode_batch`].
pub fn encode_update(round: u32, state: &[u8], cleared: &BatchRef<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = round.to_le_bytes().to_vec();
    put_bytes(&mut out, state)?;
    encode_batch(cleared, &mut out)?;
    Ok(out)
}

/// Reads the body of an `UPDATE` frame: round, state, cleared cells.
///
/// # Errors
/// [`WireError`].
pub fn decode_update(body: &[u8]) -> Result<(u32, &[u8], BatchRef<'_>), WireError> {
    let mut from = Cursor::of(body);
    Ok((from.u32()?, from.bytes()?, decode_batch(from.rest)?))
}

/// The body of a `COMPOSE` frame.
///
/// # Errors
/// As [`encode_batch`].
pub fn encode_compose(state: &[u8], tables: &[(&str, BatchRef<'_>)]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    put_bytes(&mut out, state)?;
    put_len(&mut out, tables.len())?;
    for (name, table) in tables {
        put_bytes(&mut out, name.as_bytes())?;
        let mut body = Vec::new();
        encode_batch(table, &mut body)?;
        put_bytes(&mut out, &body)?;
    }
    Ok(out)
}

/// The state and the named tables of a `COMPOSE` frame.
pub type Composition<'a> = (&'a [u8], Vec<(&'a str, BatchRef<'a>)>);

/// Reads the body of a `COMPOSE` frame.
///
/// # Errors
/// [`WireError`].
pub fn decode_compose(body: &[u8]) -> Result<Composition<'_>, WireError> {
    let mut from = Cursor::of(body);
    let state = from.bytes()?;
    let count = from.count(COLUMNS_MAX)?;
    let tables = (0..count).map(|_| Ok((from.text()?, decode_batch(from.bytes()?)?)));
    let tables = tables.collect::<Result<_, WireError>>()?;
    from.end()?;
    Ok((state, tables))
}

/// The body of an `ARTEFACTS` frame.
///
/// # Errors
/// `TooLarge`.
pub fn encode_artefacts<'a>(
    artefacts: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    put_len(&mut out, artefacts.len())?;
    for (name, bytes) in artefacts {
        put_bytes(&mut out, name.as_bytes())?;
        put_bytes(&mut out, bytes)?;
    }
    Ok(out)
}

/// Reads the body of an `ARTEFACTS` frame.
///
/// # Errors
/// [`WireError`].
pub fn decode_artefacts(body: &[u8]) -> Result<Vec<(&str, &[u8])>, WireError> {
    let mut from = Cursor::of(body);
    let count = from.count(COLUMNS_MAX)?;
    let artefacts = (0..count).map(|_| Ok((from.text()?, from.bytes()?))).collect::<Result<_, WireError>>()?;
    from.end()?;
    Ok(artefacts)
}

/// What lies between a large buffer's length, which ends `at` bytes into a call, and its
/// first byte: nothing, or what is missing to a line.
fn gap(at: usize, len: usize) -> usize {
    if len < LARGE { 0 } else { at.next_multiple_of(LINE) - at }
}

/// Appends what lies between a buffer's length and its first byte.
pub(crate) fn put_gap(out: &mut impl Sink, len: usize) {
    let gap = gap(out.written(), len);
    out.add([0; LINE].get(..gap).unwrap_or_default());
}

/// Appends one call's rows, each part with its input's number: what a place of the ring
/// holds. `part` appends the rows of part number i, as a batch with [`put_gap`] before
/// each buffer.
///
/// # Errors
/// What `part` says; `TooLarge`.
pub(crate) fn encode_call<E: From<WireError>, S: Sink>(
    inputs: &[u32],
    out: &mut S,
    mut part: impl FnMut(usize, &mut S) -> Result<(), E>,
) -> Result<(), E> {
    let length = |len: usize| u32::try_from(len).map_err(|_| WireError::TooLarge);
    out.add(&length(inputs.len())?.to_le_bytes());
    for (i, input) in inputs.iter().enumerate() {
        out.add(&input.to_le_bytes());
        let at = out.written();
        out.add(&[0; 4]);
        part(i, out)?;
        out.patch(at, length(out.written() - at - 4)?);
    }
    Ok(())
}

/// Reads one call's rows: the input's number and the rows of each part.
///
/// # Errors
/// [`WireError`].
pub fn decode_call(body: &[u8]) -> Result<Vec<(u32, BatchRef<'_>)>, WireError> {
    let mut from = Cursor::of(body);
    let count = from.u32()?;
    // A part takes 12 bytes at least: so many cannot be announced without being there.
    if u64::from(count) * 12 > body.len() as u64 {
        return Err(WireError::Malformed);
    }
    let parts = (0..count).map(|_| Ok((from.u32()?, batch(from.part()?, Cursor::buffer)?)));
    let parts = parts.collect::<Result<_, WireError>>()?;
    from.end()?;
    Ok(parts)
}

fn put_len(out: &mut Vec<u8>, len: usize) -> Result<(), WireError> {
    out.extend_from_slice(&u32::try_from(len).map_err(|_| WireError::TooLarge)?.to_le_bytes());
    Ok(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireError> {
    put_len(out, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// What is left of a body, and how far from its first byte that is.
struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn of(body: &'a [u8]) -> Self {
        Self { rest: body, at: 0 }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(WireError::Malformed)?;
        (self.rest, self.at) = (rest, self.at + len);
        Ok(head)
    }

    /// A body within, at its place in the whole one.
    fn part(&mut self) -> Result<Self, WireError> {
        let len = self.u32()? as usize;
        let at = self.at;
        Ok(Self { rest: self.take(len)?, at })
    }

    /// A buffer of a call: on a line, if it is large.
    fn buffer(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()? as usize;
        let gap = self.take(gap(self.at, len))?;
        if gap.iter().any(|byte| *byte != 0) { Err(WireError::Malformed) } else { self.take(len) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError::Malformed)
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self, max: usize) -> Result<usize, WireError> {
        let count = self.u32()? as usize;
        if count > max { Err(WireError::TooLarge) } else { Ok(count) }
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Malformed)
    }

    fn magic(&mut self) -> Result<(), WireError> {
        if self.array()? == MAGIC { Ok(()) } else { Err(WireError::Version) }
    }

    fn profile(&mut self) -> Result<Profile, WireError> {
        match self.array()? {
            [0] => Ok(Profile::Standard),
            [1] => Ok(Profile::Reproducible),
            _ => Err(WireError::Malformed),
        }
    }

    fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type OwnedColumn = (u32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in any::<bool>()) {
            let mut body = if magic { MAGIC.to_vec() } else { Vec::new() };
            body.extend(&bytes);
            let _ = decode_start(&body);
            let _ = decode_compile(&body);
            let _ = decode_ready(&body);
            let _ = decode_fault(&body);
            let _ = decode_probe(&body);
            let _ = decode_tried(&body);
            let _ = decode_batch(&body);
            let _ = decode_call(&body);
            let _ = decode_update(&body);
            let _ = decode_compose(&body);
            let _ = decode_artefacts(&body);
            let mut into = Vec::new();
            let _ = read_frame(&mut body.as_slice(), &mut into, 100);
            prop_assert!(into.len() <= 100);
        }

        #[test]
        fn a_batch_comes_back_as_it_went_in_and_no_prefix_of_it_reads(
            rows in any::<u32>(),
            columns in proptest::collection::vec(any::<OwnedColumn>(), 0..5),
        ) {
            let batch = BatchRef {
                rows,
                columns: columns
                    .iter()
                    .map(|(nulls, v, o, data)| ColumnRef { nulls: *nulls, validity: v.as_deref(), offsets: o.as_deref(), data })
                    .collect(),
            };
            let mut body = Vec::new();
            encode_batch(&batch, &mut body).unwrap();
            prop_assert!(decode_batch(&body).unwrap() == batch);
            for cut in 0..body.len() {
                prop_assert!(decode_batch(&body[..cut]).is_err());
            }
        }

        #[test]
        fn a_start_comes_back_as_it_went_in(
            fuel in any::<u64>(),
            rows_max in any::<u32>(),
            params in proptest::collection::vec(any::<(String, String)>(), 0..4),
            code in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let start = Start {
                profile: Profile::Reproducible, fuel, memory_bytes: 1, stack_bytes: 5, rows_max,
                output_bytes_max: 2, cpu_seconds: 4,
                params: params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
                state: &code,
                code: &code,
            };
            let body = encode_start(&start).unwrap();
            prop_assert_eq!(decode_start(&body).unwrap(), start);
        }
    }

    #[test]
    fn a_place_comes_back_as_it_went_in_and_no_other_length_reads() {
        let place = Place { at: 7, len: u32::MAX };
        let body = encode_place(place);
        assert_eq!(decode_place(&body), Ok(place));
        assert!((0..8).all(|cut| decode_place(&body[..cut]).is_err()));
        assert!(decode_place(&[0; 9]).is_err());
    }

    #[test]
    fn the_outer_rooms_messages_come_back_as_they_went_in() {
        let column = ColumnRef { nulls: 0, validity: None, offsets: None, data: &[1, 2] };
        let batch = BatchRef { rows: 1, columns: vec![column] };
        assert!(decode_update(&encode_update(3, b"s", &batch).unwrap()).unwrap() == (3, &b"s"[..], batch.clone()));
        let tables = vec![("a", batch.clone()), ("b", batch)];
        assert!(decode_compose(&encode_compose(b"s", &tables).unwrap()).unwrap() == (&b"s"[..], tables));
        let artefacts = vec![("x.txt", &b"1"[..]), ("y.md", &b""[..])];
        assert_eq!(decode_artefacts(&encode_artefacts(artefacts.clone().into_iter()).unwrap()).unwrap(), artefacts);
    }

    #[test]
    fn a_header_beyond_its_limit_is_refused_before_anything_is_allocated() {
        let mut header = [Tag::Output as u8, 0, 0, 0, 0];
        header[1..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode_header(header, 1 << 20), Err(WireError::TooLarge));
    }

    #[test]
    fn a_truncated_frame_is_not_the_end_of_the_stream() {
        let mut whole = Vec::new();
        write_frame(&mut whole, Tag::Unit, b"abc").unwrap();
        let mut into = Vec::new();
        assert!(matches!(read_frame(&mut &whole[..], &mut into, 10), Ok(Some(Tag::Unit))));
        assert_eq!(into, b"abc");
        for cut in 1..whole.len() {
            assert!(matches!(read_frame(&mut &whole[..cut], &mut into, 10), Err(ReadError::Gone)));
        }
        assert!(matches!(read_frame(&mut &[][..], &mut into, 10), Ok(None)));
    }

    #[test]
    fn layers_must_all_be_reported_in_order() {
        let layers: Vec<Layer> = LayerName::ALL.map(|name| Layer { name, status: LayerStatus::Missing(7) }).into();
        let body = encode_ready(&layers);
        assert_eq!(decode_ready(&body).unwrap(), layers);
        assert!(decode_ready(&encode_ready(&layers[1..])).is_err());
    }
}
