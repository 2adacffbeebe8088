//! The last look (gate.md G12): reads the finished files back with readers that
//! share nothing with the writers, and compares every cell with the candidate, in the table
//! files and on the page. It does not read charts back. A
//! file that prints what was withheld never leaves; a marked copy is off by less than
//! the base of its mark and nowhere else; no field of a CSV begins a formula. A held
//! table is held to its contract too: declared keys, numbers in range and on their grid.

mod page;

use std::collections::{BTreeMap, BTreeSet};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use sluice_domain::{
    Refusal,
    artefact::Artefact,
    candidate::{Candidate, CandidateMeasure, CandidateTable, Cell, CellValue},
    contract::{Contract, Dimension, MeasureA, Table},
    text,
};

use crate::product::Bundle;

/// The page of a product.
const PAGE: &str = "report.html";

/// Key → one number per measure, then the errors of those that have one; `None` for the
/// whole row when it is withheld.
type Seen = BTreeMap<Vec<String>, Option<Vec<Option<f64>>>>;

/// How far a number of (table, measure) may stand from the candidate's; `None`: not at all.
type Slack<'a> = &'a dyn Fn(usize, usize) -> Option<f64>;

/// Compares every file of `bundle`, one copy of the product, with the approved `candidate`,
/// and those of held tables with `contract`. A file that nothing accounts for is a fault.
///
/// # Errors
/// `release.final-check`, naming the file.
pub(crate) fn check(
    candidate: &Candidate,
    contract: &Contract,
    bundle: &Bundle,
    slack: Slack<'_>,
) -> Result<(), Refusal> {
    let mut accounted = BTreeSet::from([PAGE.to_owned()]);
    for artefact in candidate.report.artefacts() {
        let seen = bundle.file(&artefact.name).and_then(|bytes| Artefact::parse(&artefact.name, bytes));
        if seen.as_ref() != Some(artefact) {
            return Err(differs(&artefact.name));
        }
        accounted.insert(artefact.name.clone());
    }
    for (t, (table, declared)) in candidate.tables.iter().zip(&contract.tables).enumerate() {
        let wanted = wanted(table);
        for (name, read) in [
            (format!("{}.csv", table.name), csv_rows as Reader),
            (format!("{}.parquet", table.name), parquet_rows as Reader),
        ] {
            let seen = bundle.file(&name).and_then(|bytes| read(table, bytes));
            let passes = |seen: Seen| agree(&seen, &wanted, &|measure| slack(t, measure)) && fits(declared, &seen);
            if !seen.is_some_and(passes) {
                return Err(differs(&name));
            }
            accounted.insert(name);
        }
    }
    if !bundle.file(PAGE).is_some_and(|bytes| page::agrees(&candidate.tables, bytes, slack)) {
        return Err(differs(PAGE));
    }
    match bundle.files().find(|(name, _)| !accounted.remove(*name)) {
        Some((stray, _)) => Err(differs(stray)),
        None => Ok(()),
    }
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

/// Whether a held table's file says what its contract allows, whatever the candidate is.
fn fits(declared: &Table, seen: &Seen) -> bool {
    let Table::D(held) = declared else { return true };
    let code = |(key, dimension): (&String, &Dimension)| dimension.domain.iter().any(|(k, _)| k.to_string() == *key);
    let number = |(seen, measure): (&Option<f64>, &MeasureA)| {
        let grid = f64::from(measure.grid);
        seen.is_none_or(|x| {
            let units = (x * grid).round();
            #[expect(clippy::cast_precision_loss, reason = "within 2^53 by contract")]
            let range = measure.lo as f64..=measure.hi as f64;
            range.contains(&units) && units / grid == x
        })
    };
    let row = |(key, numbers): (&Vec<String>, &Option<Vec<Option<f64>>>)| {
        let whole = numbers.as_ref().filter(|numbers| numbers.len() == held.measures.len());
        key.len() == held.dimensions.len()
            && key.iter().zip(&held.dimensions).all(code)
            && whole.is_some_and(|numbers| numbers.iter().zip(&held.measures).all(number))
    };
    held.cells() == Some(seen.len()) && seen.iter().all(row)
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
    let cell = |cell: &Cell| match &cell.value {
        CellValue::Published(numbers) => {
            let errors = noised(table).map(|(m, _)| numbers.get(m)?.and_then(|_| table.error_95(cell, m)));
            Some(numbers.iter().copied().chain(errors).collect())
        }
        CellValue::Withheld(_) => None,
    };
    let key = |key: &[Option<sluice_domain::catalogue::Key>]| {
        key.iter().map(|k| k.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
    };
    table.cells.iter().map(|c| (key(&c.key), cell(c))).collect()
}

/// The measures that carry an error, with their places.
fn noised(table: &CandidateTable) -> impl Iterator<Item = (usize, &CandidateMeasure)> {
    table.measures.iter().enumerate().filter(|(_, m)| m.error_95.is_some())
}

/// Columns of one row, by name, as text; the CSV's plain reader.
fn csv_rows(table: &CandidateTable, bytes: &[u8]) -> Option<Seen> {
    for record in csv::ReaderBuilder::new().has_headers(false).from_reader(bytes).records() {
        if record.ok()?.iter().any(|field| field.parse::<f64>().is_err() && starts_formula(field)) {
            return None;
        }
    }
    let mut reader = csv::Reader::from_reader(bytes);
    let mut seen = Seen::new();
    if !columns_fit(table, reader.headers().ok()?.iter()) {
        return None;
    }
    for record in reader.deserialize::<BTreeMap<String, String>>() {
        let row = record.ok()?;
        let number = |name: &str| match row.get(name).map(String::as_str) {
            Some("") => Some(None),
            Some(digits) => digits.parse::<f64>().ok().map(Some),
            None => None,
        };
        let said = row.iter().filter(|(_, field)| !field.is_empty()).map(|(name, _)| name.as_str());
        let word = |name: &str| row.get(name).map(|field| as_meant(field));
        insert(table, &mut seen, word, number, (row.get("status")?, said))?;
    }
    Some(seen)
}

/// Whether a spreadsheet might compute `field`, or a piece of it, instead of showing it.
fn starts_formula(field: &str) -> bool {
    pieces(field).enumerate().any(|(n, piece)| computes(piece, n))
}

/// The text that `field` stands for: without the one apostrophe that keeps each of its
/// pieces from being a formula.
fn as_meant(field: &str) -> String {
    let meant = |(n, piece)| match str::strip_prefix(piece, '\'') {
        Some(bare) if computes(bare.trim_start_matches('\''), n) => bare,
        _ => piece,
    };
    pieces(field).enumerate().map(meant).collect()
}

/// Where a spreadsheet may begin a new cell.
fn pieces(field: &str) -> impl Iterator<Item = &str> {
    field.split_inclusive(|c: char| c == ';' || c.is_control())
}

/// Whether the `n`th piece of a field would be computed.
fn computes(piece: &str, n: usize) -> bool {
    let first = piece.trim_start().chars().next();
    n == 0 && piece.starts_with(['\t', '\r', '\n']) || first.is_some_and(|c| "=+-@＝＋－＠﹦﹢﹣﹫−".contains(c))
}

/// Parquet's row reader, not the Arrow path that wrote the file.
fn parquet_rows(table: &CandidateTable, bytes: &[u8]) -> Option<Seen> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).ok()?;
    let mut seen = Seen::new();
    let schema = reader.metadata().file_metadata().schema_descr();
    if !columns_fit(table, schema.columns().iter().map(|c| c.name())) {
        return None;
    }
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
        let said = row.get_column_iter().filter(|(_, field)| **field != Field::Null).map(|(name, _)| name.as_str());
        insert(table, &mut seen, word, number, (&word("status")?, said))?;
    }
    Some(seen)
}

/// Columns of every row that say nothing of its numbers.
const OF_A_ROW: [&str; 2] = ["status", "made_by"];

/// Whether a file has the columns of `table` and no other, each once.
fn columns_fit<'a>(table: &CandidateTable, columns: impl Iterator<Item = &'a str>) -> bool {
    let of_measure = |m: &CandidateMeasure| {
        let ends: &[&str] = if m.error_95.is_some() { &["", "_sigma", "_error95", "_made"] } else { &["", "_made"] };
        ends.iter().map(|end| format!("{}{end}", m.name)).collect::<Vec<_>>()
    };
    let dimensions = table.dimensions.iter().map(|d| d.name.clone());
    let of_a_row = OF_A_ROW.iter().map(|name| (*name).to_owned());
    let mut known: BTreeSet<String> =
        dimensions.chain(table.measures.iter().flat_map(of_measure)).chain(of_a_row).collect();
    let mut columns = columns;
    columns.all(|name| known.remove(name))
}

/// Takes up one row: its words, its numbers, its status, and which of its columns say
/// something; of a withheld row that are its keys and the words of every row alone.
fn insert<'a>(
    table: &CandidateTable,
    seen: &mut Seen,
    word: impl Fn(&str) -> Option<String>,
    number: impl Fn(&str) -> Option<Option<f64>>,
    (status, mut said): (&str, impl Iterator<Item = &'a str>),
) -> Option<()> {
    let key = table.dimensions.iter().map(|d| word(&d.name)).collect::<Option<Vec<_>>>()?;
    let headings = table.measures.iter().map(|m| m.name.clone());
    let errors = noised(table).map(|(_, m)| format!("{}_error95", m.name));
    let numbers = headings.chain(errors).map(|name| number(&name)).collect::<Option<Vec<_>>>()?;
    let value = match status {
        "published" => Some(numbers),
        "withheld" if said.all(|name| OF_A_ROW.contains(&name) || table.dimensions.iter().any(|d| d.name == name)) => {
            None
        }
        _ => return None,
    };
    seen.insert(key, value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Made, Reason, Route},
        catalogue::Key,
        contract::{Dimension, KeyKind, Law, MeasureA, OpenTable, Table},
        held::{Held, Model},
    };

    use super::{Seen, agree, as_meant, csv_rows, fits, starts_formula, wanted};

    #[test]
    fn a_guarded_field_is_read_as_meant_and_an_unguarded_one_is_found() {
        for (field, meant) in [
            ("'=1+1", "=1+1"),
            ("''=1", "'=1"),
            ("'＠x", "＠x"),
            ("x;'=1", "x;=1"),
            ("'quoted'", "'quoted'"),
            ("5-9", "5-9"),
        ] {
            assert!(!starts_formula(field), "{field}");
            assert_eq!(as_meant(field), meant);
            assert!(field == meant || starts_formula(meant) || field.starts_with("''"), "{meant}");
        }
    }

    /// A table with hostile keys that nobody declared.
    fn open(keys: &[&str]) -> (CandidateTable, Table) {
        let measures = vec![CandidateMeasure {
            name: "units".into(),
            sigma: Some(8.0),
            error_95: Some(16.0),
            made: Some(Made::AboveThreshold { tau: 50 }),
        }];
        let domain = keys.iter().map(|k| (Key::Text((*k).to_owned()), (*k).to_owned())).collect();
        let cell = |key: &&str| Cell {
            key: vec![Some(Key::Text((*key).to_owned()))],
            value: CellValue::Published(vec![Some(-61.0)]),
        };
        let table = CandidateTable {
            name: "t".into(),
            route: Route::A,
            dimensions: vec![Dimension { name: "k".into(), title: "k".into(), domain, base: None }],
            measures,
            cells: keys.iter().map(cell).collect(),
        };
        let declared = OpenTable {
            name: "t".into(),
            key: "k".into(),
            title: "k".into(),
            keys: KeyKind::Text,
            measures: Vec::new(),
            keys_per_unit: 1,
            law: Law::Gaussian,
            rho: 0.02,
            delta: 5e-9,
        };
        (table, Table::Open(declared))
    }

    #[test]
    fn a_column_that_nobody_declared_does_not_pass_nor_a_withheld_row_that_says_something() {
        let (mut table, declared) = open(&["a", "b"]);
        table.cells[1].value = CellValue::Withheld([Reason::Threshold].into());
        let good = String::from_utf8(crate::product::csv::write(&table, &declared).unwrap()).unwrap();
        let passes =
            |text: &str| csv_rows(&table, text.as_bytes()).is_some_and(|seen| agree(&seen, &wanted(&table), &|_| None));
        assert!(passes(&good));
        let with = |column: &str, a: &str, b: &str| {
            let mut lines = good.lines();
            let mut next = |more: &str| format!("{}{more}\r\n", lines.next().unwrap());
            [next(column), next(a), next(b)].concat()
        };
        assert!(passes(&with("", "", "")));
        assert!(!passes(&with(",reasons", ",", ",threshold")), "a column of its own");
        assert!(!passes(&with(",units", ",-61", ",")), "a column twice");
        let bare = good.lines().nth(2).unwrap();
        assert!(bare.starts_with("b,,,,"), "{bare}");
        assert!(!passes(&good.replace("b,,,,", "b,,,,7 units")), "a word beside the mark");
    }

    #[test]
    fn a_held_file_is_held_to_its_contract_whatever_the_candidate_says() {
        let measure = MeasureA { name: "x".into(), lo: -1, hi: 10, grid: 4 };
        let (dimensions, measures) = (vec![Model::nodes(2)], vec![measure]);
        let declared = Table::D(Held { name: "t".into(), dimensions, measures, model: None });
        let file = |rows: &[(&str, Option<f64>)]| -> Seen {
            rows.iter().map(|(key, x)| (vec![(*key).to_owned()], Some(vec![*x]))).collect()
        };
        assert!(fits(&declared, &file(&[("0", Some(2.5)), ("1", None)])));
        for bad in [
            file(&[("0", Some(2.75)), ("1", None)]),
            file(&[("0", Some(-0.5)), ("1", None)]),
            file(&[("0", Some(0.3)), ("1", None)]),
            file(&[("0", Some(f64::NAN)), ("1", None)]),
            file(&[("0", Some(1.0)), ("2", None)]),
            file(&[("0", Some(1.0))]),
            [(vec!["0".to_owned()], None), (vec!["1".to_owned()], Some(vec![None]))].into(),
        ] {
            assert!(!fits(&declared, &bad), "{bad:?}");
        }
    }

    #[test]
    fn a_file_with_a_formula_in_it_does_not_pass() {
        let (table, declared) = open(&["=cmd|' /C calc'!A0", "＝1", "'=1", "-2+3", "plain", "a;@b"]);
        let bytes = crate::product::csv::write(&table, &declared).unwrap();
        let seen = csv_rows(&table, &bytes).unwrap();
        assert!(agree(&seen, &wanted(&table), &|_| None));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("noised-count above-tau=50 delta=5e-9") && text.contains("-61,8,16,"));
        for (guarded, bare) in [("'＝1", "＝1"), ("'-2+3", "-2+3"), ("a;'@b", "a;@b")] {
            assert!(csv_rows(&table, text.replace(guarded, bare).as_bytes()).is_none(), "{bare}");
        }
        // An error that is not the candidate's is found, too.
        let wrong = csv_rows(&table, text.replace(",16,", ",15,").as_bytes()).unwrap();
        assert!(!agree(&wrong, &wanted(&table), &|_| None));
    }
}
