//! What is refused before anything is compiled, and by which code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use common::{OK, WIT, component, component_for, looked_at, module};
use sluice_worker::{InspectLimits, inspect};

fn refused(bytes: &[u8]) -> (&'static str, String) {
    let refusal = looked_at(bytes).unwrap_err();
    (refusal.code, refusal.place.unwrap_or_default().into())
}

#[test]
fn a_guest_of_the_world_inner_passes_with_its_digest() {
    let bytes = component(&module("", OK, OK));
    assert_eq!(looked_at(&bytes).unwrap().digest(), sluice_domain::Digest::of(&bytes));
}

#[test]
fn an_imported_function_is_refused_by_name() {
    let wit = format!(
        "{WIT}\n interface host {{ read-file: func(path: string) -> list<u8>; }}
         world peeker {{ import host; export inner-room; }}"
    );
    let import = r#"(import "sluice:job/host@0.1.0" "read-file" (func $read (param i32 i32 i32)))
        (func $unused (call $read (i32.const 0) (i32.const 0) (i32.const 0)))"#;
    let bytes = component_for(&module(import, OK, OK), &wit, "peeker");
    assert_eq!(refused(&bytes), ("guest.import", "sluice:job/host@0.1.0#read-file".to_owned()));
}

#[test]
fn an_import_of_any_other_kind_is_refused_too() {
    for import in [
        r#"(import "clock" (func))"#,
        r#"(import "m" (core module))"#,
        r#"(import "r" (type (sub resource)))"#,
        r#"(import "t" (type (eq 0)))"#,
        r#"(import "i" (instance))"#,
        r#"(import "c" (component))"#,
    ] {
        let wat = format!("(component (type u32) {import})");
        assert_eq!(refused(&wat::parse_str(&wat).unwrap()).0, "guest.import", "{import}");
    }
}

#[test]
fn an_import_within_that_is_met_from_within_is_not_an_import() {
    // wit-component itself makes such components for an exported interface.
    let bytes = component(&module("", OK, OK));
    let text = bytes.windows(11).any(|w| w == b"import-func");
    assert!(text, "the sample has no nested import: the test says nothing");
    assert!(looked_at(&bytes).is_ok());
}

#[test]
fn a_wrong_or_missing_or_further_export_is_refused_by_name() {
    let wrong = WIT.replace("finish: func() -> result<batch, string>", "finish: func() -> result<column, string>");
    let bytes = component_for(&module("", OK, OK), &wrong, "inner");
    assert_eq!(refused(&bytes), ("guest.abi", "sluice:job/inner-room@0.1.0#finish".to_owned()));

    let renamed = WIT.replace("nulls: u32", "nils: u32");
    let bytes = component_for(&module("", OK, OK), &renamed, "inner");
    assert_eq!(refused(&bytes), ("guest.abi", "sluice:job/inner-room@0.1.0#process".to_owned()));

    let more = WIT.replace("interface inner-room {", "interface inner-room { extra: func();");
    let body = r#"(func (export "sluice:job/inner-room@0.1.0#extra"))"#;
    let bytes = component_for(&module("", OK, OK).replacen("(func", &format!("{body} (func"), 1), &more, "inner");
    assert_eq!(refused(&bytes), ("guest.abi", "sluice:job/inner-room@0.1.0#extra".to_owned()));

    let second = WIT.replace("export inner-room;", "export inner-room; export extra: func();");
    let body = r#"(func (export "extra"))"#;
    let bytes = component_for(&module("", OK, OK).replacen("(func", &format!("{body} (func"), 1), &second, "inner");
    assert_eq!(refused(&bytes), ("guest.abi", "extra".to_owned()));

    let other = wat::parse_str("(component)").unwrap();
    assert_eq!(refused(&other), ("guest.abi", "sluice:job/inner-room@0.1.0".to_owned()));
    let core = wat::parse_str("(module)").unwrap();
    assert_eq!(refused(&core).0, "guest.abi");
}

#[test]
fn damage_anywhere_is_refused_or_harmless_but_never_a_panic() {
    let bytes = component(&module("", OK, OK));
    // A cut between sections may leave a whole component; before the exports, never.
    let whole = (0..bytes.len()).filter(|cut| looked_at(&bytes[..*cut]).is_ok()).count();
    assert!(whole <= 4, "{whole} prefixes passed");
    assert!((0..bytes.len() / 2).all(|cut| looked_at(&bytes[..cut]).is_err()));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x41;
        let _ = looked_at(&flipped);
    }
    assert_eq!(refused(b"not wasm at all").0, "guest.damaged");
    assert_eq!(refused(b"").0, "guest.damaged");
}

#[test]
fn proposals_that_are_switched_off_are_refused() {
    for module in [
        r#"(core module (memory 1 1 shared))"#,
        r#"(core module (memory i64 1))"#,
        r#"(core module (memory 1) (memory 1))"#,
        r#"(core module (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd))"#,
        r#"(core module (tag))"#,
        r#"(core module (func $f (return_call $f)))"#,
        r#"(core module (type (struct)))"#,
        r#"(core module (func (param i31ref)))"#,
        r#"(core module (func (param externref)))"#,
        r#"(core module (func (try_table)))"#,
        r#"(core module (memory 1 (pagesize 1)))"#,
        r#"(core module (table i64 1 funcref))"#,
        r#"(core module (func (param i64 i64 i64 i64) (result i64 i64)
            local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))"#,
        r#"(core module (func $f (param i32) (call_ref 0 (local.get 0) (ref.func $f))))"#,
        r#"(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"#,
        r#"(core func (canon task.cancel))"#,
        r#"(type (stream u8))"#,
        r#"(type (future u8))"#,
        r#"(type (list u8 4))"#,
        r#"(type (func async))"#,
        r#"(type error-context)"#,
        r#"(core func (canon thread.yield))"#,
    ] {
        let bytes = wat::parse_str(format!("(component {module})")).unwrap_or_else(|e| panic!("{module}: {e}"));
        assert_eq!(refused(&bytes).0, "guest.damaged", "{module}");
    }
}

#[test]
fn too_many_bytes_or_too_much_memory_is_refused() {
    let bytes = component(&module("", OK, OK));
    let tight = InspectLimits { bytes_max: 100, memory_bytes: 4 << 20 };
    assert_eq!(inspect(&bytes, tight).unwrap_err().code, "guest.too-large");
    let tight = InspectLimits { bytes_max: 1 << 20, memory_bytes: 64 << 10 };
    assert_eq!(inspect(&bytes, tight).unwrap_err().code, "guest.too-large");
    let many = format!("(component {})", "(core module)".repeat(65));
    assert_eq!(refused(&wat::parse_str(&many).unwrap()).0, "guest.too-large");
}

#[test]
fn components_in_components_without_end_are_refused_at_once() {
    let nested = |levels: usize| {
        let text = format!("{}{}", "(component ".repeat(levels), ")".repeat(levels));
        refused(&wat::parse_str(&text).unwrap()).0
    };
    assert_eq!(nested(17), "guest.abi");
    assert_eq!(nested(18), "guest.too-large");
    // A million of them: 14 MB of headers, each with the length of what is within.
    let (mut headers, mut len) = (Vec::new(), 8u32);
    for _ in 0..1_000_000 {
        headers.push(len);
        // A length in five bytes, whatever it is.
        len += 8 + 1 + 5;
    }
    let header = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    let mut bytes = Vec::new();
    for len in headers.iter().rev() {
        bytes.extend(header);
        bytes.push(4);
        bytes.extend([0, 7, 14, 21].map(|shift| (len >> shift) as u8 | 128));
        bytes.push((len >> 28) as u8);
    }
    bytes.extend(header);
    let large = InspectLimits { bytes_max: 64 << 20, memory_bytes: 4 << 20 };
    assert_eq!(inspect(&bytes, large).unwrap_err().code, "guest.too-large");
}
