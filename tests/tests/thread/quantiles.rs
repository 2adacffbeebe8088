//! Quantiles over real data, from the quote to the released file, against a count of its
//! own: over persons, with k of them to either side, on the catalogue's grid.

use std::collections::BTreeMap;

use sluice_domain::evidence::{CheckKind, Grade};
use sluice_service::TableQuote;

use crate::{
    raw,
    town::{Town, VISITS_REPORT, randhie},
};

const SHARES: &str = "SELECT coins, year, count(DISTINCT zper) AS persons, median(meddol) AS spent, quantile(mdvis, 0.9) AS visits FROM claims GROUP BY coins, year";
const THIN: &str = "SELECT plan, year, count(*) AS n, quantile(outpdol, 0.02) AS low FROM claims GROUP BY plan, year";

/// The visits report with these tables in place of its own.
pub(crate) fn job(tables: &[(&str, &str)]) -> String {
    let head = VISITS_REPORT.split("[[table]]").next().unwrap();
    let product = &VISITS_REPORT[VISITS_REPORT.find("[product]").unwrap()..];
    let table =
        |(name, sql): &(&str, &str)| format!("[[table]]\nname = \"{name}\"\nroute = \"C\"\nsql = \"{sql}\"\n\n");
    [head, &tables.iter().map(table).collect::<String>(), product].concat()
}

/// Each person's sum of `column` by what `of` says of their rows, ascending.
fn sums<K: Ord>(column: &str, of: impl Fn(&parquet::record::Row) -> K) -> BTreeMap<K, Vec<f64>> {
    let mut persons = BTreeMap::<(K, i64), f64>::new();
    for row in raw::rows(&randhie()) {
        *persons.entry((of(&row), raw::int(&row, "zper"))).or_default() += raw::float(&row, column);
    }
    let mut cells = BTreeMap::<K, Vec<f64>>::new();
    for ((cell, _), sum) in persons {
        cells.entry(cell).or_default().push(sum);
    }
    cells.values_mut().for_each(|sums| sums.sort_by(f64::total_cmp));
    cells
}

/// The value with a share `tenths`/10 of the others below it; the middle of two.
fn quantile(sorted: &[f64], tenths: usize) -> f64 {
    let (whole, rest) = (sorted.len() * tenths / 10, sorted.len() * tenths % 10);
    if rest == 0 { f64::midpoint(sorted[whole - 1], sorted[whole]) } else { sorted[whole] }
}

#[tokio::test(flavor = "multi_thread")]
async fn released_quantiles_are_those_of_persons_on_the_grid() {
    let town = Town::start().await;
    let service = &town.city.service;
    let product = town.product(&job(&[("by-share", SHARES)]), None).await;
    let file = town.city.home.product(&product).join("by-share.csv");
    let cell = |row: &parquet::record::Row| (raw::int(row, "coins"), raw::int(row, "year"));
    let (spent, visits) = (sums("meddol", cell), sums("mdvis", cell));
    let mut shown = 0;
    for line in csv::Reader::from_path(file).unwrap().deserialize::<BTreeMap<String, String>>() {
        let line = line.unwrap();
        let at = (line["coins"].parse().unwrap(), line["year"].parse().unwrap());
        let (spent, visits) = (&spent[&at], &visits[&at]);
        if line["status"] == "withheld" {
            assert!(line["spent"].is_empty() && line["visits"].is_empty());
            continue;
        }
        shown += 1;
        assert!(spent.len() >= 100, "a ninth decile has ten persons above it: {}", spent.len());
        assert_eq!(line["persons"].parse::<usize>().unwrap(), spent.len());
        assert_eq!(line["spent"].parse::<f64>().unwrap(), (quantile(spent, 5) / 10.0).round() * 10.0, "{at:?}");
        assert_eq!(line["visits"].parse::<f64>().unwrap(), quantile(visits, 9).round(), "{at:?}");
    }
    assert!(shown >= 20, "most of 25 cells are out: {shown}");

    // Reviewers were shown how far one person moves each of them, and a recount agreed.
    let state = service.snapshot().await.unwrap();
    let run = state.product(&product).unwrap().run.clone();
    let bench = service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    let influence = bench.evidence.iter().find(|shown| shown.check.kind == CheckKind::Influence).unwrap();
    assert!(influence.check.finding.en.contains("gives every number"), "{}", influence.check.finding.en);
    assert_ne!(influence.check.grade, Grade::Alarm, "{}", influence.check.finding.en);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_says_what_a_quantile_takes_and_a_run_withholds_what_has_less() {
    let town = Town::start().await;
    let (service, operator) = (&town.city.service, &town.city.operator);
    let tables = [("by-share", SHARES), ("thin", THIN)];
    let contract = service.quote(operator, &job(&tables), &Default::default()).await.unwrap();
    let offer = service.offer(operator, &contract).await.unwrap();
    let needed: Vec<Option<u64>> = offer.tables.iter().map(|t: &TableQuote| t.units_needed).collect();
    assert_eq!(needed, [Some(100), Some(500)], "k = 10 above a ninth decile, and below a fiftieth");
    let of = |table: &str| offer.suggestions.iter().filter(|s| s.table == table).collect::<Vec<_>>();
    let told = of("thin").into_iter().find(|s| s.change.en.contains("a quantile nearer the middle")).unwrap();
    assert!(
        told.change.en.contains("`low`") && told.effect.en.contains("500 units in a cell, a median 20"),
        "{told:?}"
    );

    // Only the plans with five hundred persons in a year can show the fiftieth of them.
    let product = town.product(&job(&tables), None).await;
    let page = service.product(operator, &product).await.unwrap();
    let persons = sums("outpdol", |row| (raw::int(row, "plan"), raw::int(row, "year")));
    assert_eq!(persons.values().filter(|p| p.len() >= 500).count(), 8, "of the free plan and one other");
    let thin = page.tables.iter().find(|t| t.name == "thin").unwrap();
    for cell in &thin.cells {
        let key = |at: usize| cell.key[at].as_ref().unwrap().to_string().parse::<i64>().unwrap();
        let units = persons.get(&(key(0), key(1))).map_or(0, Vec::len);
        let out = matches!(cell.value, sluice_domain::candidate::CellValue::Published(_));
        assert!(!out || units >= 500, "{units}");
    }
    assert!(page.next_steps.iter().any(|step| step.zh.contains("更靠近中位的分位数")), "{:?}", page.next_steps);
}
