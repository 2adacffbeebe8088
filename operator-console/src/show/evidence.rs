//! Evidence as blocks of a reviewer's page: a sentence, a small table, a plot, and what it
//! cannot show. No other page is given any.

use sluice_domain::{
    candidate::{CandidateTable, Route},
    evidence::{CheckKind, Grade},
};
use sluice_service::pages::ShownCheck;

use super::grid::Chart;
use crate::{lang::Texts, svg::InertSvg};

/// The evidence about one candidate.
pub(crate) struct Evidence {
    pub(crate) checks: Vec<CheckBlock>,
    /// Tables of routes A and B: on them there is none.
    pub(crate) noised: Option<String>,
}

/// One check.
pub(crate) struct CheckBlock {
    pub(crate) title: &'static str,
    pub(crate) table: Option<String>,
    pub(crate) tone: &'static str,
    pub(crate) grade: &'static str,
    pub(crate) finding: String,
    pub(crate) cannot: String,
    pub(crate) headings: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) chart: Chart,
}

/// Lays evidence out.
pub(crate) fn blocks(checks: Vec<ShownCheck>, tables: &[CandidateTable], t: &'static Texts) -> Evidence {
    let noised =
        tables.iter().filter(|table| matches!(table.route, Route::A | Route::B)).map(|table| table.name.as_str());
    let noised: Vec<&str> = noised.collect();
    Evidence {
        checks: checks.into_iter().map(|shown| block(shown, t)).collect(),
        noised: (!noised.is_empty()).then(|| noised.join(" · ")),
    }
}

fn block(shown: ShownCheck, t: &'static Texts) -> CheckBlock {
    let ShownCheck { check, svg } = shown;
    let words = &t.evidence;
    let (tone, grade) = match check.grade {
        Grade::Alarm => ("risk", words.alarm),
        Grade::Look => ("warn", words.look),
        Grade::Clear => ("good", words.clear),
    };
    CheckBlock {
        title: match check.kind {
            CheckKind::ValueScan => words.value_scan,
            CheckKind::Influence => words.influence,
            CheckKind::Canaries => words.canaries,
            CheckKind::Capacity => words.capacity,
        },
        table: check.table,
        tone,
        grade,
        finding: check.finding.of(t.lang).to_owned(),
        cannot: check.cannot.of(t.lang).to_owned(),
        headings: check.headings.iter().map(|text| text.of(t.lang).to_owned()).collect(),
        rows: check.rows.iter().map(|row| row.iter().map(|text| text.of(t.lang).to_owned()).collect()).collect(),
        chart: svg.map_or(Chart::None, |svg| InertSvg::check(svg).map_or(Chart::Refused, Chart::Drawn)),
    }
}
