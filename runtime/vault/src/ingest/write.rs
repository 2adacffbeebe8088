//! Writes a snapshot: one Parquet file under modular encryption (AES-256-GCM, a
//! key per column, encrypted footer).
//!
//! Two things are unlike a usual Parquet file:
//! - **No page index.** parquet-rs 59.3 decrypts the page index of *every* column
//!   when it loads it, and fails when one key is withheld; a reader with a grant
//!   could not open the file. It would be of little use here: rows are in order of
//!   a keyed hash, so a page's range of any other column is the column's range.
//!   Row-group statistics are there, encrypted with their column.
//! - **Row groups end at unit boundaries**, so that they can be scanned in
//!   parallel without splitting a unit.

use std::{fs::OpenOptions, ops::Range, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    encryption::encrypt::FileEncryptionProperties,
    errors::ParquetError,
    file::{
        metadata::SortingColumn,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    },
    schema::types::ColumnPath,
};
use sluice_domain::{Digest, catalogue::CatalogueEntry, id::SnapshotId};
use sluice_rows::{
    ROW_COLUMN, UNIT_COLUMN,
    arrow::{
        array::{Array, ArrayRef, UInt32Array, UInt64Array},
        compute::interleave,
        datatypes::{DataType, Field, Schema, SchemaRef},
        record_batch::RecordBatch,
    },
};

use super::{
    BATCH_ROWS,
    arrange::{Order, Placed},
    commitment::Commitment,
    convert::arrow_type,
    intake::Columns,
};
use crate::{
    crypt::Key,
    dataset_key::{Opens, SnapshotKeys},
    error::VaultError,
    snapshot,
};

/// A row group is closed at the first unit boundary after so many rows.
const ROW_GROUP_ROWS: usize = 1 << 20;
const WHAT: &str = "the snapshot's file";

/// Writes the rows in their order and returns the commitment to them. The file is
/// whole and synced when this returns.
pub(super) fn write(
    path: &Path,
    entry: &CatalogueEntry,
    snapshot: &SnapshotId,
    batches: &[Columns],
    order: &Order,
    keys: &SnapshotKeys,
    mut commitment: Commitment,
) -> Result<Digest, VaultError> {
    let failed = |_: ParquetError| VaultError::Parquet { what: "written" };
    let disk = VaultError::disk(WHAT);
    let schema = stored_schema(entry);
    let properties = properties(&schema).with_file_encryption_properties(encryption(&schema, snapshot, keys)?).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(&disk)?;
    let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options).map_err(failed)?;
    let mut numbers = 0u32..;
    for group in row_groups(&order.rows, ROW_GROUP_ROWS) {
        for piece in order.rows.get(group).unwrap_or_default().chunks(BATCH_ROWS) {
            let units: Vec<u64> = piece.iter().map(|p| p.unit).collect();
            let mut columns = gather(batches, piece, entry.columns.len())?;
            commitment.add(&columns, &units);
            let rows: Vec<u32> = numbers.by_ref().take(units.len()).collect();
            columns.push(Arc::new(UInt32Array::from(rows)));
            columns.push(Arc::new(UInt64Array::from(units)));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
                .map_err(|_| VaultError::Parquet { what: "written" })?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.flush().map_err(failed)?;
    }
    let file = writer.into_inner().map_err(failed)?;
    file.sync_all().map_err(&disk)?;
    Ok(commitment.finish())
}

/// The catalogue's columns in plain types, then the hidden ones: row and unit.
pub(crate) fn stored_schema(entry: &CatalogueEntry) -> SchemaRef {
    let fields = entry.columns.iter().map(|c| Field::new(&c.name, arrow_type(c.kind), c.nullable));
    let unit = Field::new(UNIT_COLUMN, DataType::UInt64, false);
    let row = Field::new(ROW_COLUMN, DataType::UInt32, false);
    Arc::new(Schema::new(fields.chain([row, unit]).collect::<Vec<_>>()))
}

/// Everything but the encryption.
pub(crate) fn properties(schema: &Schema) -> WriterPropertiesBuilder {
    let unit = i32::try_from(schema.fields().len().saturating_sub(1)).unwrap_or(0);
    let row = ColumnPath::from(ROW_COLUMN);
    WriterProperties::builder()
        // Every tabulation reads the hidden columns: rows count upwards, units are hashes.
        .set_column_dictionary_enabled(row.clone(), false)
        .set_column_encoding(row.clone(), Encoding::DELTA_BINARY_PACKED)
        .set_column_compression(row, Compression::UNCOMPRESSED)
        .set_column_compression(ColumnPath::from(UNIT_COLUMN), Compression::UNCOMPRESSED)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: unit, descending: false, nulls_first: false }]))
        .set_created_by("sluice".to_owned())
}

/// Draws the file's keys. The library takes plain bytes and keeps them until the
/// file is written; it offers no other way.
fn encryption(
    schema: &Schema,
    snapshot: &SnapshotId,
    keys: &SnapshotKeys,
) -> Result<Arc<FileEncryptionProperties>, VaultError> {
    let footer = Key::random()?;
    let mut builder = FileEncryptionProperties::builder(footer.bytes().to_vec())
        .with_footer_key_metadata(keys.wrap(Opens::Footer, &footer)?)
        .with_aad_prefix(snapshot::aad_prefix(snapshot));
    for field in schema.fields() {
        let key = Key::random()?;
        let wrapped = keys.wrap(Opens::Column(field.name()), &key)?;
        builder = builder.with_column_key_and_metadata(&leaf(field), key.bytes().to_vec(), wrapped);
    }
    builder.build().map_err(|_| VaultError::Parquet { what: "written" })
}

/// The path of a field's values in the file. The writer refuses a key for a path
/// that is not there, and a leaf without a key would lie open: a test reads them.
fn leaf(field: &Field) -> String {
    match field.data_type() {
        DataType::List(values) => format!("{}.list.{}", field.name(), values.name()),
        _ => field.name().clone(),
    }
}

fn row_groups(rows: &[Placed], rows_min: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    for (at, (before, here)) in rows.iter().zip(rows.iter().skip(1)).enumerate() {
        if at + 1 - start >= rows_min && before.unit != here.unit {
            groups.push(start..at + 1);
            start = at + 1;
        }
    }
    groups.push(start..rows.len());
    groups
}

fn gather(batches: &[Columns], piece: &[Placed], columns: usize) -> Result<Vec<ArrayRef>, VaultError> {
    let failed = || VaultError::Parquet { what: "written" };
    let at: Vec<(usize, usize)> = piece.iter().map(|p| (p.batch as usize, p.row as usize)).collect();
    (0..columns)
        .map(|column| {
            let arrays: Option<Vec<&dyn Array>> =
                batches.iter().map(|batch| batch.get(column).map(AsRef::as_ref)).collect();
            interleave(&arrays.ok_or_else(failed)?, &at).map_err(|_| failed())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_never_split_a_unit() {
        let rows = |units: &[u64]| -> Vec<Placed> {
            (0..).zip(units).map(|(row, unit)| Placed { unit: *unit, batch: 0, row }).collect()
        };
        assert_eq!(row_groups(&rows(&[1, 1, 1, 2, 2, 3, 4]), 2), [0..3, 3..5, 5..7]);
        assert_eq!(row_groups(&rows(&[1, 1, 1]), 1), std::slice::from_ref(&(0..3)));
        assert_eq!(row_groups(&rows(&[1, 2]), 1), [0..1, 1..2]);
        assert_eq!(row_groups(&rows(&[1, 2]), 9), std::slice::from_ref(&(0..2)));
    }
}
