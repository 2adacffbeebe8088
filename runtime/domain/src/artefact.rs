//! 附件: texts and chart specifications that an outer room composed of cleared
//! cells. What it sends are hostile bytes until [`Artefact::parse`] has taken them.
//!
//! A chart is a list of numbers and words; the host draws it. Nothing here is ever
//! markup: texts are shown escaped.

use serde::{Deserialize, Serialize};

use crate::visible::is_invisible;

/// Most artefacts of one product.
pub const ARTEFACTS_MAX: usize = 16;
/// Most bytes of one artefact.
pub const ARTEFACT_BYTES_MAX: usize = 64 << 10;
/// Most points of a chart.
pub const POINTS_MAX: usize = 200;
/// Most series of a chart.
pub const SERIES_MAX: usize = 8;
/// Most characters of a title.
const TITLE_MAX: usize = 120;
/// Most characters of a label or a name of a series.
const LABEL_MAX: usize = 60;
/// Largest number that a chart draws.
const NUMBER_MAX: f64 = 1e15;

/// A text or a chart beside the tables of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// File name: `a-z 0-9 - _` and `.txt`, `.md` or `.chart.json`.
    pub name: String,
    /// What it is.
    pub content: Content,
}

/// What an artefact is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Content {
    /// Text; also `.md`, which is shown as it is written.
    Text(String),
    /// A chart.
    Chart(Chart),
}

/// A chart specification (`.chart.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// Bars or lines.
    pub kind: ChartKind,
    /// Heading.
    pub title: String,
    /// Labels of the points.
    pub labels: Vec<String>,
    /// One or more series, each with a number per label.
    pub series: Vec<Series>,
}

/// How the series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChartKind {
    /// Horizontal bars, side by side per label.
    Bar,
    /// Lines from label to label.
    Line,
}

/// One series of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// A number per label; none where there is nothing to draw.
    pub values: Vec<Option<f64>>,
}

/// What came of a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The contract asks for none.
    #[default]
    None,
    /// The outer room composed these.
    Composed(Vec<Artefact>),
    /// The outer room failed or sent what cannot be taken. It saw cleared cells
    /// only, so that this may be told.
    Failed,
}

impl Report {
    /// Takes an outer room's whole answer, or nothing of it.
    pub fn parse(sent: &[(String, Vec<u8>)]) -> Self {
        let mut artefacts: Vec<Artefact> = Vec::new();
        for (name, bytes) in sent {
            match Artefact::parse(name, bytes) {
                Some(artefact) if artefacts.len() < ARTEFACTS_MAX && artefacts.iter().all(|a| a.name != *name) => {
                    artefacts.push(artefact);
                }
                _ => return Self::Failed,
            }
        }
        Self::Composed(artefacts)
    }

    /// The artefacts, if there are any.
    pub fn artefacts(&self) -> &[Artefact] {
        match self {
            Self::Composed(artefacts) => artefacts,
            Self::None | Self::Failed => &[],
        }
    }
}

impl Artefact {
    /// Takes one artefact; `None` when its name, size or content does not fit.
    pub fn parse(name: &str, bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ARTEFACT_BYTES_MAX {
            return None;
        }
        let (stem, kind) = name.split_once('.')?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !(1..=48).contains(&stem.len()) || !stem.bytes().all(plain) {
            return None;
        }
        let content = match kind {
            "txt" | "md" => Content::Text(std::str::from_utf8(bytes).ok().filter(|t| is_text(t))?.to_owned()),
            "chart.json" => Content::Chart(serde_json::from_slice::<Chart>(bytes).ok().filter(Chart::fits)?),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), content })
    }

    /// The file's bytes in a product.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.content {
            Content::Text(text) => text.clone().into_bytes(),
            // Plain data with string keys has no way to fail.
            Content::Chart(chart) => serde_json::to_vec(chart).unwrap_or_default(),
        }
    }
}

impl Chart {
    fn fits(&self) -> bool {
        let word = |text: &str, most| text.chars().count() <= most && is_text(text) && !text.contains(['\n', '\t']);
        let number = |n: &Option<f64>| n.is_none_or(|n| n.is_finite() && n.abs() <= NUMBER_MAX);
        word(&self.title, TITLE_MAX)
            && (1..=POINTS_MAX).contains(&self.labels.len())
            && (1..=SERIES_MAX).contains(&self.series.len())
            && self.labels.iter().all(|label| word(label, LABEL_MAX))
            && self
                .series
                .iter()
                .all(|s| word(&s.name, LABEL_MAX) && s.values.len() == self.labels.len() && s.values.iter().all(number))
    }
}

/// Nothing invisible but line ends and tabs: what a reviewer sees is all there is, in
/// the order in which it stands.
fn is_text(text: &str) -> bool {
    text.chars().all(|c| !is_invisible(c) || matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::{Artefact, Content, Report};

    const CHART: &str = r#"{"kind":"bar","title":"t","labels":["a","b"],"series":[{"name":"n","values":[1.5,null]}]}"#;

    #[test]
    fn texts_and_charts_are_taken_and_come_back_as_they_were() {
        let text = Artefact::parse("notes.md", "# 一\n<script>".as_bytes()).unwrap();
        assert_eq!(text.bytes(), "# 一\n<script>".as_bytes());
        let chart = Artefact::parse("a-1.chart.json", CHART.as_bytes()).unwrap();
        assert!(matches!(chart.content, Content::Chart(_)));
        assert_eq!(Artefact::parse("a-1.chart.json", &chart.bytes()), Some(chart));
    }

    #[test]
    fn whatever_else_is_refused() {
        let many = format!("[{}]", vec!["\"x\""; 300].join(","));
        for (name, bytes) in [
            ("a.html", "x".to_owned()),
            ("a.csv", "x".to_owned()),
            ("../a.txt", "x".to_owned()),
            (".txt", "x".to_owned()),
            ("A.txt", "x".to_owned()),
            ("a.txt.exe", "x".to_owned()),
            ("a.txt", "\u{1b}[2J".to_owned()),
            ("a.txt", "\u{202e}".to_owned()),
            ("a.txt", "\u{61c}".to_owned()),
            ("a.md", "one\u{2028}two".to_owned()),
            ("a.md", "one\u{2029}two".to_owned()),
            ("a.md", "one\r\ntwo".to_owned()),
            ("a.txt", "sum\u{200b}mary".to_owned()),
            ("a.txt", "a\u{e0041}".to_owned()),
            ("a.chart.json", CHART.replace("\"a\"", "\"a\u{2067}\"")),
            ("a.txt", "x".repeat(70_000)),
            ("a.chart.json", CHART.replace("bar", "pie")),
            ("a.chart.json", CHART.replace("1.5", "1e400")),
            ("a.chart.json", CHART.replace("1.5", "1e20")),
            ("a.chart.json", CHART.replace(",null", "")),
            ("a.chart.json", CHART.replace("\"t\"", "\"t\",\"style\":\"x\"")),
            ("a.chart.json", CHART.replace("[\"a\",\"b\"]", &many)),
            ("a.chart.json", "[".repeat(60_000)),
        ] {
            assert_eq!(Artefact::parse(name, bytes.as_bytes()), None, "{name} {:.40}", bytes);
        }
        assert_eq!(Artefact::parse("a.txt", &[0xff]), None);
    }

    #[test]
    fn one_bad_artefact_spoils_the_report() {
        let ok = ("a.txt".to_owned(), b"x".to_vec());
        assert_eq!(Report::parse(std::slice::from_ref(&ok)).artefacts().len(), 1);
        assert_eq!(Report::parse(&[ok.clone(), ok.clone()]), Report::Failed);
        assert_eq!(Report::parse(&[ok, ("b.html".to_owned(), vec![])]), Report::Failed);
    }
}
