//! 提交作业: a job file and its guest become a frozen, signed contract. Nothing
//! here reads a row, so every refusal may be told in full.

use std::collections::BTreeMap;

use sluice_domain::{
    Digest, Kind, Refusal,
    contract::{Contract, ContractInput, Dimension, JobFile, TableFile},
    decide::{self, Resolved},
    event::{Event, job_message},
    id::JobId,
    person::Role,
    rulepack::RulePack,
    state::{GrantedView, State},
    text,
    visible::is_invisible,
};
use sluice_vault::ObjectKind;
use sluice_worker::{InspectLimits, Interface, RoomLimits};
use zeroize::Zeroizing;

use crate::{
    Service, SignedIn,
    product::made,
    record::{Decided, vault_fault},
    run::{Fault, host_fault},
};

/// Most bytes of a job file.
const JOB_FILE_MAX: usize = 256 * 1024;

/// Characters that are kept of a refused job's name.
const REFUSED_NAME_CHARS_MAX: usize = 120;

impl Service {
    /// Takes a job in: parse → resolve → freeze → sign → compile → record.
    ///
    /// # Errors
    /// `job.*`, `sql.*`, `guest.*`, `agreement.*` with place and next step. A
    /// refusal is recorded, too.
    pub async fn submit(
        &self,
        who: &SignedIn,
        password: Zeroizing<String>,
        job_toml: &str,
        guest: Option<&[u8]>,
    ) -> Result<JobId, Refusal> {
        self.submit_with(who, password, job_toml, &Guests { inner: guest, ..Guests::default() }).await
    }

    /// As [`Service::submit`], with the outer rooms' guests too.
    ///
    /// # Errors
    /// As [`Service::submit`].
    pub async fn submit_with(
        &self,
        who: &SignedIn,
        password: Zeroizing<String>,
        job_toml: &str,
        guests: &Guests<'_>,
    ) -> Result<JobId, Refusal> {
        let by = who.person().id.clone();
        decide::require(&self.snapshot().await?, &by, &[Role::Operator])?;
        let key = self.signing_key(who, password).await?;
        let state = self.snapshot().await?;
        let decided = async {
            let contract = self.freeze(&state, who, job_toml, |file, rules| looked_at(file, guests, rules))?;
            let signature = key.sign(&job_message(&contract.digest(), &by));
            for bytes in guests.all().into_iter().flatten() {
                self.keep_guest(&Digest::of(bytes), bytes)?;
            }
            self.compile_ahead(&contract, state.rulepack()).await?;
            self.record(who.actor(), |state, now| {
                let (job, event) = decide::accept_job(state, &by, contract.clone(), signature, now)?;
                Ok(Decided(job, event))
            })
            .await
        };
        match decided.await {
            Ok(recorded) => Ok(recorded.get().0.clone()),
            Err(refusal) => {
                // What was refused may be its name: it is kept as far as anybody can read it.
                let name = JobFile::parse(job_toml).map(|f| f.job.name).unwrap_or_default();
                let name: String = name.chars().filter(|c| !is_invisible(*c)).take(REFUSED_NAME_CHARS_MAX).collect();
                let operator = who.person().org.clone();
                let guest = guests.inner.map(Digest::of);
                let code = refusal.code.to_owned();
                self.record(who.actor(), |_, _| {
                    Ok(Event::JobRefused { operator: operator.clone(), name: name.clone(), guest, code: code.clone() })
                })
                .await?;
                Err(refusal)
            }
        }
    }

    /// The contract that `job_toml` would become: what it promises and what it
    /// costs, before anything is submitted.
    ///
    /// # Errors
    /// As [`Service::submit`].
    pub async fn quote(&self, who: &SignedIn, job_toml: &str, guests: &Guests<'_>) -> Result<Contract, Refusal> {
        self.freeze(&self.snapshot().await?, who, job_toml, |file, rules| looked_at(file, guests, rules))
    }

    /// As [`Service::quote`], of the job file alone: every component that it names counts as
    /// there. What it costs is the same; its digest is not the contract's.
    ///
    /// # Errors
    /// As [`Service::submit`]; `account.role` for anybody but operators.
    pub async fn quote_unseen(&self, who: &SignedIn, job_toml: &str) -> Result<Contract, Refusal> {
        self.may_quote(who).await?;
        let named = |file: &JobFile, _: &RulePack| {
            let named = [file.job.guest.is_some(), file.rounds.is_some(), file.report.is_some()];
            Ok(named.map(|named| named.then(|| Digest::of(b""))))
        };
        self.freeze(&self.snapshot().await?, who, job_toml, named)
    }

    /// Whether `who` may ask what a job costs: operators.
    ///
    /// # Errors
    /// `account.role`.
    pub async fn may_quote(&self, who: &SignedIn) -> Result<(), Refusal> {
        decide::require(&self.snapshot().await?, &who.person().id, &[Role::Operator]).map(drop)
    }

    fn freeze(
        &self,
        state: &State,
        who: &SignedIn,
        job_toml: &str,
        guests: impl FnOnce(&JobFile, &RulePack) -> Result<[Option<Digest>; 3], Refusal>,
    ) -> Result<Contract, Refusal> {
        if job_toml.len() > JOB_FILE_MAX {
            return Err(Refusal::new(
                Kind::Usage,
                "job.too-large",
                text("作业文件过大", "the job file is too large"),
                text("作业文件不得超过 256 KiB", "a job file has 256 KiB at most"),
            ));
        }
        let file = JobFile::parse(job_toml)?;
        let terms = &state.agreement_of(&who.person().org, &file.job.agreement)?.agreement;
        let granted = state.authorise(&file.job.agreement, Self::now())?;
        let rules = state.rulepack();
        let guests = guests(&file, rules)?;
        let contract = frozen(granted.get(), job_toml, file, guests, rules)?;
        decide::allows(terms, &contract).map_err(|r| pointed_at(r, job_toml))?;
        Ok(contract)
    }

    /// Compiles the guests before the tick begins to count: what it takes depends on the
    /// code alone, and a large interpreter takes minutes.
    async fn compile_ahead(&self, contract: &Contract, rules: &RulePack) -> Result<(), Refusal> {
        let (inner, outer) = (RoomLimits::inner(contract), RoomLimits::outer(contract));
        let updates = contract.rounds.as_ref().map(|r| r.guest);
        let composes = contract.report.as_ref().map(|r| r.guest);
        for (guest, interface, limits) in [
            (contract.guest, Interface::Inner, inner),
            (updates, Interface::Outer, outer),
            (composes, Interface::Outer, outer),
        ] {
            let Some(guest) = guest else { continue };
            match self.compile(guest, interface, &limits, rules).await {
                Ok(_) => {}
                Err(Fault::Refused(refusal)) => return Err(refusal),
                Err(Fault::Host(code)) => return Err(host_fault().at(code)),
            }
        }
        Ok(())
    }

    fn keep_guest(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Refusal> {
        let name = digest.to_string();
        if !self.vault.contains(ObjectKind::Guest, &name) {
            self.vault.seal(ObjectKind::Guest, &name, bytes).map_err(vault_fault)?;
        }
        Ok(())
    }
}

/// The digests of the components, each of which has the right form.
fn looked_at(file: &JobFile, guests: &Guests<'_>, rules: &RulePack) -> Result<[Option<Digest>; 3], Refusal> {
    let memory = u64::from(file.limits.memory_mib.unwrap_or(rules.limits.memory_mib)) << 20;
    let [inner, updates, composes] = guests.all();
    let look = |interface, bytes: Option<&[u8]>, place| {
        let inspected = bytes.map(|b| sluice_worker::inspect_for(interface, b, inspect_limits(memory, rules)));
        inspected.transpose().map(|i| i.map(|i| i.digest())).map_err(|r| self::place(r, place))
    };
    Ok([
        look(Interface::Inner, inner, "job.guest")?,
        look(Interface::Outer, updates, "rounds.guest")?,
        look(Interface::Outer, composes, "report.guest")?,
    ])
}

/// The contract over these views, with guests that were looked at before.
pub(crate) fn frozen(
    views: &[GrantedView],
    job_toml: &str,
    file: JobFile,
    guests: [Option<Digest>; 3],
    rules: &RulePack,
) -> Result<Contract, Refusal> {
    let resolved = resolve(views, &file, guests).map_err(|r| pointed_at(r, job_toml))?;
    let contract = decide::freeze(file, resolved, rules).map_err(|r| pointed_at(r, job_toml))?;
    if let Some((table, heading)) = made::clash(&contract) {
        return Err(pointed_at(headings_clash(&table, &heading), job_toml));
    }
    // What the gate could not judge is refused here, before any data is read.
    let tables_c = contract.tables_c();
    let tables_c: Vec<_> = tables_c.iter().map(|(table, _)| table).collect();
    sluice_gate::route_c::secondary::within_limits(&tables_c, rules.disclosure.cells_max)?;
    sluice_gate::can_keep(&contract, roster_size(views, &contract.inputs)).map_err(|r| pointed_at(r, job_toml))?;
    Ok(contract)
}

fn headings_clash(table: &str, heading: &str) -> Refusal {
    Refusal::refused(
        "job.headings",
        text(
            format!("表 `{table}` 的文件中会有两列同名 `{heading}`"),
            format!("two columns of `{table}`'s files would be called `{heading}`"),
        ),
        text(
            "改用别的列名；status、made_by 与误差列的名称为保留字",
            "choose other names: status, made_by and those of the error columns are reserved",
        ),
    )
    .at(format!("table.{table}"))
}

/// The components that a job file names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guests<'a> {
    /// Of `[job]`: sees rows.
    pub inner: Option<&'a [u8]>,
    /// Of `[rounds]`: updates the state between rounds.
    pub updates: Option<&'a [u8]>,
    /// Of `[report]`: composes texts and charts.
    pub composes: Option<&'a [u8]>,
}

impl<'a> Guests<'a> {
    fn all(&self) -> [Option<&'a [u8]>; 3] {
        [self.inner, self.updates, self.composes]
    }
}

/// What a guest is held to before it is compiled.
pub(crate) fn inspect_limits(memory_bytes: u64, rules: &RulePack) -> InspectLimits {
    InspectLimits { bytes_max: rules.limits.guest_bytes_max, memory_bytes }
}

/// Looks every name of the job file up in the authorised views' public schemas.
fn resolve(views: &[GrantedView], file: &JobFile, guests: [Option<Digest>; 3]) -> Result<Resolved, Refusal> {
    let (mut inputs, mut dimensions) = (BTreeMap::new(), BTreeMap::<String, Dimension>::new());
    for (name, input) in &file.inputs {
        let plan = sluice_view::plan_input(views, &input.sql).map_err(|r| place(r, &format!("inputs.{name}.sql")))?;
        if let Some(view) = views.iter().find(|v| v.id == plan.view) {
            let columns = sluice_view::view_schema(view)?;
            dimensions.extend(columns.iter().filter_map(|c| c.dimension()).map(|d| (d.name.clone(), d.clone())));
        }
        inputs.insert(name.clone(), ContractInput { view: plan.view, sql: input.sql.clone(), columns: plan.columns });
    }
    let (mut tabulations, mut regressions, mut survivals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for table in &file.tables {
        if let TableFile::C { name, survival: Some(asked), .. } = table {
            let plan = sluice_view::plan_survival(views, name, asked);
            survivals.insert(name.clone(), plan.map_err(|r| place(r, &format!("table.{name}.survival")))?);
        } else if let TableFile::C { name, regression: Some(asked), .. } = table {
            let plan = sluice_view::plan_regression(views, name, asked);
            regressions.insert(name.clone(), plan.map_err(|r| place(r, &format!("table.{name}.regression")))?);
        } else if let TableFile::C { name, sql, .. } = table {
            let plan = sluice_view::plan_table(views, sql).map_err(|r| place(r, &format!("table.{name}.sql")))?;
            tabulations.insert(name.clone(), plan);
        }
    }
    let roster_size = roster_size(views, &inputs);
    Ok(Resolved { inputs, dimensions, tabulations, regressions, survivals, guests, roster_size })
}

/// Units on the published rosters of the datasets that the inputs read: at least as
/// many as there are calls of a route-A table.
pub(crate) fn roster_size(views: &[GrantedView], inputs: &BTreeMap<String, ContractInput>) -> u64 {
    let read = views.iter().filter(|v| inputs.values().any(|input| input.view == v.id));
    let rosters: BTreeMap<_, u64> = read.map(|v| (v.view.dataset.clone(), v.roster_size)).collect();
    rosters.values().sum()
}

/// The refusal with the line of the job file that its place stands in.
fn pointed_at(refusal: Refusal, job_toml: &str) -> Refusal {
    let line = refusal.place.as_deref().and_then(|field| Some((JobFile::line(job_toml, field)?, field.to_owned())));
    match line {
        Some((line, field)) => refusal.at(format!("{line}: {field}")),
        None => refusal,
    }
}

fn place(refusal: Refusal, field: &str) -> Refusal {
    match refusal.place.clone() {
        Some(inner) => refusal.at(format!("{field}: {inner}")),
        None => refusal.at(field),
    }
}
