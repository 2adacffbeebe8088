//! What a queue of jobs tells: nothing before the tick, and after it no more than the
//! agreement's bits, in whatever order their ticks come.
//!
//! A guest may take as long as one person's value says (attack 56): what shows when the next
//! job of the queue starts is as good as a meter.

use std::time::Duration;

use sluice::demo::city::password;
use sluice_domain::{Timestamp, contract::JobFile, id::JobId};
use sluice_service::{Guests, pages::JobStatus};

use crate::town::{SPENDING_CHANGE, Town, guest};

/// `SPENDING_CHANGE` under another name with `fuel` per person.
fn job(name: &str, fuel: u64) -> String {
    let mut file = JobFile::parse(SPENDING_CHANGE).unwrap();
    (file.job.name, file.limits.fuel, file.limits.wall_seconds) = (name.to_owned(), Some(fuel), Some(120));
    toml::to_string(&file).unwrap()
}

/// What the operator sees of `wanted`, and what a quote says is left.
async fn seen(town: &Town, wanted: &JobId) -> (JobStatus, bool, String) {
    let (service, operator) = (&town.city.service, &town.city.operator);
    let inbox = service.inbox(operator).await.unwrap();
    let line = inbox.jobs.iter().find(|j| j.job == *wanted).unwrap();
    let wasm = guest("spending_change.wasm");
    let guests = Guests { inner: Some(&wasm), ..Guests::default() };
    let contract = service.quote(operator, &job("next", 300_000), &guests).await.unwrap();
    let offer = service.offer(operator, &contract).await.unwrap();
    (line.status, line.since == service.tick(wanted).await.unwrap(), serde_json::to_string(&offer).unwrap())
}

async fn until(moment: Timestamp) {
    while let Ok(left) = Duration::try_from(moment.duration_since(Timestamp::now())) {
        tokio::time::sleep(left.max(Duration::from_millis(10))).await;
    }
}

/// Attack 56. A job that waits behind another and one that has run look alike until their
/// ticks, and so does what is left of the budget; one that was never started says so at its
/// tick, for one bit.
#[tokio::test(flavor = "multi_thread")]
async fn attack_56_nobody_sees_when_the_next_job_starts() {
    let town = Town::start().await;
    let (service, operator, wasm) = (&town.city.service, &town.city.operator, guest("spending_change.wasm"));
    let submit =
        async |name: &str| service.submit(operator, password(), &job(name, 300_000), Some(&wasm)).await.unwrap();
    let (first, waiting) = (submit("first").await, submit("waiting").await);
    let before = [seen(&town, &first).await, seen(&town, &waiting).await];
    service.run(&first).await.unwrap();
    assert_eq!([seen(&town, &first).await, seen(&town, &waiting).await], before, "one of them was charged and has run");
    assert_eq!(before[0].0, JobStatus::Running);
    // Attack 98: a number that counted entries would count those of the run between.
    assert_eq!(waiting.number(), first.number() + 1);
    let third = submit("third").await;
    assert_eq!(third.number(), waiting.number() + 1);

    until(service.tick(&third).await.unwrap()).await;
    assert_eq!(seen(&town, &first).await.0, JobStatus::InReview);
    let (status, at_tick, left) = seen(&town, &waiting).await;
    assert!(status == JobStatus::NotRun && at_tick && left != before[1].2, "it was not charged");
    let accounts = service.accounts(&town.city.bureau).await.unwrap();
    assert_eq!(accounts.roots[0].agreements[0].bits.refusals, 2);
}

/// Attack 57. Long ticks first: a bit counts from the moment that it shows, or the jobs
/// submitted first would count as shown long before they are.
#[tokio::test(flavor = "multi_thread")]
async fn attack_57_ticks_in_reverse_show_no_more_bits_than_the_cap() {
    let town = Town::start().await;
    let (service, operator, wasm) = (&town.city.service, &town.city.operator, guest("spending_change.wasm"));
    let most = service.snapshot().await.unwrap().rulepack().refusals.bits_max;
    let mut jobs = Vec::new();
    for i in 0..most + 2 {
        // 1.5 seconds of the tick less for each; none of them is ever started.
        let fuel = 300_000 + 102_000 * (most + 2 - i) as u64;
        let toml = job(&format!("late-{i}"), fuel).replace("rho = 0.02", "rho = 0.001");
        let job = service.submit(operator, password(), &toml, Some(&wasm)).await.unwrap();
        jobs.push((service.tick(&job).await.unwrap(), job));
    }
    let last_submitted = jobs[most..].to_vec();
    jobs.sort();
    let (shown, hidden) = jobs.split_at(most);
    assert!(hidden.iter().all(|job| !last_submitted.contains(job)), "the machine is too slow for these ticks");
    until(jobs[most + 1].0).await;
    let inbox = service.inbox(operator).await.unwrap();
    let status = |(_, job): &(Timestamp, JobId)| inbox.jobs.iter().find(|j| j.job == *job).unwrap().status;
    assert!(shown.iter().all(|job| status(job) == JobStatus::NotRun));
    assert!(hidden.iter().all(|job| status(job) == JobStatus::InReview), "the last two to come to their tick");
}
