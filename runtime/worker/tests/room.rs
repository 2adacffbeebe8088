//! Hostile guests in a real child process.
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
    time::{Duration, Instant},
};

use common::{
    OK, ONE_VALUE, bytes, compiled, component, key, limits, looked_at, module, module_with, open, programs, unit,
    value, values,
};
use sluice_rows::{RowBatch, arrow::record_batch::RecordBatch};
use sluice_worker::{
    InspectLimits, Interface, LayerName, LayerStatus, Origin, Profile, Programs, Room, RoomLimits, Rooms, UnitOutcome,
    WorkerError, cached, compile, layers,
};

/// Puts the first value of the first column at 3000.
const TAKE_VALUE: &str = "
    (i64.store (i32.const 3000) (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))
    (i32.const 1024)";

/// As [`TAKE_VALUE`], but does something nasty first when the value is 7.
fn nasty_at_seven(what: &str) -> String {
    format!(
        "(if (i64.eq (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))) (i64.const 7)) (then {what})) {TAKE_VALUE}"
    )
}

#[test]
fn rows_go_in_and_an_answer_comes_out() {
    let mut room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[5, -1, i64::MIN]).unwrap(), [Some(5), Some(-1), Some(i64::MIN)]);
    room.close();
}

#[test]
fn parameters_arrive_before_the_rows() {
    // The first parameter's name: its length ends up in the answer.
    let start = "(i64.store (i32.const 3000) (i64.extend_i32_u (i32.load (i32.add (local.get 0) (i32.const 4))))) (i32.const 1024)";
    let mut room = open(&module_with("", start, OK, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[0]).unwrap(), [Some("input.t".len() as i64)]);
}

#[test]
fn nothing_is_remembered_between_units() {
    // A global, a byte of memory, and a page grown: each would count up.
    let count = "
        (global.set $seen (i64.add (global.get $seen) (i64.const 1)))
        (i64.store (i32.const 3008) (i64.add (i64.load (i32.const 3008)) (i64.const 1)))
        (drop (memory.grow (i32.const 1)))
        (i64.store (i32.const 3000) (i64.add
            (i64.mul (global.get $seen) (i64.const 1000000))
            (i64.add (i64.mul (i64.load (i32.const 3008)) (i64.const 1000)) (i64.extend_i32_u (memory.size)))))
        (i32.const 1024)";
    let mut room = open(&module("(global $seen (mut i64) (i64.const 0))", count, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[1, 2, 3]).unwrap(), [Some(1_001_003); 3]);
}

#[test]
fn memory_that_a_unit_dirtied_is_zero_for_the_next() {
    // Fills the second page and a grown one, then reports what it found there.
    let look = "
        (drop (memory.grow (i32.const 1)))
        (i64.store (i32.const 3000) (i64.or (i64.load (i32.const 70000)) (i64.load (i32.const 150000))))
        (memory.fill (i32.const 65536) (i32.const 255) (i32.const 131072))
        (i32.const 1024)";
    let mut room = open(&module("", look, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[1, 2, 3]).unwrap(), [Some(0); 3]);
}

#[test]
fn one_units_failure_changes_nothing_for_the_others() {
    let out_of_bounds = "(drop (i64.load (i32.const -8)))";
    let err = "(i32.store8 (i32.const 1024) (i32.const 1)) (return (i32.const 1024))";
    let bad_pointer = "(return (i32.const -4))";
    let endless = "(loop (br 0))";
    let deep = "(call $deep)";
    for what in ["(unreachable)", out_of_bounds, err, bad_pointer, endless, deep] {
        let wat = module("(func $deep (call $deep))", &nasty_at_seven(what), ONE_VALUE);
        let mut room = open(&wat, &limits());
        let got = values(&mut room, &[1, 7, 2, 7, 3]).unwrap();
        assert_eq!(got, [Some(1), None, Some(2), None, Some(3)], "{what}");
    }
}

#[test]
fn a_trap_at_start_or_finish_is_a_failure_too() {
    let mut room = open(&module_with("", "(unreachable)", OK, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[1]).unwrap(), [None]);
    let mut room = open(&module("", OK, "(unreachable)"), &limits());
    assert_eq!(values(&mut room, &[1]).unwrap(), [None]);
    let start_section = module("(func $boom (unreachable)) (start $boom)", OK, ONE_VALUE);
    let mut room = open(&start_section, &limits());
    assert_eq!(values(&mut room, &[1, 2]).unwrap(), [None, None]);
}

#[test]
fn fuel_is_the_same_for_every_unit() {
    // Burns as many turns as the value says: the border is the same each time.
    let burn = "(local i64)
        (local.set 4 (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))
        (loop $l (br_if $l (i64.gt_s (local.tee 4 (i64.sub (local.get 4) (i64.const 1))) (i64.const 0))))
        (i32.const 1024)";
    let mut room = open(&module("", burn, ONE_VALUE), &limits());
    let runs = |room: &mut Room, n: i64| room.map(unit(&[n])).map(value).unwrap().is_some();
    let (mut low, mut high) = (1i64, 1_000_000);
    assert!(runs(&mut room, low) && !runs(&mut room, high));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if runs(&mut room, middle) { low = middle } else { high = middle }
    }
    for _ in 0..20 {
        assert!(runs(&mut room, low) && !runs(&mut room, high));
    }
    let mut again = open(&module("", burn, ONE_VALUE), &limits());
    assert!(runs(&mut again, low) && !runs(&mut again, high));
}

#[test]
fn memory_grows_to_its_limit_and_no_further() {
    let grow = "
        (i64.store (i32.const 3000) (i64.extend_i32_s (memory.grow (i32.wrap_i64 (i64.load (i32.load (i32.add (local.get 2) (i32.const 28))))))))
        (i32.const 1024)";
    let mut room = open(&module("", grow, ONE_VALUE), &limits());
    // 4 MiB are 64 pages, and 2 are there from the start.
    assert_eq!(values(&mut room, &[62, 63, 60_000, 62]).unwrap(), [Some(2), Some(-1), Some(-1), Some(2)]);
}

#[test]
fn a_flood_of_output_is_a_failure() {
    // 1 column of 128 KiB; 200 columns that all show the same 64 KiB; 2^28 columns.
    let flood = |columns: u32, each: u32, rows: u32| {
        let finish = format!(
            "(local i32)
            (loop $l
                (i32.store (i32.add (i32.const 10028) (i32.mul (local.get 0) (i32.const 36))) (i32.const 0))
                (i32.store (i32.add (i32.const 10032) (i32.mul (local.get 0) (i32.const 36))) (i32.const {each}))
                (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 200))))
            (i32.store (i32.const 1028) (i32.const {rows}))
            (i32.store (i32.const 1032) (i32.const 10000))
            (i32.store (i32.const 1036) (i32.const {columns}))
            (i32.const 1024)"
        );
        let mut room = open(&module("", OK, &finish), &limits());
        matches!(room.map(unit(&[1])).unwrap(), UnitOutcome::Failed)
    };
    assert!(!flood(1, 1000, 1));
    assert!(flood(1, 128 << 10, 1));
    assert!(flood(200, 64 << 10, 1));
    assert!(flood(1 << 28, 8, 1));
    assert!(!flood(200, 8, 100));
    assert!(flood(1, 8, 101));
    assert!(flood(1, 8, u32::MAX));
}

#[test]
fn a_unit_beyond_its_limits_fails_in_its_place() {
    let mut room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    let mut got = Vec::new();
    let units = [unit(&[1]), unit(&[2; 51]), unit(&[3])];
    assert_eq!(room.map_all(units, |o| got.push(value(o))).unwrap(), 3);
    assert_eq!(got, [Some(1), None, Some(3)]);
}

#[test]
fn many_units_in_flight_come_back_in_order_and_twice_the_same() {
    let units = || (0..20_000i64).map(|n| unit(&[n, n + 1]));
    let run = || {
        let mut room = open(&module("", &nasty_at_seven("(unreachable)"), ONE_VALUE), &limits());
        let mut got = Vec::new();
        assert_eq!(room.map_all(units(), |o| got.push(bytes(o))).unwrap(), 20_000);
        got
    };
    let (first, second) = (run(), run());
    assert_eq!(first[7], None);
    assert!((0..20_000).all(|n| n == 7 || first[n] == Some((n as i64).to_le_bytes().to_vec())));
    assert_eq!(first, second);
}

#[test]
fn rooms_side_by_side_answer_every_unit_once() {
    let two = std::num::NonZeroUsize::new(2).unwrap();
    let guest = compiled(&component(&module("", TAKE_VALUE, ONE_VALUE)));
    let mut rooms = Rooms::open(&programs(), &guest, &limits(), &[], &[], two).unwrap();
    let mut got = [Vec::new(), Vec::new()];
    let sinks = got.each_mut().map(|got| |number, o| got.push((number, value(o).unwrap())));
    assert_eq!(rooms.map_numbered((0..5000).map(|n| unit(&[n])), sinks).unwrap(), 5000);
    assert!(got.iter().all(|got| got.is_sorted()));
    let mut got = got.concat();
    got.sort_unstable();
    assert!(got.into_iter().eq((0..5000).map(|n| (n as u64, n))), "each outcome is its unit's");
    // One that dies makes the run void.
    let pid = rustix::process::Pid::from_raw(rooms.rooms()[1].pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(matches!(
        rooms.map_numbered((0..5000).map(|n| unit(&[n])), [(); 2].map(|()| |_, _| ())),
        Err(WorkerError::Died)
    ));
}

#[test]
fn big_answers_and_big_questions_do_not_deadlock() {
    let big = RoomLimits { unit_rows_max: 10_000, output_bytes_max: 200 << 10, ..limits() };
    // Answers with the first 100 kB of memory.
    let finish = ONE_VALUE.replace("(i32.const 3000)", "(i32.const 0)").replace("(i32.const 8)", "(i32.const 100000)");
    let mut room = open(&module("", OK, &finish), &big);
    let mut sizes = Vec::new();
    let units = (0..300).map(|_| unit(&[1; 10_000]));
    room.map_all(units, |o| sizes.push(bytes(o).unwrap().len())).unwrap();
    assert_eq!(sizes, [100_000; 300]);
}

#[test]
fn the_parent_kills_at_the_wall_clock_limit() {
    let patient = RoomLimits { fuel: u64::MAX / 2, wall: Duration::from_millis(700), ..limits() };
    let mut room = open(&module("", "(loop (br 0)) (unreachable)", ONE_VALUE), &patient);
    let started = Instant::now();
    assert!(matches!(room.map(unit(&[1])), Err(WorkerError::TimedOut)));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(matches!(room.map(unit(&[1])), Err(WorkerError::Closed)));
}

#[test]
fn a_child_that_dies_is_a_host_fault_and_not_an_answer() {
    let mut room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    let pid = rustix::process::Pid::from_raw(room.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(matches!(room.map(unit(&[1])), Err(WorkerError::Died)));
    assert!(matches!(room.map(unit(&[1])), Err(WorkerError::Closed)));
}

#[test]
fn rows_that_have_no_form_in_the_room_stay_outside() {
    let mut room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    let column = std::sync::Arc::new(sluice_rows::arrow::array::UInt64Array::from(vec![1]));
    let rows = RowBatch::new(RecordBatch::try_from_iter([(sluice_rows::UNIT_COLUMN, column as _)]).unwrap());
    assert!(matches!(room.map(rows), Err(WorkerError::UnitColumn)));
}

#[test]
fn the_child_inherits_nothing_and_says_what_holds_it() {
    // Two descriptors that would be inherited: not marked close-on-exec.
    let leaked = fs::File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let pipe = rustix::pipe::pipe().unwrap();
    let room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    drop((leaked, pipe));

    let proc = format!("/proc/{}", room.pid());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    assert_eq!(field("Threads"), "1");
    assert_eq!(field("NoNewPrivs"), "1");
    let names: Vec<_> = room.layers().iter().map(|l| l.name).collect();
    assert_eq!(names, LayerName::ALL);
    for layer in room.layers() {
        if !layer.name.may_be_missing() {
            assert_eq!(layer.status, LayerStatus::InForce, "{}", layer.name);
        }
        if layer.name == LayerName::Seccomp {
            let mode = if layer.status == LayerStatus::InForce { "2" } else { "0" };
            assert_eq!(field("Seccomp"), mode);
        }
    }
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|l| l.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max open files"), "0");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max processes"), "0");
    // The rest is only for root to see: to anybody else the child is not dumpable.
    match fs::read_dir(format!("{proc}/fd")) {
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::PermissionDenied),
        Ok(open) => {
            let mut open: Vec<_> = open.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            open.sort();
            assert_eq!(open, ["0", "1", "2"]);
            assert_eq!(fs::read(format!("{proc}/environ")).unwrap(), b"");
            assert_eq!(fs::read_link(format!("{proc}/fd/2")).unwrap().to_str(), Some("/dev/null"));
            let ours = fs::read_link("/proc/self/ns/net").unwrap();
            let namespaces = room.layers().iter().find(|l| l.name == LayerName::Namespaces).unwrap().status;
            assert_eq!(fs::read_link(format!("{proc}/ns/net")).unwrap() != ours, namespaces == LayerStatus::InForce);
        }
    }
}

#[test]
fn a_missing_layer_closes_the_room_unless_accepted_by_name() {
    let strict = programs().accepting_missing(&[]);
    let found = layers(&strict).unwrap();
    assert_eq!(found.len(), LayerName::ALL.len());
    let missing = found.iter().find(|l| l.status != LayerStatus::InForce).map(|l| l.name);
    let code = compiled(&component(&module("", TAKE_VALUE, ONE_VALUE)));
    match (missing, Room::open(&strict, &code, &limits(), &[])) {
        (None, Ok(_)) => {}
        (Some(name), Err(WorkerError::Layer(said))) => assert_eq!(name, said),
        (missing, opened) => panic!("{missing:?} {opened:?}"),
    }
}

#[test]
fn nothing_of_the_parents_environment_reaches_the_compiler_either() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Programs::in_folder(folder.path()), Err(WorkerError::ProgramMissing(_))));
    assert!(Programs::beside_current_exe().is_ok());
}

#[test]
fn compiled_code_is_cached_under_a_key_and_a_forgery_is_compiled_again() {
    let guest = looked_at(&component(&module("", TAKE_VALUE, ONE_VALUE))).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let get = |profile| compile(&programs(), &guest, profile, cache.path(), &key()).unwrap().origin();
    assert_eq!(get(Profile::Standard), Origin::Compiler);
    assert_eq!(get(Profile::Standard), Origin::Cache);
    assert_eq!(get(Profile::Reproducible), Origin::Compiler);
    // What was inspected and compiled once can be had by its digest, within the same rules.
    let known = |wanted, memory_bytes| {
        let limits = InspectLimits { bytes_max: 1 << 20, memory_bytes };
        cached(guest.digest(), wanted, limits, Profile::Standard, cache.path(), &key())
    };
    assert_eq!(known(Interface::Inner, 4 << 20).unwrap().origin(), Origin::Cache);
    assert!(known(Interface::Outer, 4 << 20).is_none());
    assert!(known(Interface::Inner, 64 << 10).is_none());
    for entry in fs::read_dir(cache.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert!(known(Interface::Inner, 4 << 20).is_none());
    assert_eq!(get(Profile::Standard), Origin::Compiler);
    assert_eq!(get(Profile::Standard), Origin::Cache);
}

#[test]
fn both_profiles_run() {
    let guest = looked_at(&component(&module("", TAKE_VALUE, ONE_VALUE))).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let code = compile(&programs(), &guest, Profile::Reproducible, cache.path(), &key()).unwrap();
    let mut room = Room::open(&programs(), &code, &limits(), &[]).unwrap();
    assert_eq!(room.map(unit(&[4])).map(value).unwrap(), Some(4));
}

#[test]
fn no_debug_shows_a_value() {
    let mut room = open(&module("", TAKE_VALUE, ONE_VALUE), &limits());
    let outcome = room.map(unit(&[987_654_321])).unwrap();
    let shown = format!("{outcome:?} {room:?}");
    let UnitOutcome::Output(batch) = outcome else { panic!("it answers") };
    let shown = format!("{shown} {batch:?} {:?}", batch.columns);
    assert!(!shown.contains("987654321") && !shown.contains("[177"), "{shown}");
}

/// Deep recursion at the value 7.
fn deep_at_seven() -> String {
    let deep = r#"(func $deep (param i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
            (else (i64.add (i64.const 1) (call $deep (i64.sub (local.get 0) (i64.const 1)))))))"#;
    module(deep, &nasty_at_seven("(drop (call $deep (i64.const 1000000000)))"), ONE_VALUE)
}

#[test]
fn the_largest_stack_that_a_contract_may_give_ends_before_the_childs_own() {
    let largest = RoomLimits { stack_bytes: 8 << 20, fuel: 1 << 40, ..limits() };
    let mut room = open(&deep_at_seven(), &largest);
    assert_eq!(values(&mut room, &[1, 7, 2]).unwrap(), [Some(1), None, Some(2)]);
    let beyond = RoomLimits { stack_bytes: (8 << 20) + 1, ..largest };
    assert!(Room::open(&programs(), &compiled(&component(&deep_at_seven())), &beyond, &[]).is_err());
}

/// `component` with three further memories beside its own, each of which takes `pages`
/// more as soon as there is an instance.
fn with_three_memories(component: &[u8], pages: u32) -> Vec<u8> {
    let more = wat::parse_str(format!(
        "(component (core module)
            (core module (memory 1) (func $go (drop (memory.grow (i32.const {pages})))) (start $go))
            {})",
        "(core instance (instantiate 1))".repeat(3)
    ));
    // Its header and its empty first module stay behind: the guest's module takes that place.
    [component, &more.unwrap()[18..]].concat()
}

#[test]
fn all_memories_of_a_guest_together_have_the_limit() {
    // The answer is what the guest's own memory says to growing by the value.
    let grow = "(i64.store (i32.const 3000) (i64.extend_i32_s (memory.grow
        (i32.wrap_i64 (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))))) (i32.const 1024)";
    // 2 pages of its own, 17 of each of the others: 11 are left of 64.
    let guest = with_three_memories(&component(&module("", grow, ONE_VALUE)), 16);
    let mut room = Room::open(&programs(), &compiled(&guest), &limits(), &[]).unwrap();
    assert_eq!(values(&mut room, &[11, 12, 0]).unwrap(), [Some(2), Some(-1), Some(2)]);
}

#[test]
fn the_largest_tables_that_inspection_lets_through_fit_into_a_room() {
    let tables = "(table 50000 funcref)".repeat(64);
    let mut room = open(&module(&tables, TAKE_VALUE, ONE_VALUE), &limits());
    assert_eq!(values(&mut room, &[5, 6]).unwrap(), [Some(5), Some(6)]);
    let beyond = looked_at(&component(&module("(table 50001 funcref)", OK, OK)));
    assert_eq!(beyond.unwrap_err().code, "guest.too-large");
}
