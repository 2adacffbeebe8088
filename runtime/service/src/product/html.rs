//! The readable report: one self-contained page, Chinese first, that prints.

use askama::Template;
use sluice_domain::{
    Refusal,
    candidate::{Candidate, CandidateTable, Cell, CellValue, Made, Route},
    id::ProductId,
};

use super::label;
use crate::{chart, pages::Shown, run::host_fault};

#[derive(Template)]
#[template(path = "report.html")]
struct Report<'a> {
    title: &'a str,
    product: &'a str,
    job: &'a str,
    run: &'a str,
    tables: Vec<ReportTable<'a>>,
    artefacts: Vec<Shown>,
}

struct ReportTable<'a> {
    name: &'a str,
    route: Route,
    dimensions: Vec<&'a str>,
    measures: Vec<&'a str>,
    rows: Vec<ReportRow>,
    withheld: usize,
    total: usize,
    noise: Vec<String>,
    svg: String,
}

struct ReportRow {
    keys: Vec<String>,
    numbers: Option<Vec<String>>,
    margin: bool,
}

pub(super) fn write(candidate: &Candidate, product: &ProductId) -> Result<Vec<u8>, Refusal> {
    let report = Report {
        title: &candidate.product.title,
        product: product.as_str(),
        job: candidate.job.as_str(),
        run: candidate.run.as_str(),
        tables: candidate.tables.iter().map(table).collect(),
        artefacts: candidate.report.artefacts().iter().map(Shown::of).collect(),
    };
    report.render().map(String::into_bytes).map_err(|_| host_fault())
}

fn table(table: &CandidateTable) -> ReportTable<'_> {
    let rows = table.cells.iter().map(|cell| ReportRow {
        keys: (0..cell.key.len()).map(|d| label(table, cell, d)).collect(),
        numbers: match &cell.value {
            CellValue::Published(_) => Some(chart::shown(table).map(|m| with_error(table, cell, m)).collect()),
            CellValue::Withheld(_) => None,
        },
        margin: cell.key.iter().any(Option::is_none),
    });
    let rows: Vec<_> = rows.collect();
    let noise = table.measures.iter().filter_map(|m| match (m.made, m.sigma, m.error_95) {
        (Some(Made::Median { blocks, rank_error_95 }), ..) => {
            Some(format!("{}: 中位数 median, l = {blocks}, 名次误差 rank ±{rank_error_95:.0} (95 %)", m.name))
        }
        (made, Some(sigma), Some(error)) => {
            Some(format!("{}: σ = {sigma:.2}, ±{error:.1} (95 %){}", m.name, processed(made)))
        }
        _ => None,
    });
    ReportTable {
        name: &table.name,
        route: table.route,
        dimensions: table.dimensions.iter().map(|d| d.title.as_str()).collect(),
        measures: chart::shown(table).filter_map(|m| Some(table.measures.get(m)?.name.as_str())).collect(),
        withheld: rows.iter().filter(|r| r.numbers.is_none()).count(),
        total: rows.len(),
        noise: noise.collect(),
        rows,
        svg: chart::draw(table),
    }
}

/// What else was done to a column.
fn processed(made: Option<Made>) -> String {
    match made {
        Some(Made::NonNegative) => "，后处理：负数改为零 post-processed: negative became zero".to_owned(),
        Some(Made::AddsUp) => "，合计经后处理：由各格相加 margins post-processed: sums of the cells".to_owned(),
        Some(Made::AboveThreshold { tau }) => format!("，只公布高于 only above τ = {tau}"),
        Some(Made::Median { .. }) | None => String::new(),
    }
}

/// A number with its 95 % interval, where it has one.
fn with_error(table: &CandidateTable, cell: &Cell, measure: usize) -> String {
    let Some(x) = chart::number(cell, measure) else { return String::new() };
    let error = table.error_95(cell, measure);
    match (error, chart::interval(table, cell, measure)) {
        (Some(error), _) => format!("{} ±{}", chart::short(x), chart::short(error)),
        (None, Some((low, high))) => format!("{} [{}, {}]", chart::short(x), chart::short(low), chart::short(high)),
        (None, None) => chart::short(x),
    }
}
