//! Evidence through the whole thread on real data: made before review, sealed, committed
//! to, shown to reviewers alone, and needed for a vote.

use sluice::demo::city::password;
use sluice_domain::{
    approval::Decision,
    evidence::{CheckKind, Grade},
};
use sluice_service::pages::Ballot;

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest};

const VISITS_TREE: &str = include_str!("../../../guest-examples/visits-tree/job.toml");
const MODELS: &str = include_str!("../../../guest-examples/domain/insurance-models-2026.toml");

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_shown_evidence_that_no_byte_can_be_changed_of() {
    let town = Town::start().await;
    let service = &town.city.service;
    let (_, run) = town.run(VISITS_REPORT, None).await;
    let bench = service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();

    let kinds: Vec<CheckKind> = bench.evidence.iter().map(|shown| shown.check.kind).collect();
    let (scan, influence) = (CheckKind::ValueScan, CheckKind::Influence);
    assert_eq!(kinds, [scan, influence, influence, CheckKind::Canaries, CheckKind::Capacity]);
    for shown in &bench.evidence {
        let check = &shown.check;
        assert_ne!(check.grade, Grade::Alarm, "{}", check.finding.en);
        // A scan that met nothing says so, and has nothing to draw.
        assert_eq!(shown.svg.is_none(), check.kind == scan && check.finding.en.starts_with("none of the view's"));
        assert!(!check.cannot.zh.is_empty() && shown.svg.as_ref().is_none_or(|svg| svg.starts_with("<svg")));
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
    let (_, run) = town.run(SPENDING_CHANGE, Some(&guest("spending_change.wasm"))).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    assert!(bench.evidence.is_empty());
    assert!(!town.city.home.folder().join("vault/objects/evidence").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_model_comes_with_what_running_its_guest_again_showed() {
    let town = Town::start().await;
    let city = &town.city;
    city.service.sign_agreement(&city.bureau, MODELS).await.unwrap();
    let (_, run) = town.run(VISITS_TREE, Some(&guest("visits_tree.wasm"))).await;
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    let kinds: Vec<CheckKind> = bench.evidence.iter().map(|shown| shown.check.kind).collect();
    let of_model = [CheckKind::Influence, CheckKind::Canaries, CheckKind::Membership, CheckKind::Model];
    assert_eq!(kinds, [of_model.as_slice(), &[CheckKind::ValueScan, CheckKind::Capacity]].concat());
    for shown in &bench.evidence {
        let check = &shown.check;
        // A tree of seven splits over thousands of people: nobody is seen in it.
        assert_ne!(check.grade, Grade::Alarm, "{}", check.finding.en);
        assert!(!check.cannot.zh.is_empty() && !check.cannot.en.is_empty());
        assert_eq!(shown.svg.is_some(), check.plot.is_some());
    }
    let [influence, canaries, membership, model] = [0, 1, 2, 3].map(|at| &bench.evidence[at].check);
    assert!(influence.cannot.en.contains("24/5912 (0.41%)"), "{}", influence.cannot.en);
    assert!(canaries.finding.en.starts_with("44 people who do not exist"), "{}", canaries.finding.en);
    assert!(membership.finding.en.contains("32 shadows on random halves: at a false-positive rate of 0.1%"));
    assert!(model.finding.en.contains("on 5912 units"), "{}", model.finding.en);
}
