//! `sluice data schema`: what an author is handed, and that a real domain makes the same
//! contract of what passes `guest try` with it.

use std::{collections::BTreeSet, process::Command};

use sluice::demo::city::password;
use sluice_domain::{agreement::Agreement, catalogue::CatalogueEntry, id::AgreementId, person::Role};
use sluice_service::{Guests, SchemaFile};

use crate::{
    command_line::sluice,
    operator::zeroed,
    town::{SPENDING_CHANGE, Town, guest},
};

fn agreement() -> AgreementId {
    "insurance-pricing-2026".parse().unwrap()
}

async fn published(town: &Town) -> Vec<SchemaFile> {
    town.city.service.published_schema(&town.city.bureau, &agreement()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_says_the_same_whatever_the_data_and_names_granted_columns_alone() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("zeroed.parquet");
    zeroed(&other);
    let town = Town::start().await;
    let files = published(&town).await;
    assert_eq!(files, published(&Town::over(&other).await).await, "the data got in");

    let [catalogue, granted] = files.as_slice() else { panic!("one dataset, one agreement: {files:?}") };
    let (entry, agreement) =
        (CatalogueEntry::parse(&catalogue.toml).unwrap(), Agreement::parse(&granted.toml).unwrap());
    let state = town.city.service.snapshot().await.unwrap();
    let whole = &state.dataset(&entry.dataset.id).unwrap().entry;
    assert_eq!(entry.dataset.roster_size, Some(5912), "the published roster");
    assert_eq!(whole.dataset.roster_size, None, "a domain records none: it counts");
    let views = agreement.views.values().flat_map(|v| v.columns.clone());
    let named: BTreeSet<String> = views.chain([entry.dataset.unit.clone()]).collect();
    assert_eq!(entry.columns.iter().map(|c| c.name.clone()).collect::<BTreeSet<_>>(), named);
    assert!(entry.columns.len() < whole.columns.len(), "every column is granted, so the test says nothing");
    assert!(entry.columns.iter().all(|c| whole.columns.contains(c)), "types, code lists and ranges as they are");
    assert_eq!(Some(&agreement), state.agreement(&agreement.agreement.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_for_the_bureau_and_the_agreements_operator() {
    let town = Town::start().await;
    let service = &town.city.service;
    service.published_schema(&town.city.operator, &agreement()).await.unwrap();
    let other = "wang-other".parse().unwrap();
    let org = "other-operator".parse().unwrap();
    let enrolled = service.enrol(Some(&town.city.bureau), other, "王".to_owned(), org, Role::Operator, password());
    enrolled.await.unwrap();
    let stranger = service.sign_in("wang-other", password()).await.unwrap();
    for (who, code) in
        [(&stranger, "agreement.unknown"), (&town.city.provider, "account.role"), (&town.city.auditor, "account.role")]
    {
        assert_eq!(service.published_schema(who, &agreement()).await.unwrap_err().code, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_with_an_exported_schema_is_the_contract_of_the_domain() {
    let town = Town::start().await;
    let at = town.folder.path();
    std::fs::write(at.join("password"), "sluice-demo\n").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(sluice());
        command.args(["--lang", "en", "--json"]).args(args).current_dir(at);
        command.env("SLUICE_DOMAIN", "domain").env("SLUICE_KEY_FILE", "domain.key");
        let out = command.env("SLUICE_PASSWORD_FILE", "password").output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let component = guest("spending_change.wasm");
    std::fs::create_dir(at.join("project")).unwrap();
    std::fs::write(at.join("project/job.toml"), SPENDING_CHANGE).unwrap();
    std::fs::write(at.join("project/spending_change.wasm"), &component).unwrap();
    let guests = Guests { inner: Some(&component), ..Guests::default() };
    let quoted = town.city.service.quote(&town.city.operator, SPENDING_CHANGE, &guests).await.unwrap();

    let wrote = run(&[
        "data",
        "schema",
        "--as",
        "lin-bureau",
        "--agreement",
        "insurance-pricing-2026",
        "--out",
        "project/schema",
    ]);
    assert_eq!(wrote["files"].as_array().unwrap().len(), 2);
    let tried = &run(&["guest", "try", "project", "--units", "40"])["rehearsed"];
    assert_eq!(tried["contract"], serde_json::to_value(quoted.digest()).unwrap(), "another contract than was tried");
    assert_eq!(tried["tick_seconds"], quoted.tick_seconds);
    assert_eq!((&tried["roster_size"], &tried["roster_published"]), (&5912.into(), &true.into()));
}
