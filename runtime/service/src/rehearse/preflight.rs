//! 预审: the verdict that a contract may expect, before it is submitted, on people who do
//! not exist.
//!
//! They are drawn from the agreement's published schema alone, so over other data the
//! answer is the same; no view of this domain is opened and no guest runs. Tables of route
//! C go through the gate as in a run, by the shipped rule pack, which stands in for
//! everybody's, and with nothing released before. Of the other routes the contract itself
//! says what there is to say.

use std::collections::BTreeMap;

use serde::Serialize;
use sluice_domain::{
    Refusal, Text,
    candidate::{Reason, Route},
    catalogue::CatalogueEntry,
    contract::{Contract, Table},
    text,
};
use sluice_gate::reason_name;

use super::{Rehearsal, TableVerdict, population::Edges, stand_in, verdict};
use crate::{
    Service, SignedIn, TableQuote,
    chart::short,
    quote::table_quote,
    run::{Fault, host_fault, threshold},
    schema,
};

/// Most people of a dataset: a quote is waited for.
const UNITS_MAX: u32 = 10_000;
/// Most cells of route C: suppression takes with the square of them, on a domain's machine.
const CELLS_MAX: usize = 2_000;
/// Always the same people: the answer is one of the contract.
const SEED: u64 = 1;

/// What a contract may expect.
#[derive(Debug, Clone, Serialize)]
pub struct Preflight {
    /// What this is about, and what it says nothing of.
    pub synthetic: Text,
    /// By which parameters; none without a table of route C.
    pub stand_in: Option<Text>,
    /// Its tables, in order.
    pub tables: Vec<Expected>,
}

/// What a table may expect.
#[derive(Debug, Clone, Serialize)]
pub struct Expected {
    /// The table.
    pub table: String,
    /// Its route.
    pub route: Route,
    /// Its cells; none where the guest names the keys.
    pub cells: Option<usize>,
    /// Cells that would be withheld: on synthetic data for route C where the job is not too
    /// large, none at all for declared keys of A and B; nobody can say for the rest.
    pub withheld: Option<usize>,
    /// Why, for route C.
    pub reasons: BTreeMap<Reason, usize>,
    /// ρ of one pass.
    pub rho: f64,
    /// All of it in a sentence.
    pub said: Text,
}

impl Service {
    /// What `contract`, frozen by [`Service::quote`], may expect on synthetic people.
    ///
    /// # Errors
    /// `agreement.*` when it is not in force; a fault of the host.
    pub async fn preflight(&self, who: &SignedIn, contract: &Contract) -> Result<Preflight, Refusal> {
        let state = self.snapshot().await?;
        state.agreement_of(&who.person().org, &contract.agreement)?;
        let k = threshold(state.rulepack(), state.authorise(&contract.agreement, Self::now())?.get());
        let quotes = contract.tables.iter().map(|table| Ok((table, table_quote(table, k)?)));
        let quotes: Vec<_> = quotes.collect::<Result<_, Refusal>>()?;
        let cells_c =
            quotes.iter().filter(|(table, _)| !table.is_answered()).map(|(_, quote)| quote.cells.unwrap_or(0));
        let of_c = contract.tables.iter().any(|t| !t.is_answered());
        let judges = of_c && cells_c.sum::<usize>() <= CELLS_MAX;
        let documents = schema::published(&state, &contract.agreement)?;
        let (agreement, catalogues) = documents.split_last().ok_or_else(host_fault)?;
        let catalogues: Vec<String> = catalogues.iter().map(|file| file.toml.clone()).collect();
        let mut judged = if judges {
            let crowd = |entry: &CatalogueEntry| (crowd(entry), Edges::LeftOut);
            let rehearsal = Rehearsal::found(&catalogues, &agreement.toml, crowd, SEED, self.programs.clone()).await?;
            Some(rehearsal.verdicts(contract).await?.into_iter())
        } else {
            None
        };
        let expected = quotes.iter().map(|(table, quote)| match judged.as_mut() {
            _ if table.is_answered() => Ok(by_contract(table, quote)),
            None => Ok(too_large(table, quote)),
            Some(judged) => judged.next().ok_or_else(host_fault),
        });
        Ok(Preflight {
            tables: expected.collect::<Result<_, Refusal>>()?,
            synthetic: about(&catalogues, of_c),
            stand_in: if judges { stand_in(Route::C) } else { None },
        })
    }
}

impl Rehearsal {
    /// What the gate says of the contract's tables of route C, in order.
    async fn verdicts(&self, contract: &Contract) -> Result<Vec<Expected>, Refusal> {
        let state = self.service.snapshot().await?;
        let granted = state.authorise(&contract.agreement, Service::now())?;
        let contract = Contract { rulepack: state.rulepack().version.clone(), ..contract.clone() };
        let (cleared, _) = self.service.verdict(&contract, &granted, &state).await.map_err(Fault::told)?;
        Ok(cleared.get().iter().map(|table| judged(verdict(table))).collect())
    }
}

/// As many people as there are in truth, up to a point.
fn crowd(entry: &CatalogueEntry) -> u32 {
    entry
        .dataset
        .roster_size
        .and_then(|units| u32::try_from(units).ok())
        .map_or(UNITS_MAX, |units| units.min(UNITS_MAX))
}

/// On whom the verdict is; a contract without a table of route C needs nobody.
fn about(catalogues: &[String], of_c: bool) -> Text {
    if !of_c {
        return text(
            "预审只由合约推算，不读任何数据，对真实数据不说明任何事",
            "this verdict follows from the contract alone; no data is read, and it says nothing about real data",
        );
    }
    let drawn = catalogues.iter().filter_map(|toml| CatalogueEntry::parse(toml).ok());
    let drawn: Vec<String> = drawn.map(|entry| format!("{} {}", entry.dataset.id, crowd(&entry))).collect();
    let drawn = drawn.join(", ");
    text(
        format!(
            "预审用合成数据：按公开的目录与代码表虚构单位（{drawn}），不读任何真实的行，对真实数据不说明任何事；未与此前发布的表比对；仅供参考"
        ),
        format!(
            "this verdict is on synthetic data: units made up from the published schema and code lists ({drawn}); no real row is read, and it says nothing about real data; earlier releases are not looked at; it is an indication at most"
        ),
    )
}

/// A table of route C in a job that is too large to be judged for a quote.
fn too_large(table: &Table, quote: &TableQuote) -> Expected {
    Expected {
        table: table.name().to_owned(),
        route: Route::C,
        cells: quote.cells,
        withheld: None,
        reasons: BTreeMap::new(),
        rho: 0.0,
        said: text(
            format!("作业的 C 路表合计超过 {CELLS_MAX} 格，报价时不预审；用 `sluice guest try` 在自己的机器上试"),
            format!(
                "the job's tables of route C have more than {CELLS_MAX} cells, which no quote judges: `sluice guest try` does on your own machine"
            ),
        ),
    }
}

/// What the gate said of a table of route C, in a sentence.
fn judged(found: TableVerdict) -> Expected {
    let (cells, withheld) = (found.cells, found.withheld);
    let (zh, en): (Vec<_>, Vec<_>) = found
        .reasons
        .iter()
        .map(|(reason, count)| (reason_name(*reason), count))
        .map(|(name, count)| (format!("{}{count} 格", name.zh), format!("{} {count}", name.en)))
        .unzip();
    let said = if withheld == 0 {
        text(
            format!("合成数据上 {cells} 格全部公布"),
            format!("on synthetic data all of its {cells} cells are published"),
        )
    } else {
        text(
            format!("合成数据上 {cells} 格中隐去 {withheld} 格（{}；一格可有多个原因）", zh.join("，")),
            format!(
                "on synthetic data {withheld} of its {cells} cells are withheld ({}; a cell may have several reasons)",
                en.join(", ")
            ),
        )
    };
    Expected {
        table: found.name,
        route: found.route,
        cells: Some(cells),
        withheld: Some(withheld),
        reasons: found.reasons,
        rho: 0.0,
        said,
    }
}

/// What a contract says of a table that a guest answers.
fn by_contract(table: &Table, quote: &TableQuote) -> Expected {
    let (rho, delta) = (quote.rho, quote.delta);
    let cells = quote.cells.unwrap_or_default();
    let errors = quote.columns.iter().map(|(name, _, error)| format!("{name} ±{}", short(*error)));
    let ranks = quote.rank_errors_95.iter().map(|rank| format!("rank ±{rank:.0}"));
    let errors = errors.chain(ranks).collect::<Vec<_>>().join(", ");
    let (withheld, said) = match table {
        Table::Open(_) => {
            let tau = quote.tau.unwrap_or_default();
            let said = text(
                format!("只公布加噪单位数高于 τ = {tau} 的键，有哪些取决于程序；ρ = {rho}，δ = {delta:e}"),
                format!(
                    "only keys whose noised number of units is above tau = {tau} are published, which the guest decides; rho = {rho}, delta = {delta:e}"
                ),
            );
            (None, said)
        }
        Table::D(_) => {
            let bits = quote.capacity_bits.unwrap_or_default();
            let said = text(
                format!(
                    "留置，没有隐私保证（{bits:.0} 比特）；判定取决于程序的答案，用 `sluice guest try` 在合成数据上试"
                ),
                format!(
                    "held, without a privacy guarantee ({bits:.0} bits); the verdict depends on what the guest answers: `sluice guest try` shows it on synthetic data"
                ),
            );
            (None, said)
        }
        _ => {
            let said = text(
                format!("{cells} 格全部公布，不取决于数据；95 % 误差：{errors}；ρ = {rho}"),
                format!(
                    "all of its {cells} cells are published whatever the data; errors with 95 %: {errors}; rho = {rho}"
                ),
            );
            (Some(0), said)
        }
    };
    let route = match table {
        Table::B(_) => Route::B,
        Table::D(_) => Route::D,
        _ => Route::A,
    };
    Expected {
        table: table.name().to_owned(),
        route,
        cells: quote.cells,
        withheld,
        reasons: BTreeMap::new(),
        rho,
        said,
    }
}
