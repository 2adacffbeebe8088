//! A table as Parquet: the columns of the CSV, typed; nulls for margins and for
//! withheld numbers. What the table's numbers are stands in the file's metadata, too,
//! under `sluice.made`.

use std::sync::Arc;

use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use sluice_domain::{
    Refusal,
    candidate::{CandidateTable, Cell, CellValue},
    catalogue::Key,
    contract::Table,
};
use sluice_rows::arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};

use super::{
    csv::{PUBLISHED, WITHHELD, companions},
    made,
};
use crate::{chart::number, run::host_fault};

pub(super) fn write(table: &CandidateTable, declared: &Table) -> Result<Vec<u8>, Refusal> {
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
        let floats = |of: &dyn Fn(&Cell) -> Option<f64>| -> ArrayRef {
            Arc::new(table.cells.iter().map(of).collect::<Float64Array>())
        };
        fields.push(Field::new(&measure.name, DataType::Float64, true));
        columns.push(floats(&|cell| number(cell, i)));
        for end in companions(table, declared, i) {
            let column = match end {
                "sigma" => floats(&|cell| number(cell, i).and_then(|_| table.sigma(cell, i))),
                "error95" => floats(&|cell| number(cell, i).and_then(|_| table.error_95(cell, i))),
                _ => {
                    let word = |cell| number(cell, i).and_then(|_| made::word(table, declared, cell, i));
                    Arc::new(table.cells.iter().map(word).collect::<StringArray>())
                }
            };
            fields.push(Field::new(format!("{}_{end}", measure.name), column.data_type().clone(), true));
            columns.push(column);
        }
    }
    let marks =
        table.cells.iter().map(|c| if matches!(c.value, CellValue::Published(_)) { PUBLISHED } else { WITHHELD });
    fields.push(Field::new("status", DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values(marks)));
    fields.push(Field::new(made::MADE_BY, DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values(table.cells.iter().map(|_| made::made_by(declared)))));

    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|_| host_fault())?;
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let said = serde_json::to_string(&made::said(table, declared)).map_err(|_| host_fault())?;
    let properties = WriterProperties::builder()
        .set_compression(zstd)
        .set_created_by("sluice".to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new("sluice.made".to_owned(), said)]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(|_| host_fault())?;
    writer.write(&batch).map_err(|_| host_fault())?;
    writer.into_inner().map_err(|_| host_fault())
}
