//! Rooms end, whatever happens in them, and leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    fs,
    sync::Mutex,
    time::{Duration, Instant},
};

use common::{ONE_VALUE, component, key, limits, looked_at, module, programs, unit, value};
use rustix::process::{Pid, Signal, kill_process};
use sluice_worker::{Compiled, Profile, Room, RoomLimits, WorkerError, compile};

/// Puts the first value at 3000; traps at 7, never ends at 8.
const MOODY: &str = "(local i64)
    (local.set 4 (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))
    (if (i64.eq (local.get 4) (i64.const 7)) (then (unreachable)))
    (if (i64.eq (local.get 4) (i64.const 8)) (then (loop (br 0))))
    (i64.store (i32.const 3000) (local.get 4))
    (i32.const 1024)";

/// One test at a time: they count what the process holds.
static ALONE: Mutex<()> = Mutex::new(());

fn moody(cache: &std::path::Path) -> Compiled {
    let guest = looked_at(&component(&module("", MOODY, ONE_VALUE))).unwrap();
    compile(&programs(), &guest, Profile::Standard, cache, &key()).unwrap()
}

/// Fuel without end: only the clock stops it.
fn patient(wall: Duration) -> RoomLimits {
    RoomLimits { fuel: u64::MAX / 2, wall, unit_rows_max: 10_000, ..limits() }
}

/// Descriptors, threads, children, files, and pages of memory that this process holds.
fn held(cache: &std::path::Path) -> ([usize; 4], usize) {
    let count = |folder: &std::path::Path| fs::read_dir(folder).unwrap().count();
    let threads: Vec<_> = fs::read_dir("/proc/self/task").unwrap().map(|t| t.unwrap().path()).collect();
    let me = std::process::id().to_string();
    let is_ours = |status: &str| status.lines().any(|l| l.strip_prefix("PPid:").is_some_and(|p| p.trim() == me));
    let processes = fs::read_dir("/proc").unwrap().map(|e| e.unwrap().path().join("status"));
    let children = processes.filter(|p| fs::read_to_string(p).is_ok_and(|s| is_ours(&s))).count();
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let resident = statm.split(' ').nth(1).unwrap().parse().unwrap();
    ([count("/proc/self/fd".as_ref()), threads.len(), children, count(cache)], resident)
}

#[test]
fn a_thousand_jobs_leave_no_process_descriptor_thread_file_or_memory_behind() {
    let _alone = ALONE.lock().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut before = None;
    let mut ends = [0u32; 4];
    let mut code = None;
    for n in 0..1_050 {
        if n == 50 {
            before = Some(held(cache.path()));
        }
        if n % 10 == 0 {
            code = Some(moody(cache.path()));
        }
        ends[one_job(n, code.as_ref().unwrap())] += 1;
    }
    assert!(ends.iter().all(|times| *times >= 20), "each way to end was taken: {ends:?}");
    let (before, resident) = before.unwrap();
    let (after, resident_after) = held(cache.path());
    assert_eq!(after, before, "descriptors, threads, children, files");
    assert!(resident_after < resident + 1024, "{resident} pages became {resident_after}");
}

/// Which way the job ended: answered, trapped, killed by the clock, died.
fn one_job(n: usize, code: &Compiled) -> usize {
    let programs = programs();
    let open = |limits: &RoomLimits| Room::open(&programs, code, limits, &[]);
    match n % 50 {
        1 => {
            // The clock may strike while the child is still starting.
            let done = open(&patient(Duration::from_millis(40))).and_then(|mut room| room.map(unit(&[8])));
            assert!(matches!(done, Err(WorkerError::TimedOut)), "{done:?}");
            2
        }
        2 | 3 => {
            let mut room = open(&patient(Duration::from_secs(60))).unwrap();
            let pid = Pid::from_raw(room.pid() as i32).unwrap();
            let died = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(3));
                    kill_process(pid, Signal::KILL).unwrap();
                });
                room.map(unit(&[8]))
            });
            assert!(matches!(died, Err(WorkerError::Died)), "{died:?}");
            3
        }
        // Opened and dropped without a word.
        4 => {
            drop(open(&limits()).unwrap());
            0
        }
        n if n % 5 == 0 => {
            let mut room = open(&limits()).unwrap();
            assert_eq!(room.map(unit(&[7])).map(value).unwrap(), None);
            room.close();
            1
        }
        n => {
            let mut room = open(&limits()).unwrap();
            assert_eq!(room.map(unit(&[100 + n as i64])).map(value).unwrap(), Some(100 + n as i64));
            0
        }
    }
}

#[test]
fn the_clock_also_ends_a_child_that_leaves_the_parent_writing() {
    let _alone = ALONE.lock().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let wall = Duration::from_millis(700);
    let mut room = Room::open(&programs(), &moody(cache.path()), &patient(wall), &[]).unwrap();
    let started = Instant::now();
    // The first unit never ends; what follows is more than the pipes hold.
    let units = std::iter::once(unit(&[8])).chain((0..400).map(|_| unit(&[1; 10_000])));
    let mut answers = 0;
    let ended = room.map_all(units, |_| answers += 1);
    assert!(matches!(ended, Err(WorkerError::TimedOut)), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(answers, 0);
}
