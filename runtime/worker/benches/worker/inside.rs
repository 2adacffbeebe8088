//! Inside one process: what the engine costs, with no pipe and no jail.

use std::{hint::black_box, time::Duration};

use sluice_guest::{Column, Room, Rows};
use sluice_worker::{
    Profile,
    child::{engine, guest::Guest},
    wire::{BatchRef, Start},
};
use wasmtime::Engine;

use crate::{
    Options, best_here,
    guests::{self, BATCH, Columns, Placed},
    line, ratio,
};

/// The run child's engine, with a compiler, and here alone with fuel left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fuel {
    On,
    Off,
}

/// Loads `component` as the run child would.
pub(crate) fn load(component: &[u8], fuel: Fuel, params: &[(String, String)]) -> Guest {
    let limits = guests::wide();
    let mut config = engine::running_config(Profile::Standard, limits.memory_bytes, limits.stack_bytes).unwrap();
    config.consume_fuel(fuel == Fuel::On);
    let engine = Engine::new(&config).unwrap();
    let code = engine.precompile_component(component).unwrap();
    let order = Start {
        profile: Profile::Standard,
        fuel: limits.fuel,
        memory_bytes: limits.memory_bytes,
        stack_bytes: limits.stack_bytes,
        rows_max: limits.rows_max,
        output_bytes_max: limits.output_bytes_max,
        cpu_seconds: 0,
        params: params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        state: &[],
        code: &code,
    };
    Guest::load(&engine, &order).unwrap()
}

/// Batches pushed into one instance, against copying the same bytes: one batch again and
/// again, which the cache holds, and then more of them in turn than it can hold. Where in
/// a page a copy goes makes a difference of its own, so there are several: where the
/// guest's allocator puts a column, and wherever another one might.
pub(crate) fn rows_in(_: &Options) {
    let guest = load(&guests::swallow(), Fuel::On, &[]);
    for (count, where_from) in [(1, "in the cache"), (64, "from memory")] {
        let batches: Vec<Columns> = (0..count).map(|_| Columns::new(BATCH)).collect();
        let batches: Vec<BatchRef<'_>> = batches.iter().map(Columns::borrowed).collect();
        let mut call = guest.start().unwrap();
        let mut on_line = (places_for(&batches[0], 0), Duration::MAX);
        let mut anywhere: Vec<_> = anywhere().map(|at| (places_for(&batches[0], at), Duration::MAX)).collect();
        let mut pushed = Duration::MAX;
        // In turn, so that all meet the same machine.
        for _ in 0..(1000 / count) {
            pushed = pushed.min(best_here(1, || batches.iter().for_each(|b| call.process(0, black_box(b)).unwrap())));
            for (to, copied) in anywhere.iter_mut().chain([&mut on_line]) {
                *copied = (*copied).min(best_here(1, || copy(&batches, to)));
            }
        }
        let [pushed, on_line] = [pushed, on_line.1].map(|all| all / count);
        ratio(&format!("65 536 rows {where_from}, against memcpy to a line"), pushed, on_line, 1.25);
        let mut others: Vec<Duration> = anywhere.into_iter().map(|(_, copied)| copied / count).collect();
        others.sort_unstable();
        ratio("… to one of 64 places, the median", pushed, others[others.len() / 2], 1.25);
        let far = |copied: Duration| format!("{:.2}×", pushed.as_secs_f64() / copied.as_secs_f64());
        let (fast, slow) = (far(others[0]), far(others[others.len() - 1]));
        line("… the fastest of them, the slowest", &format!("{fast}, {slow}"), "");
        let bytes: usize = batches[0].columns.iter().map(|c| c.data.len()).sum();
        line("", &format!("{:.1} GB/s", bytes as f64 / pushed.as_secs_f64() / 1e9), "into the guest's memory");
    }
    // Pages that the instance has not touched before are the rest of a fresh one's cost.
    let columns = Columns::new(BATCH);
    let rows = columns.borrowed();
    let fresh = best_here(100, || drop(guest.call(black_box(&[(0, rows.clone())])).unwrap()));
    line("the same into a fresh instance each", &format!("{fresh:.1?}"), "pages and instance included");
}

/// Offsets in a page at which an allocator may put a column: multiples of 16, all over it.
fn anywhere() -> impl Iterator<Item = usize> {
    (0..64).map(|n| n * 80 % 4096)
}

/// A place for each column, `at` so many bytes into a page.
fn places_for(batch: &BatchRef<'_>, at: usize) -> Vec<Placed> {
    batch.columns.iter().map(|c| Placed::at(at, c.data.len())).collect()
}

fn copy(batches: &[BatchRef<'_>], to: &mut [Placed]) {
    for batch in batches {
        for (to, from) in to.iter_mut().zip(&batch.columns) {
            black_box(to.get_mut()).copy_from_slice(black_box(from.data));
        }
    }
}

/// The same loops as a guest and natively.
pub(crate) fn kernels(_: &Options) {
    const TIMES: u32 = 20;
    let component = guests::kernels();
    let columns = Columns::new(BATCH);
    for (kernel, off_goal, on_goal) in [("group-by", 1.5, 2.0), ("sums", 2.5, 3.5)] {
        let params = guests::kernel_params(kernel, TIMES);
        let input = Rows::of(vec![
            ("key", Column::Int(columns.key.iter().copied().map(Some).collect())),
            ("amount", Column::Float(columns.amount.iter().copied().map(Some).collect())),
        ]);
        let told: Vec<(&str, &str)> = params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let room = Room::of(&told, vec![("t", input.unwrap())]);
        let native = best_here(10, || drop(black_box(bench_kernels::kernels(black_box(&room)).unwrap())));
        for (fuel, goal, said) in [(Fuel::Off, off_goal, "without fuel"), (Fuel::On, on_goal, "with fuel")] {
            let guest = load(&component, fuel, &params);
            let rows = columns.borrowed();
            let inside = best_here(10, || drop(guest.call(black_box(&[(0, rows.clone())])).unwrap()));
            ratio(&format!("{kernel} {said}, against native"), inside, native, goal);
        }
    }
}
