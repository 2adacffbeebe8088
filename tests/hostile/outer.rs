//! Guests of the outer room, which sees cleared numbers alone. They cannot leak what
//! they were never given; they can try to get at more of it, to hold the host up, to
//! break the run, or to put something into the product that is no text and no chart.
//!
//! In world 0 the one cleared number is 0, in world 1 it is 1. Of a guest that has both
//! rooms (`room: both`) the cleared number is 0, and the secret is the inner room's.

use std::thread;

use sluice_domain::artefact::Report;
use sluice_worker::{Interface, OuterRoom, Table};

use crate::{
    guest::{Guest, Verdict},
    house::{self, answers, compiled, limits, world},
    lesioned::{Host, PATIENCE, Seen},
};

/// What the house makes of an outer guest's answers.
#[derive(Debug, PartialEq)]
struct Came {
    /// What the next round is handed; none when the guest failed and it stays as it was.
    state: Option<Vec<u8>>,
    report: Report,
}

impl Came {
    fn fine(&self) -> bool {
        self.state.is_some() && matches!(self.report, Report::Composed(_))
    }
}

/// Holds the house to the guest's header.
pub(crate) fn meets_its_verdict(guest: &Guest) {
    let name = &guest.file;
    let [honest, hostile] = [came(guest, 0), came(guest, 1)];
    assert!(honest.fine(), "{name}: it never answers, so the test says nothing: {honest:?}");
    match guest.verdict() {
        Verdict::Failed => assert!(!hostile.fine(), "{name}: {hostile:?}"),
        Verdict::Same => assert_eq!(honest, hostile, "{name}"),
        other => panic!("{name}: no verdict of an outer guest: {other:?}"),
    }
}

fn cleared(guest: &Guest, secret: i64) -> f64 {
    if guest.has("room", "both") { 0.0 } else { secret as f64 }
}

/// The real rooms, the inner one first where the guest has something to do there.
fn came(guest: &Guest, secret: i64) -> Came {
    if guest.has("room", "both") {
        answers(guest, &[world(guest, secret)]);
    }
    let (programs, compiled) = compiled(guest, Interface::Outer);
    let mut room = OuterRoom::open(&programs, &compiled, &limits()).unwrap();
    let mut table = Table::default();
    table.floats(&[Some(cleared(guest, secret))]);
    let state = room.update(0, &[], &table).unwrap();
    let sent = room.compose(&state.clone().unwrap_or_default(), &[("t".to_owned(), table)]).unwrap();
    Came { state, report: sent.map_or(Report::Failed, |sent| Report::parse(&sent)) }
}

/// World `secret` by a host of the test's own that lacks the layer named.
pub(crate) fn seen(guest: &Guest, secret: i64) -> Seen {
    let without = guest.field("without");
    let host = Host::new(guest, if without == "the fuel" { u64::MAX } else { 2_000_000 });
    let mut visit = host.visit(4 << 20);
    if without == "rooms apart" {
        house::calls(guest, &world(guest, secret)).iter().for_each(|call| drop(visit.ask(call, &[])));
    }
    let number = cleared(guest, secret);
    let (state, report) = if without == "the fuel" {
        let engine = host.engine.clone();
        let watch = thread::spawn(move || {
            thread::sleep(PATIENCE);
            engine.increment_epoch();
        });
        let answer = visit.outer(number);
        watch.join().unwrap();
        if answer.0.is_none() {
            return Seen::Waiting;
        }
        answer
    } else {
        visit.outer(number)
    };
    let sent = report.iter().flatten();
    match without {
        "the fuel" => Seen::Numbers(vec![1]),
        "the limits of an answer" => {
            let bytes = |bytes: &Vec<u8>| bytes.len() as i128;
            Seen::Numbers(state.iter().map(bytes).chain(sent.map(|(_, b)| bytes(b))).collect())
        }
        // A host whose run ends where its guest does.
        "failures as marks" => Seen::Numbers(vec![i128::from(state.is_some() && report.is_some())]),
        "the artefacts' form" | "fresh instances" | "rooms apart" => {
            let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let artefacts = sent.flat_map(|(name, bytes)| [name.clone(), words(bytes)]);
            Seen::Words(state.iter().map(|s| words(s)).chain(artefacts).collect())
        }
        other => panic!("{}: there is no layer `{other}`", guest.file),
    }
}
