//! `sluice-compile`: component in, machine code out, then exit.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use super::{answer, engine, probe};
use crate::{
    error::ChildFault,
    jail,
    wire::{GUEST_FRAME_MAX, Tag, decode_compile, encode_ready, read_frame, write_frame},
};

/// CPU seconds that a compilation may take: a Python guest needs about a minute where
/// the compiler itself is not optimised.
const CPU_SECONDS: u64 = 300;
/// Writable memory that a compilation may take.
const MEMORY_BYTES: u64 = 3 << 30;

/// The program.
pub fn main() -> ExitCode {
    answer(compile)
}

fn compile() -> Result<(), ChildFault> {
    let mut layers = jail::enter()?;
    let mut body = Vec::new();
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    match read_frame(&mut from, &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Compile)) => {}
        Ok(Some(Tag::Probe)) => return probe::probe(&body, layers, &mut from, &mut to),
        Ok(None) => return Ok(()),
        _ => return Err(ChildFault::Message),
    }
    let order = decode_compile(&body).map_err(|_| ChildFault::Message)?;
    jail::reserve(&mut layers, MEMORY_BYTES, CPU_SECONDS)?;
    let engine = engine::compiling(order.profile)?;
    jail::lock(&mut layers)?;
    write_frame(&mut to, Tag::Ready, &encode_ready(&layers))
        .and_then(|()| to.flush())
        .map_err(|_| ChildFault::Message)?;
    let code = engine.precompile_component(order.component).map_err(|_| ChildFault::Compile)?;
    write_frame(&mut to, Tag::Compiled, &code).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)
}
