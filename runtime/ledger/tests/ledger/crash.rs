//! Other processes: killed in the middle of an append, writing at the same time, and
//! on a disk that is full. The children are this binary's ignored tests.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use sluice_domain::event::Actor;
use sluice_ledger::{Ledger, LedgerError, verify::verify};

use crate::{
    store::append_all,
    support::{Place, export, key, now, record, refused},
};

const LEDGER: &str = "SLUICE_TEST_LEDGER";
const WRITER: &str = "SLUICE_TEST_WRITER";

/// The arguments that make this binary run one of the children below.
fn child_args(test: &str) -> [String; 4] {
    ["--ignored".into(), "--exact".into(), "--nocapture".into(), format!("crash::{test}")]
}

fn child(test: &str, ledger: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(child_args(test)).env(LEDGER, ledger).stdout(Stdio::piped());
    command
}

/// The highest position that a child says is recorded.
fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("recorded ").and_then(|(_, seq)| seq.trim().parse().ok())
}

fn acknowledge(seq: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "recorded {seq}").unwrap();
    out.flush().unwrap();
}

fn ledger_path() -> std::path::PathBuf {
    std::env::var_os(LEDGER).expect("only as a child").into()
}

#[tokio::test]
#[ignore = "a child process of the crash tests"]
async fn child_appends_until_killed() {
    let ledger = Ledger::open(&ledger_path(), key(1)).await.unwrap();
    let mut next = ledger.checkpoint().await.unwrap().size();
    loop {
        record(&ledger, next, "until killed").await;
        acknowledge(next);
        next += 1;
    }
}

#[tokio::test]
#[ignore = "a child process of the crash tests"]
async fn child_appends_beside_others() {
    let ledger = Ledger::open(&ledger_path(), key(1)).await.unwrap();
    append_all(&ledger, &std::env::var(WRITER).unwrap(), 20).await;
}

#[tokio::test]
#[ignore = "a child process of the crash tests"]
async fn child_appends_until_refused() {
    let ledger = Ledger::open(&ledger_path(), key(1)).await.unwrap();
    let mut next = ledger.checkpoint().await.unwrap().size();
    let error = loop {
        match ledger.record(next, now(), Actor::System, refused("until refused")).await {
            Ok(_) => acknowledge(next),
            Err(error) => break error,
        }
        next += 1;
    };
    assert!(matches!(error, LedgerError::Store(_)), "{error:?}");
    // Still refused, still readable, still as long as it was.
    assert!(ledger.record(next, now(), Actor::System, refused("again")).await.is_err());
    assert_eq!(ledger.read_from(0).await.unwrap().len() as u64, next);
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let place = Place::of(&["first"]).await;
    let path = place.path();
    let mut held = 1;
    for round in 0..8_usize {
        let mut running = child("child_appends_until_killed", &path).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let mut last = None;
        while seen <= round * 3 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            if let Some(seq) = acknowledged(&line) {
                (seen, last) = (seen + 1, Some(seq));
            }
        }
        // Somewhere in a later append.
        std::thread::sleep(std::time::Duration::from_micros(700 * round as u64));
        running.kill().unwrap();
        running.wait().unwrap();
        last = lines.map_while(Result::ok).filter_map(|l| acknowledged(&l)).max().or(last);

        let ledger = Ledger::open(&path, key(1)).await.unwrap();
        let entries = ledger.read_from(0).await.unwrap().len() as u64;
        assert!(entries > last.unwrap(), "acknowledged {last:?}, found {entries}");
        // At most the one append that was under way is there without a word.
        assert!(entries <= last.unwrap() + 2);
        assert!(entries > held);
        held = entries;
        assert_eq!(verify(&*export(&ledger).await, None, None).unwrap().entries, entries);
        // The handle that was open all along sees the same.
        assert_eq!(place.ledger.read_from(0).await.unwrap().len() as u64, entries);
    }
}

#[tokio::test]
async fn processes_that_append_at_once_keep_one_order() {
    let place = Place::new().await;
    let start = |name| child("child_appends_beside_others", &place.path()).env(WRITER, name).spawn().unwrap();
    let children = ["a", "b"].map(start);
    append_all(&place.ledger, "c", 20).await;
    for running in children {
        assert!(running.wait_with_output().unwrap().status.success());
    }
    let entries = place.ledger.read_from(0).await.unwrap();
    assert_eq!(entries.len(), 60);
    assert!((0..).zip(&entries).all(|(seq, entry)| entry.seq == seq));
    for name in ["a", "b", "c"] {
        let expected = (0..20).map(|n| refused(&format!("{name}{n}")));
        let own = entries.iter().map(|e| e.event.clone()).filter(|e| format!("{e:?}").contains(&format!("\"{name}")));
        assert!(own.eq(expected), "{name}");
    }
    assert_eq!(verify(&*export(&place.ledger).await, None, None).unwrap().entries, 60);
}

/// A limit on the size of files is what a full disk (and, at 0, a medium that takes
/// no byte at all) looks like to the child.
#[cfg(unix)]
#[tokio::test]
async fn on_a_full_disk_nothing_is_recorded_and_nothing_is_lost() {
    for (blocks, at_least) in [(200, 3), (0, 0)] {
        let place = Place::of(&["first"]).await;
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let out = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(child_args("child_appends_until_refused"))
            .env(LEDGER, place.path())
            .output()
            .unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
        let acknowledged = said.lines().filter_map(acknowledged).count();
        assert!(acknowledged >= at_least, "{acknowledged} with {blocks} blocks");

        // With room again: exactly what was acknowledged, and it goes on.
        let entries = place.ledger.read_from(0).await.unwrap().len();
        assert_eq!(entries, acknowledged + 1);
        record(&place.ledger, entries as u64, "room again").await;
        let again = Ledger::open(&place.path(), key(1)).await.unwrap();
        assert_eq!(again.read_from(0).await.unwrap().len(), entries + 1);
    }
}
