//! 数据水印 on the way out: one copy of a marked product for the operator and for
//! each recipient, and the question whose copy a found file is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_domain::{
    Digest, Kind, Refusal,
    candidate::{Candidate, CandidateTable},
    catalogue::Key,
    contract::{Contract, MarkPolicy},
    decide,
    event::Event,
    id::{OrgId, ProductId},
    person::Role,
    state::{JobState, State},
    text,
};
use sluice_gate::{
    Released,
    marks::{self, Marks, Suspicion},
};

use crate::{
    Service, SignedIn, final_check,
    product::{self, Bundle},
};

/// Beyond this chance of an accident nobody is named: one in a million.
const LOG10_ODDS_NAMED: f64 = -6.0;

/// How a product's copies are marked, for its receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkReceipt {
    /// Counts and sums are multiples of this.
    pub base: u32,
    /// −log₂ of the chance that two copies are alike; under 20 the tables are too small
    /// to carry a mark that names anybody.
    pub bits: f64,
    /// Whose copy has which prefix of file names; the operator's has none.
    pub copies: Vec<(String, String)>,
}

/// Whose copy a found file is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MarkTrace {
    /// The product it was taken from, if it shows marked cells of any.
    pub product: Option<ProductId>,
    /// Recipients whose copies agree with it beyond accident, the surest first.
    pub named: Vec<Suspect>,
    /// The others that were compared.
    pub others: Vec<Suspect>,
}

/// One recipient and the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// The product whose copy was compared.
    pub product: ProductId,
    /// The recipient.
    pub recipient: String,
    /// Marked cells in the file.
    pub compared: usize,
    /// How many are as in the recipient's copy.
    pub agreeing: usize,
    /// log₁₀ of the chance, at most, that a copy made for somebody else agrees as often,
    /// times the number of copies that were compared.
    pub log10_odds: f64,
}

/// Draws every file but the receipt, checks each against the approved candidate, and
/// says how they are marked.
///
/// # Errors
/// `release.final-check`.
pub(crate) fn render(
    service: &Service,
    released: &Released<Candidate>,
    job: &JobState,
    product: &ProductId,
) -> Result<(Bundle, Option<MarkReceipt>), Refusal> {
    let prf = |bytes: &[u8]| service.mark_prf(bytes);
    let Some(marks) = Marks::of(&job.contract, product, &prf) else {
        let bundle = product::render(released.get(), &job.contract, product)?;
        final_check::check(released.get(), &job.contract, &bundle, &|_, _| None)?;
        return Ok((bundle, None));
    };
    let mut bundle = Bundle::default();
    let copies = copies(&job.operator, &job.contract);
    for (recipient, prefix) in &copies {
        let copy = product::render(&marks.copy(released, recipient), &job.contract, product)?;
        let slack = |table, measure| marks.slack(table, measure);
        final_check::check(released.get(), &job.contract, &copy, &slack)?;
        bundle.extend(prefix, copy);
    }
    let (MarkPolicy::Rounding(base), Some(bits)) =
        (job.contract.product.mark, marks::bits(&job.contract, released.get()))
    else {
        return Err(crate::run::host_fault());
    };
    Ok((bundle, Some(MarkReceipt { base, bits, copies })))
}

/// Whose copy has which prefix: the operator's own first.
fn copies(operator: &OrgId, contract: &Contract) -> Vec<(String, String)> {
    let others = contract.product.recipients.iter().filter(|r| r.as_str() != operator.as_str());
    let others = others.enumerate().map(|(n, recipient)| (recipient.clone(), format!("copy-{}.", n + 2)));
    std::iter::once((operator.as_str().to_owned(), String::new())).chain(others).collect()
}

impl Service {
    pub(crate) fn mark_prf(&self, bytes: &[u8]) -> Digest {
        self.vault.commit("recipient-mark", bytes)
    }

    /// The tables of a product as its operator holds them: marked, if the contract says so.
    pub(crate) fn operators_copy(&self, candidate: &Candidate, job: &JobState, product: &ProductId) -> Candidate {
        let prf = |bytes: &[u8]| self.mark_prf(bytes);
        match Marks::of(&job.contract, product, &prf) {
            Some(marks) => marks.mark(candidate, job.operator.as_str()),
            None => candidate.clone(),
        }
    }

    /// Whose copy of which product `file`, a CSV with a product's headings, is. For the
    /// bureau and auditors; that they asked is recorded first.
    ///
    /// # Errors
    /// `account.role`; `mark.form` when the file is no CSV.
    pub async fn trace_mark(&self, who: &SignedIn, file: &[u8]) -> Result<MarkTrace, Refusal> {
        let rows = read(file)?;
        let traced = Event::MarkTraced { file: Digest::of(file) };
        let by = who.person().id.clone();
        self.record(who.actor(), |state, _| {
            decide::require(state, &by, &[Role::Bureau, Role::Auditor])?;
            Ok(traced.clone())
        })
        .await?;
        let state = self.snapshot().await?;
        let mut found = Vec::new();
        for product in state.products() {
            found.extend(self.suspects(&state, &product.id, &rows)?);
        }
        let tried = i32::try_from(found.len()).map_or(f64::MAX, f64::from).max(1.0).log10();
        let mut found: Vec<_> = found.into_iter().map(|s| Suspect { log10_odds: s.log10_odds + tried, ..s }).collect();
        found.sort_by(|a, b| a.log10_odds.total_cmp(&b.log10_odds));
        let (named, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|s| s.log10_odds <= LOG10_ODDS_NAMED);
        Ok(MarkTrace { product: named.first().map(|s| s.product.clone()), named, others })
    }

    /// Every recipient of `product` whose copy has cells that `rows` show.
    fn suspects(&self, state: &State, product: &ProductId, rows: &Rows) -> Result<Vec<Suspect>, Refusal> {
        let gone = crate::run::host_fault;
        let run = state.product(product).map(|p| &p.run).ok_or_else(gone)?;
        let job = state.run(run).and_then(|r| state.job(&r.job)).ok_or_else(gone)?;
        let prf = |bytes: &[u8]| self.mark_prf(bytes);
        let Some(marks) = Marks::of(&job.contract, product, &prf) else { return Ok(Vec::new()) };
        let candidate = self.candidate(state, run)?;
        let candidate = candidate.for_review();
        let recipients: Vec<_> = copies(&job.operator, &job.contract).into_iter().map(|(name, _)| name).collect();
        let suspects = candidate.tables.iter().enumerate().flat_map(|(t, table)| {
            let seen = rows.of(table);
            let number = |key: &[Option<Key>], m: usize| seen.as_ref()?.get(&text_key(key))?.get(m).copied().flatten();
            marks::trace(&marks, candidate, t, &recipients, &number)
        });
        let suspect = |s: Suspicion| Suspect {
            product: product.clone(),
            recipient: s.recipient,
            compared: s.compared,
            agreeing: s.agreeing,
            log10_odds: s.log10_odds,
        };
        Ok(suspects.filter(|s| s.compared > 0).map(suspect).collect())
    }
}

/// Lines of a found file, by heading.
struct Rows(Vec<BTreeMap<String, String>>);

impl Rows {
    /// Its numbers by key, if it has the key columns of `table`. Columns and rows may be
    /// missing, in another order, or in company.
    fn of(&self, table: &CandidateTable) -> Option<BTreeMap<Vec<String>, Vec<Option<f64>>>> {
        let line = |row: &BTreeMap<String, String>| {
            let key: Option<Vec<_>> = table.dimensions.iter().map(|d| row.get(&d.name).cloned()).collect();
            let number = |name: &String| row.get(name).and_then(|n| n.trim().parse().ok());
            Some((key?, table.measures.iter().map(|m| number(&m.name)).collect()))
        };
        self.0.iter().map(line).collect()
    }
}

fn read(file: &[u8]) -> Result<Rows, Refusal> {
    let rows: Result<Vec<_>, _> = csv::ReaderBuilder::new().flexible(true).from_reader(file).deserialize().collect();
    rows.map(Rows).map_err(|_| {
        Refusal::new(
            Kind::Usage,
            "mark.form",
            text("须为带表头的 CSV 文件", "it has to be a CSV file with a heading"),
            text("把发现的表另存为 CSV 再试", "save the table that was found as CSV and try again"),
        )
    })
}

fn text_key(key: &[Option<Key>]) -> Vec<String> {
    key.iter().map(|k| k.as_ref().map(product::csv::code).unwrap_or_default()).collect()
}
