//! The readable report: one self-contained page, Chinese first, that prints.

use askama::Template;
use sluice_domain::{
    Refusal,
    candidate::{Candidate, CandidateTable, Cell, CellValue},
    contract::{Contract, Table},
    id::ProductId,
};

use super::{label, made};
use crate::{
    chart,
    pages::{Said, Shown},
    run::host_fault,
};

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
    dimensions: Vec<&'a str>,
    measures: Vec<&'a str>,
    rows: Vec<ReportRow>,
    withheld: usize,
    total: usize,
    said: Said,
    svg: Option<String>,
}

struct ReportRow {
    keys: Vec<String>,
    numbers: Option<Vec<String>>,
    margin: bool,
}

pub(super) fn write(candidate: &Candidate, contract: &Contract, product: &ProductId) -> Result<Vec<u8>, Refusal> {
    let report = Report {
        title: &candidate.product.title,
        product: product.as_str(),
        job: candidate.job.as_str(),
        run: candidate.run.as_str(),
        tables: candidate.tables.iter().zip(&contract.tables).map(|(t, declared)| table(t, declared)).collect(),
        artefacts: candidate.report.artefacts().iter().map(Shown::of).collect(),
    };
    report.render().map(String::into_bytes).map_err(|_| host_fault())
}

fn table<'a>(table: &'a CandidateTable, declared: &Table) -> ReportTable<'a> {
    let rows = table.cells.iter().map(|cell| ReportRow {
        keys: (0..cell.key.len()).map(|d| label(table, cell, d)).collect(),
        numbers: match &cell.value {
            CellValue::Published(_) => Some(chart::shown(table).map(|m| with_error(table, cell, m)).collect()),
            CellValue::Withheld(_) => None,
        },
        margin: cell.key.iter().any(Option::is_none),
    });
    let rows: Vec<_> = rows.collect();
    ReportTable {
        name: &table.name,
        dimensions: table.dimensions.iter().map(|d| d.title.as_str()).collect(),
        measures: chart::shown(table).filter_map(|m| Some(table.measures.get(m)?.name.as_str())).collect(),
        withheld: rows.iter().filter(|r| r.numbers.is_none()).count(),
        total: rows.len(),
        said: made::said(table, declared),
        rows,
        svg: chart::of_table(table, declared),
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
