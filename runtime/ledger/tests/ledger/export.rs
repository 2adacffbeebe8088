//! Exports and what is done to them.

use proptest::prelude::*;
use sluice_domain::{Kind, Refusal, event::Event};
use sluice_ledger::verify::{Fault, KeyTrust, Report, What, verify};

use crate::support::{Place, export, key, now, record};

fn check(export: &[u8]) -> Result<Report, Fault> {
    verify(export, Some(&key(1).public_key()), None)
}

/// The line (from 1) that byte `at` is on; a newline belongs to the line it ends.
fn line_of(export: &[u8], at: usize) -> u64 {
    1 + export[..at].iter().filter(|b| **b == b'\n').count() as u64
}

/// Flips a bit and demands that the fault is on its line. A flipped newline joins two
/// lines: either of them may be the one that is blamed.
fn flip(export: &[u8], bit: usize) {
    let mut bad = export.to_vec();
    bad[bit / 8] ^= 1 << (bit % 8);
    let line = line_of(export, bit / 8);
    let fault = check(&bad).expect_err("a flipped bit went unseen");
    let found = fault.line.expect("a fault of the file has a line");
    if export[bit / 8] == b'\n' {
        assert!(found.abs_diff(line) <= 1, "bit {bit}, a newline of line {line}: {fault:?}");
    } else {
        assert_eq!(found, line, "bit {bit}: {fault:?}");
    }
}

fn lines(export: &[u8]) -> Vec<&[u8]> {
    export.split_inclusive(|b| *b == b'\n').collect()
}

#[tokio::test]
async fn an_export_verifies_and_says_what_it_is() {
    for names in [&[][..], &["one"], &["one", "two", "三 \"\\\u{7f}\u{0}\n"]] {
        let place = Place::of(names).await;
        let bytes = export(&place.ledger).await;
        let newest = place.ledger.checkpoint().await.unwrap();
        let report = check(&bytes).unwrap();
        assert_eq!(report.entries, names.len() as u64);
        assert_eq!((&report.root, &report.checkpoint), (newest.root(), &newest));
        assert_eq!((report.key, report.trust), (key(1).public_key(), KeyTrust::Pinned));
        assert_eq!(lines(&bytes).len(), names.len() + 2);
        assert_eq!(verify(&*bytes, None, None).unwrap().trust, KeyTrust::FileOnly);
    }
}

/// Golden file: an export of this format verifies for ever, whatever the events become.
#[tokio::test]
async fn the_promised_format_has_not_changed() {
    let golden = include_bytes!("golden.export");
    assert_eq!(check(golden).unwrap().entries, 2);
    let place = Place::of(&["golden", "数闸"]).await;
    assert_eq!(String::from_utf8(export(&place.ledger).await).unwrap(), String::from_utf8_lossy(golden));
}

#[tokio::test]
async fn every_flipped_bit_of_a_small_export_is_found_on_its_line() {
    let place = Place::of(&["a \"quoted\" J*", "乙"]).await;
    let bytes = export(&place.ledger).await;
    (0..bytes.len() * 8).for_each(|bit| flip(&bytes, bit));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_any_export_is_found_on_its_line(
        names in proptest::collection::vec(any::<String>(), 0..9),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 40),
    ) {
        let bytes = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            export(&Place::of(&names).await.ledger).await
        });
        prop_assert!(check(&bytes).is_ok());
        picks.iter().for_each(|pick| flip(&bytes, pick.index(bytes.len() * 8)));
    }
}

#[tokio::test]
async fn an_export_cut_anywhere_is_found() {
    let place = Place::of(&["one", "two"]).await;
    let bytes = export(&place.ledger).await;
    for end in 0..bytes.len() {
        let fault = check(&bytes[..end]).expect_err("a cut went unseen");
        assert_eq!(fault.what, What::Truncated, "cut at {end}");
        // Cut between two lines, it is the next line that is missing.
        assert_eq!(fault.line, Some(line_of(&bytes, end)), "cut at {end}");
    }
    let longer = [&*bytes, b"\n"].concat();
    assert_eq!(check(&longer).unwrap_err(), Fault { line: Some(5), entry: None, what: What::AfterEnd });
}

#[tokio::test]
async fn lines_dropped_doubled_or_swapped_are_found_where_the_order_breaks() {
    let place = Place::of(&["one", "two", "three", "four"]).await;
    let bytes = export(&place.ledger).await;
    let lines = lines(&bytes);
    for i in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(i);
        assert_eq!(check(&dropped.concat()).unwrap_err().line, Some(i as u64 + 1), "line {} dropped", i + 1);

        let mut doubled = lines.clone();
        doubled.insert(i, lines[i]);
        assert_eq!(check(&doubled.concat()).unwrap_err().line, Some(i as u64 + 2), "line {} doubled", i + 1);

        for j in i + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(i, j);
            assert_eq!(check(&swapped.concat()).unwrap_err().line, Some(i as u64 + 1), "lines {i} and {j} swapped");
        }
    }
}

#[tokio::test]
async fn a_second_spelling_of_the_same_line_is_refused() {
    let place = Place::of(&["one"]).await;
    let text = String::from_utf8(export(&place.ledger).await).unwrap();
    let line = text.lines().nth(1).unwrap();
    for other in [
        line.replacen(':', ": ", 1),
        line.replacen("one", "\\u006fne", 1),
        line.replacen('—', "\\u2014", 1),
        format!("{line} "),
        line.replacen('{', "{\"more\":1,", 1),
        line.to_uppercase(),
    ] {
        let fault = check(text.replacen(line, &other, 1).as_bytes()).unwrap_err();
        assert_eq!((fault.line, fault.what), (Some(2), What::Form), "{other}");
    }
}

#[tokio::test]
async fn another_key_or_another_log_is_not_the_pinned_one() {
    let bytes = export(&Place::of(&["one"]).await.ledger).await;
    let fault = verify(&*bytes, Some(&key(2).public_key()), None).unwrap_err();
    assert_eq!(fault, Fault { line: Some(1), entry: None, what: What::Key });

    // An older checkpoint of another key does not vouch for this one.
    let dir = tempfile::tempdir().unwrap();
    let other = sluice_ledger::Ledger::create(&dir.path().join("l"), crate::support::ORIGIN, key(2)).await.unwrap();
    let note = other.checkpoint().await.unwrap().note().to_owned();
    assert_eq!(verify(&*bytes, None, Some(&note)).unwrap_err().what, What::Known);
    let renamed = sluice_ledger::Ledger::create(&dir.path().join("m"), "another.example", key(1)).await.unwrap();
    let note = renamed.checkpoint().await.unwrap().note().to_owned();
    assert_eq!(verify(&*bytes, None, Some(&note)).unwrap_err().what, What::Known);
}

#[tokio::test]
async fn a_rewrite_by_the_key_holder_is_found_by_whoever_holds_an_older_checkpoint() {
    let honest = Place::of(&["one", "two"]).await;
    let receipt = honest.ledger.checkpoint().await.unwrap();
    let known = Some(receipt.note());
    record(&honest.ledger, 2, "three").await;
    let report = verify(&*export(&honest.ledger).await, None, known).unwrap();
    assert_eq!((report.entries, report.trust), (3, KeyTrust::Known));

    // The same key writes another history: by itself it is sound, against the receipt it is not.
    let forged = export(&Place::of(&["one", "TWO", "three"]).await.ledger).await;
    assert!(check(&forged).is_ok());
    let fault = verify(&*forged, None, known).unwrap_err();
    assert_eq!(fault, Fault { line: Some(3), entry: Some(1), what: What::Rewritten });

    // So is a log that forgot its end.
    let short = export(&Place::of(&["one"]).await.ledger).await;
    assert!(check(&short).is_ok());
    let fault = verify(&*short, None, known).unwrap_err();
    assert_eq!(fault, Fault { line: Some(3), entry: None, what: What::Rewritten });

    // The checkpoint of an empty log is extended by every log of its key.
    let empty = Place::new().await.ledger.checkpoint().await.unwrap();
    assert!(verify(&*forged, None, Some(empty.note())).is_ok());
}

#[tokio::test]
async fn appends_during_an_export_do_not_tear_it() {
    let place = Place::of(&["one"]).await;
    let mut out = Vec::new();
    let (exported, recorded) = tokio::join!(
        place.ledger.export(&mut out),
        place.ledger.record(1, now(), sluice_domain::event::Actor::System, Event::LedgerExported { entries: 1 })
    );
    recorded.unwrap();
    assert_eq!(check(&out).unwrap().entries, exported.unwrap());
}

#[test]
fn a_fault_is_a_refusal_with_its_place() {
    let fault = Fault { line: Some(3), entry: Some(1), what: What::Entry };
    let refusal = Refusal::from(fault);
    assert_eq!((refusal.code, refusal.kind), ("audit.entry", Kind::Verification));
    assert_eq!(refusal.place.as_deref(), Some("line 3, entry 1"));
}
