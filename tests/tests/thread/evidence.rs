//! Evidence through the whole thread on real data: made before review, sealed, committed
//! to, shown to reviewers alone, and needed for a vote.

use sluice::demo::city::password;
use sluice_domain::{
    approval::Decision,
    evidence::{CheckKind, Grade},
};
use sluice_service::pages::Ballot;

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest, quick};

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_shown_evidence_that_no_byte_can_be_changed_of() {
    let town = Town::start().await;
    let service = &town.city.service;
    let (_, run) = town.run(&quick(VISITS_REPORT), None).await;
    let bench = service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();

    let kinds: Vec<CheckKind> = bench.evidence.iter().map(|shown| shown.check.kind).collect();
    let (scan, influence) = (CheckKind::ValueScan, CheckKind::Influence);
    assert_eq!(kinds, [scan, influence, influence, CheckKind::Canaries, CheckKind::Capacity]);
    for shown in &bench.evidence {
        let check = &shown.check;
        assert_ne!(check.grade, Grade::Alarm, "{}", check.finding.en);
        assert!(!check.cannot.zh.is_empty() && shown.svg.as_ref().is_some_and(|svg| svg.starts_with("<svg")));
        // Everybody was replayed, and a recount by other code gives every number.
        let whole = check.kind != influence
            || check.finding.en.contains("leaving out 5912 units") && check.finding.en.contains("gives every number");
        assert!(whole, "{}", check.finding.en);
    }

    // One byte of it: it can be neither looked at nor voted on.
    let sealed = town.city.home.folder().join(format!("vault/objects/evidence/{run}"));
    let whole = std::fs::read(&sealed).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&sealed, &changed).unwrap();
    assert!(service.open_candidate(&town.city.reviewers[1], &run).await.is_err());
    let ballot =
        || Ballot { run: run.clone(), seen: bench.commitment, decision: Decision::Approve, comment: String::new() };
    assert!(service.vote(&town.city.reviewers[0], password(), ballot()).await.is_err());
    std::fs::write(&sealed, &whole).unwrap();
    service.vote(&town.city.reviewers[0], password(), ballot()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_none_on_noised_tables() {
    let town = Town::start().await;
    let (_, run) = town.run(&quick(SPENDING_CHANGE), Some(&guest("spending_change.wasm"))).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    assert!(bench.evidence.is_empty());
    assert!(!town.city.home.folder().join("vault/objects/evidence").exists());
}
