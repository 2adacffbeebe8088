//! `sluice doctor`: what a child on this host is held by, and what it can still do.
//!
//! Each attempt is made from inside a child that shut itself in as it would for a
//! guest, with the same programs and the same code, but without a guest and
//! without data; an attempt that kills has a child of its own.

use std::{
    io::{BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

use rustix::process::Signal;
use sluice_domain::{Text, text};

use crate::{
    Attempt, Layer, LayerStatus, Programs, WorkerError,
    keeper::Keeper,
    wire::{self, ReadError, STATUS_FRAME_MAX, Tag, WireError},
};

/// Wall time of one attempt.
const WALL: Duration = Duration::from_secs(10);

/// One of the two child programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// It runs guests over rows.
    Run,
    /// It compiles guests and sees no rows.
    Compile,
}

impl Child {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Run, Self::Compile];

    /// The program's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "sluice-run",
            Self::Compile => "sluice-compile",
        }
    }

    fn program(self, programs: &Programs) -> &Path {
        match self {
            Self::Run => &programs.run,
            Self::Compile => &programs.compile,
        }
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The filter on system calls killed the child.
    Killed,
    /// Another signal killed it, by its number: the machine has no such thing.
    Crashed(i32),
    /// The kernel refused, with its error number.
    Refused(i32),
    /// Nothing stopped it.
    Possible,
}

impl Outcome {
    /// Whether it was stopped.
    pub fn stopped(self) -> bool {
        self != Self::Possible
    }

    /// For people.
    pub fn text(self) -> Text {
        match self {
            Self::Killed => text("被 seccomp 终止", "killed by seccomp"),
            Self::Crashed(signal) => text(format!("被信号 {signal} 终止"), format!("ended by signal {signal}")),
            Self::Refused(errno) => {
                let name = errno_name(errno);
                text(format!("内核拒绝：{name}"), format!("refused by the kernel: {name}"))
            }
            Self::Possible => text("可行", "POSSIBLE"),
        }
    }
}

/// What one child program said.
#[derive(Debug)]
pub struct Report {
    /// Which program.
    pub child: Child,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// What it tried, in the order of [`Attempt::ALL`].
    pub attempts: Vec<(Attempt, Outcome)>,
}

impl Report {
    /// Whether every layer is in force and every attempt was stopped.
    pub fn holds(&self) -> bool {
        self.layers.iter().all(|l| l.status == LayerStatus::InForce) && self.attempts.iter().all(|(_, o)| o.stopped())
    }
}

/// Examines both child programs.
///
/// # Errors
/// [`WorkerError`] when a child cannot be started or does not keep to the protocol.
pub fn doctor(programs: &Programs) -> Result<Vec<Report>, WorkerError> {
    let other = Probe::start(&programs.run, &wire::encode_probe(None))?;
    Child::ALL
        .into_iter()
        .map(|child| {
            let program = child.program(programs);
            let layers = Probe::start(program, &wire::encode_probe(None))?.layers;
            let outcome = |attempt: &Attempt| Ok((*attempt, try_once(program, *attempt, other.keeper.pid())?));
            let attempts = Attempt::ALL.iter().map(outcome).collect::<Result<_, WorkerError>>()?;
            Ok(Report { child, layers, attempts })
        })
        .collect()
}

/// The layers of the child that runs guests.
///
/// # Errors
/// [`WorkerError`] when no child can be started at all.
pub fn layers(programs: &Programs) -> Result<Vec<Layer>, WorkerError> {
    Ok(Probe::start(&programs.run, &wire::encode_probe(None))?.layers)
}

fn try_once(program: &Path, attempt: Attempt, other: u32) -> Result<Outcome, WorkerError> {
    let mut probe = Probe::start(program, &wire::encode_probe(Some((attempt, other))))?;
    let mut body = Vec::new();
    match wire::read_frame(&mut probe.from, &mut body, STATUS_FRAME_MAX) {
        Ok(Some(Tag::Tried)) => Ok(match wire::decode_tried(&body)? {
            0 => Outcome::Possible,
            errno => Outcome::Refused(errno),
        }),
        Ok(Some(_)) => Err(WireError::Tag.into()),
        Err(ReadError::Wire(e)) => Err(e.into()),
        Ok(None) | Err(ReadError::Gone) => {
            let why = probe.keeper.why();
            match probe.keeper.ended().map(|status| status.signal()) {
                Some(Some(signal)) if signal == Signal::SYS.as_raw() => Ok(Outcome::Killed),
                Some(Some(signal)) if signal != Signal::KILL.as_raw() => Ok(Outcome::Crashed(signal)),
                // It went on as something else, and that ended.
                Some(None) => Ok(Outcome::Possible),
                _ => Err(why),
            }
        }
    }
}

/// A child without a guest. It stays until this is dropped.
struct Probe {
    keeper: Keeper,
    layers: Vec<Layer>,
    from: BufReader<ChildStdout>,
    _to: ChildStdin,
}

impl Probe {
    fn start(program: &Path, order: &[u8]) -> Result<Self, WorkerError> {
        let (keeper, mut to, from) = Keeper::start(program, WALL)?;
        let sent = wire::write_frame(&mut to, Tag::Probe, order).and_then(|()| to.flush());
        let mut from = BufReader::new(from);
        let layers = keeper.greeted(&mut from)?;
        sent.map_err(|_| keeper.why())?;
        Ok(Self { keeper, layers, from, _to: to })
    }
}

/// The name that manuals use.
fn errno_name(errno: i32) -> String {
    let known = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::ESRCH, "ESRCH"),
        (libc::EBADF, "EBADF"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EINVAL, "EINVAL"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENETUNREACH, "ENETUNREACH"),
    ];
    known.iter().find(|(number, _)| *number == errno).map_or_else(|| errno.to_string(), |(_, name)| (*name).to_owned())
}
