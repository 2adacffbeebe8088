//! How a child shuts itself in, in this order: [`enter`] at once, [`reserve`]
//! when it knows its limits, [`lock`] when everything is loaded and nothing of
//! the guest has run. Each step only takes away. Every layer is reported by name,
//! as it turned out.
//!
//! What no Linux lacks must succeed, or the child stops. Namespaces, the empty root,
//! Landlock and the like may be missing in a container or on an old kernel; then the
//! report says so, and the parent decides. Nothing here reads a flag, a variable or
//! a file: whoever starts a child cannot talk it out of a layer.
//!
//! Not here, on purpose:
//! - **A process id of its own.** Entering a PID namespace takes a second process,
//!   which could only wait, for each room. What it would stop (signals, tracing,
//!   `/proc`) is stopped by the user namespace, Landlock's scopes, the empty root and
//!   the filter. Children born in spite of all that would land in a namespace of their own.
//! - **A control group.** One process that cannot make another is held by its
//!   resource limits; a group would need one delegated to the host's service.
//! - **The clock.** Native code can read it without a system call. A guest has no
//!   import, and what leaves a room leaves at a tick.

use std::{collections::BTreeMap, io};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetStatus,
    Scope,
};
use rustix::{
    process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid},
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::{
    error::ChildFault,
    layer::{Layer, LayerName, LayerStatus},
};

/// Address space: the pool reserves 4 GiB and guards for each memory and touches
/// none of it. What may be touched is bounded by `RLIMIT_DATA`.
const ADDRESS_SPACE: u64 = 64 << 30;
/// Descriptors while loading: the three, and what the loader opens for a moment.
const DESCRIPTORS_LOADING: u64 = 16;
/// Stack of the only thread.
const STACK: u64 = 16 << 20;
/// The part of it that a guest may have: the rest is the host's, below and above the
/// guest's. A guest that reached the end of the real stack would end the child.
pub(crate) const GUEST_STACK_MAX: u64 = 8 << 20;
/// The user and group that own nothing.
const NOBODY: u32 = 65_534;

/// Closes what was inherited, leaves the host's namespaces, files and privileges.
/// Called first, while there is one thread and nothing else is open.
///
/// # Errors
/// [`ChildFault::Jail`] when a layer that no Linux lacks cannot be put on.
pub fn enter() -> Result<Vec<Layer>, ChildFault> {
    let mut layers = Vec::with_capacity(LayerName::ALL.len());
    must(&mut layers, LayerName::Descriptors, close_inherited())?;
    must(&mut layers, LayerName::Environment, std::env::vars_os().next().is_none())?;
    must(&mut layers, LayerName::NoNewPrivileges, rustix::thread::set_no_new_privs(true).is_ok())?;
    let left = leave_the_host();
    layers.push(Layer { name: LayerName::Namespaces, status: left.namespaces });
    layers.push(Layer { name: LayerName::EmptyRoot, status: left.root });
    layers.push(Layer { name: LayerName::Privileges, status: give_up_privileges(left.identity) });
    // A change of user undoes both of these, so they come after it.
    let not_dumpable = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    must(&mut layers, LayerName::NotDumpable, not_dumpable)?;
    // A parent that died before this line has closed the pipe: the first read ends the child.
    let parent_death = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    must(&mut layers, LayerName::ParentDeath, parent_death)?;
    Ok(layers)
}

/// Sets the limits that hold from now on.
///
/// # Errors
/// [`ChildFault::Jail`].
pub fn reserve(layers: &mut Vec<Layer>, writable_bytes: u64, cpu_seconds: u64) -> Result<(), ChildFault> {
    for (resource, most) in [
        (Resource::As, ADDRESS_SPACE),
        (Resource::Data, writable_bytes),
        (Resource::Stack, STACK),
        (Resource::Memlock, 0),
        (Resource::Cpu, cpu_seconds),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Nofile, DESCRIPTORS_LOADING),
        (Resource::Locks, 0),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 0),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ] {
        limit(resource, most)?;
    }
    // The one limit that is also a need.
    if rustix::process::getrlimit(Resource::Stack).current.is_some_and(|stack| stack < STACK) {
        return Err(ChildFault::Jail);
    }
    layers.push(Layer { name: LayerName::ResourceLimits, status: LayerStatus::InForce });
    Ok(())
}

/// The last step: from here on there is memory, two pipes, and the end.
///
/// # Errors
/// [`ChildFault::Jail`].
pub fn lock(layers: &mut Vec<Layer>) -> Result<(), ChildFault> {
    // The filter is made first: it needs memory and nothing else.
    let filter = filter();
    layers.push(Layer { name: LayerName::Landlock, status: landlock() });
    limit(Resource::Fsize, 0)?;
    // No descriptor can be made any more, not even in the place of a closed one.
    limit(Resource::Nofile, 0)?;
    layers.push(Layer { name: LayerName::NoNewCode, status: refuse_new_code() });
    let status = match filter.map(|filter| seccompiler::apply_filter(&filter)) {
        Some(Ok(())) => LayerStatus::InForce,
        Some(Err(seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e))) => missing(&e),
        Some(Err(_)) | None => LayerStatus::Missing(0),
    };
    layers.push(Layer { name: LayerName::Seccomp, status });
    Ok(())
}

fn must(layers: &mut Vec<Layer>, name: LayerName, done: bool) -> Result<(), ChildFault> {
    layers.push(Layer { name, status: LayerStatus::InForce });
    if done { Ok(()) } else { Err(ChildFault::Jail) }
}

fn limit(resource: Resource, most: u64) -> Result<(), ChildFault> {
    // A limit may already be lower than ours, and then it stays.
    let before = rustix::process::getrlimit(resource);
    let most = before.maximum.map_or(most, |m| m.min(most));
    rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|_| ChildFault::Jail)
}

fn missing(error: &io::Error) -> LayerStatus {
    LayerStatus::Missing(error.raw_os_error().and_then(|e| u16::try_from(e).ok()).unwrap_or(0))
}

/// Closes every descriptor but the standard three; says whether that worked.
#[expect(unsafe_code, reason = "a descriptor that nobody in this program owns has only its number")]
fn close_inherited() -> bool {
    // SAFETY: this is the first thing the program does: nothing of it is open yet, so
    // whatever is above the standard three was inherited and nobody here owns it.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } == 0;
    // The folder that is being listed is open while it is listed.
    let Ok(left) = std::fs::read_dir("/proc/self/fd") else { return false };
    closed && left.filter(|entry| entry.is_ok()).count() <= 4
}

struct Left {
    namespaces: LayerStatus,
    root: LayerStatus,
    identity: Identity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    Ordinary,
    Root,
}

/// Own and empty namespaces, an empty root, and no more being root.
///
/// Root takes the namespaces by right and becomes nobody before it makes a user
/// namespace. Anybody else makes the user namespace first and has the others in it.
/// No id is mapped into it: inside, every user is nobody, for good.
fn leave_the_host() -> Left {
    let others = UnshareFlags::NEWNET
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP
        | UnshareFlags::NEWPID;
    let by_right = unshare(others);
    let root_by_right = by_right.is_ok().then(empty_root);
    let identity = become_nobody();
    let user = unshare(if by_right.is_ok() { UnshareFlags::NEWUSER } else { UnshareFlags::NEWUSER | others });
    let namespaces = match (&by_right, &user) {
        (_, Ok(())) => LayerStatus::InForce,
        // A system may forbid user namespaces and still let root have the others.
        (Ok(()), Err(_)) => LayerStatus::Partly,
        (Err(_), Err(e)) => missing(e),
    };
    let root = match (root_by_right, &user) {
        (Some(done), _) => done,
        (None, Ok(())) => empty_root(),
        // Without a mount namespace of its own it would be the host's root.
        (None, Err(e)) => Err(io::Error::from_raw_os_error(e.raw_os_error().unwrap_or(0))),
    };
    let root = root.map_or_else(|e| missing(&e), |()| LayerStatus::InForce);
    Left { namespaces, root, identity }
}

#[expect(unsafe_code, reason = "unshare can take descriptors from other threads; there are none")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the flags do not hold FILES, and this is the only thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// Puts an empty, read-only file system that nobody may list in the place of the
/// root and lets go of the old one, with everything mounted in it.
#[expect(unsafe_code, reason = "mounts are made by the C library's functions")]
fn empty_root() -> io::Result<()> {
    let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let quiet = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let options = c"size=4k,nr_inodes=1,mode=0111".as_ptr();
    // SAFETY: each pointer is null where mount(2) takes none, or a constant C string.
    unsafe {
        // Nothing of what follows travels back to the host's own tree.
        done(libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        ))?;
        // Any folder will do; `/proc` was just read.
        done(libc::mount(c"none".as_ptr(), c"/proc".as_ptr(), c"tmpfs".as_ptr(), quiet, options.cast()))?;
    }
    rustix::process::chdir("/proc")?;
    rustix::process::pivot_root(".", ".")?;
    // SAFETY: as above. `.` is now the old root, which lies over the new one.
    unsafe { done(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))? };
    Ok(rustix::process::chdir("/")?)
}

/// Root becomes nobody, as long as its parent, who has the same capabilities, could
/// still kill it afterwards. What is left to it is told by the answer.
fn become_nobody() -> Identity {
    if !rustix::process::geteuid().is_root() && !rustix::process::getuid().is_root() {
        return Identity::Ordinary;
    }
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    if !rustix::thread::capabilities(None).is_ok_and(|has| has.effective.contains(needed)) {
        return Identity::Root;
    }
    // The set that bounds later gains can only be emptied while the capability to do so is left.
    empty_bounding_set();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let became = rustix::thread::set_thread_groups(&[])
        .and_then(|()| rustix::thread::set_thread_res_gid(group, group, group))
        .and_then(|()| rustix::thread::set_thread_res_uid(user, user, user));
    if became.is_ok() { Identity::Ordinary } else { Identity::Root }
}

fn empty_bounding_set() {
    for capability in every_capability() {
        // Refused to whom has no capabilities: what is left is looked at afterwards.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
}

/// Every capability that this kernel knows, one at a time, by number.
fn every_capability() -> impl Iterator<Item = CapabilitySet> {
    (0..64).map(|n| CapabilitySet::from_bits_retain(1 << n))
}

/// Drops every capability and every way to one, and reports what is left.
fn give_up_privileges(identity: Identity) -> LayerStatus {
    use CapabilitiesSecureBits as Bits;
    let locked = Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED;
    let none = CapabilitySet::empty();
    // Each may be refused to whom has nothing to give up. Believed is only what is read back.
    let _ = rustix::thread::clear_ambient_capability_set();
    let _ = rustix::thread::set_capabilities_secure_bits(locked);
    empty_bounding_set();
    let _ =
        rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    let Ok(left) = rustix::thread::capabilities(None) else { return LayerStatus::Missing(0) };
    if !(left.effective | left.permitted | left.inheritable).is_empty() {
        return LayerStatus::Missing(0);
    }
    let bounded = !every_capability().any(|c| rustix::thread::capability_is_in_bounding_set(c).unwrap_or(false));
    if bounded && identity == Identity::Ordinary { LayerStatus::InForce } else { LayerStatus::Partly }
}

/// An empty rule set: everything that this kernel's Landlock can handle is denied:
/// each access to a file, TCP ports, signals and abstract sockets beyond the child.
fn landlock() -> LayerStatus {
    let newest = ABI::V6;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .and_then(|r| r.handle_access(AccessNet::from_all(newest)))
        .and_then(|r| r.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => LayerStatus::InForce,
        Ok(RulesetStatus::PartiallyEnforced) => LayerStatus::Partly,
        Ok(RulesetStatus::NotEnforced) | Err(_) => LayerStatus::Missing(0),
    }
}

/// From here on the kernel itself (6.3 and newer) refuses to make a mapping both
/// writable and executable, or executable later. The guest's code is already mapped.
#[expect(unsafe_code, reason = "this prctl has no wrapper")]
fn refuse_new_code() -> LayerStatus {
    let (on, no): (libc::c_ulong, libc::c_ulong) = (libc::PR_MDWE_REFUSE_EXEC_GAIN.into(), 0);
    // SAFETY: this call takes numbers and no address.
    match unsafe { libc::prctl(libc::PR_SET_MDWE, on, no, no, no) } {
        0 => LayerStatus::InForce,
        _ => missing(&io::Error::last_os_error()),
    }
}

/// The system calls that are left, each with what it may be asked; any other call,
/// other argument or call by another architecture's table (i386, x32) kills the process.
///
/// Not on the list, so that nobody misses it: opening, closing or duplicating a
/// descriptor, sockets, `ioctl`, starting a process or thread, `execve`, signals and
/// tracing, another process's memory, `memfd_create`, `io_uring`, `userfaultfd`,
/// `bpf`, `perf_event_open`, keys, namespaces, mounts, limits, identities, `prctl`.
fn filter() -> Option<BpfProgram> {
    let any = Vec::new;
    let rules: BTreeMap<i64, Vec<SeccompRule>> = [
        // Frames: in by standard input, out by standard output. No other descriptor.
        (libc::SYS_read, vec![when([is(0, 0)])?]),
        (libc::SYS_write, vec![when([is(0, 1)])?]),
        // Memory: private, readable and writable and nothing else (no PROT_EXEC, no
        // PROT_GROWSDOWN); not shared, which `RLIMIT_DATA` does not count, nor in huge or locked pages.
        (libc::SYS_mmap, vec![when([only(2, READ_WRITE), within(3, MAP_KINDS, libc::MAP_PRIVATE)])?]),
        (libc::SYS_mprotect, vec![when([only(2, READ_WRITE)])?]),
        (libc::SYS_munmap, any()),
        (libc::SYS_mremap, any()),
        (libc::SYS_brk, any()),
        // Giving memory back, and none of the advice that looks into pages (KSM, poison).
        (libc::SYS_madvise, vec![when([is(2, libc::MADV_DONTNEED)])?]),
        // A lock's plain waits and wakes; none of the operations on priorities and queues.
        (
            libc::SYS_futex,
            [libc::FUTEX_WAIT, libc::FUTEX_WAKE, libc::FUTEX_WAIT_BITSET]
                .into_iter()
                .map(|op| when([within(1, !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME), op)]))
                .collect::<Option<_>>()?,
        ),
        (libc::SYS_sched_yield, any()),
        // Seeds of hash maps, where the C library does not ask the vDSO.
        (libc::SYS_getrandom, any()),
        // The standard library's clock, where there is no vDSO.
        (libc::SYS_clock_gettime, any()),
        // A guest's trap is a signal, handled on a stack of its own; handlers stay as they are.
        (libc::SYS_sigaltstack, any()),
        (libc::SYS_rt_sigreturn, any()),
        (libc::SYS_exit_group, any()),
    ]
    .into();
    let arch = std::env::consts::ARCH.try_into().ok()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).ok()?.try_into().ok()
}

/// The protections that memory may have.
const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
/// The bits of mmap's flags that are looked at.
const MAP_KINDS: libc::c_int = libc::MAP_TYPE | libc::MAP_GROWSDOWN | libc::MAP_LOCKED | libc::MAP_HUGETLB;

/// One way to pass: all conditions hold.
fn when<const N: usize>(conditions: [Option<SeccompCondition>; N]) -> Option<SeccompRule> {
    SeccompRule::new(conditions.into_iter().collect::<Option<_>>()?).ok()
}

/// Argument `at` is `value`, an `int` of the kernel's.
fn is(at: u8, value: libc::c_int) -> Option<SeccompCondition> {
    within(at, !0, value)
}

/// Argument `at` is `value` in the bits of `mask`. The kernel reads 32 bits of these arguments.
fn within(at: u8, mask: libc::c_int, value: libc::c_int) -> Option<SeccompCondition> {
    let op = SeccompCmpOp::MaskedEq(u64::from(mask.cast_unsigned()));
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, op, u64::from(value.cast_unsigned())).ok()
}

/// Argument `at` has no bit but those of `allowed`, in all its 64 bits.
fn only(at: u8, allowed: libc::c_int) -> Option<SeccompCondition> {
    let op = SeccompCmpOp::MaskedEq(!u64::from(allowed.cast_unsigned()));
    SeccompCondition::new(at, SeccompCmpArgLen::Qword, op, 0).ok()
}
