//! 佐证 (gate.md §5): what reviewers of routes C and D are shown beside the rules. None of
//! it is a proof, and each check says what it cannot show.
//!
//! Pure: the rows of the view come in unit by unit, in the canonical order (which is
//! keyed, so that the first units are a sample of all), and a secret seed as a digest.
//! [`Replay`] takes them; [`Replay::checks`] says what came of it. Never used on what routes
//! A and B answer: judging them on exact values would void their guarantee.

mod canaries;
mod capacity;
mod curves;
pub mod held;
mod influence;
mod ranks;
mod report;
mod scan;
mod values;

use sluice_domain::{
    Digest, Refusal,
    artefact::{Content, Report},
    candidate::CandidateTable,
    contract::{Contract, Table, TableC, Whose},
    evidence::{Check, EvidenceRules},
    id::ViewId,
};
use sluice_rows::{RowBatch, cells::Cells};

pub use canaries::Exposure;
pub use curves::{Model, Modelled};
pub use influence::{Influence, Moved};
pub use scan::{Found, Hit};
pub(crate) use values::scalar;

use self::{curves::Curve, influence::Tabulated, scan::Scan, values::Rows};
use crate::route_c::Rules;

/// One table of route C of the run: what was asked, what is true, what would be published.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The contract's table.
    pub table: &'a TableC,
    /// Its true statistics.
    pub cells: &'a Cells,
    /// The candidate's table.
    pub published: &'a CandidateTable,
}

/// The tables of route C of a candidate, in contract order.
///
/// # Errors
/// `gate.host-fault` when the three do not fit each other.
pub fn asked<'a>(
    contract: &'a Contract,
    tabulated: &'a [Cells],
    tables: &'a [CandidateTable],
) -> Result<Vec<Asked<'a>>, Refusal> {
    let of_c = contract.tables.iter().zip(tables);
    let of_c = of_c.filter_map(|(t, published)| if let Table::C(c) = t { Some((c, published)) } else { None });
    let (of_c, published): (Vec<&TableC>, Vec<&CandidateTable>) = of_c.unzip();
    // What a regression or a survival curve gives away is tabulated too.
    let tables_c = contract.tables_c();
    let fits = tables_c.len() == tabulated.len() && contract.tables.len() == tables.len();
    let tabulated =
        tabulated.iter().zip(tables_c).filter(|(_, (_, whose))| *whose == Whose::Own).map(|(cells, _)| cells);
    let tabulated: Vec<&Cells> = tabulated.collect();
    if !fits || of_c.len() != tabulated.len() || of_c.len() != published.len() {
        return Err(crate::refusals::host_fault(
            &contract.name,
            "佐证与合约的表不符",
            "the evidence does not fit the contract's tables",
        ));
    }
    let all = of_c.into_iter().zip(tabulated).zip(published);
    Ok(all.map(|((table, cells), published)| Asked { table, cells, published }).collect())
}

/// Every check of one view's tables, over one pass of the view's rows.
pub struct Replay<'a> {
    rules: &'a EvidenceRules,
    seed: Digest,
    scan: Scan<'a>,
    tables: Vec<Tabulated<'a>>,
    curves: Vec<Curve<'a>>,
    sample: values::Sample,
    units: u64,
    rows: u64,
    whole: bool,
}

impl<'a> Replay<'a> {
    /// The checks of the tables and models asked for that read `view`, whose rows have `columns`. The
    /// texts of `report` are looked through as well. Fewer than k units make a value rare.
    /// `seed` is secret: it draws the people who do not exist.
    pub fn new(
        rules: &'a EvidenceRules,
        disclosure: &Rules,
        view: &ViewId,
        columns: &'a [String],
        (asked, models): (&[Asked<'a>], &[Modelled<'a>]),
        report: &'a Report,
        seed: Digest,
    ) -> Self {
        let models: Vec<Modelled<'a>> = models.iter().copied().filter(|m| m.view() == view).collect();
        let asked: Vec<Asked<'a>> = asked.iter().copied().filter(|a| a.table.plan.view == *view).collect();
        let texts = report.artefacts().iter().map(|artefact| match &artefact.content {
            Content::Text(text) => (artefact.name.as_str(), vec![text.as_str()]),
            Content::Chart(chart) => {
                let words = std::iter::once(&chart.title).chain(&chart.labels);
                let words = words.chain(chart.series.iter().map(|s| &s.name)).map(String::as_str);
                (artefact.name.as_str(), words.collect())
            }
        });
        let published = asked.iter().map(|a| a.published).chain(models.iter().map(|m| m.published)).collect();
        let scan = Scan::new(rules, disclosure.threshold.unwrap_or(1), columns, published, texts.collect());
        let tables = asked.into_iter().map(|a| Tabulated::new(a, columns)).collect();
        let curves = models.into_iter().map(|m| Curve::new(m, columns)).collect();
        Self { rules, seed, scan, tables, curves, sample: values::Sample::default(), units: 0, rows: 0, whole: true }
    }

    /// Takes the rows of the next unit. Says whether more are wanted.
    pub fn unit(&mut self, rows: &RowBatch) -> bool {
        if self.units >= self.rules.units_max {
            self.whole = false;
            return false;
        }
        let rows = Rows::of(rows);
        self.scan.unit(self.units, &rows);
        self.tables.iter_mut().for_each(|table| table.unit(&rows));
        self.curves.iter_mut().for_each(|curve| curve.unit(self.units, &rows));
        self.sample.take(&rows);
        self.units += 1;
        self.rows += rows.len() as u64;
        true
    }

    /// What was found. `roster` is the published number of units.
    pub fn checks(self, roster: u64) -> Vec<Check> {
        let Self { rules, seed, scan, tables, curves, sample, units, rows, whole } = self;
        let of = if whole { units } else { roster };
        let found = scan.finish();
        let mut checks = vec![report::value_scan(&found, (units, of), rules)];
        let exposure = canaries::expose(&tables, &sample, &seed, rules);
        let mut bits = capacity::bits(&tables, roster, rows);
        bits.extend(curves.iter().map(Curve::bits));
        for table in tables {
            checks.push(report::influence(&table.finish(), (units, of)));
        }
        checks.extend(curves.into_iter().map(|curve| report::influence(&curve.finish(), (units, of))));
        checks.push(report::canaries(&exposure));
        checks.push(report::capacity(&bits, report::Most::Alert(rules.capacity_bits_alert)));
        checks
    }
}
