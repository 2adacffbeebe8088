//! What a contract costs and whether it is taken depends on the contract and the
//! ledger alone, whatever the data and however earlier runs ended; and whatever is
//! changed after seeing a result makes another contract, which is charged again.

use std::collections::BTreeSet;

use sluice::demo::city::password;
use sluice_domain::{Timestamp, contract::JobFile, decide, state::State};
use sluice_service::Guests;

use crate::{
    impostor::{Impostor, reopened},
    operator::zeroed,
    town::{SPENDING_CHANGE, Town, entries, guest},
};

/// What submitting and running the same jobs says, until the budget is gone.
async fn exhausted(town: &Town) -> Vec<String> {
    let (service, operator, wasm) = (&town.city.service, &town.city.operator, guest("spending_change.wasm"));
    let mut said = Vec::new();
    for rho in ["0.05", "0.05", "0.05", "0.05", "0.04", "0.02", "0.011", "0.009", "0.002"] {
        let job = SPENDING_CHANGE.replace("rho = 0.02", &format!("rho = {rho}"));
        match service.submit(operator, password(), &job, Some(&wasm)).await {
            Ok(job) => {
                service.run(&job).await.unwrap();
                let state = service.snapshot().await.unwrap();
                said.push(format!(
                    "{rho} {:?}",
                    state.run(state.job(&job).unwrap().run.as_ref().unwrap()).unwrap().charges
                ));
            }
            Err(refusal) => said.push(format!("{rho} {}", serde_json::to_string(&refusal).unwrap())),
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_ends_at_the_same_point_whatever_the_data_and_the_ends_of_runs() {
    let town = Town::start().await;
    let real = exhausted(&town).await;
    assert_eq!(real.iter().filter(|said| said.contains("job.budget")).count(), 3, "{real:#?}");

    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("zeroed.parquet");
    zeroed(&other);
    let mut town = Town::over(&other).await;
    let impostor = Impostor::new();
    town.city.service = reopened(town.folder.path(), Some(impostor.programs())).await;
    assert_eq!(real, exhausted(&town).await, "other data, and every run void");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_tuned_makes_another_contract() {
    let town = Town::start().await;
    let (service, operator, wasm) = (&town.city.service, &town.city.operator, guest("spending_change.wasm"));
    let tuned = |change: &dyn Fn(&mut JobFile)| {
        let mut file = JobFile::parse(SPENDING_CHANGE).unwrap();
        change(&mut file);
        toml::to_string(&file).unwrap()
    };
    let jobs = [
        SPENDING_CHANGE.to_owned(),
        tuned(&|file| drop(file.params.insert("cut".to_owned(), "1".to_owned()))),
        tuned(&|file| drop(file.params.insert("cut".to_owned(), "2".to_owned()))),
        tuned(&|file| file.limits.wall_seconds = Some(61)),
        SPENDING_CHANGE.replace("rho = 0.02", "rho = 0.021"),
        SPENDING_CHANGE.replace("FROM claims", "FROM claims WHERE year < 4"),
    ];
    let mut digests = BTreeSet::new();
    for job in &jobs {
        let guests = Guests { inner: Some(&wasm), ..Guests::default() };
        digests.insert(service.quote(operator, job, &guests).await.unwrap().digest().to_string());
    }
    assert_eq!(digests.len(), jobs.len(), "a change that the digest does not show");
    let other = guest("leaky.wasm");
    let guests = Guests { inner: Some(&other), ..Guests::default() };
    assert!(digests.insert(service.quote(operator, &jobs[0], &guests).await.unwrap().digest().to_string()));

    // The same once more is a job of its own, charged like the first.
    let mut charged = Vec::new();
    for job in [&jobs[1], &jobs[2], &jobs[1]] {
        let job = service.submit(operator, password(), job, Some(&wasm)).await.unwrap();
        let (run, _) = service.run(&job).await.unwrap();
        let state = service.snapshot().await.unwrap();
        charged.extend(state.run(&run).unwrap().charges.iter().map(|(_, rho)| *rho));
        let taken = state.job(&job).unwrap().contract.digest().to_string();
        assert!(digests.contains(&taken), "what runs is what was quoted");
    }
    assert_eq!(charged, [0.02; 3]);
}

/// Attack 59. A job that was accepted under one rule pack, in a domain that opens under
/// another: it is refused before it is charged, and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn attack_59_a_contract_of_another_rule_pack_does_not_start() {
    let town = Town::start().await;
    let job = town
        .city
        .service
        .submit(&town.city.operator, password(), SPENDING_CHANGE, Some(&guest("spending_change.wasm")))
        .await
        .unwrap();
    let under = async |version: &str| {
        let mut rules = town.city.service.snapshot().await.unwrap().rulepack().clone();
        rules.version = version.to_owned();
        let mut state = State::new(rules);
        entries(&town).await.iter().for_each(|entry| state.apply(entry));
        state
    };
    let (now, ours) = (Timestamp::now(), town.city.service.snapshot().await.unwrap().rulepack().version.clone());
    let state = under(&ours).await;
    decide::start_run(&state, state.job(&job).unwrap(), now).unwrap();
    let state = under("2099.1").await;
    let refusal = decide::start_run(&state, state.job(&job).unwrap(), now).unwrap_err();
    assert_eq!(refusal.code, "job.rulepack");
    assert!(refusal.cause.en.contains("not charged") && refusal.next.en.contains("submit the same job file again"));
}

/// Attack 60. The clock of the host is set back: a year that is over has no budget again.
#[tokio::test(flavor = "multi_thread")]
async fn attack_60_a_clock_that_is_set_back_stands_still() {
    let town = Town::start().await;
    let last = entries(&town).await.last().unwrap().at;
    let state = town.city.service.snapshot().await.unwrap();
    let ago = |hours: i64| Timestamp::from_second(last.as_second() - hours * 3600).unwrap();
    assert_eq!(state.moment(ago(24 * 400)), last);
    assert_eq!(state.moment(ago(-1)), ago(-1));
}
