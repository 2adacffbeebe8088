//! Guests as a stranger may write them: odd uses of the ABI, and its edges. Each is
//! answered by the letter or fails its own unit, and the room goes on. Attacks that the
//! gate's specification names are in `tests/hostile`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use common::{OK, ONE_VALUE, component, key, limits, looked_at, module, open, programs, unit, value, values};
use sluice_worker::{Profile, RawBatch, Room, RoomLimits, UnitOutcome, compile};

/// Puts the first value of the first column at 3000.
const TAKE_VALUE: &str = "
    (i64.store (i32.const 3000) (i64.load (i32.load (i32.add (local.get 2) (i32.const 28)))))
    (i32.const 1024)";

/// A room for a guest that answers with its value, with this body for `cabi_realloc`;
/// `$bump` is the usual one.
fn with_realloc(body: &str) -> Room {
    let own = format!(r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {body})"#);
    let usual = module(&own, TAKE_VALUE, ONE_VALUE);
    // The last of the two exports of this name.
    let (before, after) = usual.rsplit_once(r#"(func (export "cabi_realloc")"#).unwrap();
    open(&format!("{before}(func $bump{after}"), &limits())
}

const BUMP: &str = "(call $bump (local.get 0) (local.get 1) (local.get 2) (local.get 3))";

#[test]
fn an_allocator_may_place_rows_where_it_likes_within_its_memory() {
    for body in [
        format!("(drop (memory.grow (i32.const 1))) {BUMP}"),
        "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))".to_owned(),
        format!("(memory.fill (i32.const 4096) (i32.const 255) (i32.const 4000)) {BUMP}"),
    ] {
        assert_eq!(values(&mut with_realloc(&body), &[5, -1, 5]).unwrap(), [Some(5), Some(-1), Some(5)], "{body}");
    }
}

#[test]
fn an_allocator_that_places_them_outside_or_nowhere_fails_every_unit() {
    for body in [
        "(i32.const -16)",
        "(i32.const 3)",
        "(i32.mul (memory.size) (i32.const 65536))",
        "(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4))",
        "(unreachable)",
        "(loop (br 0)) (unreachable)",
    ] {
        assert_eq!(values(&mut with_realloc(body), &[5, 7]).unwrap(), [None; 2], "{body}");
    }
}

#[test]
fn an_allocator_that_places_all_at_one_spot_spoils_its_own_rows_alone() {
    let mut room = with_realloc("(i32.const 8192)");
    let got = values(&mut room, &[5, 6, 5]).unwrap();
    assert!(got[0].is_some() && got[0] == got[2], "{got:?}");
}

#[test]
fn what_runs_after_an_answer_counts_as_part_of_it() {
    let after = |of: &str, body: &str| {
        let post = format!(r#"(func (export "cabi_post_sluice:job/inner-room@0.1.0#{of}") (param i32) {body})"#);
        open(&module(&post, TAKE_VALUE, ONE_VALUE), &limits())
    };
    for of in ["start", "process", "finish"] {
        assert_eq!(values(&mut after(of, "(unreachable)"), &[5, 7]).unwrap(), [None; 2], "{of}");
        assert_eq!(values(&mut after(of, "(loop (br 0))"), &[5, 7]).unwrap(), [None; 2], "{of}");
        let harmless = "(drop (memory.grow (i32.const 1))) (memory.fill (i32.const 0) (i32.const 255) (i32.const 64))";
        assert_eq!(values(&mut after(of, harmless), &[5, 7]).unwrap(), [Some(5), Some(7)], "{of}");
    }
}

#[test]
fn an_answer_in_another_form_fails() {
    for finish in [
        // Neither ok nor err; a validity that is neither there nor not; records at an odd
        // place; an answer at the very end of memory, and beyond it.
        "(i32.store8 (i32.const 1024) (i32.const 2)) (i32.const 1024)".to_owned(),
        format!("(i32.store8 (i32.const 2052) (i32.const 2)) {ONE_VALUE}"),
        ONE_VALUE.replace("(i32.const 2048)", "(i32.const 2049)"),
        "(i32.const 131068)".to_owned(),
        "(i32.const 131072)".to_owned(),
        "(i32.const 1022)".to_owned(),
    ] {
        let mut room = open(&module("", TAKE_VALUE, &finish), &limits());
        assert_eq!(values(&mut room, &[5]).unwrap(), [None], "{finish}");
    }
}

/// An answer of so many columns of `rows` numbers each, which all show the same bytes.
fn wide(columns: u32, rows: u32) -> String {
    let finish = format!(
        "(local i32)
        (loop $l
            (i32.store (i32.add (i32.const 10028) (i32.mul (local.get 0) (i32.const 36))) (i32.const 40000))
            (i32.store (i32.add (i32.const 10032) (i32.mul (local.get 0) (i32.const 36))) (i32.const {}))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const {columns}))))
        (i32.store (i32.const 1028) (i32.const {rows}))
        (i32.store (i32.const 1032) (i32.const 10000))
        (i32.store (i32.const 1036) (i32.const {columns}))
        (i32.const 1024)",
        rows * 8
    );
    module("", OK, &finish)
}

#[test]
fn an_answer_may_be_as_large_as_the_contract_says_and_no_larger() {
    // What an answer takes in a frame: 8 bytes, and 9 for each column.
    let frame = |columns: u32, rows: u32| 8 + columns * (9 + 8 * rows);
    for (columns, rows) in [(1, 100), (1, 0), (2, 64), (256, 0), (256, 1), (256, 30), (100, 80)] {
        for (output_bytes_max, fits) in [(frame(columns, rows), true), (frame(columns, rows) - 1, false)] {
            let mut room = open(&wide(columns, rows), &RoomLimits { output_bytes_max, ..limits() });
            let UnitOutcome::Output(RawBatch { columns: got, .. }) = room.map(unit(&[1])).unwrap() else {
                assert!(!fits, "{columns} columns of {rows} rows do not fit {output_bytes_max} bytes");
                continue;
            };
            assert!(fits, "{columns} columns of {rows} rows fit {output_bytes_max} bytes");
            assert!(got.len() == columns as usize && got.iter().all(|c| c.data.len() == 8 * rows as usize));
        }
    }
    let mut room = open(&wide(257, 1), &limits());
    assert_eq!(room.map(unit(&[1])).map(value).unwrap(), None, "more columns than there may be");
    let mut room = open(&wide(1, 101), &limits());
    assert_eq!(room.map(unit(&[1])).map(value).unwrap(), None, "more rows than there may be");
}

#[test]
fn a_guest_that_the_compiler_cannot_take_is_refused_in_words() {
    let table = format!("(func (param i32) (block (br_table {} (local.get 0))))", "0 ".repeat(400_000));
    let guest = looked_at(&component(&module(&table, OK, ONE_VALUE))).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let error = compile(&programs(), &guest, Profile::Standard, cache.path(), &key()).unwrap_err();
    assert_eq!(error.refusal().code, "guest.compile");
}
