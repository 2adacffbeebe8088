//! The outer room: cleared tables in, a new state or texts and charts out. What
//! comes in has passed the gate; what goes out is checked, escaped and drawn by the
//! host, and read by two people.

use crate::{Error, abi::OuterBatch};

/// A cleared table: named columns in `compose`, columns by position in `update`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Values>,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Numbers(Vec<[u8; 8]>, Vec<bool>),
    Texts(Vec<String>, Vec<bool>),
}

/// What a report is composed of.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Report {
    /// The state after the last round; empty without rounds.
    pub state: Vec<u8>,
    params: Vec<(String, String)>,
    tables: Vec<(String, Table)>,
}

/// A text or a chart beside the tables of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    name: String,
    bytes: Vec<u8>,
}

/// A chart that the host draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    kind: &'static str,
    title: String,
    labels: Vec<String>,
    series: Vec<(String, Vec<Option<f64>>)>,
}

impl Table {
    /// A table made by hand, for unit tests: float columns.
    pub fn of_floats(columns: &[(&str, &[f64])]) -> Self {
        let numbers = |v: &[f64]| Values::Numbers(v.iter().map(|n| n.to_le_bytes()).collect(), vec![true; v.len()]);
        Self {
            names: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            columns: columns.iter().map(|(_, values)| numbers(values)).collect(),
        }
    }

    /// The float column number `at`, dimensions counted; `None` where withheld.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn floats_at(&self, at: usize) -> Result<Vec<Option<f64>>, Error> {
        Ok(self.numbers(at)?.map(|n| n.map(f64::from_le_bytes)).collect())
    }

    /// The float column `name`; `None` where withheld.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn floats(&self, name: &str) -> Result<Vec<Option<f64>>, Error> {
        self.floats_at(self.place(name)?)
    }

    /// The dimension `name` of whole numbers; `None` in a margin.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn ints(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        Ok(self.numbers(self.place(name)?)?.map(|n| n.map(i64::from_le_bytes)).collect())
    }

    /// The dimension `name` of words; `None` in a margin.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn texts(&self, name: &str) -> Result<Vec<Option<&str>>, Error> {
        match self.columns.get(self.place(name)?) {
            Some(Values::Texts(words, valid)) => {
                Ok(words.iter().zip(valid).map(|(w, v)| v.then_some(w.as_str())).collect())
            }
            _ => Err(Error::new(format!("`{name}` has no words"))),
        }
    }

    /// `update` that keeps the state: for guests that only compose.
    #[doc(hidden)]
    pub fn keep_state(_round: u32, state: &[u8], _cleared: &Self) -> Result<Vec<u8>, Error> {
        Ok(state.to_vec())
    }

    fn place(&self, name: &str) -> Result<usize, Error> {
        let found = self.names.iter().position(|n| n == name);
        found.ok_or_else(|| Error::new(format!("the table has no column `{name}`")))
    }

    fn numbers(&self, at: usize) -> Result<impl Iterator<Item = Option<[u8; 8]>>, Error> {
        match self.columns.get(at) {
            Some(Values::Numbers(numbers, valid)) => Ok(numbers.iter().zip(valid).map(|(n, v)| v.then_some(*n))),
            _ => Err(Error::new(format!("column {at} has no numbers"))),
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, clippy::allow_attributes, reason = "called by the ABI"))]
    pub(crate) fn of_batch(names: Vec<String>, batch: OuterBatch) -> Result<Self, Error> {
        let bad = || Error::new("a table does not read");
        let rows = batch.rows as usize;
        let columns = batch.columns.into_iter().map(|c| {
            let bit = |row: usize| {
                c.validity.as_ref().is_none_or(|v| v.get(row / 8).is_some_and(|b| b >> (row % 8) & 1 == 1))
            };
            let valid: Vec<bool> = (0..rows).map(bit).collect();
            match &c.offsets {
                None => {
                    let (words, _) = c.data.as_chunks::<8>();
                    (words.len() == rows).then(|| Values::Numbers(words.to_vec(), valid))
                }
                Some(offsets) => {
                    let (ends, _) = offsets.as_chunks::<4>();
                    let ends: Vec<usize> =
                        ends.iter().filter_map(|e| usize::try_from(i32::from_le_bytes(*e)).ok()).collect();
                    let word = |pair: &[usize]| match pair {
                        [from, to] => std::str::from_utf8(c.data.get(*from..*to)?).ok().map(str::to_owned),
                        _ => None,
                    };
                    let words: Vec<String> = ends.windows(2).map(word).collect::<Option<_>>()?;
                    (words.len() == rows).then_some(Values::Texts(words, valid))
                }
            }
        });
        Ok(Self { names, columns: columns.collect::<Option<_>>().ok_or_else(bad)? })
    }
}

impl Report {
    /// A report made by hand, for unit tests.
    pub fn of(params: &[(&str, &str)], tables: Vec<(&str, Table)>) -> Self {
        Self {
            state: Vec::new(),
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            tables: tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect(),
        }
    }

    /// A cleared table by its name.
    ///
    /// # Errors
    /// When the job has no such table.
    pub fn table(&self, name: &str) -> Result<&Table, Error> {
        let found = self.tables.iter().find(|(n, _)| n == name);
        found.map(|(_, table)| table).ok_or_else(|| Error::new(format!("the job has no table `{name}`")))
    }

    /// A value of the job file's `[report.params]`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `compose` that composes nothing: for guests that only update.
    #[doc(hidden)]
    pub fn nothing(_report: &Self) -> Result<Vec<Artefact>, Error> {
        Ok(Vec::new())
    }

    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, clippy::allow_attributes, reason = "called by the ABI"))]
    pub(crate) fn of_batches(state: Vec<u8>, batches: Vec<(String, OuterBatch)>) -> Result<Self, Error> {
        let mut report = Self { state, ..Self::default() };
        for (name, batch) in batches {
            if name == "params" {
                let names = vec!["name".to_owned(), "value".to_owned()];
                let table = Table::of_batch(names, batch)?;
                let pairs = table.texts("name")?.into_iter().zip(table.texts("value")?);
                report.params = pairs.filter_map(|(k, v)| Some((k?.to_owned(), v?.to_owned()))).collect();
            } else {
                let schema = report.param(&format!("table.{name}")).unwrap_or_default();
                let names = schema.split(',').filter_map(|part| Some(part.rsplit_once(':')?.0.to_owned())).collect();
                report.tables.push((name, Table::of_batch(names, batch)?));
            }
        }
        Ok(report)
    }
}

impl Artefact {
    /// A text: `name` ends in `.txt` or `.md`.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), bytes: text.into().into_bytes() }
    }

    /// A chart: `name` ends in `.chart.json`.
    pub fn chart(name: impl Into<String>, chart: &Chart) -> Self {
        Self { name: name.into(), bytes: chart.to_json().into_bytes() }
    }

    /// Name and bytes.
    pub fn into_parts(self) -> (String, Vec<u8>) {
        (self.name, self.bytes)
    }
}

impl Chart {
    /// Horizontal bars.
    pub fn bars(title: impl Into<String>, labels: Vec<String>) -> Self {
        Self { kind: "bar", title: title.into(), labels, series: Vec::new() }
    }

    /// Lines.
    pub fn lines(title: impl Into<String>, labels: Vec<String>) -> Self {
        Self { kind: "line", title: title.into(), labels, series: Vec::new() }
    }

    /// With one more series: a number per label, or nothing.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        self.series.push((name.into(), values));
        self
    }

    fn to_json(&self) -> String {
        let number = |n: &Option<f64>| match n {
            Some(n) if n.is_finite() => format!("{n:?}"),
            _ => "null".to_owned(),
        };
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        let series = self.series.iter().map(|(name, values)| {
            format!(r#"{{"name":{},"values":{}}}"#, word(name), list(values.iter().map(number).collect()))
        });
        format!(
            r#"{{"kind":"{}","title":{},"labels":{},"series":{}}}"#,
            self.kind,
            word(&self.title),
            list(self.labels.iter().map(|l| word(l)).collect()),
            list(series.collect())
        )
    }
}

/// A JSON string.
fn word(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Artefact, Chart, Report, Table};

    #[test]
    fn a_chart_is_written_as_the_host_reads_it() {
        let chart = Chart::bars("就\"医", vec!["a".into()]).with("n", vec![Some(2.0)]);
        let (name, bytes) = Artefact::chart("x.chart.json", &chart).into_parts();
        assert_eq!(name, "x.chart.json");
        let wanted = r#"{"kind":"bar","title":"就\"医","labels":["a"],"series":[{"name":"n","values":[2.0]}]}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
    }

    #[test]
    fn tables_read_by_name_and_place() {
        let report = Report::of(&[("a", "1")], vec![("t", Table::of_floats(&[("n", &[1.0, 2.0])]))]);
        assert_eq!(report.param("a"), Some("1"));
        assert_eq!(report.table("t").unwrap().floats("n").unwrap(), [Some(1.0), Some(2.0)]);
        assert!(report.table("u").is_err() && report.table("t").unwrap().floats_at(1).is_err());
    }
}
