//! An independent reading of the raw file: no code of the product's.

use std::{fs::File, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};

/// Every row, by Parquet's row reader.
pub(crate) fn rows(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

pub(crate) fn int(row: &Row, column: &str) -> i64 {
    match field(row, column) {
        Field::Long(n) => n,
        other => panic!("{column}: {other:?}"),
    }
}

pub(crate) fn float(row: &Row, column: &str) -> f64 {
    match field(row, column) {
        Field::Double(x) => x,
        Field::Long(n) => n as f64,
        other => panic!("{column}: {other:?}"),
    }
}

pub(crate) fn text(row: &Row, column: &str) -> String {
    match field(row, column) {
        Field::Str(text) => text,
        other => panic!("{column}: {other:?}"),
    }
}

fn field(row: &Row, column: &str) -> Field {
    row.get_column_iter().find(|(name, _)| *name == column).map(|(_, f)| f.clone()).unwrap()
}
