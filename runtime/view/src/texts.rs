//! From the texts of a dimension's column to their places in the declared domain.
//!
//! Codes are short and few. One of up to fifteen bytes is read as a number, and looked for
//! where that number would be in a small table. Whatever is not found there, because it is
//! longer or because another code has its line, goes through an ordinary map: the table
//! decides how fast an answer comes, never which.

use std::{collections::HashMap, ops::Range};

use datafusion::{arrow::array::StringArray, common::hash_utils::QualityRandomState};

use crate::axis::NOWHERE;

/// The places of a domain of texts.
pub(crate) struct Texts {
    all: HashMap<String, u32, QualityRandomState>,
    short: Table,
}

/// Short texts' numbers and their places, each on the one line where it can be.
struct Table {
    lines: Vec<(u128, u32)>,
    factor: u64,
}

/// Lines of the table for each code: then few codes share one.
const LINES_EACH: usize = 16;
/// Most lines: 128 KiB.
const LINES_MAX: usize = 1 << 12;
/// Ways to number the lines that are tried.
const WAYS: u64 = 32;
/// 2⁶⁴ over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Longest text that is a number: its length takes the last of sixteen bytes.
const SHORT_MAX: usize = 15;
/// No text's number, as it says a length of 255.
const NO_TEXT: u128 = u128::MAX;
impl Texts {
    /// The places of these codes.
    pub(crate) fn new(all: HashMap<String, u32, QualityRandomState>) -> Self {
        let short = all.iter().filter_map(|(text, place)| Some((number(text.as_bytes(), 0..text.len())?, *place)));
        let short = Table::of(&short.collect::<Vec<_>>());
        Self { all, short }
    }

    /// The place of each row's text, [`NOWHERE`] where the domain has none.
    pub(crate) fn places(&self, column: &StringArray) -> Vec<u32> {
        let (bytes, ends) = (column.value_data(), column.value_offsets());
        let text = |(from, to): (&i32, &i32)| {
            let at = usize::try_from(*from).unwrap_or_default()..usize::try_from(*to).unwrap_or_default();
            let short = number(bytes, at.clone()).and_then(|number| self.short.place(number));
            short.unwrap_or_else(|| self.anywhere(bytes.get(at).unwrap_or_default()))
        };
        ends.iter().zip(ends.iter().skip(1)).map(text).collect()
    }

    #[cold]
    fn anywhere(&self, text: &[u8]) -> u32 {
        std::str::from_utf8(text).ok().and_then(|text| self.all.get(text).copied()).unwrap_or(NOWHERE)
    }
}

impl Table {
    /// Of several ways to number the lines, the one by which fewest codes share one.
    fn of(codes: &[(u128, u32)]) -> Self {
        let lines = (codes.len() * LINES_EACH).next_power_of_two().min(LINES_MAX);
        let laid = (0..WAYS).map(|way| {
            let mut table = Self { lines: vec![(NO_TEXT, NOWHERE); lines], factor: GOLDEN.wrapping_mul(2 * way + 1) };
            codes.iter().for_each(|code| table.put(*code));
            table
        });
        let found = |table: &Self| codes.iter().filter(|(number, _)| table.place(*number).is_some()).count();
        laid.max_by_key(found).unwrap_or(Self { lines: Vec::new(), factor: 1 })
    }

    fn put(&mut self, code: (u128, u32)) {
        let line = self.line(code.0);
        self.lines.get_mut(line).into_iter().for_each(|at| *at = code);
    }

    #[inline]
    fn place(&self, number: u128) -> Option<u32> {
        self.lines.get(self.line(number)).filter(|(found, _)| *found == number).map(|(_, place)| *place)
    }

    /// Source: Knuth, The Art of Computer Programming 3, §6.4 (multiplicative hashing).
    #[inline]
    fn line(&self, number: u128) -> usize {
        let [low, high] = [number as u64, (number >> 64) as u64];
        let mixed = (low ^ high).wrapping_mul(self.factor) >> 48;
        mixed as usize & (self.lines.len().wrapping_sub(1))
    }
}

/// A short text as a number: its bytes, zeros, its length.
#[inline]
fn number(bytes: &[u8], at: Range<usize>) -> Option<u128> {
    if at.len() > SHORT_MAX {
        return None;
    }
    let sixteen = match bytes.get(at.start..at.start + 16).map(<[u8; 16]>::try_from) {
        Some(Ok(sixteen)) => sixteen,
        // The last texts of the buffer.
        _ => {
            let mut sixteen = [0; 16];
            sixteen.get_mut(..at.len())?.copy_from_slice(bytes.get(at.clone())?);
            sixteen
        }
    };
    let kept = (1 << (8 * at.len())) - 1;
    Some((u128::from_le_bytes(sixteen) & kept) | (at.len() as u128) << 120)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of all lengths around the longest number's, with zeros at their ends, too.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab市\0]{0,4}", "[a-c]{12,18}", "[0-9]{6}"]
    }

    proptest! {
        #[test]
        fn a_text_has_the_place_that_its_code_has(
            codes in proptest::collection::hash_set(text(), 1..80),
            others in proptest::collection::vec(text(), 0..20),
            skipped in 0usize..4,
        ) {
            let all: HashMap<String, u32, QualityRandomState> = codes.iter().cloned().zip(0..).collect();
            let rows: Vec<&String> = codes.iter().chain(&others).collect();
            let column = StringArray::from_iter_values(&rows);
            let skipped = skipped.min(rows.len());
            let places = Texts::new(all.clone()).places(&column.slice(skipped, rows.len() - skipped));
            let expected: Vec<u32> =
                rows.iter().skip(skipped).map(|row| all.get(*row).copied().unwrap_or(NOWHERE)).collect();
            prop_assert_eq!(places, expected);
        }
    }

    #[test]
    fn every_code_of_a_small_domain_has_a_line_of_its_own() {
        let codes = (0..100).map(|code| (format!("3301{code:02}"), code));
        let texts = Texts::new(codes.clone().collect());
        for (text, place) in codes {
            assert_eq!(
                number(text.as_bytes(), 0..text.len()).and_then(|n| texts.short.place(n)),
                Some(place),
                "{text}"
            );
        }
    }
}
