//! Characters that show nothing, in text that people judge by its look: a reviewer
//! reads a report, two keys stand beside each other. Look-alikes that do show
//! (Latin and Cyrillic letters) are not told apart here.

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

#[cfg(test)]
mod tests {
    use super::is_invisible;

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
