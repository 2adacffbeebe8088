//! Reads the tables of a product's page back, as a browser would show them: the same rows in
//! the same order, the same ones withheld, every number the candidate's as far as it is
//! printed. It knows the page's tags and nothing of the code that writes them. It does not
//! read charts, nor what an outer room composed, which is compared as a file.

use sluice_domain::candidate::{CandidateTable, Cell, CellValue};

use super::Slack;

/// Whether the page shows `tables` and no number beside.
pub(super) fn agrees(tables: &[CandidateTable], page: &[u8], slack: Slack<'_>) -> bool {
    let Ok(page) = std::str::from_utf8(page) else { return false };
    let mut parts = page.split("<thead>");
    let shown: Vec<&str> = parts.by_ref().skip(1).collect();
    shown.len() == tables.len()
        && shown
            .iter()
            .zip(tables)
            .enumerate()
            .all(|(t, (part, table))| one(part, table, &|measure| slack(t, measure)).unwrap_or(false))
}

/// One table, from its head to the end of its body.
fn one(part: &str, table: &CandidateTable, slack: &dyn Fn(usize) -> Option<f64>) -> Option<bool> {
    let (head, rest) = part.split_once("</thead>")?;
    let (_, rest) = rest.split_once("<tbody>")?;
    let (body, _) = rest.split_once("</tbody>")?;
    let columns = cells(head, "<th", "</th>")?.into_iter().filter(|(class, _)| *class == " class=\"n\"");
    let measure = |(_, name): (&str, String)| table.measures.iter().position(|m| m.name == name);
    let columns = columns.map(measure).collect::<Option<Vec<usize>>>()?;
    let rows = body.split("<tr").skip(1).collect::<Vec<_>>();
    let same = rows.len() == table.cells.len()
        && rows.iter().zip(&table.cells).all(|(row, cell)| is(row, cell, table, &columns, slack).unwrap_or(false));
    Some(same)
}

/// Whether a row shows `cell`.
fn is(
    row: &str,
    cell: &Cell,
    table: &CandidateTable,
    columns: &[usize],
    slack: &dyn Fn(usize) -> Option<f64>,
) -> Option<bool> {
    let cells = cells(row, "<td", "</td>")?;
    let (keys, numbers) = cells.split_at_checked(table.dimensions.len())?;
    let label = |(d, (_, seen)): (usize, &(&str, String))| match (cell.key.get(d), table.dimensions.get(d)) {
        (Some(Some(key)), Some(dimension)) => dimension.domain.iter().any(|(k, label)| k == key && label == seen),
        (Some(None), Some(_)) => true,
        _ => false,
    };
    if !keys.iter().enumerate().all(label) {
        return Some(false);
    }
    let CellValue::Published(published) = &cell.value else {
        // One cell over all columns, without a digit.
        let [(class, words)] = numbers else { return Some(false) };
        return Some(class.contains("\"withheld\"") && !words.chars().any(|c| c.is_ascii_digit()));
    };
    let number = |((_, seen), m): (&(&str, String), &usize)| match published.get(*m).copied().flatten() {
        None => seen.is_empty(),
        Some(x) => {
            let first = seen.split(' ').next().and_then(|word| word.parse::<f64>().ok());
            // Printed whole from a thousand on, with two places below.
            let printed = if x.abs() >= 999.0 { 0.5 } else { 0.005 };
            first.is_some_and(|seen| (seen - x).abs() <= printed + slack(*m).unwrap_or(0.0) + 1e-9 * x.abs())
        }
    };
    Some(numbers.len() == columns.len() && numbers.iter().zip(columns).all(number))
}

/// The cells between `open` and `close`: attributes, and the text that a browser shows. None
/// where a cell holds more than text.
fn cells<'a>(row: &'a str, open: &str, close: &str) -> Option<Vec<(&'a str, String)>> {
    let cell = |part: &'a str| {
        let (attributes, rest) = part.split_once('>')?;
        let (words, after) = rest.split_once(close)?;
        let bare = !words.contains('<') && after.split('<').next().is_some_and(|between| between.trim().is_empty());
        bare.then(|| (attributes, meant(words)))
    };
    row.split(open).skip(1).map(cell).collect()
}

/// Text without its character references.
fn meant(words: &str) -> String {
    let references = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    references.iter().fold(words.to_owned(), |text, (reference, c)| text.replace(reference, c))
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
        catalogue::Key,
        contract::Dimension,
    };

    use super::agrees;

    fn table() -> CandidateTable {
        let key = |text: &str| Key::Text(text.to_owned());
        let cell = |key: Option<Key>, value| Cell { key: vec![key], value };
        CandidateTable {
            name: "t".into(),
            route: Route::C,
            dimensions: vec![Dimension {
                name: "k".into(),
                title: "k".into(),
                domain: vec![(key("a"), "A & <b>".into()), (key("b"), "B 2".into())],
                base: None,
            }],
            measures: vec![CandidateMeasure { name: "n".into(), sigma: None, error_95: None, made: None }],
            cells: vec![
                cell(Some(key("a")), CellValue::Published(vec![Some(1234.4)])),
                cell(Some(key("b")), CellValue::Withheld([Reason::Threshold].into())),
                cell(None, CellValue::Published(vec![Some(7.125)])),
            ],
        }
    }

    const PAGE: &str = "<html><table>\n<thead><tr><th>k</th><th class=\"n\">n</th></tr></thead>\n<tbody>\n\
        <tr><td>A &#38; &#60;b&#62;</td><td class=\"n\">1234</td></tr>\n\
        <tr><td>B 2</td><td class=\"withheld\" colspan=\"1\">隐去 withheld</td></tr>\n\
        <tr class=\"margin\"><td>合计 Total</td><td class=\"n\">7.13 ±3</td></tr>\n</tbody></table></html>";

    #[test]
    fn a_page_that_prints_what_is_withheld_or_another_number_is_found() {
        let agrees = |page: &str| agrees(&[table()], page.as_bytes(), &|_, _| None);
        assert!(agrees(PAGE));
        for (from, to) in [
            ("隐去 withheld", "隐去 withheld 3"),
            ("<td class=\"withheld\" colspan=\"1\">隐去 withheld</td>", "<td class=\"n\">3</td>"),
            ("withheld</td>", "withheld</td>3"),
            ("withheld</td>", "<b>3</b></td>"),
            ("1234<", "1235<"),
            ("7.13", "7.1"),
            ("B 2", "A &#38; &#60;b&#62;"),
            ("<tr class=\"margin\"><td>合计 Total</td><td class=\"n\">7.13 ±3</td></tr>", ""),
            ("</html>", "<table><thead></thead><tbody></tbody></table></html>"),
        ] {
            let page = PAGE.replacen(from, to, 1);
            assert_ne!(page, PAGE);
            assert!(!agrees(&page), "{to}");
        }
    }
}
