use proptest::prelude::*;
use sluice_domain::catalogue::Key;

use super::*;
use crate::fixtures::{dimension, float_column, int_column, ints, output, table, text_column};

fn schema(rows_max: u32) -> OutputSchema {
    OutputSchema::of(&table(4, &[(0, 100, 10)], 1, 0.02), rows_max).unwrap()
}

/// The schema of a table whose one dimension is text.
fn text_schema() -> OutputSchema {
    let mut t = table(1, &[(0, 100, 1)], 1, 0.02);
    t.dimensions = vec![dimension("k", ["a", "市", "bc"].map(|s| Key::Text(s.into())).into())];
    OutputSchema::of(&t, 64).unwrap()
}

fn with_text(column: RawColumn) -> RawBatch {
    RawBatch { rows: 3, columns: vec![column, float_column(&[1.0, 2.0, 3.0])] }
}

#[test]
fn values_land_on_the_grid_whatever_their_bits() {
    let odd_nan = f64::from_bits(0x7ff8_dead_beef_0001);
    let values = [0.26, -0.0, odd_nan, f64::INFINITY, f64::NEG_INFINITY, 1e300, 4.9e-324];
    let rows: Vec<(i64, &[f64])> = values.iter().map(|v| (0, std::slice::from_ref(v))).collect();
    let decoded = decode(&output(&rows), &schema(64)).unwrap();
    let wanted = [Some(3), Some(0), None, Some(i64::MAX), Some(i64::MIN), Some(i64::MAX), Some(0)];
    assert_eq!(decoded.values, [wanted]);
}

#[test]
fn an_undeclared_or_null_key_is_no_cell() {
    let mut raw = output(&[(0, &[1.0]), (4, &[1.0]), (-1, &[1.0]), (3, &[1.0])]);
    assert_eq!(decode(&raw, &schema(64)).unwrap().cells, [Some(0), None, None, Some(3)]);
    raw.columns[0].validity = Some(vec![0b0111]);
    raw.columns[0].nulls = 1;
    assert_eq!(decode(&raw, &schema(64)).unwrap().cells, [Some(0), None, None, None]);
}

#[test]
fn bytes_under_a_null_say_nothing() {
    let mut raw = output(&[(0, &[7.0]), (1, &[9.0])]);
    raw.columns[1].validity = Some(vec![0b10]);
    raw.columns[1].nulls = 1;
    assert_eq!(decode(&raw, &schema(64)).unwrap().values, [[None, Some(90)]]);
}

#[test]
fn keys_of_two_dimensions_are_row_major() {
    let mut t = table(3, &[(0, 9, 1)], 1, 0.02);
    t.dimensions.push(dimension("l", ints(2)));
    let schema = OutputSchema::of(&t, 64).unwrap();
    let raw = RawBatch { rows: 2, columns: vec![int_column(&[0, 2]), int_column(&[1, 0]), float_column(&[1.0, 1.0])] };
    assert_eq!(decode(&raw, &schema).unwrap().cells, [Some(1), Some(4)]);
}

#[test]
fn text_keys_match_byte_for_byte() {
    let decoded = decode(&with_text(text_column(&["市", "bc", "а"])), &text_schema()).unwrap(); // the last is Cyrillic
    assert_eq!(decoded.cells, [Some(1), Some(2), None]);
}

/// Something that breaks a batch, and its name.
type Breakage = (&'static str, Box<dyn Fn(&mut RawBatch)>);

#[test]
fn every_malformed_shape_is_the_default() {
    let good = || output(&[(0, &[1.0]), (1, &[2.0])]);
    let broken: Vec<Breakage> = vec![
        ("more rows than reserved", Box::new(|b| b.rows = 65)),
        ("fewer rows than values", Box::new(|b| b.rows = 1)),
        ("a column too few", Box::new(|b| drop(b.columns.pop()))),
        ("a column too many", Box::new(|b| b.columns.push(float_column(&[0.0, 0.0])))),
        ("short data", Box::new(|b| b.columns[1].data.truncate(15))),
        ("long data", Box::new(|b| b.columns[0].data.push(0))),
        ("offsets on a number", Box::new(|b| b.columns[0].offsets = Some(vec![0; 12]))),
        ("nulls without a bitmap", Box::new(|b| b.columns[1].nulls = 1)),
        ("a long bitmap", Box::new(|b| b.columns[1].validity = Some(vec![3, 0]))),
        ("an empty bitmap", Box::new(|b| b.columns[1].validity = Some(vec![]))),
        ("a wrong null count", Box::new(|b| b.columns[1].validity = Some(vec![1]))),
    ];
    assert!(decode(&good(), &schema(64)).is_some());
    for (what, breaks) in broken {
        let mut batch = good();
        breaks(&mut batch);
        assert!(decode(&batch, &schema(64)).is_none(), "{what}");
    }
}

#[test]
fn every_malformed_text_is_the_default() {
    let offsets = |o: &[i32]| Some(o.iter().flat_map(|o| o.to_le_bytes()).collect::<Vec<u8>>());
    let column =
        |o: &[i32], data: &[u8]| RawColumn { nulls: 0, validity: None, offsets: offsets(o), data: data.into() };
    let decodes = |c: RawColumn| decode(&with_text(c), &text_schema()).is_some();
    assert!(decodes(column(&[0, 1, 2, 3], b"abc")));
    assert!(!decodes(column(&[0, 2, 1, 3], b"abc")), "backwards");
    assert!(!decodes(column(&[1, 1, 2, 3], b"abc")), "does not start at 0");
    assert!(!decodes(column(&[0, 1, 2, 2], b"abc")), "leaves a tail");
    assert!(!decodes(column(&[0, 1, 2, 4], b"abc")), "past the end");
    assert!(!decodes(column(&[0, -1, 2, 3], b"abc")), "negative");
    assert!(!decodes(column(&[0, 1, 3], b"abc")), "an offset too few");
    assert!(!decodes(column(&[0, 1, 2, 3], &[b'a', 0xff, b'c'])), "no UTF-8");
    assert!(!decodes(column(&[0, 1, 2, 3], "市".as_bytes())), "cuts a character");
    assert!(!decodes(RawColumn { nulls: 0, validity: None, offsets: None, data: b"abc".to_vec() }), "no offsets");
}

#[test]
fn a_domain_of_mixed_or_repeated_keys_is_refused() {
    for keys in [vec![], vec![Key::Int(1), Key::Int(1)], vec![Key::Int(1), Key::Text("1".into())]] {
        let mut t = table(1, &[(0, 1, 1)], 1, 0.02);
        t.dimensions = vec![dimension("k", keys)];
        assert!(OutputSchema::of(&t, 64).is_err());
    }
}

fn hostile_column() -> impl Strategy<Value = RawColumn> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    (0u32..4, prop::option::of(prop::collection::vec(any::<u8>(), 0..3)), prop::option::of(bytes()), bytes())
        .prop_map(|(nulls, validity, offsets, data)| RawColumn { nulls, validity, offsets, data })
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(rows in prop_oneof![0u32..6, any::<u32>()], columns in prop::collection::vec(hostile_column(), 0..4)) {
        let raw = RawBatch { rows, columns };
        for schema in [schema(64), schema(u32::MAX), text_schema()] {
            if let Some(decoded) = decode(&raw, &schema) {
                prop_assert!(decoded.cells.iter().flatten().all(|c| *c < schema.cells()));
                prop_assert!(decoded.values.iter().all(|v| v.len() == decoded.cells.len()));
            }
        }
    }
}
