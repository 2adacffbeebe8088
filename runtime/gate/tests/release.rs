//! From a cleared product to a released one, with real votes and the real ledger:
//! nothing leaves but the bytes that two reviewers approved.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use common::{Row, dimension, ints, tabulate};
use ed25519_dalek::{Signer, SigningKey};
use sluice_domain::{
    Digest, Timestamp,
    approval::{Approval, Decision, Vote, vote_message},
    artefact::Report,
    candidate::{Candidate, CellValue, Route},
    contract::{Aggregate, Contract, Law, MeasureA, MeasureC, Share, Table, TableA, TableC, Tabulation, Totals},
    event::{Actor, Entry, Event},
    id::{JobId, PersonId, RunId},
    person::{Person, PublicKey, Role, Signature},
    rulepack::RulePack,
    state::State,
};
use sluice_gate::{
    Cleared, GateInput, Quarantined, Sensitivity, clear, findings,
    intake::{RawBatch, RawColumn},
    lineage::{Ledger as History, Number},
    quarantine,
    route_a::Reducer,
};
use sluice_ledger::{Ledger, LedgerKey, Recorded};
use sluice_rows::cells::{SnapshotRows, Zeros};

const ROSTER: u64 = 500;

fn at() -> Timestamp {
    "2026-11-01T08:00:00Z".parse().unwrap()
}

/// A keyed commitment; the real one is an HMAC in `vault`.
fn commit(bytes: &[u8]) -> Digest {
    Digest::of(&[b"a key of this test: ", bytes].concat())
}

fn table_a() -> TableA {
    TableA {
        name: "rose".into(),
        dimensions: vec![dimension("d0", ints(3))],
        measures: vec![MeasureA { name: "persons".into(), lo: 0, hi: 1, grid: 1 }],
        keys_per_unit: 1,
        rho: 0.02,
        noise: Law::Gaussian,
        shares: vec![Share { name: "all".into(), of: "persons".into(), per: "persons".into() }],
        consistent: None,
    }
}

fn table_c() -> TableC {
    let measure = |name: &str, aggregate, column: Option<&str>| MeasureC {
        name: name.into(),
        aggregate,
        column: column.map(str::to_owned),
    };
    let plan = Tabulation {
        view: "claims".parse().unwrap(),
        dimensions: vec![dimension("d0", ints(3)), dimension("d1", ints(3))],
        measures: vec![measure("people", Aggregate::Units, None), measure("mean", Aggregate::Mean, Some("x"))],
        filter: vec![],
        derived: std::collections::BTreeMap::new(),
        impossible: vec![],
    };
    TableC { name: "visits".into(), sql: String::new(), plan, totals: Totals::True }
}

fn contract(tables: Vec<Table>) -> Contract {
    Contract { rho: 0.02, ..common::contract(tables) }
}

/// One output row: a person of key `key`.
fn person_of(key: i64) -> RawBatch {
    let column = |data: [u8; 8]| RawColumn { nulls: 0, validity: None, offsets: None, data: data.into() };
    RawBatch { rows: 1, columns: vec![column(key.to_le_bytes()), column(1.0f64.to_le_bytes())] }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (cell, people) in [30, 25, 3, 40, 22, 35, 28, 33, 41].into_iter().enumerate() {
        for person in 0..people {
            let codes = [("d0", cell / 3), ("d1", cell % 3)].map(|(d, i)| (d.to_owned(), ints(3)[i].clone()));
            let values = [("x".to_owned(), 1.0 + f64::from(person % 7))];
            rows.push(Row { unit: format!("{cell}-{person}"), codes: codes.into(), values: values.into() });
        }
    }
    rows
}

fn cleared(contract: &Contract) -> Cleared<Vec<sluice_domain::candidate::CandidateTable>> {
    let mut reducer = Reducer::new(&table_a(), ROSTER, 8).unwrap();
    for unit in 0..300 {
        reducer.add(Some(&person_of(unit % 3)));
    }
    clear(GateInput {
        contract,
        rulepack: &RulePack::shipped().unwrap(),
        roster_size: ROSTER,
        tabulated: &[tabulate(&table_c(), &rows(), 2)],
        fits: &[],
        answers: vec![reducer.finish().unwrap().into()],
        sensitivity: Sensitivity::Ordinary,
        ledgers: &[ledger(Vec::new())],
        behind: sluice_gate::Behind::default(),
    })
    .unwrap()
    .0
}

/// The release ledger over [`rows`]: everybody has one row.
fn ledger(past: Vec<Number>) -> History {
    let rows = rows();
    let units = (0u64..).take(rows.len()).collect();
    let contents = vec![0; rows.len()];
    let columns = vec![rows.iter().map(|r| r.values.get("x").copied()).collect()];
    let root = ("people".parse().unwrap(), "snap-000001".parse().unwrap());
    let views = [("claims".parse().unwrap(), None)].into();
    let now = (SnapshotRows { units, contents, zeros: vec![Zeros::Count], columns }, past);
    History::new(root, views, vec!["x".into()], now, Vec::new(), |row| 1 << (row % 128))
}

fn candidate() -> (Contract, Quarantined<Candidate>) {
    let contract = contract(vec![Table::A(table_a()), Table::C(table_c())]);
    let product = contract.product.clone();
    let closed = quarantine(cleared(&contract), Report::None, JobId::numbered(7), RunId::numbered(8), product);
    (contract, closed)
}

/// Puts two signed votes on `approved` before the real ledger, and records the approval.
async fn approve(contract: &Contract, run: &RunId, approved: Digest) -> Recorded<Approval> {
    let folder = tempfile::tempdir().unwrap();
    let key = LedgerKey::from_seed(zeroize::Zeroizing::new([7; 32]));
    let ledger = Ledger::create(&folder.path().join("ledger.db"), "example.gov/domain", key).await.unwrap();
    let mut state = State::new(RulePack::shipped().unwrap());
    let mut events = Vec::new();
    let reviewer = |name: &str, seed: u8| (name.parse::<PersonId>().unwrap(), SigningKey::from_bytes(&[seed; 32]));
    let reviewers = [reviewer("wang", 1), reviewer("li", 2)];
    for (id, key) in &reviewers {
        events.push(Event::PersonEnrolled {
            person: Person {
                id: id.clone(),
                name: id.to_string(),
                org: "bureau".parse().unwrap(),
                role: Role::Reviewer,
                key: PublicKey::from_bytes(key.verifying_key().to_bytes()),
            },
        });
    }
    events.push(Event::JobAccepted {
        job: JobId::numbered(7),
        person: "zhao".parse().unwrap(),
        operator: "insurer".parse().unwrap(),
        contract: Box::new(contract.clone()),
        contract_digest: contract.digest(),
        signature: Signature::from_bytes([0; 64]),
    });
    events.push(Event::RunStarted {
        run: run.clone(),
        job: JobId::numbered(7),
        snapshots: vec![],
        charges: vec![],
        delta: 0.0,
    });
    events.push(Event::RunFinished {
        run: run.clone(),
        candidate: approved,
        pre_noise: None,
        lineage: None,
        evidence: None,
        rounds: Vec::new(),
        sealed_object: Digest::of(b""),
    });
    for (reviewer, key) in &reviewers {
        let message = vote_message(run, &approved, reviewer, Decision::Approve, "fine", at());
        events.push(Event::VoteCast {
            vote: Vote {
                run: run.clone(),
                candidate: approved,
                reviewer: reviewer.clone(),
                decision: Decision::Approve,
                comment: "fine".into(),
                at: at(),
                signature: Signature::from_bytes(key.sign(&message).to_bytes()),
            },
        });
    }
    for event in events {
        let seq = state.next_seq();
        ledger.record(seq, at(), Actor::System, event.clone()).await.unwrap();
        state.apply(&Entry { seq, at: at(), actor: Actor::System, event });
    }
    let approval = Approval::of(&state, run).unwrap();
    ledger.record(state.next_seq(), at(), Actor::System, approval).await.unwrap()
}

#[test]
fn a_cleared_product_holds_noise_and_marks_and_no_withheld_value() {
    let (contract, closed) = candidate();
    let [a, c] = &closed.for_review().tables[..] else { panic!("two tables") };
    assert_eq!((a.route, a.cells.len(), c.route, c.cells.len()), (Route::A, 3, Route::C, 16));
    assert_eq!(a.measures[0].sigma, Some(5.0));
    for cell in &a.cells {
        let CellValue::Published(values) = &cell.value else { panic!("route A withholds nothing") };
        let value = values[0].unwrap();
        assert!((value - 100.0).abs() < 60.0 && value.fract() == 0.0);
    }
    // The cell of three people, and what protects it in its row and column.
    assert!(matches!(&c.cells[2].value, CellValue::Withheld(_)));
    let withheld = |range: std::ops::Range<usize>| {
        c.cells[range].iter().filter(|cell| matches!(cell.value, CellValue::Withheld(_))).count()
    };
    assert!(withheld(0..3) >= 2 && withheld(0..9) >= 4 && withheld(0..16) < 10);
    assert_eq!(c.cells[15].value, CellValue::Published(vec![Some(257.0), c_mean(c)]));
    let all = findings(closed.for_review(), &contract, &RulePack::shipped().unwrap()).unwrap();
    assert!(all.windows(2).all(|w| w[0].risk <= w[1].risk));
    assert!(all.iter().any(|f| f.text.en.contains("epsilon = 0.9951")));
    assert!(all.iter().any(|f| f.text.en.contains("too few units 1")));
}

fn c_mean(table: &sluice_domain::candidate::CandidateTable) -> Option<f64> {
    let CellValue::Published(values) = &table.cells[15].value else { return None };
    let x: f64 = rows().iter().map(|r| r.values["x"]).sum();
    assert!((values[1].unwrap() - x / 257.0).abs() < 1e-9);
    values[1]
}

#[test]
fn a_sealed_candidate_is_taken_up_again_only_as_it_was() {
    let (_, closed) = candidate();
    let (bytes, recorded) = (closed.canonical_bytes(), commit(&closed.canonical_bytes()));
    let again = Quarantined::reopen(&bytes, &recorded, &commit).unwrap();
    assert_eq!(again.for_review(), closed.for_review());
    let code = |bytes: &[u8], digest: &Digest| Quarantined::reopen(bytes, digest, &commit).unwrap_err().code;
    // Another byte under the recorded commitment.
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(code(&flipped, &recorded), "gate.not-the-candidate");
    // Bytes that were committed to, but are not the canonical form.
    let spaced = [&bytes[..], b" "].concat();
    assert_eq!(code(&spaced, &commit(&spaced)), "gate.not-the-candidate");
    assert_eq!(code(b"{}", &commit(b"{}")), "gate.not-the-candidate");
}

#[tokio::test]
async fn an_approval_of_exactly_these_bytes_lets_them_out() {
    let (contract, closed) = candidate();
    let approval = approve(&contract, &RunId::numbered(8), commit(&closed.canonical_bytes())).await;
    let before = closed.for_review().clone();
    let released = closed.release(approval, &commit).unwrap();
    assert_eq!(*released.get(), before);
    assert_eq!(format!("{released:?}"), "Released(content not shown)");
}

#[tokio::test]
async fn an_approval_of_other_bytes_or_another_run_lets_nothing_out() {
    let (contract, closed) = candidate();
    let (_, other) = candidate(); // same data, other noise
    let approval = approve(&contract, &RunId::numbered(8), commit(&other.canonical_bytes())).await;
    let (closed, refusal) = closed.release(approval, &commit).unwrap_err();
    assert_eq!(refusal.code, "gate.not-the-candidate");
    let approval = approve(&contract, &RunId::numbered(9), commit(&closed.canonical_bytes())).await;
    let (closed, refusal) = closed.release(approval, &commit).unwrap_err();
    assert_eq!(refusal.code, "gate.not-the-candidate");
    // The commitment is keyed: under another key the same approval means nothing.
    let approval = approve(&contract, &RunId::numbered(8), commit(&closed.canonical_bytes())).await;
    assert!(closed.release(approval, &Digest::of).is_err());
}

#[test]
fn results_that_do_not_fit_the_contract_are_a_host_fault() {
    let pack = RulePack::shipped().unwrap();
    let with = |contract: &Contract, tabulated: Vec<_>, answer, roster_size| {
        let sensitivity = Sensitivity::Ordinary;
        let ledgers = &[ledger(Vec::new())];
        let input = GateInput {
            contract,
            rulepack: &pack,
            roster_size,
            tabulated: &tabulated,
            fits: &[],
            answers: answer,
            sensitivity,
            ledgers,
            behind: sluice_gate::Behind::default(),
        };
        clear(input).map(drop).map_err(|refusal| refusal.code)
    };
    let answer = || vec![Reducer::new(&table_a(), ROSTER, 8).unwrap().finish().unwrap().into()];
    let fault = Err("gate.host-fault");
    let both = contract(vec![Table::A(table_a()), Table::C(table_c())]);
    let cells = || vec![tabulate(&table_c(), &rows(), 2)];
    assert_eq!(with(&both, cells(), answer(), ROSTER), Ok(()));
    assert_eq!(with(&both, vec![], answer(), ROSTER), fault);
    assert_eq!(with(&both, cells(), vec![], ROSTER), fault);
    assert_eq!(with(&both, cells(), answer(), ROSTER + 1), fault);
    let only_c = contract(vec![Table::C(table_c())]);
    assert_eq!(with(&only_c, cells(), answer(), ROSTER), fault);
    let mut stale = both.clone();
    stale.rulepack = "2025.9".into();
    assert_eq!(with(&stale, cells(), answer(), ROSTER), fault);
    let mut undercharged = both.clone();
    undercharged.rho = 0.01;
    assert_eq!(with(&undercharged, cells(), answer(), ROSTER), fault);
    let mut renamed = table_a();
    renamed.name = "thorn".into();
    assert_eq!(with(&contract(vec![Table::A(renamed)]), vec![], answer(), ROSTER), fault);
}
