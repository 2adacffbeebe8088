//! Attacks 49 and 50: real guests of held products that know when they are watched, run
//! again in real rooms as the service runs them. Each escapes one check; what is shown is
//! which other one it meets, and that the page says what the check cannot show.

use std::sync::Arc;

use sluice_domain::{
    Digest,
    catalogue::Key,
    contract::{Dimension, MeasureA},
    evidence::{Check, CheckKind, EvidenceRules, Grade},
    held::{Held, Model, ModelKind},
    rulepack::RulePack,
};
use sluice_gate::{
    evidence::held::{Call, Gathering, People, Replays, judge},
    held::Judge,
    intake::RawBatch,
    route_c::regression::RegressionRules,
    route_d::{Exact, Reducer},
};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Int64Array},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{Interface, Invocation, Room, RoomLimits};

use crate::{
    guest::Guest,
    house::{self, Unit},
};

/// Rows that an answer may have: the nodes of a tree of two hundred people, and more.
const ROWS_MAX: u32 = 512;

fn people(units: &[Unit], names: [&str; 2]) -> People {
    let mut gathering = Gathering::new(1);
    for unit in units {
        let column = |n: i64| Arc::new(Int64Array::from(vec![n])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([(names[0], column(unit.0)), (names[1], column(unit.1))]).unwrap();
        gathering.unit(&vec![(0, RowBatch::new(rows))]);
    }
    gathering.whole().unwrap()
}

/// What the guest answers to each call, in a real room.
fn answers(guest: &Guest, calls: Vec<Call>) -> Vec<Option<RawBatch>> {
    let (programs, compiled) = house::compiled(guest, Interface::Inner);
    let limits = RoomLimits { fuel: 100_000_000, unit_rows_max: 1000, rows_max: ROWS_MAX, ..house::limits() };
    let params = [("input.t".to_owned(), "a:int,b:int".to_owned())];
    let mut room = Room::open_in_round(&programs, &compiled, &limits, &params, &[]).unwrap();
    let mut answers = Vec::new();
    room.map_all(calls.into_iter().map(Invocation::new), |outcome| answers.push(house::into_gate(outcome))).unwrap();
    answers
}

fn exact(held: &Held, raw: Option<&RawBatch>) -> Option<Exact> {
    let mut reducer = Reducer::new(held, ROWS_MAX).unwrap();
    reducer.add(raw);
    reducer.finish().ok()
}

/// What a run of `guest` over `people` would show its reviewers.
struct Shown<'a> {
    replays: Replays<'a>,
    exact: Exact,
    answers: Vec<Option<Exact>>,
    held: &'a Held,
    people: &'a People,
}

impl<'a> Shown<'a> {
    fn new(guest: &Guest, held: &'a Held, people: &'a People, rules: &'a EvidenceRules) -> Self {
        let replays = Replays::new(held, people, rules, Digest::of(b"secret"));
        let everybody = people.everybody();
        let calls = (0..replays.count()).map(|at| replays.call(at).unwrap());
        let mut said = answers(guest, std::iter::once(everybody).chain(calls).collect()).into_iter();
        let product = exact(held, said.next().flatten().as_ref()).unwrap();
        let answers = said.map(|raw| exact(held, raw.as_ref())).collect();
        Self { replays, exact: product, answers, held, people }
    }

    /// The checks over the first so many replays.
    fn checks(&self, replays: usize) -> Vec<Check> {
        let (names, rules) = (self.people.names(0), RegressionRules::none);
        let of = |model| Judge::new(self.held, model, self.exact.numbers(), &names, rules()).unwrap();
        let judged = judge(self.people, self.held.model.iter().map(of).collect()).unwrap();
        self.replays.checks(&self.exact.table(), &self.answers[..replays], &judged).unwrap()
    }
}

fn of(checks: &[Check], kind: CheckKind) -> &Check {
    checks.iter().find(|check| check.kind == kind).unwrap()
}

fn rules(replays: u32) -> EvidenceRules {
    EvidenceRules { held_replays: replays, ..RulePack::shipped().unwrap().evidence }
}

fn held(cells: u32, measures: &[(&str, i64, u32)], model: Option<Model>) -> Held {
    let measure = |(name, most, grid): &(&str, i64, u32)| MeasureA {
        name: (*name).to_owned(),
        lo: -most * i64::from(*grid),
        hi: most * i64::from(*grid),
        grid: *grid,
    };
    let domain = (0..cells).map(|k| (Key::Int(k.into()), k.to_string())).collect();
    let dimensions = vec![Dimension { name: "k".into(), title: "k".into(), domain, base: None }];
    Held { name: "t".into(), dimensions, measures: measures.iter().map(measure).collect(), model }
}

#[test]
fn attack_49_a_guest_that_knows_a_missing_person_is_met_by_replacement() {
    let guest = Guest::held("49_replay_detector.wat");
    // Numbers from 0 to 99 without an order; the target's is the highest.
    let units: Vec<Unit> = (0..120).map(|id| (id, if id == 7 { 99 } else { id * 37 % 99 })).collect();
    let (people, table) = (people(&units, ["id", "n"]), held(1, &[("mean", 100, 1000)], None));
    // Everybody is replayed, so that the target is.
    let everybody = rules(120);
    let shown = Shown::new(&guest, &table, &people, &everybody);
    let alone = shown.checks(120);
    let alone = of(&alone, CheckKind::Influence);
    assert_eq!(alone.grade, Grade::Clear, "deletions alone should not tell: {}", alone.finding.en);
    let both = shown.checks(shown.replays.count());
    let both = of(&both, CheckKind::Influence);
    assert_eq!(both.grade, Grade::Alarm, "{}", both.finding.en);

    // A few of them: the target is most likely not among them, and the page says how
    // likely; but the guest answers otherwise with one fewer, which shows.
    let few = rules(12);
    let shown = Shown::new(&guest, &table, &people, &few);
    let checks = shown.checks(shown.replays.count());
    let check = of(&checks, CheckKind::Influence);
    assert_ne!(check.grade, Grade::Clear, "{}", check.finding.en);
    assert!(check.finding.en.contains("the guest may know a replay by its count"), "{}", check.finding.en);
    assert!(check.cannot.en.contains("12/120 (10%)"), "{}", check.cannot.en);
}

#[test]
fn attack_50_a_guest_that_leaves_out_made_up_people_is_met_by_other_checks() {
    let filters = Guest::held("50_canary_filter.wat");
    // The same without its filter: whatever y − 3x is, it is less than 2⁶⁴ − 1.
    let remembers = filters.with("(i64.const 10)))", "(i64.const -1)))");
    let units: Vec<Unit> = (0..200).map(|i| (i * 73 % 200, 3 * (i * 73 % 200) + i * 7 % 10)).collect();
    let model = Model { kind: ModelKind::Tree, features: vec!["x".into()], outcome: "y".into() };
    let measures = Model::TREE.map(|name| (name, 1000, 1));
    let (people, tree) = (people(&units, ["x", "y"]), held(401, &measures, Some(model)));
    let rules = rules(24);
    let shown = |guest| {
        let shown = Shown::new(guest, &tree, &people, &rules);
        shown.checks(shown.replays.count())
    };
    let (plain, filtered) = (shown(&remembers), shown(&filters));
    let canaries = |checks: &[Check]| of(checks, CheckKind::Canaries).clone();
    assert_eq!(canaries(&plain).grade, Grade::Alarm, "{}", canaries(&plain).finding.en);
    assert_eq!(canaries(&filtered).grade, Grade::Clear, "{}", canaries(&filtered).finding.en);
    // Beside the check stands that it can be deceived so, and by whom.
    assert!(canaries(&filtered).cannot.en.contains("a canary filter"));
    assert!(canaries(&filtered).cannot.zh.contains("诱饵过滤"));
    // Whoever is left out moves every node after theirs; and shadows tell their members.
    let (influence, membership) = (of(&filtered, CheckKind::Influence), of(&filtered, CheckKind::Membership));
    assert_ne!(influence.grade, Grade::Clear, "{}", influence.finding.en);
    assert_eq!(membership.grade, Grade::Alarm, "{}", membership.finding.en);
}
