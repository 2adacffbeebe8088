//! What passed, as tables of the candidate: published numbers, and reasons where there
//! is none. It decides nothing.

use std::collections::BTreeSet;

use sluice_domain::{
    candidate::{CandidateMeasure, CandidateTable, Cell, CellValue, Reason, Route},
    catalogue::Key,
    contract::{Dimension, Regression, Survival, TableC},
};
use sluice_rows::fit::Fit;

use super::models::Followed;
use crate::route_c::{JudgedTable, regression};

pub(super) fn table_c(table: &TableC, judged: &JudgedTable, added: &BTreeSet<usize>) -> CandidateTable {
    let cells = judged.cells.iter().enumerate().map(|(i, cell)| {
        let mut reasons: Vec<Reason> = cell.reasons.iter().copied().collect();
        if added.contains(&i) {
            reasons.push(Reason::Secondary);
        }
        let value = if reasons.is_empty() {
            CellValue::Published(cell.numbers.iter().map(|n| n.value).collect())
        } else {
            CellValue::Withheld(reasons)
        };
        Cell { key: key(&table.plan.dimensions, &cell.key), value }
    });
    CandidateTable {
        name: table.name.clone(),
        route: Route::C,
        dimensions: table.plan.dimensions.clone(),
        measures: table
            .plan
            .measures
            .iter()
            .map(|m| CandidateMeasure { name: m.name.clone(), sigma: None, error_95: None, made: None })
            .collect(),
        cells: cells.collect(),
    }
}

pub(super) fn table_of_fit(table: &Regression, fit: &Fit, reasons: &BTreeSet<Reason>) -> CandidateTable {
    let dimension = table.dimension();
    let rows = regression::published(fit).map(Some).chain(std::iter::repeat(None));
    let cell = |((key, _), row): (&(Key, String), Option<Vec<Option<f64>>>)| Cell {
        key: vec![Some(key.clone())],
        value: match row {
            Some(row) if reasons.is_empty() => CellValue::Published(row),
            _ => CellValue::Withheld(reasons.iter().copied().collect()),
        },
    };
    let heading = |name: &str| CandidateMeasure { name: name.to_owned(), sigma: None, error_95: None, made: None };
    CandidateTable {
        name: table.name.clone(),
        route: Route::C,
        cells: dimension.domain.iter().zip(rows).map(cell).collect(),
        dimensions: vec![dimension],
        measures: Regression::MEASURES.map(heading).into(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn table_of_curves(followed: &Followed<'_>) -> CandidateTable {
    let (plan, dimensions) = (followed.plan, followed.plan.dimensions());
    let cells = followed.curves.iter().flat_map(|curve| {
        let points: Vec<_> = curve.ends.iter().zip(curve.points()).collect();
        let positions = |step: usize| curve.group.iter().copied().chain(u32::try_from(step)).map(Some);
        let cells: Vec<Cell> = (0..plan.steps.len())
            .map(|step| {
                let shown = points.iter().find(|(end, _)| **end == step).map(|(_, point)| {
                    let counts = [point.at_risk, point.events, point.censored].map(|n| Some(n as f64));
                    CellValue::Published([Some(point.survival), point.std_error].into_iter().chain(counts).collect())
                });
                let lost = |reasons: &BTreeSet<Reason>| reasons.iter().copied().collect();
                let reasons = || curve.lost.get(&step).map_or_else(|| vec![Reason::Threshold], lost);
                let key = key(&dimensions, &positions(step).collect::<Vec<_>>());
                Cell { key, value: shown.unwrap_or_else(|| CellValue::Withheld(reasons())) }
            })
            .collect();
        cells
    });
    let heading = |name: &str| CandidateMeasure { name: name.to_owned(), sigma: None, error_95: None, made: None };
    CandidateTable {
        name: plan.name.clone(),
        route: Route::C,
        cells: cells.collect(),
        measures: Survival::MEASURES.map(heading).into(),
        dimensions,
    }
}

fn key(dimensions: &[Dimension], positions: &[Option<u32>]) -> Vec<Option<Key>> {
    let part = |(dimension, position): (&Dimension, &Option<u32>)| {
        let position = usize::try_from((*position)?).ok()?;
        dimension.domain.get(position).map(|(key, _)| key.clone())
    };
    dimensions.iter().zip(positions).map(part).collect()
}
