//! `sluice-run`: loads one compiled guest, shuts itself in, then answers unit by
//! unit in order, until the parent closes the pipe.

use std::{
    io::{self, BufReader, BufWriter, Write as _},
    mem::ManuallyDrop,
    process::ExitCode,
};

use super::{answer, engine, guest::Guest, limiter::Limits, outer, probe};
use crate::{
    error::ChildFault,
    jail,
    layer::Layer,
    ring::RingReader,
    room::TELL_AFTER,
    wire::{
        GUEST_FRAME_MAX, HEADER, STATUS_FRAME_MAX, Start, Tag, Token, WireError, decode_call, decode_place,
        decode_start, encode_batch, encode_ready, read_frame, write_call, write_frame,
    },
};

/// Buffer of each pipe.
const BUFFER: usize = 256 << 10;
/// Memory beyond the guest's: the engine, the code, the pipes.
const HOST_BYTES: u64 = 256 << 20;

/// The program.
pub fn main() -> ExitCode {
    answer(run)
}

fn run() -> Result<(), ChildFault> {
    let ring = RingReader::take().map_err(|_| ChildFault::Message)?;
    let mut layers = jail::enter()?;
    let mut from = BufReader::with_capacity(BUFFER, io::stdin().lock());
    let mut to = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let mut body = Vec::new();
    match read_frame(&mut from, &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Start)) => {}
        Ok(Some(Tag::Outer)) => return outer::serve(&body, layers, &mut from, &mut to),
        Ok(Some(Tag::Probe)) => return probe::probe(&body, layers, &mut from, &mut to),
        Ok(None) => return Ok(()),
        _ => return Err(ChildFault::Message),
    }
    let order = decode_start(&body).map_err(|_| ChildFault::Message)?;
    jail::reserve(&mut layers, memory(&order), u64::from(order.cpu_seconds))?;
    let engine = engine::running(order.profile, order.memory_bytes, order.stack_bytes)?;
    // Never dropped: closing its memory image is not among the calls that are left.
    let guest = ManuallyDrop::new(Guest::<Limits>::load(&engine, &order)?);
    let output_bytes_max = order.output_bytes_max as usize;
    drop(body);
    guest.warm_up();
    jail::lock(&mut layers)?;
    ready(&mut to, &layers)?;

    let (mut body, mut out, mut untold) = (Vec::new(), Vec::new(), 0);
    loop {
        // Answers wait in the buffer while questions do, but never while we wait, and
        // not for so long that the parent runs out of room.
        if untold >= TELL_AFTER || from.buffer().len() < HEADER || from.buffer().len() < next_len(from.buffer()) {
            to.flush().map_err(|_| ChildFault::Message)?;
            untold = 0;
        }
        match read_frame(&mut from, &mut body, STATUS_FRAME_MAX) {
            Ok(Some(Tag::Unit)) => {}
            Ok(None) => return to.flush().map_err(|_| ChildFault::Message),
            _ => return Err(ChildFault::Message),
        }
        let (token, place) = Token::split(&body).map_err(|_| ChildFault::Message)?;
        let unit = decode_place(place).ok().and_then(|place| ring.get(place)).ok_or(ChildFault::Message)?;
        untold += unit.len();
        let rows = decode_call(unit).map_err(|_| ChildFault::Message)?;
        out.clear();
        let answered = guest.call(&rows).is_ok_and(|answer| {
            let fits: Result<(), WireError> = encode_batch(&answer.as_batch(), &mut out);
            fits.is_ok() && out.len() <= output_bytes_max
        });
        let (tag, answer) = if answered { (Tag::Output, out.as_slice()) } else { (Tag::Failed, &[][..]) };
        write_call(&mut to, tag, token, answer).map_err(|_| ChildFault::Message)?;
        drop(rows);
    }
}

pub(super) fn ready(to: &mut impl io::Write, layers: &[Layer]) -> Result<(), ChildFault> {
    write_frame(to, Tag::Ready, &encode_ready(layers)).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)
}

/// Length of the frame that `buffer` begins with.
fn next_len(buffer: &[u8]) -> usize {
    let len = buffer.get(1..HEADER).and_then(|len| <[u8; 4]>::try_from(len).ok()).map_or(0, u32::from_le_bytes);
    HEADER + len as usize
}

/// Writable memory of the whole child: the guest's, one answer with two copies,
/// the code and its image, and the host's own. The ring is not writable.
pub(super) fn memory(order: &Start<'_>) -> u64 {
    order.memory_bytes + 3 * u64::from(order.output_bytes_max) + 4 * order.code.len() as u64 + HOST_BYTES
}
