//! The readable report: one self-contained page, Chinese first, that prints.

use askama::Template;
use sluice_domain::{
    Refusal,
    candidate::{Candidate, CandidateTable, CellValue, Route},
    id::ProductId,
};

use super::label;
use crate::{chart, run::host_fault};

#[derive(Template)]
#[template(path = "report.html")]
struct Report<'a> {
    title: &'a str,
    product: &'a str,
    job: &'a str,
    run: &'a str,
    tables: Vec<ReportTable<'a>>,
}

struct ReportTable<'a> {
    name: &'a str,
    route: Route,
    headings: Vec<String>,
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
    };
    report.render().map(String::into_bytes).map_err(|_| host_fault())
}

fn table(table: &CandidateTable) -> ReportTable<'_> {
    let rows = table.cells.iter().map(|cell| ReportRow {
        keys: (0..cell.key.len()).map(|d| label(table, cell, d)).collect(),
        numbers: match &cell.value {
            CellValue::Published(numbers) => {
                Some(numbers.iter().map(|n| n.map(chart::short).unwrap_or_default()).collect())
            }
            CellValue::Withheld(_) => None,
        },
        margin: cell.key.iter().any(Option::is_none),
    });
    let rows: Vec<_> = rows.collect();
    let noise = table
        .measures
        .iter()
        .filter_map(|m| Some(format!("{}: σ = {:.2}, ±{:.1} (95 %)", m.name, m.sigma?, m.error_95?)));
    ReportTable {
        name: &table.name,
        route: table.route,
        headings: table
            .dimensions
            .iter()
            .map(|d| d.title.clone())
            .chain(table.measures.iter().map(|m| m.name.clone()))
            .collect(),
        withheld: rows.iter().filter(|r| r.numbers.is_none()).count(),
        total: rows.len(),
        noise: noise.collect(),
        rows,
        svg: chart::draw(table),
    }
}
