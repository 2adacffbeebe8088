//! Damage to valid seeds: to bytes, to little-endian lengths, and to the nodes of a
//! JSON text. `proptest` draws it, repeats it and shrinks it.

use proptest::prelude::*;
use serde_json::Value;

/// One piece of damage. Places are fractions of the seed, so that they shrink well and
/// fit every seed.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    /// Another byte.
    Byte(u32, u8),
    /// A flipped bit.
    Bit(u32, u8),
    /// A 32-bit number that lengths, offsets and counts do not expect.
    Number(u32, u32),
    /// Cut off here.
    Cut(u32),
    /// A stretch taken out.
    Remove(u32, u8),
    /// A stretch of some seed put in.
    Splice(u32, usize, u32, u8),
    /// Something put in.
    Insert(u32, Vec<u8>),
    /// A node of a JSON line, by its number, replaced.
    Node(u32, Odd),
}

/// What a JSON node is replaced by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Odd {
    Null,
    True,
    Minus,
    Huge,
    Float,
    Empty,
    Words,
    List,
    Object,
    Deep,
}

pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec(damage(), 1..6)
}

fn damage() -> impl Strategy<Value = Damage> {
    let odd_number = prop_oneof![
        Just(u32::MAX),
        Just(i32::MAX as u32),
        Just(i32::MIN as u32),
        Just(0),
        Just(1),
        Just(255),
        Just(257),
        Just(1 << 16),
        any::<u32>()
    ];
    let odd = prop::sample::select(vec![
        Odd::Null,
        Odd::True,
        Odd::Minus,
        Odd::Huge,
        Odd::Float,
        Odd::Empty,
        Odd::Words,
        Odd::List,
        Odd::Object,
        Odd::Deep,
    ]);
    prop_oneof![
        2 => (any::<u32>(), any::<u8>()).prop_map(|(at, b)| Damage::Byte(at, b)),
        2 => (any::<u32>(), 0u8..8).prop_map(|(at, b)| Damage::Bit(at, b)),
        3 => (any::<u32>(), odd_number).prop_map(|(at, n)| Damage::Number(at, n)),
        1 => any::<u32>().prop_map(Damage::Cut),
        1 => (any::<u32>(), any::<u8>()).prop_map(|(at, n)| Damage::Remove(at, n)),
        2 => (any::<u32>(), any::<usize>(), any::<u32>(), any::<u8>()).prop_map(|(at, s, from, n)| Damage::Splice(at, s, from, n)),
        1 => (any::<u32>(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, b)| Damage::Insert(at, b)),
        3 => (any::<u32>(), odd).prop_map(|(at, odd)| Damage::Node(at, odd)),
    ]
}

/// `seed` after `damages`; `all` are what splices are taken from.
pub(crate) fn damaged(seed: &[u8], all: &[Vec<u8>], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for damage in damages {
        let at = |fraction: u32, len: usize| (u64::from(fraction) * (len as u64 + 1) >> 32) as usize;
        match damage {
            Damage::Byte(place, byte) => {
                let place = at(*place, bytes.len());
                bytes.iter_mut().skip(place).take(1).for_each(|b| *b = *byte);
            }
            Damage::Bit(place, bit) => {
                let place = at(*place, bytes.len());
                bytes.iter_mut().skip(place).take(1).for_each(|b| *b ^= 1 << bit);
            }
            Damage::Number(place, number) => {
                let place = at(*place, bytes.len());
                bytes.iter_mut().skip(place).zip(number.to_le_bytes()).for_each(|(b, n)| *b = n);
            }
            Damage::Cut(place) => bytes.truncate(at(*place, bytes.len())),
            Damage::Remove(place, len) => {
                let from = at(*place, bytes.len());
                let to = (from + usize::from(*len)).min(bytes.len());
                bytes.drain(from..to);
            }
            Damage::Splice(place, which, from, len) => {
                let other = &all[which % all.len()];
                let from = at(*from, other.len());
                let piece = &other[from..(from + usize::from(*len)).min(other.len())];
                let place = at(*place, bytes.len());
                bytes.splice(place..place, piece.iter().copied());
            }
            Damage::Insert(place, piece) => {
                let place = at(*place, bytes.len());
                bytes.splice(place..place, piece.iter().copied());
            }
            Damage::Node(place, odd) => bytes = with_node(&bytes, *place, *odd).unwrap_or(bytes),
        }
    }
    bytes
}

/// A line of JSON with one node replaced; `None` where the bytes are no JSON lines.
fn with_node(bytes: &[u8], place: u32, odd: Odd) -> Option<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let which = place as usize % lines.len();
    let mut value: Value = serde_json::from_slice(lines.get(which)?).ok()?;
    let count = nodes(&value);
    *node(&mut value, &mut (place as usize / 7 % count))? = odd.value();
    lines[which] = serde_json::to_vec(&value).ok()?;
    Some(lines.join(&b'\n'))
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum(),
        _ => 0,
    }
}

fn node<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|item| node(item, left)),
        _ => None,
    }
}

impl Odd {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::True => true.into(),
            Self::Minus => i64::MIN.into(),
            Self::Huge => u64::MAX.into(),
            Self::Float => 1e308.into(),
            Self::Empty => "".into(),
            Self::Words => "\u{202e}../../数闸\u{0}".into(),
            Self::List => Vec::<Value>::new().into(),
            Self::Object => serde_json::json!({}),
            Self::Deep => (0..100).fold(Value::Null, |inner, _| vec![inner].into()),
        }
    }
}
