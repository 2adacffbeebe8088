//! Charts drawn by the host as SVG: reviewable bytes that print. Only attributes,
//! no style and no script, so they stand under the strictest content policy.
//!
//! One or no dimension: horizontal bars with 95 % whiskers where there is noise.
//! Two dimensions or more: a grid, the last dimension across. A withheld cell is
//! hatched, the same for every reason. Margins are left to the table.

use std::fmt::Write;

use sluice_domain::{
    artefact::{Chart, ChartKind},
    candidate::{CandidateTable, Cell, CellValue},
    contract::{Contract, Table},
};

use crate::product::label;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 190.0;
const ROW: f64 = 22.0;
const PANELS_MAX: usize = 3;
const FONT: &str = "font-family=\"PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif\" font-size=\"12\"";
const INK: &str = "#1f2933";
const BAR: &str = "#3b6fb6";
const FAINT: &str = "#d9dee5";

/// The charts of a candidate's tables, by name. A model has none: bars of its parameters
/// say nothing of what it predicts.
pub(crate) fn of_tables(tables: &[CandidateTable], contract: &Contract) -> Vec<(String, String)> {
    let both = tables.iter().zip(&contract.tables);
    both.filter_map(|(table, declared)| Some((table.name.clone(), of_table(table, declared)?))).collect()
}

/// The chart of one table; none of a model.
pub(crate) fn of_table(table: &CandidateTable, declared: &Table) -> Option<String> {
    let is_model = matches!(declared, Table::D(held) if held.model.is_some());
    (!is_model).then(|| draw(table))
}

/// Draws `table` as one SVG with a panel per measure (three at most).
fn draw(table: &CandidateTable) -> String {
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

const COLOURS: [&str; 8] = ["#3b6fb6", "#c2703d", "#3f8f6b", "#8a5fa8", "#b24a5f", "#5f7285", "#a08a2d", "#4a9fb0"];
const PLOT: f64 = 260.0;

/// Draws a chart that an outer room specified: its numbers and escaped words, nothing
/// else of it.
pub fn draw_spec(chart: &Chart) -> String {
    let numbers = || chart.series.iter().flat_map(|s| s.values.iter().copied().flatten());
    let (low, high) = numbers().fold((0.0f64, 0.0f64), |(low, high), n| (low.min(n), high.max(n)));
    let span = if high > low { high - low } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "a few hundred points at most")]
    let (points, series) = (chart.labels.len() as f64, chart.series.len() as f64);
    let height = match chart.kind {
        ChartKind::Bar => 30.0 + points * (series * 14.0 + 8.0) + series * ROW,
        ChartKind::Line => 30.0 + PLOT + 2.0 * ROW + series * ROW,
    };
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" {FONT}>",
        escape(&chart.title),
    );
    text_at(&mut svg, 0.0, 16.0, "start", "600", &chart.title);
    match chart.kind {
        ChartKind::Bar => spec_bars(&mut svg, chart, low, span),
        ChartKind::Line => spec_lines(&mut svg, chart, low, span),
    }
    for (i, s) in chart.series.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "eight series at most")]
        let y = height - ROW * (series - i as f64) + 14.0;
        let _ = write!(svg, "<rect x=\"0\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{}\"/>", y - 10.0, colour(i));
        text_at(&mut svg, 16.0, y, "start", "400", &s.name);
    }
    svg.push_str("</svg>");
    svg
}

fn colour(series: usize) -> &'static str {
    COLOURS.get(series % COLOURS.len()).copied().unwrap_or(BAR)
}

fn spec_bars(svg: &mut String, chart: &Chart, low: f64, span: f64) {
    let room = WIDTH - LABELS - 90.0;
    let at = |n: f64| LABELS + (n - low) / span * room;
    let mut y = 30.0;
    for (i, label) in chart.labels.iter().enumerate() {
        text_at(svg, LABELS - 8.0, y + 11.0, "end", "400", &clip(label, LABELS));
        for (s, series) in chart.series.iter().enumerate() {
            if let Some(n) = series.values.get(i).copied().flatten() {
                let (from, to) = (at(n.min(0.0)), at(n.max(0.0)));
                let _ = write!(
                    svg,
                    "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"12\" fill=\"{}\"/>",
                    to - from,
                    colour(s)
                );
                text_at(svg, to + 6.0, y + 11.0, "start", "400", &short(n));
            }
            y += 14.0;
        }
        y += 8.0;
    }
}

fn spec_lines(svg: &mut String, chart: &Chart, low: f64, span: f64) {
    let (left, top) = (70.0, 30.0);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred points at most")]
    let step = (WIDTH - left - 20.0) / chart.labels.len().max(2).saturating_sub(1) as f64;
    let at = |n: f64| top + PLOT - (n - low) / span * PLOT;
    let _ = write!(svg, "<path d=\"M{left} {top}V{}H{WIDTH}\" stroke=\"{FAINT}\" fill=\"none\"/>", top + PLOT);
    text_at(svg, left - 6.0, top + 10.0, "end", "400", &short(low + span));
    text_at(svg, left - 6.0, top + PLOT, "end", "400", &short(low));
    let every = chart.labels.len().div_ceil(12).max(1);
    for (i, label) in chart.labels.iter().enumerate().step_by(every) {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred points at most")]
        let x = left + step * i as f64;
        text_at(svg, x, top + PLOT + 16.0, "middle", "400", &clip(label, step * every as f64));
    }
    for (s, series) in chart.series.iter().enumerate() {
        let mut path = String::new();
        let mut pen = 'M';
        for (i, value) in series.values.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few hundred points at most")]
            let x = left + step * i as f64;
            match value {
                Some(n) => {
                    let _ = write!(path, "{pen}{x:.1} {:.1}", at(*n));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _ = write!(svg, "<path d=\"{path}\" stroke=\"{}\" fill=\"none\"/>", colour(s));
    }
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
pub fn interval(table: &CandidateTable, cell: &Cell, measure: usize) -> Option<(f64, f64)> {
    let heading = table.measures.get(measure)?;
    if let Some(error) = table.error_95(cell, measure) {
        return number(cell, measure).map(|x| (x - error, x + error));
    }
    let end = |suffix| {
        let name = format!("{}{suffix}", heading.name);
        table.measures.iter().position(|m| m.name == name).and_then(|i| number(cell, i))
    };
    Some((end("_low95")?, end("_high95")?))
}

/// The measures that are shown by themselves: not the ends of a share's interval.
pub fn shown(table: &CandidateTable) -> impl Iterator<Item = usize> {
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

#[cfg(test)]
mod tests {
    use sluice_domain::artefact::{Chart, ChartKind, Series};

    use super::draw_spec;

    #[test]
    fn a_specified_chart_is_drawn_of_escaped_words_and_its_numbers() {
        let series = |values: &[Option<f64>]| Series { name: "<b>&".into(), values: values.to_vec() };
        for kind in [ChartKind::Bar, ChartKind::Line] {
            let labels = vec!["\"><script>".to_owned(), "b".to_owned()];
            let values = [series(&[Some(-1.5), Some(3.0)]), series(&[None, Some(0.0)])];
            let svg = draw_spec(&Chart { kind, title: "t<".into(), labels, series: values.to_vec() });
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
            assert!(!svg.contains("<script") && !svg.contains("<b>") && svg.contains("&lt;b&gt;&amp;"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
