//! 分箱: a public, coarser form of a column, declared in the catalogue.
//!
//! A number or date column is cut at public edges; a code list is put into groups.
//! Either way every value has exactly one bin, so a binning is a dimension. Binnings
//! of one column are coarsenings of the same finest parts ([`Base`]): that is what
//! the gate sees when tables by several of them stand in one job.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Date,
    catalogue::{Column, ColumnType, Key},
    contract::{Base, Dimension},
};

/// One binning of a column: by `edges` and `labels`, or by `groups` of codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binning {
    /// Name in SQL.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Cut points, ascending; a value equal to one lies above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// One per bin: below the first edge, between two, from the last one on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Groups of a code list: each code is in one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<CodeGroup>,
    /// The bin of missing values; required where the column is nullable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// A cut point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Edge {
    /// Of a number.
    Number(i64),
    /// Of a date, as `"2020-01-31"`.
    Day(Date),
}

/// Codes that count as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeGroup {
    /// The bin's code and name.
    pub label: String,
    /// What it holds.
    pub codes: Vec<Key>,
}

impl Edge {
    /// The number, or the days since 1970-01-01, as they stand in the data.
    pub fn value(self) -> i64 {
        match self {
            Self::Number(n) => n,
            Self::Day(day) => i64::from((day - Date::constant(1970, 1, 1)).get_days()),
        }
    }
}

impl Binning {
    /// What is wrong with it over `column`, in Chinese and English; nothing if it fits.
    pub(crate) fn misfit(&self, column: &Column) -> Option<(&'static str, &'static str)> {
        let values: Vec<i64> = self.edges.iter().map(|e| e.value()).collect();
        let dates = self.edges.iter().all(|e| matches!(e, Edge::Day(_)));
        let numbers = self.edges.iter().all(|e| matches!(e, Edge::Number(_)));
        let edges_fit = match column.kind {
            ColumnType::Int | ColumnType::Float => numbers,
            ColumnType::Date => dates,
            _ => false,
        };
        let labels: Vec<&String> = self.labels().collect();
        if self.edges.is_empty() == self.groups.is_empty() {
            return Some(("分箱须有 edges 或 groups 之一", "a binning has either edges or groups"));
        }
        if !self.edges.is_empty() && (!edges_fit || !values.is_sorted_by(|a, b| a < b)) {
            return Some((
                "edges 须由小到大，且与列类型（数值或日期）相符",
                "edges ascend and fit the column's type, a number or a date",
            ));
        }
        if !self.edges.is_empty() && self.labels.len() != self.edges.len() + 1 {
            return Some(("labels 须比 edges 多一个", "there is one label more than edges"));
        }
        let grouped: Vec<&Key> = self.groups.iter().flat_map(|g| &g.codes).collect();
        let known: BTreeSet<&Key> = column.codes.iter().map(|c| &c.value).collect();
        let distinct: BTreeSet<&Key> = grouped.iter().copied().collect();
        if !self.groups.is_empty() && (grouped.len() != distinct.len() || distinct != known || known.is_empty()) {
            return Some(("groups 须恰好含代码表的每个代码一次", "the groups hold each code of the list exactly once"));
        }
        if labels.iter().collect::<BTreeSet<_>>().len() != labels.len() || labels.iter().any(|l| l.trim().is_empty()) {
            return Some(("各箱的名称须不为空且互不相同", "the bins have different names, none of them empty"));
        }
        if column.nullable != self.missing.is_some() {
            return Some((
                "可空列的分箱须有 missing，其余不得有",
                "a binning has `missing` if its column is nullable, and only then",
            ));
        }
        None
    }

    /// The bin of a number or day.
    pub fn bin_of(&self, not_above: impl Fn(i64) -> bool) -> Option<&str> {
        self.labels.get(self.edges.partition_point(|e| not_above(e.value()))).map(String::as_str)
    }

    /// The bin of a code.
    pub fn bin_of_code(&self, code: &Key) -> Option<&str> {
        let group = self.groups.iter().find(|g| g.codes.contains(code));
        group.map(|g| g.label.as_str()).or_else(|| match code {
            Key::Int(n) => self.bin_of(|edge| edge <= *n),
            Key::Text(_) => None,
        })
    }

    fn labels(&self) -> impl Iterator<Item = &String> {
        self.labels.iter().chain(self.groups.iter().map(|g| &g.label)).chain(&self.missing)
    }

    /// The dimension that it makes of `column`, over the finest parts of all the
    /// column's binnings.
    pub fn dimension(&self, column: &Column) -> Dimension {
        let domain: Vec<(Key, String)> = self.labels().map(|l| (Key::Text(l.clone()), l.clone())).collect();
        let place = |label: Option<&str>| {
            let at = label.and_then(|l| domain.iter().position(|(_, name)| name == l)).unwrap_or(0);
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        let mut of_part: Vec<u32> = if column.codes.is_empty() {
            let cuts: BTreeSet<i64> = column.binnings.iter().flat_map(|b| &b.edges).map(|e| e.value()).collect();
            let below = std::iter::once(place(self.bin_of(|_| false)));
            below.chain(cuts.into_iter().map(|cut| place(self.bin_of(|edge| edge <= cut)))).collect()
        } else {
            column.codes.iter().map(|c| place(self.bin_of_code(&c.value))).collect()
        };
        of_part.extend(self.missing.as_deref().map(|label| place(Some(label))));
        let base = Some(Base { name: column.name.clone(), of_part });
        Dimension { name: self.name.clone(), title: self.title.clone(), domain, base }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::CatalogueEntry;

    fn code(column: &str) -> Result<(), &'static str> {
        let toml = format!(
            "[dataset]\nid = \"d\"\ntitle = \"D\"\nsystem = \"s\"\nformat = \"f\"\nprovider = \"o\"\nsharing = \"unconditional\"\n\
             opening = \"unconditional\"\nprovision = \"p\"\ncycle = \"c\"\nterm = \"t\"\nunit = \"id\"\n\
             [[column]]\nname = \"id\"\ntitle = \"Id\"\ntype = \"int\"\nlevel = \"L3\"\nrole = \"unit\"\n\
             [[column]]\nname = \"x\"\ntitle = \"X\"\nlevel = \"L1\"\n{column}"
        );
        CatalogueEntry::parse(&toml).map(drop).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_binning_that_leaves_a_value_out_or_twice_in_is_refused() {
        let with = |kind: &str, binning: &str| {
            code(&format!("type = {kind}\n[[column.binning]]\nname = \"b\"\ntitle = \"B\"\n{binning}\n"))
        };
        let int = |binning| with("\"int\"", binning);
        let codes =
            "\"int\"\nrole = \"dimension\"\ncodes = [{ value = 1, label = \"1\" }, { value = 2, label = \"2\" }]";
        assert_eq!(int("edges = [1, 2]\nlabels = [\"a\", \"b\", \"c\"]"), Ok(()));
        assert_eq!(with("\"date\"", "edges = [\"2020-02-29\"]\nlabels = [\"a\", \"b\"]"), Ok(()));
        assert_eq!(with(codes, "groups = [{ label = \"a\", codes = [2, 1] }]"), Ok(()));
        for bad in [
            "edges = [2, 1]\nlabels = [\"a\", \"b\", \"c\"]",
            "edges = [1, 1]\nlabels = [\"a\", \"b\", \"c\"]",
            "edges = [1]\nlabels = [\"a\"]",
            "edges = [1]\nlabels = [\"a\", \"a\"]",
            "edges = [\"2020-01-01\"]\nlabels = [\"a\", \"b\"]",
            "edges = [1]\nlabels = [\"a\", \"b\"]\nmissing = \"m\"",
            "groups = [{ label = \"a\", codes = [1] }]",
            "",
        ] {
            assert_eq!(int(bad), Err("catalogue.content"), "{bad}");
        }
        for bad in ["groups = [{ label = \"a\", codes = [1] }]", "groups = [{ label = \"a\", codes = [1, 2, 2] }]"] {
            assert_eq!(with(codes, bad), Err("catalogue.content"), "{bad}");
        }
        assert_eq!(with("\"int\"\nnullable = true", "edges = [1]\nlabels = [\"a\", \"b\"]"), Err("catalogue.content"));
        assert_eq!(
            code(
                "type = \"int\"\n[[column.binning]]\nname = \"id\"\ntitle = \"B\"\nedges = [1]\nlabels = [\"a\", \"b\"]\n"
            ),
            Err("catalogue.content")
        );
    }
}
