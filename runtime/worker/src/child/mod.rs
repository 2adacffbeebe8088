//! The code of the child programs: one thread, two pipes, one frame at a time.
//!
//! Nothing here may print: standard error leads nowhere, and a panic ends the
//! process, which the parent reads as a host fault.

pub mod compile;
pub mod engine;
pub mod explain;
pub mod guest;
mod limiter;
mod outer;
mod probe;
pub mod run;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{
    error::ChildFault,
    wire::{Tag, write_frame},
};

/// Runs `work`; a fault is the child's last word.
fn answer(work: impl FnOnce() -> Result<(), ChildFault>) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // If the parent is gone too, there is nobody left to tell.
            let mut out = io::stdout().lock();
            let _ = write_frame(&mut out, Tag::Fault, &[fault as u8]).and_then(|()| out.flush());
            ExitCode::FAILURE
        }
    }
}
