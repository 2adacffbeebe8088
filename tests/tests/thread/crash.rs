//! Killing the process at any point loses nothing and finishes or abandons what was
//! under way. The real binary is killed, at moments spread over a whole job.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sluice::Output;
use sluice::demo::city::City;
use sluice_domain::state::Stage;
use sluice_service::{Kek, Programs, Service};

use crate::{
    command_line::sluice,
    town::{SPENDING_CHANGE, guest, randhie},
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

        let kek = Kek::from_file(&folder.path().join("domain.key")).unwrap();
        let service = Service::open(&domain, kek, Programs::beside_current_exe().unwrap()).await.unwrap();
        let state = service.snapshot().await.unwrap();
        for run in state.runs() {
            assert!(matches!(run.stage, Stage::InReview | Stage::Void), "no run is left half-way: {:?}", run.stage);
        }
        let spent =
            state.spent(&"randhie".parse().unwrap(), 2026).max(state.spent(&"randhie".parse().unwrap(), year()));
        assert!((spent - 0.01 * state.runs().count() as f64).abs() < 1e-9, "every started run is charged, none twice");
    }
    assert!(interrupted >= 3, "the kills came while something was under way: {interrupted}");
}

fn year() -> i16 {
    sluice_domain::day_of(sluice_domain::Timestamp::now()).year()
}
