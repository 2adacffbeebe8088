//! Keeps one child process: starts it bare, and kills it at its deadline, when
//! asked, or when it is dropped.
//!
//! A thread of its own does all three. The kernel's parent-death signal follows
//! the *thread* that started the child, so that thread has to live as long.

use std::{
    io::Read,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rustix::pipe::fcntl_setpipe_size;

use crate::{
    Layer, WorkerError,
    wire::{self, ReadError, STATUS_FRAME_MAX, Tag, WireError},
};

/// Size asked for each pipe; the kernel may give less.
const PIPE_BYTES: usize = 1 << 20;

/// A running child.
pub(crate) struct Keeper {
    stop: Mutex<Option<mpsc::Sender<()>>>,
    expired: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<ExitStatus>>>,
    pid: u32,
}

impl Keeper {
    /// Starts `program` with an empty environment, in `/`, with two pipes and
    /// nothing else; it is killed after `wall`.
    pub(crate) fn start(program: &Path, wall: Duration) -> Result<(Self, ChildStdin, ChildStdout), WorkerError> {
        Self::start_with(program, Stdio::null(), wall)
    }

    /// As [`Self::start`], with `shared` as the third descriptor.
    pub(crate) fn start_with(
        program: &Path,
        shared: Stdio,
        wall: Duration,
    ) -> Result<(Self, ChildStdin, ChildStdout), WorkerError> {
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(shared);
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let expired = Arc::new(AtomicBool::new(false));
        let thread = {
            let expired = Arc::clone(&expired);
            let keep = move || match spawn(command) {
                Err(e) => {
                    drop(started.send(Err(e)));
                    None
                }
                Ok((mut child, to, from)) => {
                    let told = started.send(Ok((child.id(), to, from)));
                    if told.is_ok() && matches!(stopped.recv_timeout(wall), Err(RecvTimeoutError::Timeout)) {
                        expired.store(true, Ordering::Release);
                    }
                    // This fails only for a child that is already gone.
                    let _ = child.kill();
                    child.wait().ok()
                }
            };
            Builder::new().name("sluice-keeper".to_owned()).spawn(keep).map_err(WorkerError::Spawn)?
        };
        let (pid, to, from) = start.recv().map_err(|_| WorkerError::Died)?.map_err(WorkerError::Spawn)?;
        // Throughput only: a smaller pipe works as well.
        let _ = fcntl_setpipe_size(&to, PIPE_BYTES);
        let _ = fcntl_setpipe_size(&from, PIPE_BYTES);
        Ok((Self { stop: Mutex::new(Some(stop)), expired, thread: Some(thread), pid }, to, from))
    }

    /// Asks for the child's end; safe from any thread, any number of times.
    pub(crate) fn kill(&self) {
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The child's first word: its layers, or a fault.
    pub(crate) fn greeted(&self, from: &mut impl Read) -> Result<Vec<Layer>, WorkerError> {
        let mut answer = Vec::new();
        match wire::read_frame(from, &mut answer, STATUS_FRAME_MAX) {
            Ok(Some(Tag::Ready)) => Ok(wire::decode_ready(&answer)?),
            Ok(Some(Tag::Fault)) => Err(WorkerError::Child(wire::decode_fault(&answer)?)),
            Ok(Some(_)) => Err(WireError::Tag.into()),
            Err(ReadError::Wire(e)) => Err(e.into()),
            Ok(None) | Err(ReadError::Gone) => Err(self.why()),
        }
    }

    /// Ends the child and says how it ended: by itself, if it already had.
    pub(crate) fn ended(mut self) -> Option<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> Option<ExitStatus> {
        self.kill();
        // The thread ends as soon as the child does, and it cannot panic.
        self.thread.take().and_then(|thread| thread.join().ok().flatten())
    }

    /// What a broken pipe means: the deadline, or the child's own end.
    pub(crate) fn why(&self) -> WorkerError {
        if self.expired.load(Ordering::Acquire) { WorkerError::TimedOut } else { WorkerError::Died }
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(mut command: Command) -> std::io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = command.spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(to), Some(from)) => Ok((child, to, from)),
        _ => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}
