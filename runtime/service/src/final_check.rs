//! The last look (gate.md G12): reads the finished files back with readers that
//! share nothing with the writers, and compares every cell with the candidate. A
//! file that prints what was withheld never leaves; a marked copy is off by less than
//! the base of its mark and nowhere else.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use sluice_domain::{
    Refusal,
    artefact::Artefact,
    candidate::{Candidate, CandidateTable, CellValue},
    text,
};

use crate::product::Bundle;

/// Key → one number per measure; `None` for the whole row when it is withheld.
type Seen = BTreeMap<Vec<String>, Option<Vec<Option<f64>>>>;

/// How far a number of (table, measure) may stand from the candidate's; `None`: not at all.
type Slack<'a> = &'a dyn Fn(usize, usize) -> Option<f64>;

/// Compares every table file of `bundle` whose name begins with `prefix` with the
/// approved `candidate`.
///
/// # Errors
/// `release.final-check`, naming the file.
pub(crate) fn check(candidate: &Candidate, bundle: &Bundle, prefix: &str, slack: Slack<'_>) -> Result<(), Refusal> {
    for artefact in candidate.report.artefacts() {
        let name = format!("{prefix}{}", artefact.name);
        let seen = bundle.file(&name).and_then(|bytes| Artefact::parse(&artefact.name, bytes));
        if seen.as_ref() != Some(artefact) {
            return Err(differs(&name));
        }
    }
    for (t, table) in candidate.tables.iter().enumerate() {
        let wanted = wanted(table);
        for (name, read) in [
            (format!("{prefix}{}.csv", table.name), csv_rows as Reader),
            (format!("{prefix}{}.parquet", table.name), parquet_rows as Reader),
        ] {
            let seen = bundle.file(&name).and_then(|bytes| read(table, bytes));
            if !seen.is_some_and(|seen| agree(&seen, &wanted, &|measure| slack(t, measure))) {
                return Err(differs(&name));
            }
        }
    }
    Ok(())
}

/// The same keys, the same cells withheld, every number exact or within its slack.
fn agree(seen: &Seen, wanted: &Seen, slack: &dyn Fn(usize) -> Option<f64>) -> bool {
    let number = |m: usize, seen: &Option<f64>, wanted: &Option<f64>| match (seen, wanted, slack(m)) {
        (Some(seen), Some(wanted), Some(base)) => (seen - wanted).abs() < base && seen % base == 0.0,
        _ => seen == wanted,
    };
    let cell = |seen: &Option<Vec<Option<f64>>>, wanted: &Option<Vec<Option<f64>>>| match (seen, wanted) {
        (Some(seen), Some(wanted)) => {
            seen.len() == wanted.len() && seen.iter().zip(wanted).enumerate().all(|(m, (s, w))| number(m, s, w))
        }
        (None, None) => true,
        _ => false,
    };
    seen.len() == wanted.len() && wanted.iter().all(|(key, w)| seen.get(key).is_some_and(|s| cell(s, w)))
}

fn differs(name: &str) -> Refusal {
    Refusal::failed(
        "release.final-check",
        text(
            "成品文件与已通过的候选不一致，未出域",
            "the finished file is not the approved candidate; nothing was released",
        ),
        text("联系主管部门", "tell the bureau"),
    )
    .at(name)
}

type Reader = fn(&CandidateTable, &[u8]) -> Option<Seen>;

fn wanted(table: &CandidateTable) -> Seen {
    let cell = |value: &CellValue| match value {
        CellValue::Published(numbers) => Some(numbers.clone()),
        CellValue::Withheld(_) => None,
    };
    let key = |key: &[Option<sluice_domain::catalogue::Key>]| {
        key.iter().map(|k| k.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
    };
    table.cells.iter().map(|c| (key(&c.key), cell(&c.value))).collect()
}

/// Columns of one row, by name, as text; the CSV's plain reader.
fn csv_rows(table: &CandidateTable, bytes: &[u8]) -> Option<Seen> {
    let mut reader = csv::Reader::from_reader(bytes);
    let mut seen = Seen::new();
    for record in reader.deserialize::<BTreeMap<String, String>>() {
        let row = record.ok()?;
        let number = |name: &str| match row.get(name).map(String::as_str) {
            Some("") => Some(None),
            Some(digits) => digits.parse::<f64>().ok().map(Some),
            None => None,
        };
        insert(table, &mut seen, |name| row.get(name).cloned(), number, row.get("status")?)?;
    }
    Some(seen)
}

/// Parquet's row reader, not the Arrow path that wrote the file.
fn parquet_rows(table: &CandidateTable, bytes: &[u8]) -> Option<Seen> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).ok()?;
    let mut seen = Seen::new();
    for row in reader.get_row_iter(None).ok()? {
        let row = row.ok()?;
        let field = |name: &str| row.get_column_iter().find(|(n, _)| *n == name).map(|(_, f)| f.clone());
        let word = |name: &str| match field(name)? {
            Field::Null => Some(String::new()),
            Field::Long(n) => Some(n.to_string()),
            Field::Str(s) => Some(s),
            _ => None,
        };
        let number = |name: &str| match field(name)? {
            Field::Null => Some(None),
            Field::Double(x) => Some(Some(x)),
            _ => None,
        };
        insert(table, &mut seen, word, number, &word("status")?)?;
    }
    Some(seen)
}

fn insert(
    table: &CandidateTable,
    seen: &mut Seen,
    word: impl Fn(&str) -> Option<String>,
    number: impl Fn(&str) -> Option<Option<f64>>,
    status: &str,
) -> Option<()> {
    let key = table.dimensions.iter().map(|d| word(&d.name)).collect::<Option<Vec<_>>>()?;
    let numbers = table.measures.iter().map(|m| number(&m.name)).collect::<Option<Vec<_>>>()?;
    let value = match status {
        "published" => Some(numbers),
        "withheld" if numbers.iter().all(Option::is_none) => None,
        _ => return None,
    };
    seen.insert(key, value).is_none().then_some(())
}
