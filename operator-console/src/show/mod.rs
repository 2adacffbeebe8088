//! Turns values into what people read: moments, ages, numbers, tables. Nothing is
//! rounded: what a reviewer votes on is shown digit by digit.

pub(crate) mod evidence;
pub(crate) mod grid;

use sluice_domain::{Lang, Timestamp};

/// A moment for people, in the domain's zone (UTC+8), and for machines.
pub(crate) struct Moment {
    pub(crate) text: String,
    pub(crate) iso: String,
}

/// Shows a moment to the minute.
pub(crate) fn moment(at: Timestamp) -> Moment {
    let zoned = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    Moment { text: zoned.strftime("%Y-%m-%d %H:%M").to_string(), iso: at.to_string() }
}

/// How long ago `since` was, in one unit, rounded down.
pub(crate) fn age(since: Timestamp, now: Timestamp, lang: Lang) -> String {
    let minutes = (now.as_second().saturating_sub(since.as_second())).max(0) / 60;
    let (n, zh, en) = match minutes {
        0 => return if lang == Lang::Zh { "不到 1 分钟" } else { "less than a minute" }.to_owned(),
        1..60 => (minutes, "分钟", "min"),
        60..1440 => (minutes / 60, "小时", "h"),
        _ => (minutes / 1440, "天", if minutes < 2880 { "day" } else { "days" }),
    };
    format!("{n} {}", if lang == Lang::Zh { zh } else { en })
}

/// A number with every digit it has, the whole part in groups of three.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("−", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    if !whole.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    let whole = grouped(whole);
    fraction.map_or_else(|| format!("{sign}{whole}"), |fraction| format!("{sign}{whole}.{fraction}"))
}

/// A count in groups of three.
pub(crate) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// An error margin, to three significant digits: it is about digits, not one of them.
pub(crate) fn margin(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return number(value);
    }
    let places = (2.0 - value.abs().log10().floor()).clamp(0.0, 9.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0–9 above")]
    let places = places as usize;
    let fixed = format!("{value:.places$}");
    fixed.parse().map_or(fixed.clone(), number)
}

#[cfg(test)]
mod tests {
    use super::{Lang, age, margin, moment, number};

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(999.0), "999");
        assert_eq!(number(1234567.0), "1,234,567");
        assert_eq!(number(-1234.5), "−1,234.5");
        assert_eq!(number(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(margin(13.8593), "13.9");
        assert_eq!(margin(1386.0), "1,386");
        assert_eq!(margin(0.012345), "0.0123");
    }

    #[test]
    fn times_are_shown_in_the_domains_zone() {
        let at = "2026-11-20T18:05:00Z".parse().unwrap();
        assert_eq!(moment(at).text, "2026-11-21 02:05");
        let now = "2026-11-20T21:05:00Z".parse().unwrap();
        assert_eq!(age(at, now, Lang::Zh), "3 小时");
        assert_eq!(age(now, at, Lang::En), "less than a minute");
    }
}
