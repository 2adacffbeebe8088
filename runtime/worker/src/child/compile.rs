//! `sluice-compile`: component in, machine code out, then exit.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use wasmtime::Engine;

use super::{answer, engine};
use crate::{
    Layer, Profile,
    error::ChildFault,
    jail,
    wire::{GUEST_FRAME_MAX, Tag, decode_compile, read_frame, write_frame},
};

/// CPU seconds that a compilation may take.
const CPU_SECONDS: u64 = 120;
/// Writable memory that a compilation may take.
const MEMORY_BYTES: u64 = 3 << 30;

/// The program.
pub fn main() -> ExitCode {
    answer(compile)
}

fn compile() -> Result<(), ChildFault> {
    let layers = jail::enter()?;
    let mut body = Vec::new();
    match read_frame(&mut io::stdin().lock(), &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Compile)) => one(layers, &body, engine::compiling),
        Ok(None) => Ok(()),
        _ => Err(ChildFault::Message),
    }
}

/// Compiles what the message `body` holds and answers with the code.
pub(super) fn one(
    mut layers: Vec<Layer>,
    body: &[u8],
    engine: fn(Profile) -> Result<Engine, ChildFault>,
) -> Result<(), ChildFault> {
    layers.push(jail::reserve(MEMORY_BYTES, CPU_SECONDS)?);
    let order = decode_compile(body).map_err(|_| ChildFault::Message)?;
    let engine = engine(order.profile)?;
    jail::lock(&mut layers)?;
    let code = engine.precompile_component(order.component).map_err(|_| ChildFault::Compile)?;
    let mut to = io::stdout().lock();
    write_frame(&mut to, Tag::Compiled, &code).and_then(|()| to.flush()).map_err(|_| ChildFault::Message)
}
