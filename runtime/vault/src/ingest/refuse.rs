//! What an ingest refuses, in words. Places are row numbers and column names;
//! there is no way to put a value in.

use sluice_domain::{Kind, Refusal, text};

/// What is wrong with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Missing where the catalogue allows no missing value.
    Missing,
    /// Cannot be read as the catalogue's type.
    Unreadable,
    /// Could be read, but the catalogue's type would change it.
    Lossy,
    /// Not in the code list.
    Code,
    /// Not UTF-8.
    Encoding,
    /// A text longer than the limit.
    Long,
    /// Outside the catalogue's range.
    Range,
    /// A list with more values or bytes than the limit.
    LongList,
    /// Codes that the catalogue says no row has together.
    Impossible,
}

impl Fault {
    /// The refusal for data row `row` (from 1) of the column.
    pub(super) fn refusal(self, row: u64, column: &str) -> Refusal {
        let (code, zh, en) = match self {
            Self::Missing => ("ingest.missing-value", "必填列缺值", "a value is missing where none may be"),
            Self::Unreadable => {
                ("ingest.unreadable-value", "值不是目录所定的类型", "the value is not of the catalogue's type")
            }
            Self::Lossy => (
                "ingest.lossy-value",
                "按目录所定类型无法原样保存该值",
                "the catalogue's type cannot hold the value unchanged",
            ),
            Self::Code => ("ingest.unknown-code", "值不在代码表内", "the value is not in the code list"),
            Self::Encoding => ("ingest.text-encoding", "文本不是 UTF-8 编码", "the text is not UTF-8"),
            Self::Long => ("ingest.text-too-long", "文本过长", "the text is too long"),
            Self::Range => ("ingest.out-of-range", "值超出目录所定范围", "the value is outside the catalogue's range"),
            Self::LongList => ("ingest.list-too-long", "列表过长", "the list is too long"),
            Self::Impossible => (
                "ingest.impossible",
                "这些列的值属于目录声明的不可能组合",
                "the columns have values together that the catalogue says are impossible",
            ),
        };
        Refusal::refused(
            code,
            text(zh, en),
            text(
                "由数据提供单位改正源数据或目录后整批重新入库",
                "have the provider correct the source or the catalogue, then ingest the whole file again",
            ),
        )
        .at(format!("row {row}, column {column}"))
    }
}

/// What is wrong with the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Neither `.csv` nor `.parquet`.
    Extension,
    /// The file cannot be opened, or is not what its name says.
    Unreadable,
    /// The first line names none of the catalogue's columns.
    Header,
    /// A column of the catalogue is not in the file.
    ColumnMissing,
    /// A column of the file is not in the catalogue.
    ColumnUnknown,
    /// A column is in the file twice.
    ColumnTwice,
    /// The file's type of a column cannot become the catalogue's.
    ColumnType,
    /// A list column, and the source is CSV.
    CsvList,
    /// A row has more or fewer fields than the header.
    RowShape,
    /// No rows.
    Empty,
    /// More rows than one snapshot takes.
    TooManyRows,
    /// Two different units got the same number.
    Collision,
    /// The snapshot is there already.
    SnapshotExists,
}

impl Broken {
    pub(super) fn refusal(self) -> Refusal {
        let (kind, code, zh, en) = match self {
            Self::Extension => (
                Kind::Usage,
                "ingest.source-format",
                "源文件须为 .csv 或 .parquet",
                "the source is a .csv or a .parquet file",
            ),
            Self::Unreadable => (
                Kind::Failed,
                "ingest.source-unreadable",
                "源文件无法读取或已损坏",
                "the source cannot be read or is damaged",
            ),
            Self::Header => (
                Kind::Refused,
                "ingest.header",
                "首行不是列名：未出现目录中的任何列",
                "the first line is no header: it names none of the catalogue's columns",
            ),
            Self::ColumnMissing => (
                Kind::Refused,
                "ingest.column-missing",
                "源文件缺少目录中的列",
                "the source lacks a column of the catalogue",
            ),
            Self::ColumnUnknown => (
                Kind::Refused,
                "ingest.column-unknown",
                "源文件有目录之外的列",
                "the source has a column that the catalogue lacks",
            ),
            Self::ColumnTwice => {
                (Kind::Refused, "ingest.column-twice", "源文件中列名重复", "the source names a column twice")
            }
            Self::ColumnType => (
                Kind::Refused,
                "ingest.column-type",
                "源文件的列类型不能无损转为目录所定类型",
                "the source's column type does not turn into the catalogue's without loss",
            ),
            Self::CsvList => (
                Kind::Refused,
                "ingest.csv-list",
                "CSV 没有列表的写法：含列表列的数据请用 Parquet 入库",
                "CSV has no form for lists: ingest data with list columns from Parquet",
            ),
            Self::RowShape => (
                Kind::Refused,
                "ingest.row-shape",
                "该行字段数与表头不符",
                "the row has more or fewer fields than the header",
            ),
            Self::Empty => (Kind::Refused, "ingest.empty", "源文件没有数据行", "the source has no rows"),
            Self::TooManyRows => (
                Kind::Refused,
                "ingest.too-many-rows",
                "行数超过单个快照上限",
                "the source has more rows than one snapshot takes",
            ),
            Self::Collision => (
                Kind::Failed,
                "ingest.unit-collision",
                "两个不同的隐私单元得到相同的内部编号",
                "two different units got the same hidden number",
            ),
            Self::SnapshotExists => (
                Kind::Refused,
                "ingest.snapshot-exists",
                "该快照已存在且不得覆盖",
                "the snapshot is there already and is never overwritten",
            ),
        };
        Refusal::new(
            kind,
            code,
            text(zh, en),
            text(
                "核对源文件与目录后整批重新入库",
                "compare the source with the catalogue, then ingest the whole file again",
            ),
        )
    }
}
