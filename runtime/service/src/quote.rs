//! 报价: what a frozen contract promises and costs, before anything is submitted. From
//! the contract, the published rosters and earlier charges alone.

use serde::Serialize;
use sluice_domain::{
    Digest, Refusal,
    contract::{Combine, Contract, MeasureA, Table, TableA},
    decide,
    id::DatasetId,
    state::Spent,
};
use sluice_gate::noise::{Mechanism, medians::Medians, open::OpenMechanism};

use crate::{
    Service, SignedIn,
    account::epsilon,
    run::threshold,
    suggest::{self, Allowed, Suggestion},
};

/// What a contract costs and what its tables will be like.
#[derive(Debug, Clone, Serialize)]
pub struct Quote {
    /// SHA-256 of the contract.
    pub contract: Digest,
    /// Charged once to every root below.
    pub rho: f64,
    /// Charged likewise.
    pub delta: f64,
    /// ε of this product alone at `epsilon_delta`; none where δ has used that up, and none
    /// where no ρ is charged: routes C and D promise no ε, least of all 0.
    pub epsilon: Option<f64>,
    /// δ at which ε is stated.
    pub epsilon_delta: f64,
    /// How often every noised table is computed.
    pub passes: u32,
    /// Seconds from acceptance to the release tick.
    pub tick_seconds: u32,
    /// Most wall time of the run.
    pub wall_seconds: u32,
    /// ρ that the agreement has left this year.
    pub agreement_left: f64,
    /// Each root that is charged, with the ρ it has left this year.
    pub roots: Vec<(DatasetId, f64)>,
    /// The tables.
    pub tables: Vec<TableQuote>,
    /// How less would be withheld; for tables of route C.
    pub suggestions: Vec<Suggestion>,
}

/// What a table will be like.
#[derive(Debug, Clone, Serialize)]
pub struct TableQuote {
    /// Its name.
    pub name: String,
    /// Its route.
    pub made_by: &'static str,
    /// Cells of the declared domain; none where the guest names the keys.
    pub cells: Option<usize>,
    /// ρ of one pass.
    pub rho: f64,
    /// δ of one pass.
    pub delta: f64,
    /// Columns with σ and the half-width of their 95 % interval, in their own unit.
    pub columns: Vec<(String, f64, f64)>,
    /// For medians: blocks that may lie to one side beyond half of them, with 95 %.
    pub rank_errors_95: Vec<f64>,
    /// For unknown keys: a key is released above it.
    pub tau: Option<i64>,
    /// For route D, which has no guarantee: bits that the table can hold.
    pub capacity_bits: Option<f64>,
    /// For tabulations of route C: a cell with fewer units is withheld. k, or what a
    /// quantile takes.
    pub units_needed: Option<u64>,
}

impl Service {
    /// What `contract`, frozen by [`Service::quote`], costs its operator.
    ///
    /// # Errors
    /// `agreement.*` when it is not in force.
    pub async fn offer(&self, who: &SignedIn, contract: &Contract) -> Result<Quote, Refusal> {
        let (state, now) = (self.snapshot().await?, Self::now());
        let budget = &state.rulepack().budget;
        let left = decide::left(&state, state.agreement_of(&who.person().org, &contract.agreement)?, None, now);
        let granted = state.authorise(&contract.agreement, now)?;
        let roots: Vec<_> = left.roots.into_iter().map(|(root, left)| (root, left.rho)).collect();
        let agreement_left = left.agreement;
        let allowed = roots.iter().map(|(_, left)| *left).fold(agreement_left.min(budget.rho_per_product), f64::min);
        let k = threshold(state.rulepack(), granted.get());
        Ok(Quote {
            contract: contract.digest(),
            rho: contract.rho,
            delta: contract.delta,
            epsilon: (contract.rho > 0.0)
                .then(|| epsilon(Spent { rho: contract.rho, delta: contract.delta }, budget.delta))
                .flatten(),
            epsilon_delta: budget.delta,
            passes: contract.passes(),
            tick_seconds: contract.tick_seconds,
            wall_seconds: contract.limits.wall_seconds,
            agreement_left,
            roots,
            tables: contract.tables.iter().map(|t| table_quote(t, k)).collect::<Result<_, _>>()?,
            suggestions: suggest::suggestions(contract, granted.get(), None, Allowed { rho: allowed, k }),
        })
    }
}

/// What `table` will be like, where a published number takes `k` units.
pub(crate) fn table_quote(table: &Table, k: u64) -> Result<TableQuote, Refusal> {
    let mut quote = TableQuote {
        name: table.name().to_owned(),
        made_by: crate::product::made::made_by(table),
        cells: None,
        rho: table.rho(),
        delta: table.delta(),
        columns: Vec::new(),
        rank_errors_95: Vec::new(),
        tau: None,
        capacity_bits: None,
        units_needed: None,
    };
    match table {
        Table::A(a) => {
            quote.cells = a.cells();
            quote.columns = columns(a, &a.measures, 1.0)?;
        }
        Table::B(b) => {
            let sums = b.as_sums();
            quote.cells = sums.as_ref().and_then(TableA::cells);
            match (b.combine, sums) {
                (Combine::Mean, Some(sums)) => quote.columns = columns(&sums, &b.measures, f64::from(b.blocks))?,
                _ => quote.rank_errors_95 = Medians::for_table(b)?.rank_errors_95(),
            }
        }
        Table::Open(o) => quote.tau = Some(OpenMechanism::for_table(o)?.tau()),
        Table::D(held) => {
            quote.cells = held.cells();
            quote.capacity_bits = Some(held.capacity_bits());
        }
        Table::Regression(r) => quote.cells = Some(r.parameters().len()),
        Table::Survival(s) => quote.cells = Some(s.dimensions().iter().map(|d| d.domain.len()).product()),
        Table::C(c) => {
            let margin = usize::from(c.totals != sluice_domain::contract::Totals::None);
            quote.cells = Some(c.plan.dimensions.iter().map(|d| d.domain.len() + margin).product());
            quote.units_needed = Some(c.units_needed(k));
        }
    }
    Ok(quote)
}

/// σ and error of each measure, its noise divided by `over`.
fn columns(table: &TableA, measures: &[MeasureA], over: f64) -> Result<Vec<(String, f64, f64)>, Refusal> {
    let mechanism = Mechanism::for_table(table)?;
    let own = |m: &MeasureA, noise: f64| noise / f64::from(m.grid) / over;
    let column = |m: &MeasureA| (m.name.clone(), own(m, mechanism.sigma()), own(m, mechanism.error_95()));
    Ok(measures.iter().map(column).collect())
}
