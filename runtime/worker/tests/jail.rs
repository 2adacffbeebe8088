//! The jail on hosts that lack a part of it, and what the remaining layers stop.
//!
//! The host is made poorer for one thread of the test: a filter answers "no such
//! call" to what an old kernel or a container would not offer, and the children
//! that this thread starts inherit it. The programs are the shipped ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    thread,
};

use common::{ONE_VALUE, component, key, limits, looked_at, module, programs, unit, value};
use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use sluice_worker::{
    Attempt, Child, Compiled, Layer, LayerName, LayerStatus, Outcome, Profile, Programs, Report, Room, WorkerError,
    compile, doctor, layers,
};

const TAKE_VALUE: &str = "
    (i64.store (i32.const 3000) (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))
    (i32.const 1024)";

/// What a host may lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lack {
    UserNamespaces,
    Namespaces,
    Mount,
    Landlock,
    NoNewCode,
    Seccomp,
}

impl Lack {
    /// The calls that are not there: number, and a mask of an argument where only some are gone.
    fn calls(self) -> Vec<(i64, Option<SeccompCondition>)> {
        let first = |op, value| Some(SeccompCondition::new(0, SeccompCmpArgLen::Dword, op, value).unwrap());
        let option = |value: i32| first(SeccompCmpOp::Eq, value as u64);
        let user = libc::CLONE_NEWUSER as u64;
        match self {
            Self::UserNamespaces => vec![(libc::SYS_unshare, first(SeccompCmpOp::MaskedEq(user), user))],
            Self::Namespaces => vec![(libc::SYS_unshare, None)],
            Self::Mount => vec![(libc::SYS_mount, None)],
            Self::Landlock => vec![(libc::SYS_landlock_create_ruleset, None)],
            Self::NoNewCode => vec![(libc::SYS_prctl, option(libc::PR_SET_MDWE))],
            Self::Seccomp => vec![(libc::SYS_seccomp, None), (libc::SYS_prctl, option(libc::PR_SET_SECCOMP))],
        }
    }
}

/// Runs `work` on a thread of a host that lacks these.
fn without<T: Send>(lacks: &[Lack], work: impl FnOnce() -> T + Send) -> T {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, condition) in lacks.iter().flat_map(|l| l.calls()) {
        let rule = condition.map(|c| SeccompRule::new(vec![c]).unwrap());
        rules.entry(call).or_default().extend(rule);
    }
    let gone = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, gone, arch).unwrap().try_into().unwrap();
    on_a_thread(|| {
        seccompiler::apply_filter(&filter).unwrap();
        work()
    })
}

/// Runs `work` as an ordinary user, whoever runs the tests.
fn as_somebody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Uid::from_raw(4711), Gid::from_raw(4711));
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
        }
        work()
    })
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn strict() -> Programs {
    programs().accepting_missing(&[])
}

/// Compiles afresh, with these layers given up.
fn compiles(accepted: &[LayerName]) -> Result<Compiled, WorkerError> {
    let cache = tempfile::tempdir().unwrap();
    let guest = looked_at(&component(&module("", TAKE_VALUE, ONE_VALUE))).unwrap();
    compile(&programs().accepting_missing(accepted), &guest, Profile::Standard, cache.path(), &key())
}

/// Compiles afresh and runs one unit, with these layers given up.
fn job(accepted: &[LayerName]) -> Result<Option<i64>, WorkerError> {
    let code = compiles(accepted)?;
    Room::open(&programs().accepting_missing(accepted), &code, &limits(), &[])?.map(unit(&[42])).map(value)
}

fn status(name: LayerName) -> LayerStatus {
    layers(&strict()).unwrap().iter().find(|l| l.name == name).unwrap().status
}

/// Which attempts nothing stopped.
fn possible(report: &Report) -> Vec<Attempt> {
    report.attempts.iter().filter(|(_, o)| !o.stopped()).map(|(a, _)| *a).collect()
}

/// The host that runs the tests may itself lack a layer; then there is nothing to
/// compare with. Privileges are given up by our own code alone: no host excuses them.
fn whole_host() -> bool {
    let lacks = |l: &Layer| l.status != LayerStatus::InForce && l.name != LayerName::Privileges;
    !layers(&strict()).unwrap().iter().any(lacks)
}

#[test]
fn a_locked_child_can_do_nothing_that_doctor_knows_of() {
    if !whole_host() {
        return;
    }
    for report in [doctor(&strict()).unwrap(), as_somebody(|| doctor(&strict()).unwrap())].iter().flatten() {
        assert!(report.holds(), "{report:?}");
        assert_eq!(report.attempts.len(), Attempt::ALL.len());
        for (attempt, outcome) in &report.attempts {
            // The machine may have no i386 gate at all.
            let crashed = *attempt == Attempt::CallAsI386 && matches!(outcome, Outcome::Crashed(_));
            assert!(*outcome == Outcome::Killed || crashed, "{} {attempt}: {outcome:?}", report.child.as_str());
        }
    }
}

#[test]
fn an_ordinary_user_has_the_whole_jail_and_a_job_runs_in_it() {
    if !whole_host() {
        return;
    }
    assert_eq!(as_somebody(|| job(&[])).unwrap(), Some(42));
    assert_eq!(job(&[]).unwrap(), Some(42));
}

#[test]
fn a_host_that_lacks_a_layer_runs_nothing_unless_the_layer_is_named() {
    if !whole_host() {
        return;
    }
    use LayerName::{EmptyRoot, Landlock, Namespaces, NoNewCode, Privileges, Seccomp};
    let root = rustix::process::geteuid().is_root();
    let cases: [(Lack, &[LayerName]); 6] = [
        (Lack::UserNamespaces, if root { &[Namespaces] } else { &[Namespaces, EmptyRoot, Privileges] }),
        (Lack::Namespaces, if root { &[Namespaces, EmptyRoot] } else { &[Namespaces, EmptyRoot, Privileges] }),
        (Lack::Mount, &[EmptyRoot]),
        (Lack::Landlock, &[Landlock]),
        (Lack::NoNewCode, &[NoNewCode]),
        (Lack::Seccomp, &[Seccomp]),
    ];
    let code = compiles(&[]).unwrap();
    for (lack, names) in cases {
        without(&[lack], || {
            for name in names {
                assert!(matches!(status(*name), LayerStatus::Missing(_) | LayerStatus::Partly), "{lack:?} {name}");
            }
            let others: Vec<_> = LayerName::ALL.into_iter().filter(|n| *n != names[0]).collect();
            for accepted in [&[], &others[..]] {
                // Each child by itself: the one that compiles, and the one that runs what was compiled before.
                let compiled = compiles(accepted);
                assert!(matches!(compiled, Err(WorkerError::Layer(said)) if said == names[0]), "{lack:?}");
                let opened = Room::open(&programs().accepting_missing(accepted), &code, &limits(), &[]);
                assert!(matches!(opened, Err(WorkerError::Layer(said)) if said == names[0]), "{lack:?}");
            }
            assert_eq!(job(names).unwrap(), Some(42), "{lack:?}");
        });
    }
}

#[test]
fn layers_that_no_linux_lacks_cannot_be_given_up() {
    let named: Vec<_> = LayerName::ALL.into_iter().filter(|n| !n.may_be_missing()).collect();
    use LayerName::{Descriptors, Environment, NoNewPrivileges, NotDumpable, ParentDeath, ResourceLimits};
    assert_eq!(named, [Descriptors, Environment, NoNewPrivileges, NotDumpable, ParentDeath, ResourceLimits]);
    // One of them fails: the child starts with a variable, and stops.
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice-run"))
        .env_clear()
        .env("SLUICE_JAIL", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(said, [18, 1, 0, 0, 0, 1], "one FAULT frame: the jail could not be closed");
}

#[test]
fn no_argument_changes_anything() {
    for program in [env!("CARGO_BIN_EXE_sluice-run"), env!("CARGO_BIN_EXE_sluice-compile")] {
        let ready = |arguments: &[&str]| {
            let mut command = Command::new(program);
            command.env_clear().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            // A PROBE frame without a body.
            child.stdin.take().unwrap().write_all(&[2, 0, 0, 0, 0]).unwrap();
            let mut said = Vec::new();
            child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
            assert!(child.wait().unwrap().success());
            said
        };
        let bare = ready(&[]);
        assert_eq!(bare[0], 16, "READY");
        assert_eq!(ready(&["--no-seccomp", "--help", "-v"]), bare);
    }
}

/// Seccomp is the outermost wall. Without it the others stop all that could reach
/// beyond the child; what is left is within it.
#[test]
fn without_seccomp_the_other_layers_keep_the_child_in() {
    if !whole_host() {
        return;
    }
    let within = [Attempt::ShareMemory, Attempt::WriteElsewhere, Attempt::Keys, Attempt::Ioctl];
    for report in without(&[Lack::Seccomp], || [doctor(&strict()), as_somebody(|| doctor(&strict()))]) {
        for report in report.unwrap() {
            let left: Vec<_> = possible(&report).into_iter().filter(|a| *a != Attempt::CallAsI386).collect();
            assert!(left.iter().all(|a| within.contains(a)), "{} {left:?}", report.child.as_str());
        }
    }
}

/// Each layer matters: with seccomp and it left out, something is possible that it had stopped.
#[test]
fn each_layer_stops_something_by_itself() {
    if !whole_host() {
        return;
    }
    let run = |lacks: &[Lack]| {
        let reports = without(lacks, || as_somebody(|| doctor(&strict()).unwrap()));
        possible(reports.iter().find(|r| r.child == Child::Run).unwrap())
    };
    assert!(run(&[Lack::Seccomp, Lack::NoNewCode]).contains(&Attempt::MakeExecutable));
    let bare = run(&[Lack::Seccomp, Lack::Landlock, Lack::Namespaces, Lack::NoNewCode]);
    for attempt in [Attempt::Execute, Attempt::SignalOther, Attempt::MapExecutable] {
        assert!(bare.contains(&attempt), "{bare:?}");
    }
}
