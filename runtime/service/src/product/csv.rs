//! A table as CSV (RFC 4180): codes, one column per measure, for route A its 95 %
//! error, and the mark. A margin has an empty key; a withheld cell empty numbers.

use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue},
};

use crate::run::host_fault;

/// Word in the `status` column of a published cell.
pub(crate) const PUBLISHED: &str = "published";
/// Word in the `status` column of a withheld cell.
pub(crate) const WITHHELD: &str = "withheld";

pub(super) fn write(table: &CandidateTable) -> Result<Vec<u8>, Refusal> {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut heading: Vec<String> = table.dimensions.iter().map(|d| d.name.clone()).collect();
    for measure in &table.measures {
        heading.push(measure.name.clone());
        if measure.error_95.is_some() {
            heading.push(format!("{}_error95", measure.name));
        }
    }
    heading.push("status".to_owned());
    out.write_record(&heading).map_err(|_| host_fault())?;
    for cell in &table.cells {
        let mut record: Vec<String> =
            cell.key.iter().map(|k| k.as_ref().map(ToString::to_string).unwrap_or_default()).collect();
        for (i, measure) in table.measures.iter().enumerate() {
            let number = match &cell.value {
                CellValue::Published(numbers) => numbers.get(i).copied().flatten(),
                CellValue::Withheld(_) => None,
            };
            record.push(number.map(|n| n.to_string()).unwrap_or_default());
            if measure.error_95.is_some() {
                let error = number.and_then(|_| table.error_95(cell, i));
                record.push(error.map(|e| e.to_string()).unwrap_or_default());
            }
        }
        let status = if matches!(cell.value, CellValue::Published(_)) { PUBLISHED } else { WITHHELD };
        record.push(status.to_owned());
        out.write_record(&record).map_err(|_| host_fault())?;
    }
    out.into_inner().map_err(|_| host_fault())
}
