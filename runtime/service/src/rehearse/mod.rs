//! 试运行: a job through the whole house on synthetic data, and everything shown.
//!
//! A rehearsal is a domain of its own in a temporary folder, made from public
//! documents: catalogue files and an agreement. Its people are drawn from them
//! ([`population`]), and the job then takes the very way of a real one: ingest,
//! agreement, submission, inspection, compilation, room, intake, reducer, noise,
//! rules. So what passes here is not refused for its form later.
//!
//! What a real run never shows is shown by a second pass over the same rows, in a
//! child program that takes [`Synthetic`] rows only. A rehearsal opens no other
//! domain and takes no data file: there is nothing real in it to show.

mod population;
mod preflight;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use sluice_domain::{
    Digest, Refusal, Text, Timestamp,
    agreement::Agreement,
    artefact::Report,
    candidate::{CandidateTable, CellValue, Reason, Route},
    catalogue::CatalogueEntry,
    contract::{Contract, JobFile, Table},
    event::DomainKind,
    id::{DatasetId, OrgId},
    person::Role,
    rulepack::RulePack,
    state::{JobState, RunState, State},
    text,
};
use sluice_gate::Quarantined;
pub use sluice_gate::losses::Loss;
use sluice_gate::losses::losses;
use sluice_rows::synthetic::Synthetic;
use sluice_vault::{Kek, ObjectKind};
use sluice_worker::{End, Explained, Explainer, Interface, Programs, RoomLimits, Told, WorkerError};
use tempfile::TempDir;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use self::population::Population;
pub use self::{
    population::Edges,
    preflight::{Expected, Preflight},
};
use crate::{
    Guests, RunEnd, Service, SignedIn,
    answer::{self, Work},
    record::{io_fault, vault_fault},
    run::Fault,
    submit::{self, inspect_limits},
};

/// Password of the rehearsal's people. Their domain is gone with the rehearsal.
const PASSWORD: &str = "rehearsal";

/// Longest run of a rehearsal.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// How much more fuel than reserved the second pass gives.
const FUEL_TIMES: u64 = 8;

/// A throw-away domain over synthetic people.
pub struct Rehearsal {
    service: Service,
    operator: SignedIn,
    /// Sizes of the real rosters, where the published schema says them.
    rosters: BTreeMap<DatasetId, u64>,
    // Dropped last: the domain lies in it.
    _folder: TempDir,
}

/// What begins now: an interpreter takes minutes where nothing is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The run, as in a domain.
    Running,
    /// The second pass.
    Explaining,
}

impl Stage {
    /// For people.
    pub fn text(self) -> Text {
        match self {
            Self::Running => text("按真实流程运行……", "running it the real way …"),
            Self::Explaining => text("再走一遍，逐次说明……", "going over it again, call by call …"),
        }
    }
}

/// What a job is like on synthetic data.
#[derive(Debug, Serialize)]
pub struct Rehearsed {
    /// What was submitted, frozen: over the published roster the very contract that a
    /// domain would make of it.
    pub contract: Digest,
    /// Its cost.
    pub rho: f64,
    /// Units on the rosters that its tick is reckoned with.
    pub roster_size: u64,
    /// Whether that is the published size, or the number of synthetic units.
    pub roster_published: bool,
    /// From submission to the release tick, seconds.
    pub tick_seconds: u32,
    /// Its tables; empty when the run is void.
    pub tables: Vec<TableVerdict>,
    /// Why the run is void, by code.
    pub void: Option<String>,
    /// Each table of routes A, B and D, in each round; none without a guest.
    pub passes: Vec<PassTold>,
    /// Each call of an outer guest, in order.
    pub outer: Vec<OuterTold>,
    /// What the report is, where there is one and it was composed.
    pub artefacts: Vec<String>,
    /// The fuel and memory that the contract reserves per call.
    pub reserved: Reserved,
}

/// What the inner guest did for one table in one round.
#[derive(Debug, Serialize)]
pub struct PassTold {
    /// The table.
    pub table: String,
    /// Its route: one call per unit, per block, or with everybody.
    pub route: Route,
    /// The round, from 0.
    pub round: u32,
    /// Columns that the contract wants of each answer.
    pub columns: u64,
    /// Whether a number of it may be missing.
    pub may_miss: bool,
    /// One entry per call, in an order that says nothing of whose it is.
    pub calls: Vec<Told>,
    /// What of the answers did not count as the guest wrote it.
    pub losses: Vec<Lost>,
}

/// One loss, and in how many calls it came up.
#[derive(Debug, Serialize)]
pub struct Lost {
    /// What.
    #[serde(flatten)]
    pub loss: Loss,
    /// Calls.
    pub calls: usize,
}

/// What an outer guest did.
#[derive(Debug, Serialize)]
pub struct OuterTold {
    /// The round after which it was asked; none for the report.
    pub round: Option<u32>,
    /// What happened.
    pub told: Told,
}

/// What a contract reserves.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reserved {
    /// Fuel per call of the inner room.
    pub fuel: u64,
    /// Fuel per call of the outer room.
    pub outer_fuel: u64,
    /// Linear memory per call, bytes.
    pub memory_bytes: u64,
}

/// What the gate would say of a table.
#[derive(Debug, Serialize)]
pub struct TableVerdict {
    /// Name.
    pub name: String,
    /// Route.
    pub route: Route,
    /// Cells in all.
    pub cells: usize,
    /// Cells withheld.
    pub withheld: usize,
    /// Why, on synthetic data, with the shipped rule pack for a stand-in.
    pub reasons: BTreeMap<Reason, usize>,
    /// Noise per measure: name, σ, half-width of the 95 % interval.
    pub noise: Vec<(String, f64, f64)>,
}

impl Rehearsal {
    /// Makes the domain: as many synthetic people in a dataset as `crowd` says, by `seed`.
    ///
    /// # Errors
    /// `catalogue.*`, `agreement.*` with their places; a fault of the host.
    pub async fn found(
        catalogues: &[String],
        agreement: &str,
        crowd: impl Fn(&CatalogueEntry) -> (u32, Edges),
        seed: u64,
        programs: Programs,
    ) -> Result<Self, Refusal> {
        let terms = Agreement::parse(agreement)?;
        let entries = catalogues.iter().map(|toml| CatalogueEntry::parse(toml)).collect::<Result<Vec<_>, _>>()?;
        let rosters = entries.iter().filter_map(|e| Some((e.dataset.id.clone(), e.dataset.roster_size?))).collect();
        let folder =
            tempfile::Builder::new().prefix("sluice-try-").tempdir().map_err(|e| io_fault("try.folder", &e))?;
        let kek = Kek::generate_file(&folder.path().join("key")).map_err(Refusal::from)?;
        let home = folder.path().join("domain");
        let service = Service::init(&home, kek, "rehearsal", DomainKind::Demo, programs).await?;
        let office: OrgId = "rehearsal".parse().map_err(|_| crate::run::host_fault())?;
        let bureau = service.person(None, "bureau", office, Role::Bureau).await?;
        for (entry, toml) in entries.iter().zip(catalogues) {
            let file = folder.path().join(format!("{}.parquet", entry.dataset.id));
            Population::draw(entry, crowd(entry), seed)?.write(&file)?;
            service.ingest(&bureau, toml, &file, |_, _| {}).await?;
        }
        service.sign_agreement(&bureau, agreement).await?;
        let operator =
            service.person(Some(&bureau), "operator", terms.agreement.operator.clone(), Role::Operator).await?;
        Ok(Self { service, operator, rosters, _folder: folder })
    }

    /// Takes the job through.
    ///
    /// # Errors
    /// Whatever a submission refuses; a fault of the host.
    pub async fn job(&self, toml: &str, guests: &Guests<'_>, begins: impl Fn(Stage)) -> Result<Rehearsed, Refusal> {
        let job = self.service.submit_with(&self.operator, password(), toml, guests).await?;
        let state = self.service.snapshot().await?;
        let contract = state.job(&job).map(|j| j.contract.clone()).ok_or_else(crate::run::host_fault)?;
        // Before anything runs: on the real roster the same job may be refused.
        let real = self.over_real_rosters(&state, &contract, toml)?;
        begins(Stage::Running);
        let (run, end) = self.service.run_until(&job, patience).await?;
        begins(Stage::Explaining);
        let state = self.service.snapshot().await?;
        let candidate = match end {
            RunEnd::InReview => Some(self.service.candidate(&state, &run)?),
            RunEnd::Void => None,
        };
        let candidate = candidate.as_ref().map(Quarantined::for_review);
        let tables = candidate.map(|c| c.tables.as_slice());
        let record = state.run(&run).ok_or_else(crate::run::host_fault)?;
        let (passes, outer) = self.explain(&contract, record, tables).await.map_err(Fault::told)?;
        let artefacts = match candidate.map(|c| &c.report) {
            Some(Report::Composed(all)) => all.iter().map(|a| a.name.clone()).collect(),
            _ => Vec::new(),
        };
        Ok(Rehearsed {
            contract: real.contract.digest(),
            rho: contract.rho,
            roster_size: real.roster_size,
            roster_published: real.published,
            tick_seconds: real.contract.tick_seconds,
            tables: tables.unwrap_or_default().iter().map(verdict).collect(),
            void: record.void.clone(),
            passes,
            outer,
            artefacts,
            reserved: Reserved {
                fuel: contract.limits.fuel,
                outer_fuel: contract.limits.outer_fuel,
                memory_bytes: u64::from(contract.limits.memory_mib) << 20,
            },
        })
    }

    /// The job as a domain would freeze it, with as many units as are published.
    fn over_real_rosters(&self, state: &State, contract: &Contract, toml: &str) -> Result<Real, Refusal> {
        let granted = state.authorise(&contract.agreement, Service::now())?;
        let mut views = granted.get().clone();
        for view in &mut views {
            view.roster_size = self.rosters.get(&view.view.dataset).copied().unwrap_or(view.roster_size);
        }
        let read = views.iter().filter(|v| contract.inputs.values().any(|input| input.view == v.id));
        let published = read.clone().count() > 0 && read.clone().all(|v| self.rosters.contains_key(&v.view.dataset));
        let (updates, composes) =
            (contract.rounds.as_ref().map(|r| r.guest), contract.report.as_ref().map(|r| r.guest));
        let guests = [contract.guest, updates, composes];
        let contract = submit::frozen(&views, toml, JobFile::parse(toml)?, guests, state.rulepack())?;
        Ok(Real { roster_size: submit::roster_size(&views, &contract.inputs), published, contract })
    }

    /// The second pass: the same calls in the same rounds, with everything told, and
    /// with fuel to spare. `last` are the tables that the gate cleared at the end.
    async fn explain(
        &self,
        contract: &Contract,
        run: &RunState,
        last: Option<&[CandidateTable]>,
    ) -> Result<(Vec<PassTold>, Vec<OuterTold>), Fault> {
        let state = self.service.snapshot().await?;
        let rules = state.rulepack();
        let granted = state.authorise_run(run)?;
        let reader = self.service.reader(&granted)?;
        let work = self.service.work(contract, granted.get(), &reader, rules)?;
        let inner = self.traced(contract.guest, Interface::Inner, RoomLimits::inner(contract), rules).await?;
        let updates = contract.rounds.as_ref().map(|r| r.guest);
        let updates = self.traced(updates, Interface::Outer, RoomLimits::outer(contract), rules).await?;
        let composes = contract.report.as_ref().map(|r| r.guest);
        let composes = self.traced(composes, Interface::Outer, RoomLimits::outer(contract), rules).await?;
        let (mut passes, mut outer, mut handed) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..contract.passes() {
            for table in contract.tables.iter().filter(|t| t.is_answered()) {
                if let Some(guest) = &inner {
                    passes.push(told_of(&work, guest, contract, table, round, &handed).await?);
                }
            }
            // A void run has no cleared rounds: there is nothing to go on from.
            let sealed = ((round as usize) < run.rounds.len()).then(|| self.service.sealed_round(run, round));
            let sealed = sealed.transpose()?;
            let Some(cleared) = sealed.as_ref().map(|c| c.get().as_slice()).or(last) else { break };
            if let Some(guest) = &updates {
                let (guest, table, state) = (Arc::clone(guest), crate::outer::of_round(cleared), handed.clone());
                let told = in_thread(move || guest.update(round, &state, &table)).await?;
                outer.push(OuterTold { round: Some(round), told });
            }
            if let Some(cleared) = &sealed {
                handed = self.service.update(contract, rules, round, handed, cleared).await?;
            }
        }
        if let (Some(guest), Some(report), Some(cleared)) = (composes, &contract.report, last) {
            let (tables, state) = (crate::outer::of_report(&report.params, cleared), handed);
            let told = in_thread(move || guest.compose(&state, &tables)).await?;
            outer.push(OuterTold { round: None, told });
        }
        Ok((passes, outer))
    }

    /// A guest compiled to be told about, with more fuel than is reserved, so that it
    /// can be said how much a call needs.
    async fn traced(
        &self,
        guest: Option<Digest>,
        interface: Interface,
        reserved: RoomLimits,
        rules: &RulePack,
    ) -> Result<Option<Arc<Explainer>>, Fault> {
        let Some(digest) = guest else { return Ok(None) };
        let bytes = self.service.vault.unseal(ObjectKind::Guest, &digest.to_string()).map_err(vault_fault)?;
        let guest = sluice_worker::inspect_for(interface, &bytes, inspect_limits(reserved.memory_bytes, rules))?;
        let limits = RoomLimits { fuel: reserved.fuel.saturating_mul(FUEL_TIMES), ..reserved };
        let programs = self.service.programs.clone();
        in_thread(move || Explainer::new(&programs, guest, limits)).await.map(|guest| Some(Arc::new(guest)))
    }
}

/// When a rehearsal's run is given up. Its tick is reckoned for a domain's machine and
/// roster; an author's laptop may take longer, which says nothing about the job.
fn patience(job: &JobState) -> Timestamp {
    job.at.checked_add(PATIENCE).unwrap_or(Timestamp::MAX)
}

/// A contract over the published rosters.
struct Real {
    contract: Contract,
    roster_size: u64,
    published: bool,
}

/// One table in one round, call by call, as the real pass feeds its rooms.
async fn told_of(
    work: &Work<'_>,
    guest: &Arc<Explainer>,
    contract: &Contract,
    table: &Table,
    round: u32,
    state: &[u8],
) -> Result<PassTold, Fault> {
    let (sender, mut calls) = mpsc::channel(answer::CALLS_IN_FLIGHT);
    let (guest, params, state) = (Arc::clone(guest), answer::params(contract, table, round), state.to_vec());
    let telling = tokio::task::spawn_blocking(move || {
        // Everything in this domain was drawn by `population`: nobody put data in.
        let vouched = |call: sluice_view::Call| call.into_iter().map(|(i, rows)| (i, Synthetic::vouch(rows))).collect();
        guest.pass(&params, &state, std::iter::from_fn(|| calls.blocking_recv().map(vouched)))
    });
    answer::feed(work, table, sender).await?;
    let told = telling.await.map_err(|e| Fault::host("try.thread", &e))?;
    let told = told.map_err(|e| Fault::host("try.explain", &e))?;
    let route = match table {
        Table::A(_) | Table::Open(_) => Route::A,
        Table::B(_) => Route::B,
        Table::C(_) | Table::Regression(_) | Table::Survival(_) => Route::C,
        Table::D(_) => Route::D,
    };
    let columns = match table {
        Table::A(a) => a.dimensions.len() + a.measures.len(),
        Table::B(b) => b.dimensions.len() + b.measures.len(),
        Table::Open(o) => 1 + o.measures.len(),
        Table::D(d) => d.dimensions.len() + d.measures.len(),
        Table::C(_) | Table::Regression(_) | Table::Survival(_) => 0,
    };
    let columns = columns as u64;
    let (mut calls, mut lost) = (Vec::with_capacity(told.len()), BTreeMap::<Loss, usize>::new());
    for explained in told {
        let (call, losses) = judged(explained, table, columns, contract.limits.rows_max);
        losses.into_iter().for_each(|loss| *lost.entry(loss).or_default() += 1);
        calls.push(call);
    }
    // Stored order follows a key of this throw-away domain: what is shown must not.
    calls.sort();
    let losses = lost.into_iter().map(|(loss, calls)| Lost { loss, calls }).collect();
    let (table, may_miss) = (table.name().to_owned(), may_miss(table));
    Ok(PassTold { table, route, round, columns, may_miss, calls, losses })
}

/// Whether the gate takes an answer to `table` in which a number is missing.
fn may_miss(table: &Table) -> bool {
    matches!(table, Table::D(held) if held.model.is_none())
}

/// What the gate leaves out of an answer of the right shape.
fn judged(explained: Explained, table: &Table, wanted: u64, rows_max: u32) -> (Told, Vec<Loss>) {
    let Explained { mut told, answer } = explained;
    let whole = |nulls| nulls == 0 || may_miss(table);
    let shaped = matches!(told.end, End::Finished { columns, nulls, .. } if columns == wanted && whole(nulls));
    let Some(answer) = answer.filter(|_| shaped) else { return (told, Vec::new()) };
    // An answer to rows of nobody, from a child that has seen no others.
    let losses = losses(table, rows_max, &Synthetic::vouch(answer::into_gate(answer)));
    if losses == [Loss::Unreadable] {
        told.end = End::Unreadable;
        return (told, Vec::new());
    }
    (told, losses)
}

/// Work that waits for a child.
async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkerError> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| Fault::host("try.thread", &e))?;
    done.map_err(|e| Fault::host("try.explain", &e))
}

impl Service {
    /// Enrols somebody of a rehearsal and signs them in.
    async fn person(&self, by: Option<&SignedIn>, id: &str, org: OrgId, role: Role) -> Result<SignedIn, Refusal> {
        let person = id.parse().map_err(|_| crate::run::host_fault())?;
        self.enrol(by, person, id.to_owned(), org, role, password()).await?;
        self.sign_in(id, password()).await
    }
}

fn password() -> Zeroizing<String> {
    Zeroizing::new(PASSWORD.to_owned())
}

fn verdict(table: &CandidateTable) -> TableVerdict {
    let mut reasons = BTreeMap::new();
    let mut withheld = 0;
    for cell in &table.cells {
        if let CellValue::Withheld(why) = &cell.value {
            withheld += 1;
            why.iter().for_each(|reason| *reasons.entry(*reason).or_default() += 1);
        }
    }
    let noise = table.measures.iter().filter_map(|m| Some((m.name.clone(), m.sigma?, m.error_95?)));
    TableVerdict {
        name: table.name.clone(),
        route: table.route,
        cells: table.cells.len(),
        withheld,
        reasons,
        noise: noise.collect(),
    }
}

/// Says by which numbers a table of route C or D is judged here: those of the shipped
/// rule pack, for a domain's own stay with it.
pub fn stand_in(route: Route) -> Option<Text> {
    let d = RulePack::shipped().ok()?.disclosure;
    let (k, sensitive, p, n, share) =
        (d.threshold_units, d.threshold_units_sensitive, d.p_percent, d.dominance_n, d.dominance_share);
    Some(text(
        format!(
            "路线 {route:?} 的判定用公开的占位参数，非本域实际参数：最少 {k} 个单位（含 L4 列时 {sensitive}），p% = {p}，({n}, {share}) 支配"
        ),
        format!(
            "route {route:?} is judged by public stand-in parameters, not by a domain's own: {k} units at least ({sensitive} with an L4 column), p% = {p}, ({n}, {share}) dominance"
        ),
    ))
}

/// Says what synthetic data is, wherever it is shown.
pub fn caveat(units: u32, seed: u64) -> sluice_domain::Text {
    text(
        format!(
            "注意：以下全部来自合成数据（{units} 个虚构单位，种子 {seed}），只依据公开的目录与代码表生成，与真实数据的分布无关；抑制结果仅供参考"
        ),
        format!(
            "NOTE: all of this is about synthetic data ({units} units that do not exist, seed {seed}), drawn from the published schema and code lists only; it says nothing about the real distribution, and what is withheld here is an indication at most"
        ),
    )
}
