//! Inside one process: what the engine costs, with no pipe and no jail.

use std::hint::black_box;

use sluice_guest::{Column, Room, Rows};
use sluice_worker::{
    Profile,
    child::{engine, guest::Guest},
    wire::Start,
};
use wasmtime::Engine;

use crate::{
    Options, best,
    guests::{self, BATCH, Columns},
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

/// Batches pushed into one instance, against copying the same bytes.
pub(crate) fn rows_in(_: &Options) {
    let guest = load(&guests::swallow(), Fuel::On, &[]);
    let columns = Columns::new(BATCH);
    let rows = columns.borrowed();
    let mut call = guest.start().unwrap();
    let pushed = best(300, || call.process(0, black_box(&rows)).unwrap());
    let mut to: Vec<Vec<u8>> = rows.columns.iter().map(|c| vec![1; c.data.len()]).collect();
    let copied = best(300, || {
        for (to, from) in to.iter_mut().zip(&rows.columns) {
            black_box(to.as_mut_slice()).copy_from_slice(black_box(from.data));
        }
    });
    ratio("65 536 rows of 2 columns, against memcpy", pushed, copied, 1.25);
    let bytes: usize = to.iter().map(Vec::len).sum();
    line("", &format!("{:.1} GB/s", bytes as f64 / pushed.as_secs_f64() / 1e9), "into the guest's memory");
    drop(call); // the pool holds one instance
    // Pages that the instance has not touched before are the rest of a fresh one's cost.
    let fresh = best(100, || drop(guest.call(black_box(&[(0, rows.clone())])).unwrap()));
    line("the same into a fresh instance each", &format!("{fresh:.1?}"), "pages and instance included");
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
        let native = best(10, || drop(black_box(bench_kernels::kernels(black_box(&room)).unwrap())));
        for (fuel, goal, said) in [(Fuel::Off, off_goal, "without fuel"), (Fuel::On, on_goal, "with fuel")] {
            let guest = load(&component, fuel, &params);
            let rows = columns.borrowed();
            let inside = best(10, || drop(guest.call(black_box(&[(0, rows.clone())])).unwrap()));
            ratio(&format!("{kernel} {said}, against native"), inside, native, goal);
        }
    }
}
