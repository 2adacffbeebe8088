//! Ledgers, keys and events for the tests.

use std::path::PathBuf;

use sluice_domain::{
    Timestamp,
    event::{Actor, Event},
    id::{OrgId, PersonId},
};
use sluice_ledger::{Ledger, LedgerKey, Recorded};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) const ORIGIN: &str = "sluice.example/test";

pub(crate) fn key(seed: u8) -> LedgerKey {
    LedgerKey::from_seed(Zeroizing::new([seed; 32]))
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T08:00:00.123456789Z".parse().unwrap()
}

pub(crate) fn person() -> PersonId {
    "li-si".parse().unwrap()
}

/// A refused job of this name: the one event that carries text as somebody typed it.
pub(crate) fn refused(name: &str) -> Event {
    let operator: OrgId = "operator-one".parse().unwrap();
    Event::JobRefused { operator, name: name.to_owned(), guest: None, code: "job.scenario".to_owned() }
}

/// A ledger in a directory of its own, which goes when this does.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) ledger: Ledger,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger.db"), ORIGIN, key(1)).await.unwrap();
        Self { dir, ledger }
    }

    pub(crate) async fn of(names: &[&str]) -> Self {
        let this = Self::new().await;
        for (seq, name) in (0..).zip(names) {
            record(&this.ledger, seq, name).await;
        }
        this
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("ledger.db")
    }
}

pub(crate) async fn record(ledger: &Ledger, seq: u64, name: &str) -> Recorded<Event> {
    ledger.record(seq, now(), Actor::Person(person()), refused(name)).await.unwrap()
}

pub(crate) async fn export(ledger: &Ledger) -> Vec<u8> {
    let mut out = Vec::new();
    ledger.export(&mut out).await.unwrap();
    out
}
