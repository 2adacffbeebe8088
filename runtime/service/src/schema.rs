//! 公开结构: what an author with no domain at hand is told of the data, as the two
//! kinds of files that `sluice guest try` takes.
//!
//! Made of an agreement, catalogue entries and roster sizes, which are public to its
//! parties; nothing here has rows, row counts or anything computed from them.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    Refusal,
    agreement::Agreement,
    catalogue::CatalogueEntry,
    decide,
    id::AgreementId,
    person::Role,
    state::{GrantedView, State},
};

use crate::{Service, SignedIn, run::host_fault};

/// Stands at the head of each file.
const HEAD: &str = "# 公开结构，由 sluice data schema 导出，供 sluice guest try 使用；不含任何数据\n\
                    # Published schema, written by `sluice data schema` for `sluice guest try`; no data is in it\n";

/// One file of a published schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFile {
    /// `ID.agreement.toml` or `ID.catalogue.toml`.
    pub name: String,
    /// What stands in it.
    pub toml: String,
}

impl Service {
    /// The agreement `id` and the catalogue entries of its datasets: the granted
    /// columns with their types, code lists and ranges, and the roster's size.
    ///
    /// # Errors
    /// `account.role`; `agreement.unknown`, also to another operator; and as
    /// [`State::authorise`], for what could not be used today is not published.
    pub async fn published_schema(&self, who: &SignedIn, id: &AgreementId) -> Result<Vec<SchemaFile>, Refusal> {
        let state = self.snapshot().await?;
        let person = decide::require(&state, &who.person().id, &[Role::Bureau, Role::Operator])?;
        if person.role == Role::Operator {
            state.agreement_of(&person.org, id)?;
        }
        published(&state, id)
    }
}

/// Every catalogue entry, then the agreement.
pub(crate) fn published(state: &State, id: &AgreementId) -> Result<Vec<SchemaFile>, Refusal> {
    let granted = state.authorise(id, Service::now())?;
    let agreement = state.agreement(id).ok_or_else(host_fault)?;
    let mut entries = BTreeMap::new();
    for view in granted.get() {
        entries.entry(view.view.dataset.clone()).or_insert_with(|| entry(agreement, view));
    }
    let files = entries.iter().map(|(dataset, entry)| file(format!("{dataset}.catalogue.toml"), entry));
    files.chain([file(format!("{id}.agreement.toml"), agreement)]).collect()
}

/// The entry of the view's dataset without the columns that no view of the agreement
/// grants, and what is impossible with one of them; the unit's stays, for ingest wants one.
fn entry(agreement: &Agreement, view: &GrantedView) -> CatalogueEntry {
    let views = agreement.views.values().filter(|v| v.dataset == view.view.dataset);
    let named: BTreeSet<&String> = views.flat_map(|v| &v.columns).chain([&view.entry.dataset.unit]).collect();
    let mut entry = view.entry.clone();
    entry.columns.retain(|column| named.contains(&column.name));
    let mut impossible = std::mem::take(&mut entry.impossible);
    impossible.retain(|one| one.codes.keys().all(|name| entry.dimension(name).is_some()));
    entry.impossible = impossible;
    entry.dataset.roster_size = Some(view.roster_size);
    entry
}

fn file(name: String, content: &impl serde::Serialize) -> Result<SchemaFile, Refusal> {
    let toml = toml::to_string(content).map_err(|_| host_fault())?;
    Ok(SchemaFile { name, toml: format!("{HEAD}\n{toml}") })
}
