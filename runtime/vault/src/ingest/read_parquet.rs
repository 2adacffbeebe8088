//! Reads a provider's Parquet file. The Arrow schema that a writer may have left
//! in it is ignored: the Parquet types say what the values are.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use parquet::{
    arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};
use sluice_domain::Refusal;

use super::{
    BATCH_ROWS,
    convert::to_plain,
    intake::{Found, Intake, match_columns},
    refuse::Broken,
};

/// Pours the file into the intake.
pub(super) fn read(path: &Path, intake: &mut Intake<'_>) -> Result<(), Refusal> {
    // The library panics on some damaged pages instead of refusing them. What the intake
    // holds by then is dropped by the caller with the refusal.
    catch_unwind(AssertUnwindSafe(|| pour(path, intake))).unwrap_or_else(|_| Err(Broken::Unreadable.refusal()))
}

fn pour(path: &Path, intake: &mut Intake<'_>) -> Result<(), Refusal> {
    let unreadable = || Broken::Unreadable.refusal();
    // The library's error text may quote a value: only that it failed is passed on.
    let dropped = |_: ParquetError| Broken::Unreadable.refusal();
    let file = File::open(path).map_err(|_| unreadable())?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(dropped)?;

    let entry = intake.entry();
    let schema = Arc::clone(builder.schema());
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let places = match_columns(entry, &names)?;
    intake.expect(builder.metadata().file_metadata().num_rows().try_into().unwrap_or(0));

    for batch in builder.with_batch_size(BATCH_ROWS).build().map_err(dropped)? {
        let batch = batch.map_err(|_| unreadable())?;
        let (mut columns, mut found) = (Vec::with_capacity(places.len()), Vec::new());
        for (column, (catalogue, place)) in entry.columns.iter().zip(&places).enumerate() {
            let source = batch.columns().get(*place).ok_or_else(unreadable)?;
            let (array, fault) = to_plain(catalogue.kind, source)
                .ok_or_else(|| Broken::ColumnType.refusal().at(format!("column {}", catalogue.name)))?;
            found.extend(fault.map(|(row, fault)| Found { row, column, fault }));
            columns.push(array);
        }
        intake.take(columns, found)?;
    }
    Ok(())
}
