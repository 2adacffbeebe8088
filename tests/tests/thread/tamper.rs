//! A changed byte voids everything that rests on it.

use sluice::demo::city::password;
use sluice_domain::approval::Decision;
use sluice_service::pages::{Ballot, Voted};

use crate::town::{Town, VISITS_REPORT};

fn ballot(run: &sluice_domain::id::RunId, seen: sluice_domain::Digest, decision: Decision, comment: &str) -> Ballot {
    Ballot { run: run.clone(), seen, decision, comment: comment.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_candidate_cannot_be_voted_on_or_released() {
    let town = Town::start().await;
    let city = &town.city;
    let (job, run) = town.run_soon(VISITS_REPORT, None).await;
    let [first, second] = &city.reviewers;
    let seen = city.service.open_candidate(first, &run).await.unwrap().commitment;
    city.service.vote(first, password(), ballot(&run, seen, Decision::Approve, "")).await.unwrap();
    city.service.open_candidate(second, &run).await.unwrap();

    let sealed = city.home.folder().join("vault/objects/candidate").join(run.as_str());
    let sealed = if sealed.exists() { sealed } else { find(&city.home.folder().join("vault"), run.as_str()) };
    let original = std::fs::read(&sealed).unwrap();
    let mut changed = original.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(&sealed, &changed).unwrap();
    assert!(city.service.vote(second, password(), ballot(&run, seen, Decision::Approve, "")).await.is_err());
    assert!(city.service.open_candidate(second, &run).await.is_err());

    std::fs::write(&sealed, &original).unwrap();
    let voted = city.service.vote(second, password(), ballot(&run, seen, Decision::Approve, "")).await.unwrap();
    assert!(matches!(voted, Voted::ApprovedUntil(_)), "approved, but not before its tick");
    assert!(city.service.products(&city.operator).await.unwrap().is_empty());

    // Between the approval and the tick the bytes change again: nothing is released.
    std::fs::write(&sealed, &changed).unwrap();
    assert!(city.released(&job, &run).await.is_err());
    std::fs::write(&sealed, &original).unwrap();
    let product = city.released(&job, &run).await.unwrap();
    assert!(city.home.product(&product).join("receipt.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_are_blind_bound_and_final() {
    let town = Town::start().await;
    let city = &town.city;
    let (_, run) = town.run(VISITS_REPORT, None).await;
    let [first, second] = &city.reviewers;
    let other = sluice_domain::Digest::of(b"other bytes");
    let unread = city.service.vote(first, password(), ballot(&run, other, Decision::Approve, "")).await;
    assert_eq!(unread.err().unwrap().code, "review.unread");
    let seen = city.service.open_candidate(first, &run).await.unwrap().commitment;
    let stale = city.service.vote(first, password(), ballot(&run, other, Decision::Approve, "")).await;
    assert_eq!(stale.err().unwrap().code, "review.stale");
    let silent = city.service.vote(first, password(), ballot(&run, seen, Decision::Return, " ")).await;
    assert_eq!(silent.err().unwrap().code, "review.comment");
    let voted = city.service.vote(first, password(), ballot(&run, seen, Decision::Approve, "可以")).await.unwrap();
    assert!(matches!(voted, Voted::Counted));
    let twice = city.service.vote(first, password(), ballot(&run, seen, Decision::Approve, "")).await;
    assert_eq!(twice.err().unwrap().code, "review.twice");

    // The second reviewer sees that a vote is in, and nothing of it.
    let bench = city.service.open_candidate(second, &run).await.unwrap();
    assert_eq!(bench.votes, (1, 2));
    assert!(bench.decided.is_none() && bench.my_vote.is_none());
    let ledger = city.service.ledger_page(second, None).await.unwrap();
    assert!(!ledger.lines.iter().any(|l| l.json.contains("可以")));
    let voted = city.service.vote(second, password(), ballot(&run, seen, Decision::Reject, "口径不符")).await.unwrap();
    assert!(matches!(voted, Voted::Declined));
    let late = city.service.release(&run).await;
    assert_eq!(late.unwrap_err().code, "release.not-approved");
}

fn find(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let found = find(&path, name);
            if found.is_file() {
                return found;
            }
        } else if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name)) {
            return path;
        }
    }
    folder.to_owned()
}
