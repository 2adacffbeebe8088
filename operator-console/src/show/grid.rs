//! A candidate's or product's table as rows of a page. A reviewer's grid names the
//! reasons for withholding; an operator's is built by a function that never reads them.

use std::collections::BTreeMap;

use sluice_domain::{
    candidate::{CandidateTable, Cell, CellValue, Reason, Route},
    catalogue::Key,
};

use sluice_service::{chart, pages::Said};

use super::{margin, number};
use crate::{
    lang::{Texts, words},
    pages::problem::sentence,
    svg::InertSvg,
};

/// A table, ready to be printed.
pub(crate) struct Grid {
    /// Place in the product, from 1; names the anchor.
    pub(crate) place: usize,
    pub(crate) name: String,
    pub(crate) route: &'static str,
    /// Titles of the dimensions with their column names.
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) measures: Vec<Heading>,
    /// Which route made the numbers, and what it claims.
    pub(crate) about: String,
    /// Column and what its numbers are.
    pub(crate) said: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
    /// How many cells are published and withheld, in words.
    pub(crate) tally: String,
    /// How many are withheld, in words; nothing when none is.
    pub(crate) withheld_words: Option<String>,
    /// Made straight from rows: no rule makes a promise about it.
    pub(crate) held: bool,
    pub(crate) summary: Vec<Summary>,
    pub(crate) chart: Chart,
}

/// A number column.
pub(crate) struct Heading {
    pub(crate) name: String,
    /// Post-processed, a median, a ratio, above τ.
    pub(crate) mark: Option<String>,
}

/// The chart of a table.
pub(crate) enum Chart {
    /// There is none.
    None,
    /// There is one, and it is not inert.
    Refused,
    /// One that is.
    Drawn(InertSvg),
}

/// A text or a chart of an outer room.
pub(crate) struct Artefact {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) chart: Chart,
}

/// Artefacts, each chart only if it is inert.
pub(crate) fn artefacts(shown: Vec<sluice_service::pages::Shown>) -> Vec<Artefact> {
    let chart = |svg| match svg {
        None => Chart::None,
        Some(svg) => InertSvg::check(svg).map_or(Chart::Refused, Chart::Drawn),
    };
    shown.into_iter().map(|s| Artefact { name: s.name, text: s.text, chart: chart(s.svg) }).collect()
}

/// One cell of the candidate is one row of the page.
pub(crate) struct Row {
    pub(crate) margin: bool,
    pub(crate) keys: Vec<KeyCell>,
    pub(crate) value: Value,
}

/// A dimension's value.
pub(crate) struct KeyCell {
    pub(crate) label: String,
    /// The code behind the label, if the label says something else.
    pub(crate) code: Option<String>,
    /// Same as in the row above; shown paler.
    pub(crate) repeated: bool,
}

/// What stands beside the keys.
pub(crate) enum Value {
    /// Numbers.
    Numbers(Vec<Number>),
    /// The mark, with chips for reviewers.
    Withheld(Vec<&'static str>),
}

/// One number.
pub(crate) struct Number {
    /// Absent where there is nothing to divide by.
    pub(crate) text: Option<String>,
    /// Half-width of the 95 % interval.
    pub(crate) error: Option<String>,
    /// Its ends, where it lies unevenly.
    pub(crate) interval: Option<(String, String)>,
}

/// What a column looks like as a whole, margins left out.
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) published: usize,
    pub(crate) least: String,
    pub(crate) most: String,
    pub(crate) error: String,
}

/// Tables with the reasons for withholding, for reviewers only.
pub(crate) fn for_reviewers(
    tables: &[CandidateTable],
    said: Vec<Said>,
    charts: Vec<(String, String)>,
    t: &'static Texts,
) -> Vec<Grid> {
    grids(tables, said, charts, t, |reasons| reasons.iter().map(|r| words::reason(*r, t.lang)).collect())
}

/// Tables as they are published: one mark for whatever is withheld.
pub(crate) fn as_published(
    tables: &[CandidateTable],
    said: Vec<Said>,
    charts: Vec<(String, String)>,
    t: &'static Texts,
) -> Vec<Grid> {
    grids(tables, said, charts, t, |_| Vec::new())
}

fn grids(
    tables: &[CandidateTable],
    said: Vec<Said>,
    charts: Vec<(String, String)>,
    t: &'static Texts,
    chips: impl Fn(&[Reason]) -> Vec<&'static str>,
) -> Vec<Grid> {
    let mut charts: BTreeMap<String, String> = charts.into_iter().collect();
    tables
        .iter()
        .zip(said)
        .enumerate()
        .map(|(i, (table, said))| {
            let chart = match charts.remove(&table.name) {
                None => Chart::None,
                Some(svg) => InertSvg::check(svg).map_or(Chart::Refused, Chart::Drawn),
            };
            let withheld = table.cells.iter().filter(|c| matches!(c.value, CellValue::Withheld(_))).count();
            Grid {
                place: i + 1,
                name: table.name.clone(),
                route: words::route(table.route, t.lang),
                dimensions: table.dimensions.iter().map(|d| (d.title.clone(), d.name.clone())).collect(),
                measures: headings(table, &said, t),
                about: sentence(said.table.of(t.lang), t.lang),
                said: said.columns.iter().map(|c| (c.name.clone(), sentence(c.text.of(t.lang), t.lang))).collect(),
                rows: rows(table, t, &chips),
                tally: (t.grid.cells)(table.cells.len() - withheld, withheld),
                held: table.route == Route::D,
                withheld_words: (withheld > 0).then(|| (t.bench.machine_withheld)(withheld)),
                summary: summary(table, t),
                chart,
            }
        })
        .collect()
}

/// The columns that stand by themselves; the ends of an interval stand beside its number.
fn headings(table: &CandidateTable, said: &Said, t: &Texts) -> Vec<Heading> {
    let measures = chart::shown(table).filter_map(|m| table.measures.get(m));
    let mark = |name: &str| said.columns.iter().find(|c| c.name == name)?.mark.as_ref();
    measures
        .map(|m| Heading { name: m.name.clone(), mark: mark(&m.name).map(|mark| mark.of(t.lang).to_owned()) })
        .collect()
}

fn shown_number(table: &CandidateTable, cell: &Cell, measure: usize, value: Option<f64>) -> Number {
    let error = table.error_95(cell, measure);
    let interval = chart::interval(table, cell, measure).filter(|_| error.is_none());
    Number {
        text: value.map(number),
        error: error.map(margin),
        interval: interval.map(|(low, high)| (margin(low), margin(high))),
    }
}

fn rows(table: &CandidateTable, t: &'static Texts, chips: &impl Fn(&[Reason]) -> Vec<&'static str>) -> Vec<Row> {
    let mut above: Option<&Cell> = None;
    let row = |cell: &Cell, above: Option<&Cell>| Row {
        margin: cell.key.iter().any(Option::is_none),
        keys: keys(table, cell, above, t),
        value: match &cell.value {
            CellValue::Withheld(reasons) => Value::Withheld(chips(reasons)),
            CellValue::Published(numbers) => Value::Numbers(
                chart::shown(table).map(|m| shown_number(table, cell, m, numbers.get(m).copied().flatten())).collect(),
            ),
        },
    };
    table
        .cells
        .iter()
        .map(|cell| {
            let row = row(cell, above);
            above = Some(cell);
            row
        })
        .collect()
}

/// The keys of a cell; a key is a repetition when it and all before it stand in the
/// row above too.
fn keys(table: &CandidateTable, cell: &Cell, above: Option<&Cell>, t: &'static Texts) -> Vec<KeyCell> {
    let mut same = true;
    cell.key
        .iter()
        .enumerate()
        .map(|(i, key)| {
            same = same && above.and_then(|a| a.key.get(i)) == Some(key);
            let (label, code) = match key {
                None => (t.grid.total.to_owned(), None),
                Some(key) => label(table, i, key),
            };
            // The last key is what tells two rows apart: it is never pale.
            KeyCell { label, code, repeated: same && i + 1 < cell.key.len() }
        })
        .collect()
}

fn label(table: &CandidateTable, dimension: usize, key: &Key) -> (String, Option<String>) {
    let code = key.to_string();
    let label = table
        .dimensions
        .get(dimension)
        .and_then(|d| d.domain.iter().find(|(k, _)| k == key))
        .map(|(_, label)| label.clone())
        .filter(|label| !label.is_empty() && *label != code);
    match label {
        Some(label) => (label, Some(code)),
        None => (code, None),
    }
}

fn summary(table: &CandidateTable, t: &'static Texts) -> Vec<Summary> {
    let inner = || table.cells.iter().filter(|c| c.key.iter().all(Option::is_some));
    chart::shown(table)
        .filter_map(|i| Some((i, table.measures.get(i)?)))
        .map(|(i, measure)| {
            let values: Vec<f64> = inner()
                .filter_map(|c| match &c.value {
                    CellValue::Published(numbers) => numbers.get(i).copied().flatten(),
                    CellValue::Withheld(_) => None,
                })
                .collect();
            let shown = |v: Option<f64>| v.map_or_else(|| t.grid.nothing.to_owned(), number);
            Summary {
                name: measure.name.clone(),
                published: values.len(),
                least: shown(values.iter().copied().reduce(f64::min)),
                most: shown(values.iter().copied().reduce(f64::max)),
                error: measure.error_95.map_or_else(|| t.grid.nothing.to_owned(), |e| format!("±{}", margin(e))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        Lang,
        candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
        catalogue::Key,
        contract::Dimension,
    };

    use sluice_domain::text;
    use sluice_service::pages::{ColumnSaid, Said};

    use super::{Value, as_published, for_reviewers};
    use crate::lang::texts;

    fn said() -> Vec<Said> {
        let mark = Some(text("后处理", "post-processed"));
        vec![Said {
            table: text("路线", "route"),
            columns: vec![ColumnSaid { name: "n".into(), mark, text: text("σ", "σ") }],
        }]
    }

    fn table() -> CandidateTable {
        let domain = vec![(Key::Int(0), "免费".to_owned()), (Key::Int(25), "25".to_owned())];
        let cell = |key, value| Cell { key: vec![key], value };
        CandidateTable {
            name: "t".into(),
            route: Route::C,
            dimensions: vec![Dimension { name: "coins".into(), title: "自付".into(), domain, base: None }],
            measures: vec![CandidateMeasure { name: "n".into(), sigma: None, error_95: None, made: None }],
            cells: vec![
                cell(Some(Key::Int(0)), CellValue::Published(vec![Some(12.0)])),
                cell(Some(Key::Int(25)), CellValue::Withheld(vec![Reason::Dominance])),
                cell(None, CellValue::Published(vec![Some(99.0)])),
            ],
        }
    }

    #[test]
    fn reasons_are_for_reviewers_only() {
        let chips = |grids: Vec<super::Grid>| match &grids[0].rows[1].value {
            Value::Withheld(chips) => chips.clone(),
            Value::Numbers(_) => panic!("it is withheld"),
        };
        assert_eq!(chips(for_reviewers(&[table()], said(), vec![], texts(Lang::Zh))), ["少数占优"]);
        assert!(chips(as_published(&[table()], said(), vec![], texts(Lang::Zh))).is_empty());
    }

    #[test]
    fn the_ends_of_an_interval_stand_beside_their_number() {
        let mut shares = table();
        shares.measures.extend(["n_low95", "n_high95"].map(|name| CandidateMeasure {
            name: name.into(),
            sigma: None,
            error_95: None,
            made: None,
        }));
        for cell in &mut shares.cells {
            if let CellValue::Published(numbers) = &mut cell.value {
                numbers.extend([Some(10.0), Some(14.5)]);
            }
        }
        let grid = as_published(&[shares], said(), vec![], texts(Lang::Zh)).remove(0);
        assert_eq!(grid.measures.len(), 1);
        assert_eq!(grid.measures[0].mark.as_deref(), Some("后处理"));
        let Value::Numbers(numbers) = &grid.rows[0].value else { panic!("it is published") };
        assert_eq!(numbers[0].interval, Some(("10".to_owned(), "14.5".to_owned())));
    }

    #[test]
    fn margins_are_told_apart_and_left_out_of_the_summary() {
        let grid = as_published(&[table()], said(), vec![], texts(Lang::Zh)).remove(0);
        assert_eq!(grid.rows.iter().map(|r| r.margin).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(grid.tally, "发布 2 格，隐去 1 格");
        assert_eq!(grid.summary[0].most, "12");
    }
}
