//! A table as Parquet: the columns of the CSV, typed; nulls for margins and for
//! withheld numbers.

use std::sync::Arc;

use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, CellValue},
    catalogue::Key,
};
use sluice_rows::arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};

use super::csv::{PUBLISHED, WITHHELD};
use crate::run::host_fault;

pub(super) fn write(table: &CandidateTable) -> Result<Vec<u8>, Refusal> {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (i, dimension) in table.dimensions.iter().enumerate() {
        let keys = table.cells.iter().map(|c| c.key.get(i).and_then(Option::as_ref));
        let numeric = dimension.domain.iter().all(|(k, _)| matches!(k, Key::Int(_)));
        let column: ArrayRef = if numeric {
            Arc::new(keys.map(|k| if let Some(Key::Int(n)) = k { Some(*n) } else { None }).collect::<Int64Array>())
        } else {
            Arc::new(keys.map(|k| k.map(ToString::to_string)).collect::<StringArray>())
        };
        fields.push(Field::new(&dimension.name, column.data_type().clone(), true));
        columns.push(column);
    }
    for (i, measure) in table.measures.iter().enumerate() {
        let number = |value: &CellValue| match value {
            CellValue::Published(numbers) => numbers.get(i).copied().flatten(),
            CellValue::Withheld(_) => None,
        };
        let numbers: Float64Array = table.cells.iter().map(|c| number(&c.value)).collect();
        fields.push(Field::new(&measure.name, DataType::Float64, true));
        columns.push(Arc::new(numbers));
        if measure.error_95.is_some() {
            let errors: Float64Array =
                table.cells.iter().map(|c| number(&c.value).and_then(|_| table.error_95(c, i))).collect();
            fields.push(Field::new(format!("{}_error95", measure.name), DataType::Float64, true));
            columns.push(Arc::new(errors));
        }
    }
    let marks =
        table.cells.iter().map(|c| if matches!(c.value, CellValue::Published(_)) { PUBLISHED } else { WITHHELD });
    fields.push(Field::new("status", DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values(marks)));

    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|_| host_fault())?;
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(zstd).set_created_by("sluice".to_owned()).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(|_| host_fault())?;
    writer.write(&batch).map_err(|_| host_fault())?;
    writer.into_inner().map_err(|_| host_fault())
}
