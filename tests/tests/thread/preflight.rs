//! The verdict to expect, before a job is submitted: on synthetic people, from published
//! documents alone. No row of the domain is needed for it, let alone read.

use sluice_domain::candidate::{Reason, Route};
use sluice_service::{Guests, Service, SignedIn, rehearse::Preflight};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest};

const FINE: &str = "SELECT plan, site, female, count(*) AS n, quantile(outpdol, 0.02) AS low FROM claims WHERE year = 1 GROUP BY plan, site, female";
/// 5 400 cells: more than a quote judges.
const LARGE: &str =
    "SELECT plan, site, year, female, coins, count(*) AS n FROM claims GROUP BY plan, site, year, female, coins";
const COARSE: &str = "SELECT coins, year, count(*) AS n, sum(meddol) AS spent FROM claims GROUP BY coins, year";

/// The spending change with a fine and a coarse table of route C beside it.
fn job() -> String {
    let table = |name: &str, sql: &str| format!("[[table]]\nname = \"{name}\"\nroute = \"C\"\nsql = \"{sql}\"\n\n");
    let tables = [table("fine", FINE), table("coarse", COARSE)].concat();
    SPENDING_CHANGE.replace("[product]", &format!("{tables}[product]"))
}

async fn expected(service: &Service, operator: &SignedIn) -> Preflight {
    let wasm = guest("spending_change.wasm");
    let guests = Guests { inner: Some(&wasm), ..Guests::default() };
    let contract = service.quote(operator, &job(), &guests).await.unwrap();
    service.preflight(operator, &contract).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_needs_no_row_and_says_that_it_is_synthetic() {
    let town = Town::start().await;
    let (service, operator) = (&town.city.service, &town.city.operator);
    let first = expected(service, operator).await;
    let [noised, fine, coarse] = first.tables.as_slice() else { panic!("three tables: {first:?}") };

    assert_eq!((noised.route, noised.cells, noised.withheld), (Route::A, Some(5), Some(0)));
    assert!(
        noised.said.en.contains("whatever the data") && noised.said.zh.contains("persons ±14") && noised.rho == 0.02
    );
    // A fiftieth takes 500 people in each of 216 cells, and fewer were made up.
    assert_eq!((fine.route, fine.cells), (Route::C, Some(18 * 6 * 2)));
    assert!(fine.withheld > Some(150) && fine.reasons[&Reason::Threshold] > 150, "{fine:?}");
    assert_eq!((coarse.cells, coarse.withheld), (Some(25), Some(0)), "{coarse:?}");
    assert!(first.synthetic.zh.contains("randhie 5912") && first.synthetic.zh.contains("不读任何真实的行"));
    assert!(first.stand_in.as_ref().unwrap().en.contains("public stand-in parameters"));

    // Without a byte of the snapshot it is the same, to the letter; a run is not possible.
    std::fs::remove_dir_all(town.city.home.folder().join("vault/snapshots")).unwrap();
    let again = expected(service, operator).await;
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&first).unwrap());
    let job = service.submit(operator, sluice::demo::city::password(), VISITS_REPORT, None).await.unwrap();
    assert_eq!(service.run(&job).await.unwrap().1, sluice_service::RunEnd::Void);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_for_the_agreements_operator() {
    let town = Town::start().await;
    let (service, operator) = (&town.city.service, &town.city.operator);
    let contract = service.quote(operator, VISITS_REPORT, &Guests::default()).await.unwrap();
    for who in [&town.city.bureau, &town.city.auditor] {
        assert_eq!(service.preflight(who, &contract).await.unwrap_err().code, "agreement.unknown");
        assert_eq!(service.quote_unseen(who, VISITS_REPORT).await.unwrap_err().code, "account.role");
    }
    // Without its component a job costs the same.
    let unseen = service.quote_unseen(operator, &job()).await.unwrap();
    assert_eq!((unseen.rho, unseen.tables.len()), (0.02, 3));

    // Nobody makes a domain judge a large one for nothing.
    let large = service.quote_unseen(operator, &job().replace(FINE, LARGE)).await.unwrap();
    let [noised, large, coarse] = &service.preflight(operator, &large).await.unwrap().tables[..] else { panic!() };
    assert_eq!((noised.withheld, large.withheld, coarse.withheld), (Some(0), None, None));
    assert!(large.cells > Some(2_000) && large.said.en.contains("your own machine"), "{large:?}");
}
