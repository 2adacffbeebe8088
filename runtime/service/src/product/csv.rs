//! A table as CSV (RFC 4180): codes, one column per measure; beside a noised one its σ,
//! its 95 % error and how it was made; the mark, and the route. A margin has an empty
//! key; a withheld cell empty numbers.
//!
//! Released text never begins a formula in a spreadsheet: see [`inert`].

use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue},
    catalogue::Key,
    contract::Table,
};

use super::made;
use crate::{chart, run::host_fault};

/// Word in the `status` column of a published cell.
pub(crate) const PUBLISHED: &str = "published";
/// Word in the `status` column of a withheld cell.
pub(crate) const WITHHELD: &str = "withheld";

pub(crate) fn write(table: &CandidateTable, declared: &Table) -> Result<Vec<u8>, Refusal> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut heading: Vec<String> = table.dimensions.iter().map(|d| d.name.clone()).collect();
    for (i, measure) in table.measures.iter().enumerate() {
        heading.push(measure.name.clone());
        heading.extend(companions(table, declared, i).map(|end| format!("{}_{end}", measure.name)));
    }
    heading.extend(["status", made::MADE_BY].map(str::to_owned));
    out.write_record(&heading).map_err(|_| host_fault())?;
    for cell in &table.cells {
        let mut record: Vec<String> = cell.key.iter().map(|k| k.as_ref().map(code).unwrap_or_default()).collect();
        for i in 0..table.measures.len() {
            let number = chart::number(cell, i);
            record.push(plain(number));
            let companion = |end| match end {
                "sigma" => plain(number.and_then(|_| table.sigma(cell, i))),
                "error95" => plain(number.and_then(|_| table.error_95(cell, i))),
                _ => number.and_then(|_| made::word(table, declared, cell, i)).unwrap_or_default(),
            };
            record.extend(companions(table, declared, i).map(companion));
        }
        let status = if matches!(cell.value, CellValue::Published(_)) { PUBLISHED } else { WITHHELD };
        record.extend([status, made::made_by(declared)].map(str::to_owned));
        out.write_record(&record).map_err(|_| host_fault())?;
    }
    out.into_inner().map_err(|_| host_fault())
}

/// What stands beside a measure: all of it where noise has a σ, how it was made where
/// that is all there is to say.
pub(super) fn companions(
    table: &CandidateTable,
    declared: &Table,
    measure: usize,
) -> impl Iterator<Item = &'static str> {
    let noised = table.measures.get(measure).is_some_and(|m| m.error_95.is_some());
    let said = table.cells.first().is_some_and(|cell| made::word(table, declared, cell, measure).is_some());
    made::COMPANIONS.into_iter().filter(move |end| noised || (said && *end == "made"))
}

fn plain(number: Option<f64>) -> String {
    number.map(|n| n.to_string()).unwrap_or_default()
}

/// A key as the file has it.
pub(crate) fn code(key: &Key) -> String {
    match key {
        Key::Int(n) => n.to_string(),
        Key::Text(text) => inert(text),
    }
}

/// What a spreadsheet takes for the beginning of a formula, wide and small look-alikes
/// included (OWASP, CSV Injection).
const FORMULA: [char; 13] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '−'];

/// `text` with an apostrophe before whatever could begin a formula: at its beginning, and
/// behind each `;` or control character, where some spreadsheets split a line. What begins
/// so behind apostrophes gets one more, so taking one away again gives the text, and no
/// two texts have one form.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for (n, part) in text.split_inclusive(|c: char| c == ';' || c.is_control()).enumerate() {
        let opening = part.trim_start_matches('\'');
        let blank = n == 0 && opening.starts_with(['\t', '\r', '\n']);
        if blank || opening.trim_start().starts_with(FORMULA) {
            out.push('\'');
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn no_text_begins_a_formula_and_no_two_become_one() {
        let hostile = [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "－2", "﹣3", " =1", "'=1", "''=1", "x;=1", "x\n=1",
            "x;' -1",
        ];
        let plain = ["Private", "5-9", "a=b", "'quoted'", "x;y", "", "'", "''", "1 = 1"];
        for text in plain {
            assert_eq!(inert(text), text);
        }
        let mut seen = std::collections::BTreeSet::new();
        for text in hostile {
            let written = inert(text);
            assert!(
                written != text && !written.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '－', '﹣', ' ']),
                "{written}"
            );
            assert!(!written.contains(";=") && !written.contains("\n=") && !written.contains("; -"), "{written}");
            seen.insert(written);
        }
        seen.extend(plain.map(str::to_owned));
        assert_eq!(seen.len(), hostile.len() + plain.len());
    }
}
