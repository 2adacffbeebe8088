//! How a child shuts itself in, in this order: [`enter`] at once, [`reserve`]
//! when it knows its limits, [`lock`] when everything is loaded and nothing of
//! the guest has run. Every layer is reported by name, as it turned out.
//!
//! What no Linux lacks must succeed, or the child stops. Namespaces, Landlock and
//! seccomp may be missing in a container or on an old kernel; then the report says
//! so, and the parent decides. Not here: a new root, a control group, a sealed
//! memory ring in place of the pipes.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetStatus,
    Scope,
};
use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, Signal},
    thread::UnshareFlags,
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

/// Closes what was inherited and gives up what can be given up at once.
/// Called first, while there is one thread and nothing else is open.
pub(crate) fn enter() -> Result<Vec<Layer>, ChildFault> {
    let mut layers = Vec::with_capacity(LayerName::ALL.len());
    let mut must = |name, done: bool| {
        layers.push(Layer { name, status: LayerStatus::InForce });
        if done { Ok(()) } else { Err(ChildFault::Jail) }
    };
    must(LayerName::Descriptors, close_inherited())?;
    must(LayerName::Environment, std::env::vars_os().next().is_none())?;
    // A parent that died before this line has closed the pipe: the first read ends the child.
    must(LayerName::ParentDeath, rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_ok())?;
    must(LayerName::NotDumpable, rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok())?;
    must(LayerName::NoNewPrivileges, rustix::thread::set_no_new_privs(true).is_ok())?;
    layers.push(Layer { name: LayerName::Namespaces, status: namespaces() });
    Ok(layers)
}

/// Sets the limits that hold from now on.
pub(crate) fn reserve(writable_bytes: u64, cpu_seconds: u64) -> Result<Layer, ChildFault> {
    for (resource, most) in [
        (Resource::As, ADDRESS_SPACE),
        (Resource::Data, writable_bytes),
        (Resource::Cpu, cpu_seconds),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Memlock, 0),
        (Resource::Nofile, DESCRIPTORS_LOADING),
    ] {
        limit(resource, most)?;
    }
    Ok(Layer { name: LayerName::ResourceLimits, status: LayerStatus::InForce })
}

/// The last step: from here on there is memory, two pipes, and the end.
pub(crate) fn lock(layers: &mut Vec<Layer>) -> Result<(), ChildFault> {
    // The filter is made first: it needs memory and nothing else.
    let filter = filter();
    layers.push(Layer { name: LayerName::Landlock, status: landlock() });
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, 3)?;
    let status = match filter {
        Some(filter) => match seccompiler::apply_filter(&filter) {
            Ok(()) => LayerStatus::InForce,
            Err(seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e)) => missing(e.raw_os_error()),
            Err(_) => missing(None),
        },
        None => missing(None),
    };
    layers.push(Layer { name: LayerName::Seccomp, status });
    Ok(())
}

fn limit(resource: Resource, most: u64) -> Result<(), ChildFault> {
    // A limit may already be lower than ours, and then it stays.
    let before = rustix::process::getrlimit(resource);
    let most = before.maximum.map_or(most, |m| m.min(most));
    rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|_| ChildFault::Jail)
}

fn missing(errno: Option<i32>) -> LayerStatus {
    LayerStatus::Missing(errno.and_then(|e| u16::try_from(e).ok()).unwrap_or(0))
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

#[expect(unsafe_code, reason = "unshare can take descriptors from other threads; there are none")]
fn namespaces() -> LayerStatus {
    let others = UnshareFlags::NEWNET
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // SAFETY: the flags do not hold FILES, and this is the only thread.
    let unshare = |flags| unsafe { rustix::thread::unshare_unsafe(flags) };
    match unshare(UnshareFlags::NEWUSER | others) {
        Ok(()) => LayerStatus::InForce,
        // A system may forbid user namespaces and still let root have the others.
        Err(e) => unshare(others).map_or(missing(Some(e.raw_os_error())), |()| LayerStatus::Partly),
    }
}

/// An empty rule set: everything that this kernel's Landlock can handle is denied.
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
        Ok(RulesetStatus::NotEnforced) | Err(_) => missing(None),
    }
}

/// The system calls that are left; any other one kills the process.
fn filter() -> Option<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect();
    // Memory may be mapped and its protection changed, but never made executable.
    let executable = u64::try_from(libc::PROT_EXEC).ok()?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let not_executable =
            SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0).ok()?;
        rules.insert(call, vec![SeccompRule::new(vec![not_executable]).ok()?]);
    }
    let arch = std::env::consts::ARCH.try_into().ok()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).ok()?.try_into().ok()
}
