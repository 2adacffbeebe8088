//! Charts drawn by the host as SVG: reviewable bytes that print. Only attributes,
//! no style and no script, so they stand under the strictest content policy.
//!
//! One or no dimension: horizontal bars with 95 % whiskers where there is noise.
//! Two dimensions or more: a grid, the last dimension across. A withheld cell is
//! hatched, the same for every reason. Margins are left to the table.

use std::fmt::Write;

use sluice_domain::candidate::{CandidateTable, Cell, CellValue};

use crate::product::label;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 190.0;
const ROW: f64 = 22.0;
const PANELS_MAX: usize = 3;
const FONT: &str = "font-family=\"PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif\" font-size=\"12\"";
const INK: &str = "#1f2933";
const BAR: &str = "#3b6fb6";
const FAINT: &str = "#d9dee5";

/// Draws `table` as one SVG with a panel per measure (three at most).
pub fn draw(table: &CandidateTable) -> String {
    let inner: Vec<&Cell> = table.cells.iter().filter(|c| c.key.iter().all(Option::is_some)).collect();
    let panel_height = if table.dimensions.len() >= 2 { grid_height(table) } else { bars_height(inner.len()) };
    let measures: Vec<usize> = shown(table).take(PANELS_MAX).collect();
    let panels = measures.len();
    #[expect(clippy::cast_precision_loss, reason = "a handful of panels")]
    let height = panel_height * panels as f64;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" {FONT}>\
         <defs><pattern id=\"withheld-{name}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect width=\"6\" height=\"6\" fill=\"#eceff3\"/><path d=\"M0 6L6 0\" stroke=\"#9aa5b1\"/></pattern></defs>",
        escape(&table.name),
        name = table.name, // of `a-z 0-9 - _` by contract
    );
    for (panel, measure) in measures.into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful of panels")]
        let top = panel_height * panel as f64;
        let heading = table.measures.get(measure).map(|m| m.name.as_str()).unwrap_or_default();
        text_at(&mut svg, 0.0, top + 16.0, "start", "600", heading);
        if table.dimensions.len() >= 2 {
            grid(&mut svg, table, &inner, measure, top + 24.0)
        } else {
            bars(&mut svg, table, &inner, measure, top + 24.0)
        }
    }
    svg.push_str("</svg>");
    svg
}

fn bars_height(rows: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred rows at most")]
    let rows = rows as f64;
    rows * ROW + 40.0
}

fn bars(svg: &mut String, table: &CandidateTable, cells: &[&Cell], measure: usize, top: f64) {
    let ends = |cell: &Cell| interval(table, cell, measure);
    let most = cells.iter().filter_map(|c| Some(ends(c)?.1)).fold(largest(cells, measure), f64::max);
    let room = WIDTH - LABELS - 90.0;
    let scale = |x: f64| if most > 0.0 { (x.max(0.0) / most * room).min(room) } else { 0.0 };
    let mut y = top;
    for cell in cells {
        text_at(svg, LABELS - 8.0, y + 14.0, "end", "400", &label(table, cell, 0));
        match number(cell, measure) {
            Some(x) => {
                let _ = write!(
                    svg,
                    "<rect x=\"{LABELS}\" y=\"{}\" width=\"{:.1}\" height=\"14\" fill=\"{BAR}\"/>",
                    y + 3.0,
                    scale(x)
                );
                let mut words = LABELS + scale(x) + 6.0;
                if let Some((low, high)) = ends(cell) {
                    let (from, to, mid) = (LABELS + scale(low), LABELS + scale(high), y + 10.0);
                    words = to + 6.0;
                    let _ = write!(
                        svg,
                        "<path d=\"M{from:.1} {mid}H{to:.1}M{from:.1} {}v8M{to:.1} {}v8\" stroke=\"{INK}\" fill=\"none\"/>",
                        mid - 4.0,
                        mid - 4.0
                    );
                }
                text_at(svg, words, y + 14.0, "start", "400", &short(x));
            }
            None => withheld(svg, &table.name, LABELS, y + 3.0, 60.0, 14.0),
        }
        y += ROW;
    }
}

fn columns(table: &CandidateTable) -> usize {
    table.dimensions.last().map_or(1, |d| d.domain.len().max(1))
}

fn grid_height(table: &CandidateTable) -> f64 {
    let lines: usize = table.dimensions.iter().rev().skip(1).map(|d| d.domain.len().max(1)).product();
    bars_height(lines) + ROW
}

fn grid(svg: &mut String, table: &CandidateTable, cells: &[&Cell], measure: usize, top: f64) {
    let across = columns(table);
    #[expect(clippy::cast_precision_loss, reason = "a code list's length")]
    let width = (WIDTH - LABELS) / across as f64;
    let most = largest(cells, measure);
    let last = table.dimensions.len().saturating_sub(1);
    for (i, cell) in cells.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred cells at most")]
        let (x, y) = (LABELS + width * (i % across) as f64, top + ROW + ROW * (i / across) as f64);
        if i < across {
            let words = label(table, cell, last);
            // A label that has no room gives way to the code it stands for.
            let code = cell.key.last().and_then(Option::as_ref).map(ToString::to_string).unwrap_or_default();
            let heading = if clip(&words, width) == words { words } else { clip(&code, width) };
            text_at(svg, x + width / 2.0, top + 14.0, "middle", "400", &heading);
        }
        if i % across == 0 {
            let line: Vec<String> = (0..last).map(|d| label(table, cell, d)).collect();
            text_at(svg, LABELS - 8.0, y + 15.0, "end", "400", &clip(&line.join(" · "), LABELS));
        }
        match number(cell, measure) {
            Some(value) => {
                let share = if most > 0.0 { (value.max(0.0) / most).clamp(0.0, 1.0) } else { 0.0 };
                let ink = if share > 0.7 { "#ffffff" } else { INK };
                let _ = write!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{BAR}\" fill-opacity=\"{:.2}\" stroke=\"{FAINT}\"/>",
                    x + 1.0,
                    y + 1.0,
                    width - 2.0,
                    ROW - 2.0,
                    0.06 + 0.9 * share
                );
                let _ = write!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{ink}\">{}</text>",
                    x + width / 2.0,
                    y + 15.0,
                    escape(&short(value))
                );
            }
            None => withheld(svg, &table.name, x + 1.0, y + 1.0, width - 2.0, ROW - 2.0),
        }
    }
}

fn withheld(svg: &mut String, table: &str, x: f64, y: f64, width: f64, height: f64) {
    let _ = write!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"url(#withheld-{table})\"><title>隐去 withheld</title></rect>"
    );
}

fn text_at(svg: &mut String, x: f64, y: f64, anchor: &str, weight: &str, words: &str) {
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\" fill=\"{INK}\">{}</text>",
        escape(words)
    );
}

pub(crate) fn number(cell: &Cell, measure: usize) -> Option<f64> {
    match &cell.value {
        CellValue::Published(numbers) => numbers.get(measure).copied().flatten(),
        CellValue::Withheld(_) => None,
    }
}

fn largest(cells: &[&Cell], measure: usize) -> f64 {
    cells.iter().filter_map(|c| number(c, measure)).fold(0.0, f64::max)
}

/// The 95 % interval of a cell's number: from the measure's error, or from the two
/// columns that carry a share's ends.
pub(crate) fn interval(table: &CandidateTable, cell: &Cell, measure: usize) -> Option<(f64, f64)> {
    let heading = table.measures.get(measure)?;
    if let Some(error) = heading.error_95 {
        return number(cell, measure).map(|x| (x - error, x + error));
    }
    let end = |suffix| {
        let name = format!("{}{suffix}", heading.name);
        table.measures.iter().position(|m| m.name == name).and_then(|i| number(cell, i))
    };
    Some((end("_low95")?, end("_high95")?))
}

/// The measures that are shown by themselves: not the ends of a share's interval.
pub(crate) fn shown(table: &CandidateTable) -> impl Iterator<Item = usize> {
    let of_another = |name: &str| {
        let base = name.strip_suffix("_low95").or_else(|| name.strip_suffix("_high95"));
        base.is_some_and(|base| table.measures.iter().any(|m| m.name == base))
    };
    (0..table.measures.len()).filter(move |i| table.measures.get(*i).is_some_and(|m| !of_another(&m.name)))
}

/// A number as a person reads it: whole when large, two places when small.
pub(crate) fn short(x: f64) -> String {
    if x.fract() == 0.0 || x.abs() >= 1000.0 { format!("{x:.0}") } else { format!("{x:.2}") }
}

fn clip(words: &str, width: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive pixel width")]
    let most = (width / 8.0) as usize;
    if words.chars().count() <= most {
        words.to_owned()
    } else {
        words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    }
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
