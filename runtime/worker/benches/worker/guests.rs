//! The guests of the benchmark, and their rows.

use std::{ops::Range, path::Path, process::Command, sync::Arc};

use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Float64Array, Int64Array, StringArray},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{
    RoomLimits,
    wire::{BatchRef, ColumnRef, LINE},
};
use wit_component::ComponentEncoder;

use crate::common::limits;

/// Rows of a large batch.
pub(crate) const BATCH: usize = 65_536;

/// Limits that stop nothing here.
pub(crate) fn wide() -> RoomLimits {
    RoomLimits {
        fuel: u64::MAX / 2,
        memory_bytes: 64 << 20,
        unit_rows_max: BATCH as u32,
        unit_bytes_max: 8 << 20,
        wall: std::time::Duration::from_secs(3600),
        ..limits()
    }
}

/// `benches/kernels` as a component.
pub(crate) fn kernels() -> Vec<u8> {
    built(&[], "bench_kernels.wasm")
}

/// A guest that takes rows and forgets them.
pub(crate) fn swallow() -> Vec<u8> {
    built(&["--example", "swallow"], "examples/swallow.wasm")
}

/// What `benches/kernels` makes of `what`, built as `scripts/guests` builds guests.
fn built(what: &[&str], file: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/bench-guests");
    let built = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["build", "--quiet", "--locked", "--package", "bench-kernels", "--profile", "guest"])
        .args(["--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .args(what)
        .env("RUSTFLAGS", "-Ctarget-feature=+simd128 -Clink-arg=-zstack-size=65536")
        .status();
    assert!(built.unwrap().success(), "the kernels build for wasm32-unknown-unknown");
    let module = std::fs::read(target.join("wasm32-unknown-unknown/guest").join(file)).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// Bytes at a chosen offset in a page.
pub(crate) struct Placed {
    bytes: Vec<u8>,
    range: Range<usize>,
}

impl Placed {
    /// Room for `len` bytes that begins `at` bytes into a page.
    pub(crate) fn at(at: usize, len: usize) -> Self {
        let bytes = vec![1; len + 4096];
        let first = (at + 4096 - bytes.as_ptr().addr() % 4096) % 4096;
        Self { bytes, range: first..first + len }
    }

    pub(crate) fn get(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.range.clone()]
    }
}

/// Two columns of `rows` rows: `key` in 0..100, and `amount`.
pub(crate) struct Columns {
    pub(crate) key: Vec<i64>,
    pub(crate) amount: Vec<f64>,
    bytes: [Placed; 2],
}

impl Columns {
    pub(crate) fn new(rows: usize) -> Self {
        let key: Vec<i64> = (0..rows as i64).map(|n| n * 7919 % 100).collect();
        let amount: Vec<f64> = key.iter().map(|k| *k as f64 * 0.25).collect();
        let bytes = [
            placed(key.iter().map(|x| x.to_le_bytes()).collect()),
            placed(amount.iter().map(|x| x.to_le_bytes()).collect()),
        ];
        Self { key, amount, bytes }
    }

    /// As the child has them: buffers of the ring, of eight bytes a row and no nulls.
    pub(crate) fn borrowed(&self) -> BatchRef<'_> {
        let column = |data| ColumnRef { nulls: 0, validity: None, offsets: None, data };
        BatchRef { rows: self.key.len() as u32, columns: self.bytes.iter().map(|b| column(b.get())).collect() }
    }

    /// As the parent has them.
    pub(crate) fn batch(&self) -> RowBatch {
        let columns: [(&str, Arc<dyn sluice_rows::arrow::array::Array>); 2] = [
            ("key", Arc::new(Int64Array::from(self.key.clone()))),
            ("amount", Arc::new(Float64Array::from(self.amount.clone()))),
        ];
        RowBatch::new(RecordBatch::try_from_iter(columns).unwrap())
    }
}

/// A column as it lies in the ring: on a line, and there not at the start of a page.
fn placed(values: Vec<[u8; 8]>) -> Placed {
    let mut placed = Placed::at(5 * LINE, values.len() * 8);
    placed.get_mut().copy_from_slice(values.as_flattened());
    placed
}

/// What a kernel is told.
pub(crate) fn kernel_params(kernel: &str, times: u32) -> Vec<(String, String)> {
    [("input.t", "key:int,amount:float"), ("kernel", kernel), ("times", &times.to_string())]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec()
}

/// The calls that a guest of the repository is measured with.
pub(crate) struct Sample {
    pub(crate) params: Vec<(String, String)>,
    rows: RowBatch,
    each: usize,
}

impl Sample {
    /// What `guest` reads: persons of four rows for `spending-change`, of one row for
    /// `weeks-worked`, blocks of sixteen for `wage-gap`.
    pub(crate) fn of(guest: &Path) -> Self {
        match guest.file_stem().and_then(|stem| stem.to_str()) {
            Some("weeks_worked") => Self::of_columns(
                1,
                &[("youngest", "25"), ("oldest", "64"), ("input.persons", "age:int,education:text,weeks_worked:int")],
                [
                    ("age", ints(|n| n * 7 % 90)),
                    ("education", words("Bachelors degree")),
                    ("weeks_worked", ints(|n| n % 53)),
                ],
            ),
            Some("wage_gap") => Self::of_columns(
                16,
                &[("input.persons", "sex:text,wage_per_hour:int")],
                [("sex", words("Male")), ("wage_per_hour", ints(|n| 500 + n * 7919 % 1000))],
            ),
            _ => Self::of_columns(
                4,
                &[("input.claims", "year:int,coins:int,meddol:float")],
                [
                    ("year", ints(|n| n % 4 + 1)),
                    ("coins", ints(|n| n / 4 % 4 * 25)),
                    ("meddol", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|n| (n * 7919 % 1000) as f64)))),
                ],
            ),
        }
    }

    fn of_columns<const N: usize>(each: usize, params: &[(&str, &str)], columns: [(&str, ArrayRef); N]) -> Self {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { params, rows: RowBatch::new(RecordBatch::try_from_iter(columns).unwrap()), each }
    }

    /// The rows of call number `n`, of which there are as many as one likes.
    pub(crate) fn call(&self, n: usize) -> RowBatch {
        self.rows.slice(n % (ROWS as usize / self.each) * self.each, self.each)
    }
}

/// Rows of a sample.
const ROWS: i64 = 4000;

fn ints(value: fn(i64) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..ROWS).map(value)))
}

/// Every other row says `Female`.
fn words(other: &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| if n % 2 == 0 { "Female" } else { other })))
}
