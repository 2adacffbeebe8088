//! Another program in the place of `sluice-run`: what it says are the bytes that a
//! child which the jail failed to hold might say. Whatever it does, the run is void or
//! its answers are believed as answers, the host lives on, and the operator sees the
//! one fixed word at the tick.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use sluice::demo::city::password;
use sluice_domain::event::Event;
use sluice_service::{Kek, Programs, RunEnd, Service, pages::JobStatus};
use sluice_worker::{
    Layer, LayerName, LayerStatus,
    wire::{self, Tag},
};
use tempfile::TempDir;

use crate::town::{SPENDING_CHANGE, Town, entries, guest};

/// A folder with the real compiler and an impostor in the place of the room's program.
pub(crate) struct Impostor {
    folder: TempDir,
}

impl Impostor {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let exe = std::env::current_exe().unwrap();
        let real = exe.parent().unwrap().parent().unwrap().join("sluice-compile");
        symlink(real, folder.path().join("sluice-compile")).unwrap();
        let impostor = Self { folder };
        impostor.does("exit 1", &[]);
        impostor
    }

    pub(crate) fn programs(&self) -> Programs {
        Programs::in_folder(self.folder.path()).unwrap().accepting_missing(&LayerName::ALL)
    }

    /// Greets, and is gone before it has answered.
    pub(crate) fn dies(&self) {
        self.does("cat $0.says; exit 0", &ready());
    }

    /// The program says `says` where its shell words put `$0.says`.
    fn does(&self, words: &str, says: &[u8]) {
        let program = self.program();
        fs::write(program.with_extension("says"), says).unwrap();
        // Written aside: a program that still runs cannot be written to.
        let aside = program.with_extension("new");
        fs::write(&aside, format!("#!/bin/sh\nPATH=/bin:/usr/bin\n{words}\n")).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(aside, program).unwrap();
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("sluice-run")
    }
}

/// A greeting as the room's program gives it, every layer in force.
fn ready() -> Vec<u8> {
    let layers: Vec<Layer> =
        LayerName::ALL.into_iter().map(|name| Layer { name, status: LayerStatus::InForce }).collect();
    frame(Tag::Ready, &wire::encode_ready(&layers))
}

fn frame(tag: Tag, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::write_frame(&mut out, tag, body).unwrap();
    out
}

/// The town's domain opened once more, with other programs or with its own.
pub(crate) async fn reopened(folder: &Path, programs: Option<Programs>) -> Service {
    let kek = Kek::from_file(&folder.join("domain.key")).unwrap();
    let own = || Programs::beside_current_exe().unwrap().accepting_missing(&LayerName::ALL);
    Service::open(&folder.join("domain"), kek, programs.unwrap_or_else(own)).await.unwrap()
}

/// How the operator sees the only unreleased job of its last place in the list.
async fn status(town: &Town) -> (JobStatus, String) {
    let jobs = town.city.service.inbox(&town.city.operator).await.unwrap().jobs;
    let job = &jobs[0];
    assert!(job.comments.is_empty() && job.product.is_none());
    (job.status, job.holder.en.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_the_rooms_place_the_operator_sees_one_word() {
    let mut town = Town::start().await;
    let impostor = Impostor::new();
    town.city.service = reopened(town.folder.path(), Some(impostor.programs())).await;
    let wasm = guest("spending_change.wasm");
    let job = town.soon(&SPENDING_CHANGE.replace("rho = 0.02", "rho = 0.01"));
    assert!(job.contains("rho = 0.01"));

    let garbage: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let before_asked = [ready(), frame(Tag::Output, b"before anybody asked").repeat(3)].concat();
    let too_long = [ready(), vec![Tag::Output as u8, 255, 255, 255, 255]].concat();
    let wrong_tag = [ready(), frame(Tag::Artefacts, b"<script>alert(1)</script>")].concat();
    let half = [ready(), frame(Tag::Output, &[7; 64])[..20].to_vec()].concat();
    let cases: [(&str, &str, &[u8], &str); 9] = [
        ("ends at once", "exit 1", &[], "room.open"),
        ("garbage", "cat $0.says; exec sleep 60", &garbage, "room.open"),
        ("no frame but a fault", "cat $0.says", &frame(Tag::Fault, &[250]), "room.open"),
        ("floods", "cat $0.says; exec cat /dev/zero", &ready(), "room.map"),
        ("answers before it is asked", "cat $0.says; exec sleep 60", &before_asked, "room.map"),
        ("claims four gibibytes", "cat $0.says; exec sleep 60", &too_long, "room.map"),
        ("speaks out of turn", "cat $0.says; exec sleep 60", &wrong_tag, "room.map"),
        ("half an answer", "cat $0.says; exec sleep 2", &half, "room.map"),
        // The last one: it takes until the tick.
        ("hangs", "exec sleep 600", &[], "run.tick-missed"),
    ];
    let mut last = None;
    for (name, words, says, code) in &cases {
        impostor.does(words, says);
        let service = &town.city.service;
        let job = service.submit(&town.city.operator, password(), &job, Some(&wasm)).await.unwrap();
        let (run, end) = service.run(&job).await.unwrap();
        assert_eq!(end, RunEnd::Void, "{name}");
        if *name != "hangs" {
            assert_eq!(status(&town).await, (JobStatus::Running, "Sluice".to_owned()), "{name}: told before the tick");
        }
        let ends: Vec<Event> = entries(&town).await.into_iter().map(|e| e.event).collect();
        let why = ends.iter().find_map(|e| match e {
            Event::RunVoid { run: of, code } if *of == run => Some(code.clone()),
            _ => None,
        });
        let late = *name == "hangs" && why.as_deref() == Some("room.open");
        assert!(late || why.as_deref() == Some(*code), "{name}: the ledger says {why:?}");
        last = Some(job);
    }
    let tick = town.city.service.tick(&last.unwrap()).await.unwrap();
    let left = tick.duration_since(sluice_domain::Timestamp::now()).try_into().unwrap_or_default();
    tokio::time::sleep(left).await;
    let jobs = town.city.service.inbox(&town.city.operator).await.unwrap().jobs;
    assert_eq!(jobs.len(), cases.len());
    for job in jobs {
        let seen = (job.status, job.since == job.tick, job.comments.len(), job.product.is_none());
        assert_eq!(seen, (JobStatus::Void, true, 0, true), "the word, the tick, and nothing else");
    }
}
