//! Through real rooms: jailed children, the ring and the pipes.

use std::{
    fs,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use sluice_worker::{
    Compiled, InspectLimits, Inspected, Interface, Profile, Room, Rooms, UnitOutcome, cached, compile, inspect,
};

use crate::{
    Options, best, best_here,
    common::{key, programs},
    cpu_time,
    guests::{self, BATCH, Columns, Sample},
    inside::{Fuel, load},
    line, ratio,
};

/// Units through a child, against the same units in this process.
pub(crate) fn path(_: &Options) {
    const UNITS: usize = 40;
    let component = guests::kernels();
    let params = guests::kernel_params("group-by", 1);
    let columns = Columns::new(BATCH);
    let guest = load(&component, Fuel::On, &params);
    let rows = columns.borrowed();
    let work = || (0..UNITS).for_each(|_| drop(guest.call(&[(0, rows.clone())]).unwrap()));
    let (inside, inside_cpu) = (best(5, work), best_here(5, work));
    let mut room = Room::open(&programs(), &compiled(&component), &guests::wide(), &params).unwrap();
    let (batch, child) = (columns.batch(), room.pid());
    let [mut through, mut child_cpu, mut parent_cpu] = [Duration::MAX; 3];
    for _ in 0..10 {
        let before = (slept(child), cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID));
        through = through.min(best(1, || {
            let units = (0..UNITS).map(|_| batch.slice(0, BATCH));
            assert_eq!(room.map_all(units, answered).unwrap(), UNITS as u64);
        }));
        child_cpu = child_cpu.min(slept(child) - before.0);
        parent_cpu = parent_cpu.min(cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID) - before.1);
    }
    ratio("65 536-row units, a room against this process", through, inside, 1.05);
    ratio("… in the child's processor time", child_cpu, inside_cpu, 1.05);
    line("… the parent's, on the other core", &format!("{parent_cpu:.1?}"), "for the same units");
}

/// A job whose guest is in the cache, from its submission to its first answer.
pub(crate) fn first_row(options: &Options) {
    let component = fs::read(&options.guest).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let sample = Sample::of(&options.guest);
    let guest = inspected(&component);
    compile(&programs(), &guest, Profile::Standard, cache.path(), &key()).unwrap();
    let code = || cached(guest.digest(), Interface::Inner, GUEST, Profile::Standard, cache.path(), &key()).unwrap();
    let looked = best(10, || drop(inspected(&component)));
    line("inspect, once at submission", &format!("{looked:.1?}"), &format!("{} kB", component.len() / 1000));
    let read = best(10, || drop(code()));
    line("out of the cache, under its MAC", &format!("{read:.1?}"), "");
    let took = best(10, || {
        let mut room = Room::open(&programs(), &code(), &guests::wide(), &sample.params).unwrap();
        answered(room.map(sample.call(0)).unwrap());
    });
    let kept = if looked + took <= Duration::from_millis(15) { "kept" } else { "MISSED" };
    line("cache, load, jail, first answer", &format!("{took:.1?}"), &format!("goal with inspect ≤ 15 ms {kept}"));
}

/// One fresh sandbox per person, fuel on.
pub(crate) fn persons(options: &Options) {
    let component = fs::read(&options.guest).unwrap();
    let sample = Sample::of(&options.guest);
    let guest = load(&component, Fuel::On, &sample.params);
    let each = |took: Duration, n: usize| took.as_secs_f64() * 1e6 / n as f64;
    // Short rounds, so that some of them are not interrupted.
    let empty = best_here(200, || (0..20).for_each(|_| guest.warm_up()));
    line("an instance made and dropped", &format!("{:.1} µs", each(empty, 20)), "in this process");
    let begun = best_here(50, || drop(guest.start().unwrap()));
    line("… with its first call", &format!("{:.1} µs", each(begun, 1)), "in this process");
    // About half a second of work for one room.
    let persons = (500_000.0 / each(begun, 1)) as usize;
    let persons = persons.clamp(100, 100_000);

    let code = compiled(&component);
    let mut alone = Duration::ZERO;
    for count in [1, 2] {
        let mut rooms =
            Rooms::open(&programs(), &code, &guests::wide(), &sample.params, &[], NonZeroUsize::new(count).unwrap())
                .unwrap();
        let children: Vec<u32> = rooms.rooms().iter().map(Room::pid).collect();
        let cpu = || children.iter().map(|pid| cpu_ticks(&pid.to_string())).sum::<Duration>() + cpu_ticks("self");
        let before = cpu();
        let mut failed = vec![0u64; count];
        let took = best(3, || {
            let units = (0..persons).map(|n| sample.call(n));
            let count = |failed: &mut u64, outcome| *failed += u64::from(matches!(outcome, UnitOutcome::Failed));
            let sinks = failed.iter_mut().map(|failed| move |_, outcome| count(failed, outcome));
            assert_eq!(rooms.map_numbered(units, sinks).unwrap(), persons as u64);
        });
        let failed: u64 = failed.into_iter().sum();
        let cpu = cpu() - before;
        let rate = persons as f64 / took.as_secs_f64();
        let against = match count {
            1 => "persons/s, a component each".to_owned(),
            _ => format!(
                "goal ≥ 100 000 {}; {:.2}× of one room",
                if rate >= 1e5 { "kept" } else { "MISSED" },
                alone.as_secs_f64() / took.as_secs_f64()
            ),
        };
        line(&format!("{count} room(s), persons per second"), &format!("{rate:.0}"), &against);
        line("… CPU time per person, parent included", &format!("{:.1} µs", each(cpu, 3 * persons)), "");
        if failed > 0 {
            line("… NOT ANSWERED", &failed.to_string(), "this guest does not fit these rows");
        }
        alone = took;
    }
}

/// What one child holds while it waits.
pub(crate) fn idle(options: &Options) {
    let sample = Sample::of(&options.guest);
    let code = compiled(&fs::read(&options.guest).unwrap());
    let mut room = Room::open(&programs(), &code, &guests::wide(), &sample.params).unwrap();
    let fresh = resident(&room.pid().to_string());
    room.map_all((0..1000).map(|n| sample.call(n)), |_| ()).unwrap();
    let used = resident(&room.pid().to_string());
    line(
        "a room before its first unit, resident",
        &format!("{fresh:.1} MiB"),
        "the program and the guest's code included",
    );
    line("… after 1 000 units", &format!("{used:.1} MiB"), "");
}

/// More rows, the same memory.
pub(crate) fn growth(options: &Options) {
    let component = guests::kernels();
    let params = guests::kernel_params("sums", 1);
    let columns = Columns::new(BATCH);
    let batch = columns.batch();
    let code = compiled(&component);
    let mut rows = 1_000_000;
    while rows <= options.rows {
        let mut room = Room::open(&programs(), &code, &guests::wide(), &params).unwrap();
        let started = Instant::now();
        let units = (0..rows.div_ceil(BATCH as u64)).map(|_| batch.slice(0, BATCH));
        room.map_all(units, answered).unwrap();
        let rate = rows as f64 / started.elapsed().as_secs_f64() / 1e6;
        let (parent, child) = (resident("self"), resident(&room.pid().to_string()));
        let held = format!("rows/s; parent {parent:.0} MiB, child {child:.0} MiB");
        line(&format!("{} million rows", rows / 1_000_000), &format!("{rate:.1} million"), &held);
        rows *= 10;
    }
}

fn answered(outcome: UnitOutcome) {
    assert!(matches!(outcome, UnitOutcome::Output(_)), "the guest answers");
}

/// What a guest may be like here: Python's are large.
const GUEST: InspectLimits = InspectLimits { bytes_max: 64 << 20, memory_bytes: 64 << 20 };

fn inspected(component: &[u8]) -> Inspected {
    inspect(component, GUEST).unwrap()
}

fn compiled(component: &[u8]) -> Compiled {
    let cache = tempfile::tempdir().unwrap();
    compile(&programs(), &inspected(component), Profile::Standard, cache.path(), &key()).unwrap()
}

/// Processor time of a child that has gone to sleep, to the nanosecond.
fn slept(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// User and system time so far, in the kernel's ticks of 10 ms.
fn cpu_ticks(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may hold anything; the fields behind it count from 3.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|f| f.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory, MiB.
fn resident(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
