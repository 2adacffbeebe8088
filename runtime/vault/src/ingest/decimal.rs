//! Decimals without rounding: read from text, or moved to another scale.

use sluice_rows::arrow::datatypes::DECIMAL128_MAX_PRECISION;

use super::refuse::Fault;

/// The decimal `text`, in units of 10^−`scale`: an optional sign, digits, and
/// optionally a point and digits. Digits beyond the scale must be zeros.
pub(super) fn parse(text: &str, precision: u8, scale: u8) -> Result<i128, Fault> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let dangling = whole.is_empty() || (fraction.is_empty() && unsigned.contains('.'));
    if dangling || !digits(whole) || !digits(fraction) {
        return Err(Fault::Unreadable);
    }
    let (kept, cut) = fraction.split_at(fraction.len().min(scale.into()));
    if cut.bytes().any(|b| b != b'0') {
        return Err(Fault::Lossy);
    }
    let zeros = std::iter::repeat_n(b'0', usize::from(scale) - kept.len());
    let value = whole
        .bytes()
        .chain(kept.bytes())
        .chain(zeros)
        .try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(digit - b'0')));
    let value = if text.starts_with('-') { value.map(|v| -v) } else { value };
    value.filter(|v| fits(*v, precision)).ok_or(Fault::Lossy)
}

/// `value` in units of 10^−`from`, in units of 10^−`to`, if nothing is lost.
pub(super) fn rescale(value: i128, from: i8, to: u8, precision: u8) -> Option<i128> {
    let up = i16::from(to) - i16::from(from);
    let factor = 10_i128.checked_pow(up.unsigned_abs().into());
    let moved = match factor {
        _ if value == 0 => Some(0),
        Some(factor) if up >= 0 => value.checked_mul(factor),
        Some(factor) => (value % factor == 0).then(|| value / factor),
        None => None,
    };
    moved.filter(|v| fits(*v, precision))
}

/// Whether `value` has at most `precision` digits.
fn fits(value: i128, precision: u8) -> bool {
    let digits = u32::from(precision.min(DECIMAL128_MAX_PRECISION));
    value.unsigned_abs() < 10_u128.pow(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        assert_eq!(parse("12.3", 6, 2), Ok(1230));
        assert_eq!(parse("-0.01", 6, 2), Ok(-1));
        assert_eq!(parse("+7", 6, 2), Ok(700));
        assert_eq!(parse("1.5000", 6, 2), Ok(150));
        assert_eq!(parse("0001234.56", 6, 2), Ok(123_456));
        assert_eq!(parse(&"9".repeat(38), 38, 0), Ok(10_i128.pow(38) - 1));
        for lossy in ["0.001", "10000", "12345.6", &"9".repeat(39)] {
            assert_eq!(parse(lossy, 6, 2), Err(Fault::Lossy), "{lossy}");
        }
        for bad in ["", "-", ".", "1.", ".5", "1e3", " 1", "1,0", "--1", "一", "0x1"] {
            assert_eq!(parse(bad, 6, 2), Err(Fault::Unreadable), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_rescaled_decimal_comes_back(value in -10_i128.pow(18)..10_i128.pow(18), from in 0_u8..10, to in 0_u8..10) {
            let signed = |scale: u8| i8::try_from(scale).unwrap();
            if let Some(there) = rescale(value, signed(from), to, 38) {
                prop_assert_eq!(rescale(there, signed(to), from, 38), Some(value));
            } else {
                prop_assert!(to < from);
            }
            prop_assert!(rescale(value, signed(from), to, 3).is_none_or(|v| v.abs() < 1000));
        }
    }
}
