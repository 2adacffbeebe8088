//! What if the engine itself falls? Here the child runs hostile native code in the
//! place of a guest, shut in by the same `jail` and driven by the shipped parent.
//!
//! This program is its own child: the parent starts it under the name `sluice-run`,
//! with an empty environment, and it does as the parameter `mode` says. It is a test
//! and nothing else: the shipped programs have no such code, as the last case shows.
#![allow(
    unsafe_code,
    unused_crate_dependencies,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::allow_attributes,
    reason = "hostile code, in a test that may fail loudly"
)]

mod common;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use common::{ONE_VALUE, bytes, component, limits, looked_at, module, programs, unit};
use sluice_worker::{
    CacheKey, Compiled, LayerName, LayerStatus, Profile, Programs, Room, RoomLimits, UnitOutcome, WorkerError, compile,
    error::ChildFault,
    jail,
    wire::{
        BatchRef, ColumnRef, GUEST_FRAME_MAX, Tag, WireError, decode_start, encode_batch, encode_ready, read_frame,
    },
};

/// In every frame that the hostile child makes up; nothing of it may be heard of.
const WHISPER: &str = "whispered by hostile native code";
/// The canary, masked: it lies in the parent's memory and nowhere else.
const MASKED: [u8; 32] = *b"!canary of the key and the rows!";
const MASK: u8 = 0x5a;
const PAGE: usize = 4096;
const WRITABLE: u64 = 64 << 20;

fn main() -> ExitCode {
    if std::env::vars_os().next().is_none() {
        return if hostile().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let cases: [(&str, fn()); 8] = [
        ("it_finds_no_key_no_row_and_no_file", it_finds_nothing),
        ("the_search_finds_what_is_there", the_search_works),
        ("it_can_say_nothing_but_frames", it_can_say_nothing_but_frames),
        ("it_cannot_answer_before_it_is_asked", it_cannot_answer_before_it_is_asked),
        ("it_can_write_nowhere_but_to_its_frame", it_can_write_nowhere_else),
        ("it_can_only_be_late", it_can_only_be_late),
        ("it_has_the_memory_it_was_given", it_has_the_memory_it_was_given),
        ("no_shipped_program_contains_it", no_shipped_program_contains_it),
    ];
    for (name, case) in cases {
        case();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

// ---- The parent's side.

/// The shipped parent with this program as its child.
struct Stage {
    _folder: tempfile::TempDir,
    programs: Programs,
    code: Compiled,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let real = Path::new(env!("CARGO_BIN_EXE_sluice-run")).parent().unwrap();
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), folder.path().join("sluice-run")).unwrap();
        std::os::unix::fs::symlink(real.join("sluice-compile"), folder.path().join("sluice-compile")).unwrap();
        let programs = Programs::in_folder(folder.path()).unwrap().accepting_missing(&LayerName::ALL);
        let key = CacheKey::new(zeroize::Zeroizing::new(canary()));
        let guest = looked_at(&component(&module("", "(i32.const 1024)", ONE_VALUE))).unwrap();
        let code = compile(&programs, &guest, Profile::Standard, folder.path(), &key).unwrap();
        Self { _folder: folder, programs, code }
    }

    fn open(&self, mode: &str, limits: &RoomLimits) -> Result<Room, WorkerError> {
        Room::open(&self.programs, &self.code, limits, &[("mode".to_owned(), mode.to_owned())])
    }

    /// What one unit's answer is in `mode`, and that nothing of it is repeated.
    fn answer(&self, mode: &str) -> Result<UnitOutcome, WorkerError> {
        let said = self.open(mode, &limits()).and_then(|mut room| room.map(unit(&[1])));
        let shown = match &said {
            Ok(outcome) => format!("{outcome:?}"),
            Err(e) => format!("{e} {e:?} {:?}", e.refusal()),
        };
        assert!(!shown.contains("whisper"), "{mode}: {shown}");
        said
    }
}

fn canary() -> [u8; 32] {
    MASKED.map(|b| b ^ MASK)
}

fn numbers(outcome: UnitOutcome) -> Vec<i64> {
    let bytes = bytes(outcome).unwrap();
    bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
}

fn it_finds_nothing() {
    // The canary as a key, in a file that would be inherited, and as another run's rows.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&canary()).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let stage = Stage::set();
    let rows: Vec<i64> = canary().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    let mut other = Room::open(&programs(), &stage.code, &limits(), &[]).unwrap();
    other.map(unit(&rows)).unwrap();

    let found = numbers(stage.answer("search").unwrap());
    assert_eq!(found[0], 0, "canaries in its memory");
    assert!(found[1] > 100, "pages that it read");
    other.map(unit(&rows)).unwrap();
}

fn the_search_works() {
    let found = numbers(Stage::set().answer("search-with-canary").unwrap());
    assert!(found[0] > 0, "the canary that it had itself");
}

fn it_can_say_nothing_but_frames() {
    let stage = Stage::set();
    for mode in ["too-long", "endless", "unknown-tag", "ready-again", "fault-late", "not-a-batch", "too-many-rows"] {
        let said = stage.answer(mode);
        assert!(matches!(said, Err(WorkerError::Protocol(_))), "{mode}: {said:?}");
    }
    for mode in ["half-a-header", "half-a-body", "silent-end", "abort"] {
        let said = stage.answer(mode);
        assert!(matches!(said, Err(WorkerError::Died)), "{mode}: {said:?}");
    }
    for mode in ["bad-ready", "short-ready", "huge-ready"] {
        let said = stage.answer(mode);
        assert!(matches!(said, Err(WorkerError::Protocol(_))), "{mode}: {said:?}");
    }
    // Any bytes at all: an answer, or an error; never a panic, never a wait.
    let brief = RoomLimits { wall: Duration::from_secs(2), ..limits() };
    for seed in 0..150 {
        let done = stage.open(&format!("noise {seed}"), &brief).and_then(|mut room| room.map(unit(&[1])));
        assert!(!matches!(done, Err(WorkerError::Closed)), "{seed}: {done:?}");
    }
    // Thousands of frames for one question: the parent takes one and keeps none.
    let mut room = stage.open("flood", &limits()).unwrap();
    assert!(matches!(room.map(unit(&[1])), Ok(UnitOutcome::Output(_))));
    let started = Instant::now();
    drop(room);
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn it_cannot_answer_before_it_is_asked() {
    let stage = Stage::set();
    // Two answers to the first question, as an answer to the second that is not asked yet.
    for mode in ["answer-twice", "answer-and-fail", "answer-and-guess"] {
        let mut room = stage.open(mode, &limits()).unwrap();
        assert!(matches!(room.map(unit(&[1])), Ok(UnitOutcome::Output(_))), "{mode}");
        let second = room.map(unit(&[2]));
        assert!(matches!(second, Err(WorkerError::Protocol(WireError::Token))), "{mode}: {second:?}");
    }
}

fn it_can_write_nowhere_else() {
    if jail_lacks(LayerName::Seccomp) {
        return;
    }
    let stage = Stage::set();
    for mode in ["write 0", "write 2", "write 3", "write 9", "read 1", "read 2", "close 1"] {
        let said = stage.answer(mode);
        assert!(matches!(said, Err(WorkerError::Died)), "{mode}: {said:?}");
    }
}

fn it_can_only_be_late() {
    let stage = Stage::set();
    let wall = Duration::from_millis(600);
    let brief = RoomLimits { wall, unit_rows_max: 10_000, ..limits() };
    for mode in ["mute", "deaf", "half-and-wait", "busy"] {
        let started = Instant::now();
        let mut room = stage.open(mode, &brief).unwrap();
        let late = room.map_all((0..400).map(|_| unit(&[1; 10_000])), |_| {});
        assert!(matches!(late, Err(WorkerError::TimedOut)), "{mode}: {late:?}");
        assert!(started.elapsed() >= wall && started.elapsed() < Duration::from_secs(10), "{mode}");
    }
    // Before it has locked itself in, too.
    let late = stage.open("never-ready", &brief);
    assert!(matches!(late, Err(WorkerError::TimedOut)), "{late:?}");
}

fn it_has_the_memory_it_was_given() {
    let got = numbers(Stage::set().answer("take-memory").unwrap());
    assert!(got[0] > 1 << 20 && got[0] as u64 <= WRITABLE, "{} bytes", got[0]);
}

fn no_shipped_program_contains_it() {
    let has = |program: &Path| {
        let bytes = fs::read(program).unwrap();
        // SAFETY: both are live for as long as their lengths say. The C library is quick where a test is not.
        let found = unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), WHISPER.as_ptr().cast(), WHISPER.len()) };
        !found.is_null()
    };
    assert!(has(&std::env::current_exe().unwrap()));
    let folder = Path::new(env!("CARGO_BIN_EXE_sluice-run")).parent().unwrap();
    for name in ["sluice-run", "sluice-compile", "sluice"] {
        let program = folder.join(name);
        assert!(!program.exists() || !has(&program), "{name}");
    }
}

fn jail_lacks(name: LayerName) -> bool {
    sluice_worker::layers(&programs()).unwrap().iter().any(|l| l.name == name && l.status != LayerStatus::InForce)
}

// ---- The child's side.

fn hostile() -> Result<(), ChildFault> {
    // A gift that no attacker after the lock would have: where its memory lies.
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut layers = jail::enter()?;
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut body = Vec::new();
    let Ok(Some(Tag::Start)) = read_frame(&mut from, &mut body, GUEST_FRAME_MAX) else { return Ok(()) };
    let order = decode_start(&body).map_err(|_| ChildFault::Message)?;
    let mode = order.params[0].1.to_owned();
    let limit = order.output_bytes_max;
    jail::reserve(&mut layers, WRITABLE, 60)?;
    jail::lock(&mut layers)?;

    let mut say = |bytes: &[u8]| drop(to.write_all(bytes).and_then(|()| to.flush()));
    match mode.as_str() {
        "never-ready" => wait(),
        "bad-ready" => say(&frame(16, &[0xff; 56])),
        "short-ready" => say(&frame(16, &encode_ready(&layers[1..]))),
        "huge-ready" => say(&[16, 0xff, 0xff, 0xff, 0xff]),
        "noise" => {}
        _ => say(&frame(16, &encode_ready(&layers))),
    }
    if mode == "deaf" {
        wait();
    }
    let mut question = Vec::new();
    let Ok(Some(Tag::Unit)) = read_frame(&mut from, &mut question, 64 << 20) else { return Ok(()) };
    let token: [u8; 8] = question[..8].try_into().unwrap();
    let answer = |numbers: &[i64]| answer(token, numbers);
    let (verb, object) = mode.split_once(' ').unwrap_or((&mode, "0"));
    let object: usize = object.parse().unwrap_or(0);
    match verb {
        "search" => say(&answer(&search(&maps))),
        "search-with-canary" => {
            let mine = std::hint::black_box(canary().to_vec());
            say(&answer(&search(&maps)));
            drop(mine);
        }
        "too-long" => say(&[&[19][..], &(limit + 9).to_le_bytes(), WHISPER.as_bytes()].concat()),
        "endless" => {
            say(&[&[19][..], &limit.to_le_bytes()].concat());
            loop {
                say(WHISPER.as_bytes());
            }
        }
        "unknown-tag" => say(&frame(99, WHISPER.as_bytes())),
        "ready-again" => say(&frame(16, &encode_ready(&layers))),
        "fault-late" => say(&frame(18, &[1])),
        "not-a-batch" => say(&frame(19, &[&token, WHISPER.as_bytes()].concat())),
        "too-many-rows" => say(&batch(token, u32::MAX, &[])),
        "answer-twice" => say(&[answer(&[1]), answer(&[2])].concat()),
        "answer-and-fail" => say(&[answer(&[1]), frame(20, &token)].concat()),
        "answer-and-guess" => say(&[answer(&[1]), self::answer(token.map(|b| b.wrapping_add(1)), &[2])].concat()),
        "half-a-header" => say(&[19, 1]),
        "half-a-body" => say(&[&[19, 200, 0, 0, 0][..], WHISPER.as_bytes()].concat()),
        "half-and-wait" => {
            say(&[&[19, 200, 0, 0, 0][..], WHISPER.as_bytes()].concat());
            wait();
        }
        "silent-end" => {}
        "abort" => std::process::abort(),
        "mute" => wait(),
        "busy" => loop {
            std::hint::spin_loop();
        },
        "noise" => say(&noise(object)),
        "flood" => (0..5_000).for_each(|_| say(&answer(&[1]))),
        "write" => drop(call(libc::SYS_write, [object, WHISPER.as_ptr().expose_provenance(), WHISPER.len()])),
        "read" => drop(call(libc::SYS_read, [object, body.as_mut_ptr().expose_provenance(), 1])),
        "close" => drop(call(libc::SYS_close, [object, 0, 0])),
        "take-memory" => say(&answer(&[take_memory()])),
        _ => {}
    }
    if verb.starts_with("answer-") {
        // It has said what it has to say; the next question finds it there.
        wait();
    }
    if matches!(verb, "write" | "read" | "close") {
        // Still here: then it was possible.
        say(&answer(&[1]));
    }
    Ok(())
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32).to_le_bytes(), body].concat()
}

fn batch(token: [u8; 8], rows: u32, data: &[u8]) -> Vec<u8> {
    let column = ColumnRef { nulls: 0, validity: None, offsets: None, data };
    let mut body = token.to_vec();
    encode_batch(&BatchRef { rows, columns: vec![column] }, &mut body).unwrap();
    frame(19, &body)
}

fn answer(token: [u8; 8], numbers: &[i64]) -> Vec<u8> {
    batch(token, 1, &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>())
}

/// Bytes of a small generator; some begin as a frame would.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 * 2 + 1;
    let mut bytes: Vec<u8> = (0..300)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    if !seed.is_multiple_of(3) {
        let len = bytes[5] % 200;
        bytes[..5].copy_from_slice(&[19 + (seed % 2) as u8, len, 0, 0, 0]);
    }
    bytes
}

fn wait() {
    loop {
        std::thread::yield_now();
    }
}

/// Canaries in memory, and pages that were read. It walks from every place that it
/// knew of as far as memory can be read, both ways.
fn search(maps: &str) -> Vec<i64> {
    let mut seen = std::collections::BTreeSet::new();
    for line in maps.lines() {
        let start = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        let mut page = start;
        while !seen.contains(&page) && readable(page) {
            seen.insert(page);
            page += PAGE;
        }
        let mut page = start - PAGE;
        while !seen.contains(&page) && readable(page) {
            seen.insert(page);
            page -= PAGE;
        }
    }
    let found = seen.iter().map(|page| canaries_at(*page)).sum();
    vec![found, seen.len() as i64]
}

fn canaries_at(page: usize) -> i64 {
    let first = MASKED[0] ^ MASK;
    // SAFETY: the kernel has just read this page for us, and there is one thread.
    let bytes = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(page), PAGE) };
    let here = |at: &usize| bytes[*at] == first && (0..32).all(|i| bytes[*at + i] ^ MASK == MASKED[i]);
    (0..PAGE - 32).filter(here).count() as i64
}

/// Asks a lock's wait, which reads the word before it refuses to sleep.
fn readable(page: usize) -> bool {
    let at_once = [0u64; 2];
    // SAFETY: FUTEX_WAIT reads a word, or says EFAULT; it never sleeps beyond a zero timeout.
    let waited = unsafe { libc::syscall(libc::SYS_futex, page, libc::FUTEX_WAIT, 0, at_once.as_ptr()) };
    waited == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
}

/// Takes memory, a quarter of a MiB at a time, and touches it, until there is no more.
fn take_memory() -> i64 {
    let (step, mut taken) = (256 << 10, 0);
    loop {
        // SAFETY: a private anonymous mapping of our own.
        let got = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                step,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if got == libc::MAP_FAILED {
            return taken;
        }
        // SAFETY: just mapped, of this size.
        unsafe { got.cast::<u8>().write_bytes(1, step) };
        taken += step as i64;
    }
}

fn call(number: libc::c_long, [a, b, c]: [usize; 3]) -> libc::c_long {
    // SAFETY: addresses are of live buffers as long as the length says.
    unsafe { libc::syscall(number, a, b, c) }
}
