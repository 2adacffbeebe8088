//! A child without a guest and without data: shuts itself in, reports its layers,
//! and tries one forbidden thing if it was told to.
//!
//! A guest cannot reach this: a child that was started with a guest never comes
//! here, and each attempt is what any native code could write for itself.

use std::{
    ffi::{CStr, c_long, c_void},
    io::{self, Read, Write},
    ptr,
};

use crate::{
    attempt::Attempt,
    error::ChildFault,
    jail,
    layer::Layer,
    wire::{Tag, decode_probe, encode_ready, encode_tried, read_frame, write_frame},
};

/// Writable memory of a probe.
const MEMORY_BYTES: u64 = 256 << 20;
/// CPU seconds of a probe.
const CPU_SECONDS: u64 = 10;
/// A page, or a part of one.
const PAGE: usize = 4096;

/// Locks, reports, tries. Then waits until the parent closes the pipe, so that
/// others have somebody to try themselves on.
pub(super) fn probe(
    body: &[u8],
    mut layers: Vec<Layer>,
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<(), ChildFault> {
    let order = decode_probe(body).map_err(|_| ChildFault::Message)?;
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().into());
    jail::reserve(&mut layers, MEMORY_BYTES, CPU_SECONDS)?;
    jail::lock(&mut layers)?;
    let mut say =
        |tag, body: &[u8]| write_frame(&mut *to, tag, body).and_then(|()| to.flush()).map_err(|_| ChildFault::Message);
    say(Tag::Ready, &encode_ready(&layers))?;
    if let Some((attempt, other)) = order {
        let error = attempt_now(attempt, parent, other.into()).err();
        say(Tag::Tried, &encode_tried(error.and_then(|e| e.raw_os_error()).unwrap_or(0)))?;
    }
    match read_frame(from, &mut Vec::new(), 0) {
        Ok(None) => Ok(()),
        _ => Err(ChildFault::Message),
    }
}

/// Tries it: `Ok` when it was possible. A filter that kills does not return.
fn attempt_now(attempt: Attempt, parent: c_long, other: c_long) -> io::Result<()> {
    match attempt {
        Attempt::OpenFile => open(c"/etc/passwd", libc::O_RDONLY),
        Attempt::ListRoot => open(c"/", libc::O_RDONLY | libc::O_DIRECTORY),
        Attempt::OpenOwnMemory => open(c"/proc/self/mem", libc::O_RDWR),
        Attempt::Mount => call(libc::SYS_mount, [text(c"none"), text(c"/"), text(c"tmpfs"), 0, 0, 0]).map(drop),
        Attempt::InetSocket => socket(libc::AF_INET).map(drop),
        Attempt::UnixSocket => socket(libc::AF_UNIX).map(drop),
        Attempt::Connect => connect(),
        Attempt::Execute => {
            let none = [ptr::null::<c_void>()];
            let none = address(none.as_ptr());
            call(libc::SYS_execve, [text(c"/proc/self/exe"), none, none, 0, 0, 0]).map(drop)
        }
        Attempt::Fork => match call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0, 0])? {
            0 => call(libc::SYS_exit_group, [0; 6]).map(drop),
            _ => Ok(()),
        },
        Attempt::MapExecutable => {
            map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE).map(drop)
        }
        Attempt::MakeExecutable => {
            let page = map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE)?;
            let executable = (libc::PROT_READ | libc::PROT_EXEC).into();
            call(libc::SYS_mprotect, [page, PAGE as c_long, executable, 0, 0, 0]).map(drop)
        }
        Attempt::ShareMemory => map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED).map(drop),
        Attempt::TraceParent => trace(parent),
        Attempt::TraceOther => trace(other),
        Attempt::ReadParent => read_memory(parent),
        Attempt::ReadOther => read_memory(other),
        // Signal 0 asks whether any other could be sent, and sends none.
        Attempt::SignalParent => call(libc::SYS_kill, [parent, 0, 0, 0, 0, 0]).map(drop),
        Attempt::SignalOther => call(libc::SYS_kill, [other, 0, 0, 0, 0, 0]).map(drop),
        Attempt::WriteElsewhere => call(libc::SYS_write, [2, text(c"x"), 1, 0, 0, 0]).map(drop),
        Attempt::CreateMemoryFile => call(libc::SYS_memfd_create, [text(c"x"), 0, 0, 0, 0, 0]).map(drop),
        Attempt::RaiseLimits => {
            let more = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            call(libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE.into(), address(&raw const more), 0, 0, 0]).map(drop)
        }
        Attempt::SetUser => call(libc::SYS_setresuid, [0; 6]).map(drop),
        Attempt::Unshare => call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0, 0]).map(drop),
        Attempt::IoUring => {
            let params = [0u8; 256];
            call(libc::SYS_io_uring_setup, [1, address(params.as_ptr()), 0, 0, 0, 0]).map(drop)
        }
        Attempt::UserFaultFd => call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]).map(drop),
        Attempt::Bpf => {
            // BPF_MAP_CREATE: an array of one number.
            let order = [2u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            call(libc::SYS_bpf, [0, address(order.as_ptr()), size_of_val(&order) as c_long, 0, 0, 0]).map(drop)
        }
        Attempt::PerfEvent => {
            // A software clock of this process, in user mode only.
            let mut event = [0u32; 32];
            (event[0], event[1], event[10]) = (1, 128, 0b110_0000);
            call(libc::SYS_perf_event_open, [address(event.as_ptr()), 0, -1, -1, 0, 0]).map(drop)
        }
        // KEYCTL_JOIN_SESSION_KEYRING, anonymous.
        Attempt::Keys => call(libc::SYS_keyctl, [1, 0, 0, 0, 0, 0]).map(drop),
        Attempt::Ioctl => {
            let mut waiting: libc::c_int = 0;
            call(libc::SYS_ioctl, [0, libc::FIONREAD as c_long, address(&raw mut waiting), 0, 0, 0]).map(drop)
        }
        Attempt::CallAsX32 => foreign::x32(),
        Attempt::CallAsI386 => foreign::i386(),
    }
}

fn open(path: &'static CStr, flags: libc::c_int) -> io::Result<()> {
    call(libc::SYS_openat, [libc::AT_FDCWD.into(), text(path), flags.into(), 0, 0, 0]).map(drop)
}

fn socket(family: libc::c_int) -> io::Result<c_long> {
    call(libc::SYS_socket, [family.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0])
}

/// An answer from anybody, even a refusal, is a network.
fn connect() -> io::Result<()> {
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 9u16.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let socket = socket(libc::AF_INET)?;
    match call(libc::SYS_connect, [socket, address(&raw const to), size_of_val(&to) as c_long, 0, 0, 0]) {
        Err(e) if e.raw_os_error() == Some(libc::ECONNREFUSED) => Ok(()),
        done => done.map(drop),
    }
}

fn map(protection: libc::c_int, kind: libc::c_int) -> io::Result<c_long> {
    let flags = kind | libc::MAP_ANONYMOUS;
    call(libc::SYS_mmap, [0, PAGE as c_long, protection.into(), flags.into(), -1, 0])
}

fn trace(process: c_long) -> io::Result<()> {
    call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), process, 0, 0, 0, 0]).map(drop)
}

/// A byte of it at an address where there is nothing: to be told so means to be let in.
fn read_memory(process: c_long) -> io::Result<()> {
    let mut byte = [0u8];
    let here = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: ptr::without_provenance_mut(PAGE), iov_len: 1 };
    let (here, there) = (address(&raw const here), address(&raw const there));
    match call(libc::SYS_process_vm_readv, [process, here, 1, there, 1, 0]) {
        Err(e) if e.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        done => done.map(drop),
    }
}

fn address<T>(of: *const T) -> c_long {
    of.expose_provenance() as c_long
}

fn text(text: &'static CStr) -> c_long {
    address(text.as_ptr())
}

#[expect(unsafe_code, reason = "asking the kernel for what no library offers is the purpose of a probe")]
fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<c_long> {
    // SAFETY: the callers above pass addresses of live values of the sizes that the
    // calls read or write, or none; the process has one thread and ends after this call.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        done => Ok(done),
    }
}

/// The other tables of calls that an x86-64 kernel may have.
#[cfg(target_arch = "x86_64")]
mod foreign {
    use super::{c_long, call, io};

    /// Marks a call of the x32 table.
    const X32: c_long = 0x4000_0000;
    /// `getpid` in the i386 table.
    const GETPID: i32 = 20;

    pub(super) fn x32() -> io::Result<()> {
        call(X32 | libc::SYS_getpid, [0; 6]).map(drop)
    }

    #[expect(unsafe_code, reason = "no library enters the kernel by its old gate")]
    pub(super) fn i386() -> io::Result<()> {
        let result: i32;
        // SAFETY: the call takes no address; registers that the gate may spoil are named.
        unsafe {
            std::arch::asm!("int 0x80", inout("eax") GETPID => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
    }
}

/// Other machines have no such tables that this program could call by.
#[cfg(not(target_arch = "x86_64"))]
mod foreign {
    use super::io;

    pub(super) fn x32() -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(super) fn i386() -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}
