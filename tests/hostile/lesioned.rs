//! The house with one layer left out. This exists here and nowhere else: each layer
//! that a guest's header names under `without` is replaced by what a host without it
//! would do, and the answer is what an attacker would see.
//!
//! Nothing here can make a `Cleared`: the stages are called, or imitated, one by one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use sluice_gate::intake::{RawBatch, RawColumn};
use wasmtime::{
    Config, Engine, Module, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component, ComponentType, Instance, Lift, Linker, Lower},
};

use crate::{
    guest::Guest,
    house::{self, CLAMP, Unit},
    outer,
};

const ROOM: &str = "sluice:job/inner-room@0.1.0";
const OUTER_ROOM: &str = "sluice:job/outer-room@0.1.0";
/// After this long without fuel an endless guest is believed to be endless.
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);

/// Names and bytes.
pub(crate) type Artefacts = Vec<(String, Vec<u8>)>;

/// What an attacker sees of a world when the layer is missing.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// Numbers of some kind.
    Numbers(Vec<i128>),
    /// Words.
    Words(Vec<String>),
    /// Nothing: the guest cannot speak. What was checked is whether the engine takes it.
    Loaded,
    /// A host that waits.
    Waiting,
    /// The exact table, to be held against the sensitivity.
    Table(Vec<i64>),
}

/// World `secret` seen without the layer that the guest's header names.
pub(crate) fn seen(guest: &Guest, secret: i64) -> Seen {
    if guest.is_outer() {
        return outer::seen(guest, secret);
    }
    let units = house::world(guest, secret);
    let raw = || house::answers(guest, std::slice::from_ref(&units)).remove(0);
    match guest.field("without") {
        "intake, reading floats" => Seen::Numbers(words(&raw(), 1)),
        "intake, reading order" => Seen::Numbers(words(&raw(), 0)),
        "intake, reading rows" => numbers(&raw(), |b| i128::from(b.rows)),
        "intake, reading size" => numbers(&raw(), |b| b.columns.iter().map(|c| c.data.len() as i128).sum()),
        "intake, reading nulls" => numbers(&raw(), |b| i128::from(b.columns[1].nulls)),
        "intake, reading text" => Seen::Words(
            raw().iter().flatten().map(|b| String::from_utf8_lossy(&b.columns[0].data).into_owned()).collect(),
        ),
        "failures told" => Seen::Numbers(house::accepted(guest, &raw()).into_iter().map(i128::from).collect()),
        "the declared domain" => Seen::Numbers(words(&raw(), 0)),
        "the clamp" => Seen::Table(reduce(&raw(), Reduction { clamp: Clamp::No, keys: 1 })),
        "sum before clamp" => Seen::Table(reduce(&raw(), Reduction { clamp: Clamp::EachRow, keys: 1 })),
        "the key limit" => Seen::Table(reduce(&raw(), Reduction { clamp: Clamp::EachSum, keys: usize::MAX })),
        "wide sums" => numbers(&raw(), |b| narrow_sum(b).map_or(i128::MAX, i128::from)),
        "integer sums" => numbers(&raw(), |b| i128::from(floats(b).sum::<f64>().to_bits())),
        "the noise" => Seen::Numbers(house::sums(guest, &raw()).into_iter().map(i128::from).collect()),
        "inspection" => {
            assert!(engine_takes(guest), "{}: the engine refuses it too: say so in the header", guest.file);
            Seen::Loaded
        }
        "nothing: the engine refuses it too" => {
            assert!(!engine_takes(guest), "{}: the engine takes it: inspection is what stops it", guest.file);
            Seen::Loaded
        }
        _ => bare(guest, &units),
    }
}

/// The same by a host of the test's own, without children and limits but those left.
fn bare(guest: &Guest, units: &[Unit]) -> Seen {
    let without = guest.field("without");
    let host = Host::new(guest, if without == "the fuel" { u64::MAX } else { 2_000_000 });
    let memory = if without == "the memory limit" { usize::MAX } else { 4 << 20 };
    let calls = house::calls(guest, units);
    let each = || calls.iter().map(|call| host.visit(memory).ask(call, &[]));
    match without {
        "fresh instances" => {
            let mut one = host.visit(memory);
            Seen::Numbers(all_sums(calls.iter().map(|call| one.ask(call, &[]).answer)))
        }
        "copied input" => {
            // The buffer holds everybody's numbers, and the unit's slice begins at its own.
            let answers = units.iter().enumerate().map(|(at, unit)| {
                let rest: Vec<u8> = units[at + 1..].iter().flat_map(|(_, n)| n.to_le_bytes()).collect();
                host.visit(memory).ask(&[*unit], &rest).answer
            });
            Seen::Numbers(all_sums(answers))
        }
        "error texts told" => Seen::Words(each().filter_map(|asked| asked.error).collect()),
        "the meter told" => Seen::Numbers(each().map(|asked| i128::from(asked.fuel)).collect()),
        "the memory limit" => Seen::Numbers(all_sums(each().map(|asked| asked.answer))),
        "the limits of an answer" => Seen::Numbers(
            each()
                .filter_map(|asked| asked.answer)
                .flat_map(|b| {
                    [i128::from(b.rows), b.columns.len() as i128, b.columns.iter().map(|c| c.data.len() as i128).sum()]
                })
                .collect(),
        ),
        "the fuel" => {
            let engine = host.engine.clone();
            let watch = thread::spawn(move || {
                thread::sleep(PATIENCE);
                engine.increment_epoch();
            });
            let answered = each().all(|asked| asked.answer.is_some());
            watch.join().unwrap();
            if answered { Seen::Numbers(vec![1]) } else { Seen::Waiting }
        }
        "the empty linker" => {
            each().for_each(drop);
            Seen::Numbers(host.told.lock().unwrap().iter().map(|n| i128::from(*n)).collect())
        }
        other => panic!("{}: there is no layer `{other}`", guest.file),
    }
}

fn numbers(answers: &[Option<RawBatch>], read: impl Fn(&RawBatch) -> i128) -> Seen {
    Seen::Numbers(answers.iter().flatten().map(read).collect())
}

/// The eight-byte words of a column, as they are.
fn words(answers: &[Option<RawBatch>], column: usize) -> Vec<i128> {
    let all = answers.iter().flatten().flat_map(|b| b.columns[column].data.chunks_exact(8));
    all.map(|word| i128::from(u64::from_le_bytes(word.try_into().unwrap()))).collect()
}

fn floats(batch: &RawBatch) -> impl Iterator<Item = f64> {
    batch.columns[1].data.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().unwrap()))
}

fn pairs(batch: &RawBatch) -> impl Iterator<Item = (i64, f64)> {
    let keys = batch.columns[0].data.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap()));
    keys.zip(floats(batch))
}

/// One unit's rows in 64 bits: `None` where a debug build would end the host.
fn narrow_sum(batch: &RawBatch) -> Option<i64> {
    floats(batch).map(|v| (v * 8.0) as i64).try_fold(0i64, i64::checked_add)
}

/// A reduction that forgets something.
struct Reduction {
    clamp: Clamp,
    keys: usize,
}

enum Clamp {
    No,
    EachRow,
    EachSum,
}

fn reduce(answers: &[Option<RawBatch>], how: Reduction) -> Vec<i64> {
    let mut table = vec![0i64; 4];
    for unit in answers.iter().flatten() {
        let mut sums: BTreeMap<usize, i64> = BTreeMap::new();
        for (key, value) in pairs(unit).filter(|(key, _)| (0..4).contains(key)) {
            let value = (value * 8.0) as i64;
            let value = if matches!(how.clamp, Clamp::EachRow) { value.clamp(-CLAMP, CLAMP) } else { value };
            let sum = sums.entry(key as usize).or_default();
            *sum = sum.saturating_add(value);
        }
        for (key, sum) in sums.into_iter().take(how.keys) {
            let sum = if matches!(how.clamp, Clamp::EachSum) { sum.clamp(-CLAMP, CLAMP) } else { sum };
            table[key] = table[key].saturating_add(sum);
        }
    }
    table
}

/// Sums over all units, key by key, of a host that is honest otherwise.
fn all_sums(answers: impl Iterator<Item = Option<RawBatch>>) -> Vec<i128> {
    let answers: Vec<_> = answers.collect();
    reduce(&answers, Reduction { clamp: Clamp::EachSum, keys: 1 }).into_iter().map(i128::from).collect()
}

/// Whether the engine by itself takes the guest.
fn engine_takes(guest: &Guest) -> bool {
    let (engine, bytes) = (Engine::new(&config()).unwrap(), guest.bytes());
    Component::new(&engine, &bytes).is_ok() || Module::new(&engine, &bytes).is_ok()
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true).consume_fuel(true).epoch_interruption(true);
    config
}

/// wasmtime, used directly.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    component: Component,
    linker: Linker<StoreLimits>,
    fuel: u64,
    /// What a round is handed.
    state: Vec<u8>,
    /// What guests said through functions of the host.
    told: Arc<Mutex<Vec<i64>>>,
}

/// One instance.
pub(crate) struct Visit {
    store: Store<StoreLimits>,
    instance: Option<Instance>,
    fuel: u64,
    state: Vec<u8>,
}

/// What one unit's call gave away.
pub(crate) struct Asked {
    answer: Option<RawBatch>,
    error: Option<String>,
    fuel: u64,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct ColumnIn {
    nulls: u32,
    validity: Option<Vec<u8>>,
    offsets: Option<Vec<u8>>,
    data: Vec<u8>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct BatchIn {
    rows: u32,
    columns: Vec<ColumnIn>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct ColumnOut {
    nulls: u32,
    validity: Option<Vec<u8>>,
    offsets: Option<Vec<u8>>,
    data: Vec<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct BatchOut {
    rows: u32,
    columns: Vec<ColumnOut>,
}

impl Host {
    pub(crate) fn new(guest: &Guest, fuel: u64) -> Self {
        let engine = Engine::new(&config()).unwrap();
        let component = Component::new(&engine, guest.bytes()).unwrap();
        let mut linker = Linker::new(&engine);
        let told = Arc::new(Mutex::new(Vec::new()));
        if let Some((path, function)) = guest.fields.get("host").and_then(|h| h.split_once(' ')) {
            let mut interface = linker.instance(path).unwrap();
            let log = Arc::clone(&told);
            if function.starts_with("tell") {
                interface.func_wrap("tell", move |_, (number,): (i64,)| {
                    log.lock().unwrap().push(number);
                    Ok(())
                })
            } else {
                interface.func_wrap("get-random-u64", move |_, (): ()| {
                    log.lock().unwrap().push(4);
                    Ok((4u64,))
                })
            }
            .unwrap();
        }
        let state = guest.fields.get("state").map(|s| s.clone().into_bytes()).unwrap_or_default();
        Self { engine, component, linker, fuel, state, told }
    }

    pub(crate) fn visit(&self, memory: usize) -> Visit {
        let limits = StoreLimitsBuilder::new().memory_size(memory).build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(self.fuel).unwrap();
        store.set_epoch_deadline(1);
        let instance = self.linker.instantiate(&mut store, &self.component).ok();
        Visit { store, instance, fuel: self.fuel, state: self.state.clone() }
    }
}

impl Visit {
    /// One call; `more` is what lies behind its numbers in memory.
    pub(crate) fn ask(&mut self, units: &[Unit], more: &[u8]) -> Asked {
        let (answer, error) = match self.call(units, more) {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(text)) => (None, Some(text)),
            None => (None, None),
        };
        Asked { answer, error, fuel: self.fuel - self.store.get_fuel().unwrap() }
    }

    /// The next state and the artefacts that an outer guest makes of one cleared number.
    /// Each is what it sent, or `None` where it failed.
    pub(crate) fn outer(&mut self, cleared: f64) -> (Option<Vec<u8>>, Option<Artefacts>) {
        type Update<'a> = (u32, &'a [u8], BatchIn);
        type Tables<'a> = (&'a [u8], Vec<(&'a str, BatchIn)>);
        type Sent<T> = (Result<T, String>,);
        let (store, instance) = (&mut self.store, self.instance.unwrap());
        let room = instance.get_export_index(&mut *store, None, OUTER_ROOM).unwrap();
        let mut function = |name| instance.get_export_index(&mut *store, Some(&room), name).unwrap();
        let (update, compose) = (function("update"), function("compose"));
        let batch = || BatchIn {
            rows: 1,
            columns: vec![ColumnIn { nulls: 0, validity: None, offsets: None, data: cleared.to_le_bytes().into() }],
        };
        let update = instance.get_typed_func::<Update<'_>, Sent<Vec<u8>>>(&mut *store, update).unwrap();
        let state = update.call(&mut *store, (0, &[], batch())).ok().and_then(|sent| sent.0.ok());
        let compose = instance.get_typed_func::<Tables<'_>, Sent<Artefacts>>(&mut *store, compose).unwrap();
        let report = compose.call(&mut *store, (&[], vec![("t", batch())])).ok().and_then(|sent| sent.0.ok());
        (state, report)
    }

    fn call(&mut self, units: &[Unit], more: &[u8]) -> Option<Result<RawBatch, String>> {
        let (store, instance) = (&mut self.store, self.instance?);
        let room = instance.get_export_index(&mut *store, None, ROOM).unwrap();
        let mut function = |name| instance.get_export_index(&mut *store, Some(&room), name).unwrap();
        let (start, process, finish) = (function("start"), function("process"), function("finish"));
        let start =
            instance.get_typed_func::<(&[(&str, &str)], &[u8]), (Result<(), String>,)>(&mut *store, start).unwrap();
        if let Err(text) = start.call(&mut *store, (&[], &self.state)).ok()?.0 {
            return Some(Err(text));
        }
        let column = |data: Vec<u8>| ColumnIn { nulls: 0, validity: None, offsets: None, data };
        let bytes = |of: fn(&Unit) -> i64| units.iter().flat_map(|unit| of(unit).to_le_bytes()).collect::<Vec<_>>();
        let columns = vec![column(bytes(|u| u.0)), column([&bytes(|u| u.1), more].concat())];
        let rows = u32::try_from(units.len()).unwrap();
        let process = instance.get_typed_func::<(u32, BatchIn), (Result<(), String>,)>(&mut *store, process).unwrap();
        if let Err(text) = process.call(&mut *store, (0, BatchIn { rows, columns })).ok()?.0 {
            return Some(Err(text));
        }
        let finish = instance.get_typed_func::<(), (Result<BatchOut, String>,)>(&mut *store, finish).unwrap();
        let batch = match finish.call(&mut *store, ()).ok()?.0 {
            Ok(batch) => batch,
            Err(text) => return Some(Err(text)),
        };
        let columns = batch.columns.into_iter();
        let columns =
            columns.map(|c| RawColumn { nulls: c.nulls, validity: c.validity, offsets: c.offsets, data: c.data });
        Some(Ok(RawBatch { rows: batch.rows, columns: columns.collect() }))
    }
}
