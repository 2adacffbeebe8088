//! 数据目录: what a dataset is, before any of its rows are seen.
//!
//! One TOML file per dataset carries the catalogue attributes of rule R01, the
//! classification of R02, and for every column its type, level, role and, for
//! dimensions, the code list. Output domains come from these lists, never from
//! observed values.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use crate::aggregate::Grid;
pub use crate::binning::{Binning, CodeGroup, Edge};
pub use crate::column_type::{ColumnType, DECIMAL_DIGITS_MAX, ListItem, UnknownType};
use crate::{
    contract::Dimension,
    id::{DatasetId, OrgId},
    impossible::Impossible,
    lang::text,
    refusal::{Kind, Refusal},
};

/// The catalogue entry of one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// R01 and R02.
    pub dataset: DatasetEntry,
    /// The columns, in file order.
    #[serde(rename = "column")]
    pub columns: Vec<Column>,
    /// Codes that no row has together; public, and enforced at ingest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impossible: Vec<Impossible>,
}

/// The attributes that rule R01 (目录) and R02 (分类分级) ask of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetEntry {
    /// Name in the domain.
    pub id: DatasetId,
    /// Business name 业务名称.
    pub title: String,
    /// Information system 信息系统.
    pub system: String,
    /// Storage format 存储格式.
    pub format: String,
    /// Provider 提供单位.
    pub provider: OrgId,
    /// Sharing attribute 共享属性.
    pub sharing: Sharing,
    /// Why it is restricted or not shared, and under which conditions.
    #[serde(default)]
    pub sharing_basis: String,
    /// Opening attribute 开放属性.
    pub opening: Opening,
    /// Why it is restricted or prohibited; for a prohibited set the basis on
    /// which it may be authorised at all (anonymised, desensitised, consented).
    #[serde(default)]
    pub opening_basis: String,
    /// Provision mode 提供方式.
    pub provision: String,
    /// Update cycle 更新周期.
    pub cycle: String,
    /// Sharing term 共享期限.
    pub term: String,
    /// The column that names the privacy unit 隐私单元.
    pub unit: String,
    /// Units on the published roster: stands in a published schema, for `sluice guest
    /// try` to reckon with. Ingest counts for itself and records none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster_size: Option<u64>,
}

/// Sharing attribute of R02.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// 无条件共享.
    Unconditional,
    /// 受限共享: needs a reason.
    Restricted,
    /// 不予共享: needs a legal basis.
    None,
}

/// Opening attribute of R02.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// 无条件开放.
    Unconditional,
    /// 受限开放.
    Restricted,
    /// 禁止开放: may be authorised only on a recorded basis.
    Prohibited,
}

/// Level L1–L4 of a column (分级).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the four levels say themselves")]
pub enum Level {
    L1,
    L2,
    L3,
    L4,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnRole {
    /// Names the privacy unit.
    Unit,
    /// May stand in GROUP BY; has a code list.
    Dimension,
    /// May be summed and averaged.
    Measure,
    /// Readable in the inner room only.
    #[default]
    Attribute,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name in the file and in SQL.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Level L1–L4.
    pub level: Level,
    /// What it is for.
    #[serde(default)]
    pub role: ColumnRole,
    /// Whether a value may be missing.
    #[serde(default)]
    pub nullable: bool,
    /// Lowest and highest value of a number that is taken in, both included; public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[i64; 2]>,
    /// Of a measure, the step to which quantiles of it are rounded; without one it has
    /// none. Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// Code list; required for dimensions, and then no other value is taken in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<Code>,
    /// Coarser forms of it that may stand in GROUP BY; public.
    #[serde(default, rename = "binning", skip_serializing_if = "Vec::is_empty")]
    pub binnings: Vec<Binning>,
}

/// One entry of a code list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The value as it stands in the data.
    pub value: Key,
    /// What it means.
    pub label: String,
}

/// A value of a dimension: part of a cell's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A code that is a number.
    Int(i64),
    /// A code that is a word.
    Text(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(n) => n.fmt(f),
            Self::Text(s) => f.write_str(s),
        }
    }
}

impl CatalogueEntry {
    /// Reads and checks a catalogue file.
    ///
    /// # Errors
    /// `catalogue.*` refusals that name the field or column.
    pub fn parse(toml: &str) -> Result<Self, Refusal> {
        let entry: Self = toml::from_str(toml).map_err(|e| {
            Refusal::new(
                Kind::Usage,
                "catalogue.form",
                text(
                    format!("目录文件格式有误：{}", e.message()),
                    format!("the catalogue file is not well formed: {}", e.message()),
                ),
                text("按 docs/catalogue.md 的样例改正", "correct it after the example in docs/catalogue.md"),
            )
            .at(crate::contract::line_of(toml, e.span()))
        })?;
        entry.check()?;
        Ok(entry)
    }

    fn check(&self) -> Result<(), Refusal> {
        let bad = |place: &str, zh: &str, en: &str| {
            Err(Refusal::new(
                Kind::Usage,
                "catalogue.content",
                text(zh, en),
                text("改正目录文件后重新提交", "correct the catalogue file and submit it again"),
            )
            .at(place))
        };
        let d = &self.dataset;
        if d.sharing != Sharing::Unconditional && d.sharing_basis.trim().is_empty() {
            return bad(
                "dataset.sharing_basis",
                "受限共享或不予共享须写明依据",
                "restricted or no sharing needs its basis",
            );
        }
        if d.opening != Opening::Unconditional && d.opening_basis.trim().is_empty() {
            return bad(
                "dataset.opening_basis",
                "受限开放或禁止开放须写明依据",
                "restricted or prohibited opening needs its basis",
            );
        }
        let mut seen = BTreeSet::new();
        let binnings = self.columns.iter().flat_map(|c| &c.binnings).map(|b| b.name.as_str());
        for name in self.columns.iter().map(|c| c.name.as_str()).chain(binnings) {
            if name.is_empty() || name.starts_with("__") || !name.chars().all(|ch| ch.is_alphanumeric() || ch == '_') {
                return bad(
                    name,
                    "列名只能由字母、数字和下划线组成，且不得以 __ 开头",
                    "a column name has letters, digits and _ only and does not start with __",
                );
            }
            if !seen.insert(name) {
                return bad(name, "列名重复", "the column is named twice");
            }
        }
        for c in &self.columns {
            if c.role == ColumnRole::Dimension && (c.codes.is_empty() || c.nullable) {
                return bad(
                    &c.name,
                    "维度列须有代码表且不得为空",
                    "a dimension needs a code list and may not be nullable",
                );
            }
            if c.role == ColumnRole::Measure && !matches!(c.kind, ColumnType::Int | ColumnType::Float) {
                return bad(&c.name, "度量列须为整数或浮点数", "a measure is an int or a float");
            }
            if c.range.is_some_and(|[lo, hi]| lo > hi || !c.kind.is_number()) {
                return bad(
                    &c.name,
                    "取值范围须由小到大，且只用于整数、浮点与定点小数列",
                    "a range goes from low to high and belongs to an int, a float or a decimal column",
                );
            }
            if c.grid.is_some() && c.role != ColumnRole::Measure {
                return bad(&c.name, "网格只用于度量列", "a grid belongs to a measure");
            }
            if c.kind == ColumnType::Null && !c.nullable {
                return bad(&c.name, "null 列必须可空", "a null column is nullable");
            }
            let fits =
                |k: &Key| matches!((k, c.kind), (Key::Int(_), ColumnType::Int) | (Key::Text(_), ColumnType::Text));
            if !c.codes.iter().all(|code| fits(&code.value)) {
                return bad(&c.name, "代码表与列类型不符", "the code list does not fit the column's type");
            }
            let distinct: BTreeSet<_> = c.codes.iter().map(|code| &code.value).collect();
            if distinct.len() != c.codes.len() {
                return bad(&c.name, "代码表有重复项", "the code list names a value twice");
            }
            for binning in &c.binnings {
                if let Some((zh, en)) = binning.misfit(c) {
                    return bad(&format!("{}.{}", c.name, binning.name), zh, en);
                }
            }
        }
        if let Some((place, zh, en)) = self.misdeclared() {
            return bad(&place, zh, en);
        }
        let units: Vec<_> = self.columns.iter().filter(|c| c.role == ColumnRole::Unit).collect();
        match units.as_slice() {
            [unit]
                if unit.name == d.unit && !unit.nullable && matches!(unit.kind, ColumnType::Int | ColumnType::Text) =>
            {
                Ok(())
            }
            _ => bad(
                "dataset.unit",
                "须有且仅有一个角色为 unit 的非空整数或文本列，且与 dataset.unit 同名",
                "exactly one non-null int or text column has the role unit, the one that dataset.unit names",
            ),
        }
    }

    /// The column named `name`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The dimension column or the binning named `name`, as a dimension.
    pub fn dimension(&self, name: &str) -> Option<Dimension> {
        let binned = |c: &Column| c.binnings.iter().find(|b| b.name == name).map(|b| b.dimension(c));
        let column = self.column(name).filter(|c| c.role == ColumnRole::Dimension);
        column.map(Column::dimension).or_else(|| self.columns.iter().find_map(binned))
    }
}

impl Column {
    /// Its code list as a dimension.
    pub fn dimension(&self) -> Dimension {
        let domain = self.codes.iter().map(|c| (c.value.clone(), c.label.clone())).collect();
        Dimension { name: self.name.clone(), title: self.title.clone(), domain, base: None }
    }
}
