//! The context of a candidate: under which agreement, over which views, with which
//! code, limits and cost. All of it is public to the parties of the contract.

use std::collections::BTreeSet;

use sluice_domain::{
    agreement::{Agreement, View},
    candidate::Route,
    contract::{Combination, Contract, Table, Tabulation},
    id::ViewId,
};
use sluice_service::pages::Workbench;

use crate::{
    lang::{Texts, words},
    show::{Moment, count, moment, number},
};

/// Everything around the candidate, as lines.
pub(crate) struct Context {
    pub(crate) scenario: String,
    pub(crate) purpose: String,
    pub(crate) person: String,
    pub(crate) submitted: Moment,
    pub(crate) tick: Moment,
    pub(crate) job: String,
    pub(crate) name: String,
    pub(crate) agreement: String,
    pub(crate) term: String,
    pub(crate) forms: String,
    pub(crate) recipients: Option<String>,
    pub(crate) plan: String,
    pub(crate) budget: String,
    pub(crate) views: Vec<ViewLine>,
    pub(crate) contract_digest: String,
    pub(crate) guest_digest: Option<String>,
    /// Of the outer rooms: between rounds, and of the report.
    pub(crate) outer_digests: Vec<String>,
    pub(crate) rulepack: String,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) limits: String,
    /// Name and SQL of each input.
    pub(crate) inputs: Vec<(String, String)>,
    pub(crate) tables: Vec<TableLine>,
    /// Dataset root and ρ.
    pub(crate) charges: Vec<(String, String)>,
    /// Dataset, snapshot, commitment.
    pub(crate) snapshots: Vec<(String, String, String)>,
}

/// A view as the agreement grants it.
pub(crate) struct ViewLine {
    pub(crate) name: String,
    pub(crate) dataset: String,
    pub(crate) columns: Vec<String>,
    pub(crate) filter: Option<String>,
    /// Column and mask.
    pub(crate) masks: Vec<(String, String)>,
}

/// A table as the contract promises it.
pub(crate) struct TableLine {
    pub(crate) name: String,
    pub(crate) route: &'static str,
    pub(crate) terms: String,
    /// Of route C.
    pub(crate) sql: Option<String>,
}

impl Context {
    /// The context of `bench`.
    pub(crate) fn of(bench: &Workbench, t: &Texts) -> Self {
        let (agreement, contract): (&Agreement, &Contract) = (&bench.agreement, &bench.contract);
        let terms = &agreement.agreement;
        let forms: Vec<_> = terms.forms.iter().map(|f| words::form(*f, t.lang)).collect();
        let recipients = &contract.product.recipients;
        let limits = &contract.limits;
        Self {
            scenario: terms.title.clone(),
            purpose: terms.purpose.clone(),
            person: bench.submitted_by.0.to_string(),
            submitted: moment(bench.submitted),
            tick: moment(bench.tick),
            job: bench.job.to_string(),
            name: contract.name.clone(),
            agreement: terms.id.to_string(),
            term: format!("{} – {}", terms.from, terms.to),
            forms: forms.join(" · "),
            recipients: (!recipients.is_empty()).then(|| recipients.join(" · ")),
            plan: terms.contingency_plan.clone(),
            budget: format!("ρ = {}", number(terms.rho_per_year)),
            views: agreement.views.iter().map(|(id, view)| view_line(id, view, t)).collect(),
            contract_digest: bench.contract_digest.to_string(),
            guest_digest: contract.guest.map(|d| d.to_string()),
            outer_digests: {
                let rounds = contract.rounds.as_ref().map(|r| r.guest);
                let report = contract.report.as_ref().map(|r| r.guest);
                rounds.into_iter().chain(report).map(|d| d.to_string()).collect()
            },
            rulepack: contract.rulepack.clone(),
            params: contract.params.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            limits: (t.bench.limits_line)(limits.fuel, limits.memory_mib, limits.rows_max, limits.wall_seconds),
            inputs: contract.inputs.iter().map(|(name, input)| (name.clone(), input.sql.clone())).collect(),
            tables: contract.tables.iter().map(|table| table_line(table, t)).collect(),
            charges: bench.charges.iter().map(|(root, rho)| (root.to_string(), number(*rho))).collect(),
            snapshots: bench.snapshots.iter().map(|(d, s, c)| (d.to_string(), s.to_string(), c.to_string())).collect(),
        }
    }
}

fn view_line(id: &ViewId, view: &View, t: &Texts) -> ViewLine {
    ViewLine {
        name: id.to_string(),
        dataset: view.dataset.to_string(),
        columns: view.columns.clone(),
        filter: view.filter.clone(),
        masks: view.masks.iter().map(|(column, mask)| (column.clone(), words::mask(mask, t.lang))).collect(),
    }
}

fn table_line(table: &Table, t: &Texts) -> TableLine {
    match table {
        Table::A(a) => {
            let measures: Vec<_> = a
                .measures
                .iter()
                .map(|m| format!("{} ∈ [{}, {}]/{}", m.name, m.lo, m.hi, count(u64::from(m.grid))))
                .collect();
            let keys = (t.bench.keys_per_unit)(a.keys_per_unit);
            TableLine {
                name: a.name.clone(),
                route: words::route(Route::A, t.lang),
                terms: format!("{} · {keys} · ρ = {}", measures.join(" · "), number(a.rho)),
                sql: None,
            }
        }
        Table::B(b) => {
            let measures = b.measures.iter().map(|m| format!("{} ∈ [{}, {}]/{}", m.name, m.lo, m.hi, m.grid));
            let measures: Vec<_> = measures.collect();
            TableLine {
                name: b.name.clone(),
                route: words::route(Route::B, t.lang),
                terms: format!("{} · l = {} · ρ = {}", measures.join(" · "), b.blocks, number(b.rho)),
                sql: None,
            }
        }
        Table::Open(o) => {
            let measures = o.measures.iter().map(|m| format!("{} ∈ [{}, {}]/{} · ", m.name, m.lo, m.hi, m.grid));
            let (measures, keys) = (measures.collect::<String>(), (t.bench.keys_per_unit)(o.keys_per_unit));
            let (rho, delta) = (number(o.rho), o.delta);
            TableLine {
                name: o.name.clone(),
                route: words::route(Route::A, t.lang),
                terms: format!("{measures}{} = ? · {keys} · ρ = {rho} · δ = {delta:e}", o.key),
                sql: None,
            }
        }
        Table::D(held) => {
            let measures = held.measures.iter().map(|m| format!("{} ∈ [{}, {}]/{}", m.name, m.lo, m.hi, m.grid));
            let mut terms: Vec<_> = measures.collect();
            terms.extend(held.model.as_ref().map(|m| format!("{} ~ {}", m.outcome, m.features.join(" + "))));
            TableLine {
                name: held.name.clone(),
                route: words::route(Route::D, t.lang),
                terms: terms.join(" · "),
                sql: None,
            }
        }
        Table::Regression(r) => TableLine {
            name: r.name.clone(),
            route: words::route(Route::C, t.lang),
            terms: format!("{} ~ {}", r.outcome, r.parameters().join(" + ")),
            sql: None,
        },
        Table::Survival(s) => TableLine {
            name: s.name.clone(),
            route: words::route(Route::C, t.lang),
            terms: format!("S({}) ~ {} · {:?}", s.time, s.event.column(), s.steps),
            sql: None,
        },
        Table::C(c) => TableLine {
            name: c.name.clone(),
            route: words::route(Route::C, t.lang),
            terms: {
                let impossible = impossible(&c.plan).map(|columns| (t.bench.impossible)(&columns));
                let totals = words::totals(c.totals, t.lang).to_owned();
                std::iter::once(totals).chain(impossible).collect::<Vec<_>>().join(" · ")
            },
            sql: Some(c.sql.clone()),
        },
    }
}

/// The columns of the impossible combinations that a table may meet.
fn impossible(plan: &Tabulation) -> Option<String> {
    let met = plan.impossible.iter().filter(|c| plan.dimensions.iter().any(|d| c.side(d.base_name()).is_some()));
    let columns = |c: &Combination| c.sides().map(|(column, _)| column).collect::<Vec<_>>().join(" × ");
    let named: BTreeSet<String> = met.map(columns).collect();
    (!named.is_empty()).then(|| named.into_iter().collect::<Vec<_>>().join(", "))
}
