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

use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde::Serialize;
use sluice_domain::{
    Digest, Refusal,
    agreement::Agreement,
    candidate::{CandidateTable, CellValue, Reason, Route},
    catalogue::CatalogueEntry,
    contract::Contract,
    event::DomainKind,
    id::OrgId,
    person::Role,
    text,
};
use sluice_rows::synthetic::Synthetic;
use sluice_vault::{Kek, ObjectKind};
use sluice_view::ViewReader;
use sluice_worker::{Programs, RoomLimits, Told};
use tempfile::TempDir;
use zeroize::Zeroizing;

use self::population::Population;
use crate::{RunEnd, Service, SignedIn, record::io_fault, record::vault_fault, submit::inspect_limits};

/// Password of the rehearsal's people. Their domain is gone with the rehearsal.
const PASSWORD: &str = "rehearsal";

/// How much more fuel than reserved the second pass gives.
const FUEL_TIMES: u64 = 8;

/// A throw-away domain over synthetic people.
pub struct Rehearsal {
    service: Service,
    operator: SignedIn,
    agreement: Agreement,
    // Dropped last: the domain lies in it.
    _folder: TempDir,
}

/// What a job is like on synthetic data.
#[derive(Debug, Serialize)]
pub struct Rehearsed {
    /// What was submitted, frozen.
    pub contract: Digest,
    /// Its cost.
    pub rho: f64,
    /// Its tables; empty when the run is void.
    pub tables: Vec<TableVerdict>,
    /// Why the run is void, by code.
    pub void: Option<String>,
    /// One entry per unit that the guest was given, in an order that says nothing of
    /// whose it is; none without a guest.
    pub units: Vec<Told>,
    /// The fuel and memory that the contract reserves per unit.
    pub reserved: Reserved,
}

/// What a contract reserves.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reserved {
    /// Fuel per unit.
    pub fuel: u64,
    /// Linear memory per unit, bytes.
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
    /// Makes the domain: `units` synthetic people in every dataset, by `seed`.
    ///
    /// # Errors
    /// `catalogue.*`, `agreement.*` with their places; a fault of the host.
    pub async fn found(
        catalogues: &[String],
        agreement: &str,
        units: u32,
        seed: u64,
        programs: Programs,
    ) -> Result<Self, Refusal> {
        let terms = Agreement::parse(agreement)?;
        let entries = catalogues.iter().map(|toml| CatalogueEntry::parse(toml)).collect::<Result<Vec<_>, _>>()?;
        let folder =
            tempfile::Builder::new().prefix("sluice-try-").tempdir().map_err(|e| io_fault("try.folder", &e))?;
        let kek = Kek::generate_file(&folder.path().join("key")).map_err(Refusal::from)?;
        let home = folder.path().join("domain");
        let service = Service::init(&home, kek, "rehearsal", DomainKind::Demo, programs).await?;
        let office: OrgId = "rehearsal".parse().map_err(|_| crate::run::host_fault())?;
        let bureau = service.person(None, "bureau", office, Role::Bureau).await?;
        for (entry, toml) in entries.iter().zip(catalogues) {
            let file = folder.path().join(format!("{}.parquet", entry.dataset.id));
            Population::draw(entry, units, seed)?.write(&file)?;
            service.ingest(&bureau, toml, &file, |_, _| {}).await?;
        }
        service.sign_agreement(&bureau, agreement).await?;
        let operator =
            service.person(Some(&bureau), "operator", terms.agreement.operator.clone(), Role::Operator).await?;
        Ok(Self { service, operator, agreement: terms, _folder: folder })
    }

    /// Takes the job through.
    ///
    /// # Errors
    /// Whatever a submission refuses; a fault of the host.
    pub async fn job(&self, toml: &str, guest: Option<&[u8]>) -> Result<Rehearsed, Refusal> {
        let job = self.service.submit(&self.operator, password(), toml, guest).await?;
        let (run, end) = self.service.run(&job).await?;
        let state = self.service.snapshot().await?;
        let contract = state.job(&job).map(|j| j.contract.clone()).ok_or_else(crate::run::host_fault)?;
        let tables = match end {
            RunEnd::InReview => {
                let candidate = self.service.candidate(&state, &run)?;
                candidate.for_review().tables.iter().map(verdict).collect()
            }
            RunEnd::Void => Vec::new(),
        };
        Ok(Rehearsed {
            contract: contract.digest(),
            rho: contract.rho,
            tables,
            void: state.run(&run).and_then(|r| r.void.clone()),
            units: self.explain(&contract).await?,
            reserved: Reserved {
                fuel: contract.limits.fuel,
                memory_bytes: u64::from(contract.limits.memory_mib) << 20,
            },
        })
    }

    /// The second pass: the same rows, with everything told, and with fuel to spare.
    async fn explain(&self, contract: &Contract) -> Result<Vec<Told>, Refusal> {
        let (Some(digest), Some((name, input))) = (contract.guest, contract.inputs.first_key_value()) else {
            return Ok(Vec::new());
        };
        let state = self.service.snapshot().await?;
        let rules = state.rulepack();
        let granted = state.authorise(&self.agreement.agreement.id, Service::now())?;
        let plan = sluice_view::plan_input(granted.get(), &input.sql)?;
        // More fuel than is reserved, so that it can be said how much a unit needs.
        let reserved = RoomLimits::inner(contract);
        let limits = RoomLimits { fuel: reserved.fuel.saturating_mul(FUEL_TIMES), ..reserved };
        let reader = ViewReader::open(&self.service.vault, &granted).map_err(|_| crate::run::host_fault())?;
        // Everything in this domain was drawn by `population`: nobody put data in.
        let units = reader.units(&plan, limits.unit_rows_max).map(|rows| rows.map(Synthetic::vouch));
        let units: Result<Vec<Synthetic>, _> = units.collect::<Vec<_>>().await.into_iter().collect();
        let units = units.map_err(|_| crate::run::host_fault())?;
        let bytes = self.service.vault.unseal(ObjectKind::Guest, &digest.to_string()).map_err(vault_fault)?;
        let guest = sluice_worker::inspect(&bytes, inspect_limits(limits.memory_bytes, rules))?;
        let mut params: Vec<_> = contract.params.clone().into_iter().collect();
        params.push(sluice_worker::schema_param(name, &input.columns));
        let programs = self.service.programs.clone();
        let told = move || sluice_worker::explain(&programs, &guest, &limits, &params, units);
        let told = tokio::task::spawn_blocking(told).await.map_err(|_| crate::run::host_fault())?;
        let mut told = told.map_err(|e| e.refusal())?;
        // Stored order follows a key of this throw-away domain: what is shown must not.
        told.sort();
        Ok(told)
    }
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
