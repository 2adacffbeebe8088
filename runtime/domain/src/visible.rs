//! Characters that show nothing, in text that people judge by its look: a reviewer
//! reads a report, two keys stand beside each other. Look-alikes that do show
//! (Latin and Cyrillic letters) are not told apart here.

use serde::Serialize;
use serde_json::Value;

/// Whether `c` shows nothing by itself, or changes how its neighbours stand: controls;
/// Unicode's format controls (general category `Cf`, all bidirectional ones among them);
/// line and paragraph separators (`Zl`, `Zp`); and what `Default_Ignorable_Code_Point`
/// adds to them, such as fillers and variation selectors (Unicode 16,
/// `DerivedGeneralCategory.txt` and `DerivedCoreProperties.txt`).
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c,
            '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Where in `file` a text or a key holds an invisible character that is no line break or
/// tab: the keys that lead there, with dots between them; a member of a list goes by its
/// `name`.
pub fn hidden_in(file: &impl Serialize) -> Option<String> {
    // What cannot be looked at is not taken for clean.
    let Ok(value) = serde_json::to_value(file) else { return Some(String::new()) };
    hidden(&value).map(|place| place.join("."))
}

fn hidden(value: &Value) -> Option<Vec<&str>> {
    let invisible = |text: &str| text.chars().any(|c| is_invisible(c) && !matches!(c, '\n' | '\r' | '\t'));
    match value {
        Value::String(text) => invisible(text).then(Vec::new),
        Value::Array(members) => members.iter().find_map(|member| {
            let inner = hidden(member)?;
            let name = member.get("name").and_then(Value::as_str).filter(|name| !invisible(name));
            Some(name.into_iter().chain(inner).collect())
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, inner)| {
            if invisible(name) {
                return Some(Vec::new());
            }
            Some(std::iter::once(name.as_str()).chain(hidden(inner)?).collect())
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{hidden_in, is_invisible};

    #[test]
    fn a_hidden_character_is_found_wherever_it_is() {
        let found = |json: &str| hidden_in(&serde_json::from_str::<serde_json::Value>(json).unwrap());
        assert_eq!(found(r#"{"job": {"name": "数闸 a\tb\nc"}, "n": 1}"#), None);
        assert_eq!(found(r#"{"job": {"name": "a\u202eb"}}"#).unwrap(), "job.name");
        assert_eq!(found(r#"{"table": [{"name": "t", "sql": "SELECT 1 --\u200b"}]}"#).unwrap(), "table.t.sql");
        assert_eq!(found(r#"{"params": {"a\u200b": "x"}}"#).unwrap(), "params");
        assert_eq!(found(r#"{"recipients": ["甲", "甲\ufeff"]}"#).unwrap(), "recipients");
    }

    #[test]
    fn what_reorders_joins_or_hides_is_met_and_what_is_written_is_not() {
        for c in "\u{0}\t\u{7f}\u{85}\u{ad}\u{61c}\u{115f}\u{180e}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2064}\u{2066}\u{2069}\u{206f}\u{3164}\u{fe0f}\u{feff}\u{fffb}\u{1d173}\u{e0041}\u{e0100}".chars() {
            assert!(is_invisible(c), "{c:?}");
        }
        for c in "aé数闸，。 ％√σ±→©…—\u{3000}\u{a0}ًक्ष한😀".chars() {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
