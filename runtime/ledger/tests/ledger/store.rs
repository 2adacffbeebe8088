//! The file: what it refuses, what damage does to it, and who else may write.

use std::{fs, path::Path};

use sluice_domain::{Refusal, event::Actor, event::Event};
use sluice_ledger::{Damage, Ledger, LedgerError};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::{Place, export, key, now, record, refused};

/// Somebody with write access to the file and no key.
async fn intruder(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

async fn run(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}

async fn damage_on_open(path: &Path) -> (Option<u64>, Damage) {
    match Ledger::open(path, key(1)).await {
        Err(LedgerError::Damaged { seq, what }) => (seq, what),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_recorded_is_there_after_reopening() {
    let place = Place::of(&["one", "two", "三"]).await;
    let before = place.ledger.read_from(0).await.unwrap();
    let newest = place.ledger.checkpoint().await.unwrap();
    let again = Ledger::open(&place.path(), key(1)).await.unwrap();
    assert_eq!(again.read_from(0).await.unwrap(), before);
    assert_eq!(again.checkpoint().await.unwrap(), newest);
    assert_eq!(again.read_from(2).await.unwrap(), before[2..]);
    assert_eq!(again.read_from(3).await.unwrap(), []);
    assert_eq!(again.read_from(u64::MAX).await.unwrap(), []);
    assert_eq!(before[2].event, refused("三"));
}

#[tokio::test]
async fn create_refuses_a_file_and_open_refuses_what_is_no_ledger() {
    let place = Place::new().await;
    assert!(matches!(Ledger::create(&place.path(), "o", key(1)).await, Err(LedgerError::Exists)));
    assert!(matches!(Ledger::open(&place.path(), key(2)).await, Err(LedgerError::WrongKey)));
    let other = place.dir.path().join("other");
    assert!(matches!(Ledger::open(&other, key(1)).await, Err(LedgerError::NotALedger)));
    assert!(!other.exists(), "opening made a file");
    fs::write(&other, "not a database, but long enough to be looked at as one".repeat(20)).unwrap();
    assert!(matches!(Ledger::open(&other, key(1)).await, Err(LedgerError::NotALedger)));
    fs::write(&other, "").unwrap();
    assert!(matches!(Ledger::open(&other, key(1)).await, Err(LedgerError::NotALedger)));
    let bad = Ledger::create(&place.dir.path().join("third"), "has space", key(1)).await;
    assert!(matches!(bad, Err(LedgerError::Origin)));
    assert!(!place.dir.path().join("third").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::of(&["one"]).await;
    for file in fs::read_dir(place.dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn the_store_itself_is_append_only() {
    let place = Place::of(&["one", "two"]).await;
    let mut conn = intruder(&place.path()).await;
    for sql in [
        "UPDATE entry SET body = x'00' WHERE seq = 0",
        "DELETE FROM entry WHERE seq = 1",
        "INSERT OR REPLACE INTO entry SELECT 1, x'00', leaf, root, checkpoint FROM entry WHERE seq = 0",
        "INSERT INTO entry SELECT 3, body, leaf, root, checkpoint FROM entry WHERE seq = 0",
        "INSERT INTO entry SELECT -1, body, leaf, root, checkpoint FROM entry WHERE seq = 0",
        "UPDATE head SET origin = x'00'",
        "DELETE FROM head",
        "INSERT OR REPLACE INTO head SELECT 0, x'00', key, checkpoint FROM head",
    ] {
        let error = run(&mut conn, sql).await.expect_err(sql);
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
    assert_eq!(place.ledger.read_from(0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_gets_round_the_guards_is_found_on_opening() {
    const GUARDS_OFF: &str = "DROP TRIGGER entry_update; DROP TRIGGER entry_delete; DROP TRIGGER head_update;";
    const GUARDS_ON: &str = "CREATE TRIGGER head_update BEFORE UPDATE ON head BEGIN SELECT raise(ABORT, 'append-only'); END; \
        CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END; \
        CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END;";
    let cases: [(&'static str, (Option<u64>, Damage)); 6] = [
        ("UPDATE head SET checkpoint = x'00'", (None, Damage::Head)),
        (
            "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'two', 'TWO') AS BLOB) WHERE seq = 1",
            (Some(1), Damage::Entry),
        ),
        (
            "UPDATE entry SET (body, leaf) = (SELECT body, leaf FROM entry WHERE seq = 0) WHERE seq = 1",
            (Some(1), Damage::Root),
        ),
        ("UPDATE entry SET root = zeroblob(32) WHERE seq = 2", (Some(2), Damage::Root)),
        (
            "UPDATE entry SET checkpoint = CAST(replace(CAST(checkpoint AS TEXT), '=', ' ') AS BLOB) WHERE seq = 0",
            (Some(0), Damage::Checkpoint),
        ),
        ("DELETE FROM entry WHERE seq = 1", (Some(1), Damage::Missing)),
    ];
    for (sql, expected) in cases {
        let place = Place::of(&["one", "two", "three"]).await;
        let mut conn = intruder(&place.path()).await;
        run(&mut conn, GUARDS_OFF).await.unwrap();
        run(&mut conn, sql).await.unwrap();
        // Without its guards it is refused, whatever else holds.
        assert_eq!(damage_on_open(&place.path()).await, (None, Damage::Structure), "{sql}");
        run(&mut conn, GUARDS_ON).await.unwrap();
        assert_eq!(damage_on_open(&place.path()).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn an_entry_that_vanishes_under_an_open_handle_is_missed() {
    let place = Place::of(&["one", "two"]).await;
    let mut conn = intruder(&place.path()).await;
    run(&mut conn, "DROP TRIGGER entry_delete; DELETE FROM entry WHERE seq = 1").await.unwrap();
    for _ in 0..2 {
        let read = place.ledger.read_from(0).await;
        assert!(matches!(read, Err(LedgerError::Damaged { seq: Some(1), what: Damage::Missing })), "{read:?}");
        let written = place.ledger.record(2, now(), Actor::System, refused("three")).await;
        assert!(matches!(written, Err(LedgerError::Damaged { .. })), "{written:?}");
    }
}

/// Flips bits all over a closed file. Some bits of a database mean nothing (free
/// space, counters), so either it is refused or it reads exactly as before.
#[tokio::test]
async fn a_flipped_bit_in_the_file_is_refused_or_changes_nothing() {
    let place = Place::of(&["one", "two", "three"]).await;
    let (path, entries) = (place.path(), place.ledger.read_from(0).await.unwrap());
    let whole = export(&place.ledger).await;
    let Place { dir, ledger } = place;
    run(&mut intruder(&path).await, "PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    drop(ledger);
    let bytes = fs::read(&path).unwrap();
    let mut refused = 0;
    for (n, at) in (0..bytes.len()).step_by(37).enumerate() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (n % 8);
        let copy = dir.path().join(format!("copy-{n}"));
        fs::write(&copy, bad).unwrap();
        match Ledger::open(&copy, key(1)).await {
            Err(_) => refused += 1,
            Ok(ledger) => {
                assert_eq!(ledger.read_from(0).await.unwrap(), entries, "byte {at}");
                assert_eq!(export(&ledger).await, whole, "byte {at}");
            }
        }
    }
    assert!(refused > 20, "only {refused} flips were refused");
}

#[tokio::test]
async fn a_stale_position_is_a_clean_conflict() {
    let place = Place::of(&["one"]).await;
    let other = Ledger::open(&place.path(), key(1)).await.unwrap();
    record(&other, 1, "theirs").await;
    for stale in [0, 1, 3, u64::MAX] {
        match place.ledger.record(stale, now(), Actor::System, refused("mine")).await {
            Err(LedgerError::Conflict { next }) => assert_eq!(next, 2),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(place.ledger.read_from(1).await.unwrap()[0].event, refused("theirs"));
    record(&place.ledger, 2, "mine").await;
    assert_eq!(other.read_from(0).await.unwrap().len(), 3);
    assert_eq!(other.checkpoint().await.unwrap(), place.ledger.checkpoint().await.unwrap());
}

#[tokio::test]
async fn many_writers_on_one_handle_and_on_several_keep_one_order() {
    let place = Place::new().await;
    let other = Ledger::open(&place.path(), key(1)).await.unwrap();
    tokio::join!(
        append_all(&place.ledger, "a", 12),
        append_all(&place.ledger, "b", 12),
        append_all(&other, "c", 12),
        append_all(&other, "d", 12),
    );
    let entries = place.ledger.read_from(0).await.unwrap();
    assert_eq!(entries.len(), 48);
    for name in ["a", "b", "c", "d"] {
        let own: Vec<&Event> = entries.iter().map(|e| &e.event).filter(|e| named(e).starts_with(name)).collect();
        let expected: Vec<Event> = (0..12).map(|n| refused(&format!("{name}{n}"))).collect();
        assert!(own.into_iter().eq(&expected), "{name}");
    }
}

fn named(event: &Event) -> &str {
    match event {
        Event::JobRefused { name, .. } => name,
        _ => "",
    }
}

/// Appends `count` entries, giving way to whoever comes first.
pub(crate) async fn append_all(ledger: &Ledger, name: &str, count: usize) {
    for n in 0..count {
        let mut next = 0;
        loop {
            match ledger.record(next, now(), Actor::System, refused(&format!("{name}{n}"))).await {
                Ok(_) => break,
                Err(LedgerError::Conflict { next: theirs }) => next = theirs,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn when_the_store_says_no_nothing_changes_and_the_handle_recovers() {
    let place = Place::of(&["one"]).await;
    let before = place.ledger.checkpoint().await.unwrap();
    let mut conn = intruder(&place.path()).await;
    run(&mut conn, "CREATE TRIGGER full AFTER INSERT ON entry BEGIN SELECT raise(ROLLBACK, 'no'); END").await.unwrap();
    for _ in 0..3 {
        let made = place.ledger.record(1, now(), Actor::System, refused("two")).await;
        let Err(error) = made else { panic!("recorded") };
        assert!(matches!(error, LedgerError::Store(_)), "{error:?}");
        assert_eq!(Refusal::from(error).code, "ledger.unwritable");
        assert_eq!(place.ledger.checkpoint().await.unwrap(), before);
    }
    run(&mut conn, "DROP TRIGGER full").await.unwrap();
    record(&place.ledger, 1, "two").await;
    assert_eq!(Ledger::open(&place.path(), key(1)).await.unwrap().read_from(0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_record_that_is_dropped_half_way_is_there_or_not_and_the_handle_goes_on() {
    let place = Place::new().await;
    let (mut next, mut finished, mut dropped) = (0, 0, 0);
    for patience in 0..60 {
        let acknowledged = tokio::select! {
            biased;
            made = place.ledger.record(next, now(), Actor::System, refused("half-way")) => made.is_ok(),
            () = yields(patience * 8) => false,
        };
        let size = place.ledger.checkpoint().await.unwrap().size();
        if acknowledged {
            assert_eq!(size, next + 1);
            finished += 1;
        } else {
            assert!(size == next || size == next + 1);
            dropped += 1;
        }
        next = size;
    }
    assert!(finished + dropped == 60 && dropped > 0);
    // The last one dropped may still have been on its way to the disk.
    let held = place.ledger.read_from(0).await.unwrap().len() as u64;
    assert!(held == next || held == next + 1);
}

async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_would_not_read_back_as_itself_is_not_recorded() {
    let place = Place::new().await;
    let nan = Event::RunStarted {
        run: "run-1".parse().unwrap(),
        job: "job-1".parse().unwrap(),
        snapshots: vec![],
        charges: vec![("claims".parse().unwrap(), f64::NAN)],
        delta: 0.0,
    };
    let long = refused(&"x".repeat(sluice_ledger::ENTRY_BYTES_MAX));
    for event in [nan, long] {
        let made = place.ledger.record(0, now(), Actor::System, event).await;
        assert!(matches!(made, Err(LedgerError::Unrecordable)), "{made:?}");
    }
    assert_eq!(place.ledger.checkpoint().await.unwrap().size(), 0);
    // The longest entry there can be still fits a line of the export.
    let overhead = 256;
    record(&place.ledger, 0, &"\"".repeat((sluice_ledger::ENTRY_BYTES_MAX - overhead) / 2)).await;
    let bytes = export(&place.ledger).await;
    assert_eq!(sluice_ledger::verify::verify(&*bytes, None, None).unwrap().entries, 1);
}

#[tokio::test]
async fn nothing_secret_or_recorded_is_in_debug() {
    let place = Place::new().await;
    let recorded = record(&place.ledger, 0, "hush-hush").await;
    let shown = format!("{recorded:?} {:?} {:?}", place.ledger, place.ledger.key());
    assert!(!shown.contains("hush"), "{shown}");
    assert!(!shown.contains(&"01".repeat(32)), "{shown}");
    assert_eq!(recorded.into_parts().0, refused("hush-hush"));
}

/// A server's handlers spawn these: each future must be `Send`.
#[tokio::test]
async fn every_operation_can_be_spawned() {
    let place = Place::of(&["one"]).await;
    let ledger = std::sync::Arc::new(Ledger::open(&place.path(), key(1)).await.unwrap());
    let spawned = tokio::spawn(async move {
        ledger.record(1, now(), Actor::System, refused("two")).await.unwrap();
        ledger.export(&mut Vec::new()).await.unwrap();
        ledger.inclusion_proof(0).await.unwrap();
        ledger.checkpoint().await.unwrap();
        ledger.read_from(0).await.unwrap().len()
    });
    assert_eq!(spawned.await.unwrap(), 2);
}
