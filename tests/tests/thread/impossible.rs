//! Structural zeros over real data: a plan has one rate, so that nobody is at another one
//! is published, and hides nobody.

use std::collections::BTreeMap;

use sluice::demo::city::password;
use sluice_domain::{
    Timestamp,
    candidate::CellValue,
    contract::Table,
    decide,
    event::{Actor, Entry, Event},
    state::State,
};

use crate::{
    quantiles::job,
    raw,
    town::{Town, randhie},
};

const RATES: &str =
    "SELECT plan, coins, count(DISTINCT zper) AS persons, sum(mdvis) AS visits FROM claims GROUP BY plan, coins";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_where_nobody_can_be_is_no_secret() {
    let town = Town::start().await;
    let product = town.product(&job(&[("rates", RATES)]), None).await;
    let mut persons = BTreeMap::<(i64, i64), std::collections::BTreeSet<i64>>::new();
    for row in raw::rows(&randhie()) {
        let cell = (raw::int(&row, "plan"), raw::int(&row, "coins"));
        persons.entry(cell).or_default().insert(raw::int(&row, "zper"));
    }
    let file = town.city.home.product(&product).join("rates.csv");
    let mut shown = BTreeMap::<bool, usize>::new();
    for line in csv::Reader::from_path(file).unwrap().deserialize::<BTreeMap<String, String>>() {
        let line = line.unwrap();
        let (plan, coins) = (line["plan"].parse().unwrap(), line["coins"].parse().unwrap());
        let there = persons.get(&(plan, coins)).map_or(0, std::collections::BTreeSet::len);
        assert_eq!(line["status"], "published", "{plan} {coins}: every plan has more than ten persons");
        assert_eq!(line["persons"].parse::<usize>().unwrap(), there, "{plan} {coins}");
        *shown.entry(there > 0).or_default() += 1;
    }
    assert_eq!(shown, [(false, 72), (true, 18)].into(), "18 plans at 5 rates");

    // Reviewers are told why, and not that a count of nobody is far below k.
    let state = town.city.service.snapshot().await.unwrap();
    let run = state.product(&product).unwrap().run.clone();
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let said = |words: &str| bench.findings.iter().filter(|f| f.text.en.contains(words)).count();
    assert_eq!((said("72 cells are combinations"), said("number of units is 0")), (1, 0));
    assert_eq!(said("the smallest published number of units is"), 1);

    // That a plan's people are those of the plan at its rate is no news either.
    let by_plan = "SELECT plan, count(DISTINCT zper) AS persons FROM claims GROUP BY plan";
    let product = town.product(&job(&[("plans", by_plan)]), None).await;
    let page = town.city.service.product(&town.city.operator, &product).await.unwrap();
    let cells = &page.tables[0].cells;
    assert_eq!((cells.len(), cells.iter().filter(|c| matches!(c.value, CellValue::Withheld(_))).count()), (18, 0));

    // What the contract was frozen with says so, by the columns' finest parts.
    let state = town.city.service.snapshot().await.unwrap();
    let contract = &state.jobs().last().unwrap().contract;
    let [Table::C(table)] = contract.tables.as_slice() else { panic!("one table") };
    assert_eq!(table.plan.impossible.len(), 7);
    assert!(table.plan.impossible.iter().all(|c| c.side("plan").is_some_and(|side| side.parts == 18)));
}

/// The gate would take for unknown what everybody knows by now, or the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_from_before_the_declaration_does_not_start() {
    let town = Town::start().await;
    let (service, file) = (&town.city.service, job(&[("rates", RATES)]));
    let job = service.submit(&town.city.operator, password(), &file, None).await.unwrap();
    let mut state = service.snapshot().await.unwrap();
    let now = Timestamp::now();
    let start = |state: &State| decide::start_run(state, state.job(&job).unwrap(), now).map(drop).map_err(|r| r.code);
    assert_eq!(start(&state), Ok(()));
    let mut entry = state.datasets().next().unwrap().entry.clone();
    entry.impossible.pop();
    let event = Event::DatasetRegistered { entry };
    state.apply(&Entry { seq: state.next_seq(), at: now, actor: Actor::System, event });
    assert_eq!(start(&state), Err("job.catalogue"));
}
