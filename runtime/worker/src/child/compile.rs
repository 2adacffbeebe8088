//! `sluice-compile`: component in, machine code out, then exit.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use wasmtime::Engine;

use super::{answer, engine, probe};
use crate::{
    Layer, Profile,
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
    let layers = jail::enter()?;
    let mut body = Vec::new();
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    match read_frame(&mut from, &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Compile)) => one(layers, &body, &mut to, engine::compiling),
        Ok(Some(Tag::Probe)) => probe::probe(&body, layers, &mut from, &mut to),
        Ok(None) => Ok(()),
        _ => Err(ChildFault::Message),
    }
}

/// Compiles what the message `body` holds and answers with the code.
pub(super) fn one(
    mut layers: Vec<Layer>,
    body: &[u8],
    to: &mut impl Write,
    engine: fn(Profile) -> Result<Engine, ChildFault>,
) -> Result<(), ChildFault> {
    let order = decode_compile(body).map_err(|_| ChildFault::Message)?;
    jail::reserve(&mut layers, MEMORY_BYTES, CPU_SECONDS)?;
    let engine = engine(order.profile)?;
    jail::lock(&mut layers)?;
    write_frame(to, Tag::Ready, &encode_ready(&layers)).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)?;
    let code = engine.precompile_component(order.component).map_err(|_| ChildFault::Compile)?;
    write_frame(to, Tag::Compiled, &code).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)
}
