//! What a receipt carries, checked with nothing but the receipt and a public key.

use sluice_domain::Digest;
use sluice_ledger::{Inclusion, LedgerError, verify};

use crate::support::{Place, key, record};

#[tokio::test]
async fn every_entry_of_every_size_is_shown_to_be_in_the_log() {
    let place = Place::new().await;
    for size in 1..=9 {
        let recorded = record(&place.ledger, size - 1, "name").await;
        assert_eq!((recorded.entry().seq, recorded.checkpoint().size()), (size - 1, size));
        for seq in 0..size {
            let proof = place.ledger.inclusion_proof(seq).await.unwrap();
            let (entry, checkpoint) = verify::inclusion(&proof, &key(1).public_key()).unwrap();
            assert_eq!((entry.seq, checkpoint.size()), (seq, size));
        }
        assert!(matches!(place.ledger.inclusion_proof(size).await, Err(LedgerError::NoSuchEntry)));
    }
    assert!(matches!(place.ledger.inclusion_proof(u64::MAX).await, Err(LedgerError::NoSuchEntry)));
}

#[tokio::test]
async fn a_receipt_that_was_changed_does_not_verify() {
    let place = Place::of(&["one", "two", "three", "four", "five"]).await;
    let (good, key) = (place.ledger.inclusion_proof(2).await.unwrap(), key(1).public_key());
    let bad = |change: fn(&mut Inclusion)| {
        let mut proof = good.clone();
        change(&mut proof);
        assert!(verify::inclusion(&proof, &key).is_err(), "{proof:?}");
    };
    bad(|p| p.entry = p.entry.replace("three", "THREE"));
    bad(|p| p.entry = p.entry.replace("\"seq\":2", "\"seq\":3"));
    bad(|p| p.entry = p.entry.replace("\"seq\":2", "\"seq\":18446744073709551615"));
    bad(|p| p.path.swap(0, 1));
    bad(|p| p.path.truncate(2));
    bad(|p| p.path.push(Digest::of(b"")));
    bad(|p| p.path.clear());
    bad(|p| p.checkpoint = p.checkpoint.replacen('5', "6", 1));
    assert!(verify::inclusion(&good, &crate::support::key(2).public_key()).is_err());

    // It travels as JSON.
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<Inclusion>(&text).unwrap(), good);
}
