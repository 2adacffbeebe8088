//! Killing the process at any point loses nothing and finishes or abandons what was
//! under way. The real binary is killed, at moments spread over a whole job.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sluice::Output;
use sluice::demo::city::City;
use sluice_domain::{catalogue::CatalogueEntry, state::Stage};
use sluice_service::{Kek, Programs, Service};
use sluice_vault::Vault;

use crate::{
    command_line::sluice,
    town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest, randhie},
};

fn submit(folder: &Path) -> Command {
    let mut command = Command::new(sluice());
    command
        .args(["job", "submit", "--as", "chen-insurance"])
        .args(["--domain".as_ref(), folder.join("domain").as_os_str()])
        .args(["--key-file".as_ref(), folder.join("domain.key").as_os_str()])
        .args(["--password-file".as_ref(), folder.join("password").as_os_str()])
        .arg(folder.join("job.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_abandoned_cleanly_and_stays_charged() {
    let folder = tempfile::tempdir().unwrap();
    let domain = folder.path().join("domain");
    drop(City::found(&domain, &randhie(), &Output::silent()).await.unwrap());
    std::fs::write(folder.path().join("password"), "sluice-demo").unwrap();
    std::fs::write(folder.path().join("spending_change.wasm"), guest("spending_change.wasm")).unwrap();
    let job = SPENDING_CHANGE.replace("rho = 0.02", "rho = 0.01");
    std::fs::write(folder.path().join("job.toml"), job).unwrap();

    let mut interrupted = 0;
    for wait in [150, 400, 800, 1_200, 1_800, 2_600, 3_500, 5_000] {
        let mut child = submit(folder.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += u32::from(!ended);

        let state = reopen(folder.path()).await.snapshot().await.unwrap();
        for run in state.runs() {
            assert!(matches!(run.stage, Stage::InReview | Stage::Void), "no run is left half-way: {:?}", run.stage);
        }
        let spent = state.spent_ever(&"randhie".parse().unwrap()).rho;
        assert!((spent - 0.01 * state.runs().count() as f64).abs() < 1e-9, "every started run is charged, none twice");
    }
    assert!(interrupted >= 3, "the kills came while something was under way: {interrupted}");
}

async fn reopen(folder: &Path) -> Service {
    let kek = Kek::from_file(&folder.join("domain.key")).unwrap();
    Service::open(&folder.join("domain"), kek, Programs::beside_current_exe().unwrap()).await.unwrap()
}

/// Record, then act: what a crash left between the two is finished at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_finished_and_what_was_not_is_gone() {
    let town = Town::start().await;
    let product = town.product(VISITS_REPORT, None).await;
    let Town { city, folder } = town;
    let files = city.home.product(&product);
    let receipt = std::fs::read(files.join("receipt.json")).unwrap();
    drop(city);

    // The process died after the release was recorded, before its files were written.
    std::fs::remove_dir_all(&files).unwrap();
    // Another died in the middle of an ingest that was staged and never recorded.
    let vault =
        Vault::open(&folder.path().join("domain"), Kek::from_file(&folder.path().join("domain.key")).unwrap()).unwrap();
    let entry = CatalogueEntry::parse(sluice::demo::city::CATALOGUE).unwrap();
    vault.stage(&entry, &randhie(), &"snap-999999".parse().unwrap(), &mut |_, _| {}).unwrap();
    assert_eq!(vault.staged().unwrap().len(), 1);
    drop(vault);

    let service = reopen(folder.path()).await;
    assert_eq!(std::fs::read(files.join("receipt.json")).unwrap(), receipt, "the very same bytes");
    assert_eq!(std::fs::read_dir(folder.path().join("domain/vault/staging")).unwrap().count(), 0);
    let state = service.snapshot().await.unwrap();
    assert_eq!(state.datasets().map(|d| d.snapshots.len()).sum::<usize>(), 1);
}

/// Kills while the second reviewer votes: the vote is in or it is not; an approval is
/// released at its tick whoever restarts; nothing is released twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_vote_is_in_or_not_and_an_approval_is_released() {
    let town = Town::start().await;
    let (_, run) = town.run_soon(VISITS_REPORT, None).await;
    let Town { city, folder } = town;
    std::fs::write(folder.path().join("password"), "sluice-demo").unwrap();
    drop(city);
    let vote = |reviewer: &str| {
        let mut command = Command::new(sluice());
        command
            .args(["review", "vote", run.as_str(), "--decision", "approve", "--as", reviewer])
            .args(["--domain".as_ref(), folder.path().join("domain").as_os_str()])
            .args(["--key-file".as_ref(), folder.path().join("domain.key").as_os_str()])
            .args(["--password-file".as_ref(), folder.path().join("password").as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    for wait in [60, 180, 300, 420, 540, 660, 900, 1_200] {
        for reviewer in ["zhao-reviewer", "qian-reviewer"] {
            let mut child = vote(reviewer).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let state = reopen(folder.path()).await.snapshot().await.unwrap();
        let record = state.run(&run).unwrap();
        assert!(record.votes.len() <= 2);
        let settled = matches!(record.stage, Stage::Approved | Stage::Released);
        assert_eq!(settled, record.votes.len() == 2, "two votes are an approval after every restart");
    }
    for reviewer in ["zhao-reviewer", "qian-reviewer"] {
        vote(reviewer).status().unwrap(); // whoever has not voted yet; a second vote is refused
    }
    let state = reopen(folder.path()).await.snapshot().await.unwrap();
    let job = state.job(&state.run(&run).unwrap().job).unwrap();
    let left = sluice_domain::decide::tick_of(job).duration_since(sluice_domain::Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    let state = reopen(folder.path()).await.snapshot().await.unwrap();
    assert_eq!(state.products().count(), 1);
}
