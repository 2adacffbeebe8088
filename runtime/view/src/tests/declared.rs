//! Declared binnings and approved measures: planned as dimensions and measures of their
//! own, computed behind the barrier, and refused where they do not fit.

use sluice_domain::{
    agreement::Mask,
    catalogue::{CatalogueEntry, Key},
    contract::{EventFile, SurvivalFile, Tabulation, Totals},
    state::GrantedView,
};
use sluice_rows::cells::{Cells, Zeros};

use super::{ALL, Row, TOWN, batch, granted, reader, row};
use crate::{plan_survival, plan_table, view_schema};

const BINNINGS: [(&str, &str); 3] = [
    (
        "title = \"Age\"\ntype = \"int\"\nlevel = \"L2\"\n",
        "[[column.binning]]\nname = \"age_band\"\ntitle = \"Age band\"\nedges = [18, 65]\nlabels = [\"young\", \"middle\", \"old\"]\n\
         [[column.binning]]\nname = \"adult\"\ntitle = \"Adult\"\nedges = [18]\nlabels = [\"no\", \"yes\"]\n",
    ),
    (
        "{ value = 3, label = \"three\" }]\n",
        "[[column.binning]]\nname = \"kind\"\ntitle = \"Kind of plan\"\n\
         groups = [{ label = \"first\", codes = [1] }, { label = \"rest\", codes = [3, 2] }]\n",
    ),
    (
        "title = \"Day of birth\"\ntype = \"date\"\nlevel = \"L3\"\nnullable = true\n",
        "[[column.binning]]\nname = \"born_when\"\ntitle = \"Born\"\nedges = [\"1970-02-01\"]\n\
         labels = [\"before\", \"after\"]\nmissing = \"unknown\"\n",
    ),
];

fn town() -> GrantedView {
    town_where("")
}

/// The town with more at the end of its catalogue.
fn town_where(more: &str) -> GrantedView {
    let toml = BINNINGS.iter().fold(TOWN.to_owned(), |toml, (after, binning)| {
        assert!(toml.contains(after), "{after}");
        toml.replacen(after, &format!("{after}{binning}"), 1)
    });
    let mut view = granted(&ALL, None, &[]);
    view.entry = CatalogueEntry::parse(&format!("{toml}{more}")).unwrap();
    view.view.measures = [("both".to_owned(), "spend + 2 * visits".to_owned())].into();
    view
}

async fn tabulate(rows: &[Row], sql: &str) -> (Tabulation, Cells) {
    let view = town();
    let plan = plan_table(std::slice::from_ref(&view), sql).unwrap();
    let (_dir, reader) = reader(&view, &batch(rows));
    let cells = reader.tabulate(&plan, Totals::None, 2).await.unwrap();
    (plan, cells)
}

/// Cell by cell: the labels, rows and units.
fn counts((plan, cells): &(Tabulation, Cells)) -> Vec<(String, u64, u64)> {
    let label = |key: &[Option<u32>]| {
        let parts = key.iter().zip(&plan.dimensions);
        parts.map(|(at, d)| d.domain[at.unwrap() as usize].0.to_string()).collect::<Vec<_>>().join(" ")
    };
    cells.iter().map(|(key, stats)| (label(key), stats.rows, stats.units)).collect()
}

#[tokio::test]
async fn a_binning_groups_and_filters_by_public_edges() {
    // Exactly at, just below and far beyond an edge; two rows of one person.
    let ages = [(1, 17), (1, 18), (2, 18), (3, 64), (4, 65), (5, i64::MAX), (6, i64::MIN)];
    let rows: Vec<Row> =
        ages.iter().enumerate().map(|(i, (u, age))| row(*u, *age, "c", i as i64 % 3 + 1, "f", 1.0)).collect();
    let table = |sql: &'static str| tabulate(&rows, sql);
    let of = |label: &str, rows, units| (label.to_owned(), rows, units);
    assert_eq!(
        counts(&table("SELECT age_band, count(*) FROM people GROUP BY age_band").await),
        [of("young", 2, 2), of("middle", 3, 3), of("old", 2, 2)]
    );
    assert_eq!(
        counts(
            &table("SELECT adult, kind, count(*) FROM people WHERE age_band IN ('middle', 'old') GROUP BY adult, kind")
                .await
        ),
        [of("yes first", 1, 1), of("yes rest", 4, 4)]
    );
    // Plans go 1 2 3 1 2 3 1.
    assert_eq!(
        counts(&table("SELECT kind, count(*) FROM people GROUP BY kind").await),
        [of("first", 3, 3), of("rest", 4, 4)]
    );
    // Days follow from the age; an age of 1 has none.
    let rows: Vec<Row> = [1i64, 2, 30, 31, 400].map(|age| row(age.cast_unsigned(), age, "c", 1, "f", 1.0)).to_vec();
    let table = tabulate(&rows, "SELECT born_when, count(*) FROM people GROUP BY born_when").await;
    assert_eq!(counts(&table), [of("before", 2, 2), of("after", 2, 2), of("unknown", 1, 1)]);
}

#[test]
fn the_levels_of_one_column_share_their_finest_parts() {
    let views = [town()];
    let dimension = |sql| plan_table(&views, sql).unwrap().dimensions.remove(0);
    let (fine, coarse) = (
        dimension("SELECT age_band, count(*) FROM people GROUP BY age_band"),
        dimension("SELECT adult, count(*) FROM people GROUP BY adult"),
    );
    let places =
        |d: &sluice_domain::contract::Dimension| (0..d.parts()).map(|p| d.place_of(p).unwrap()).collect::<Vec<_>>();
    assert_eq!((fine.base_name(), coarse.base_name()), ("age", "age"));
    assert_eq!((places(&fine), places(&coarse)), (vec![0, 1, 2], vec![0, 1, 1]));
    let kind = dimension("SELECT kind, count(*) FROM people GROUP BY kind");
    assert_eq!((kind.base_name(), places(&kind)), ("plan", vec![0, 1, 1]));
    for sql in [
        "SELECT age_band, adult, count(*) FROM people GROUP BY age_band, adult",
        "SELECT plan, kind, count(*) FROM people GROUP BY plan, kind",
    ] {
        assert_eq!(plan_table(&views, sql).unwrap_err().code, "sql.hierarchy");
    }
}

#[test]
fn a_range_over_a_binned_column_is_shown_its_bins() {
    let refusal = plan_table(&[town()], "SELECT count(*) FROM people WHERE age > 30").unwrap_err();
    assert_eq!(refusal.code, "sql.filter-range");
    assert!(refusal.next.en.contains("`age_band IN ('young', 'middle', 'old')`"), "{}", refusal.next.en);
    let refusal = plan_table(&[town()], "SELECT count(*) FROM people WHERE age_band <> 'old'").unwrap_err();
    assert!(refusal.next.en.contains("`age_band IN ('young', 'middle')`"), "{}", refusal.next.en);
}

#[test]
fn a_masked_column_shows_no_binning() {
    for mask in [Mask::Drop, Mask::Pseudonym, Mask::Bin { from: 0, to: 90, width: 30 }] {
        let mut view = town();
        view.view.masks = [("age".to_owned(), mask)].into();
        let names: Vec<String> = view_schema(&view).unwrap().into_iter().map(|c| c.name).collect();
        assert!(!names.iter().any(|n| n == "age_band" || n == "adult") && names.iter().any(|n| n == "kind"));
    }
}

#[tokio::test]
async fn an_approved_measure_is_summed_per_unit_and_zero_is_nobody() {
    let with = |unit, spend: Option<f64>, visits| Row { spend, visits, ..row(unit, 1, "c", 1, "f", 0.0) };
    // 1: 3 + 2·1 in two rows; 2: 4 − 4 = 0; 3: no value; 4: 7 + 0; 5: wraps nowhere.
    let rows = [
        with(1, Some(3.0), 0),
        with(1, Some(0.0), 1),
        with(2, Some(4.0), -2),
        with(3, None, 5),
        with(4, Some(7.0), 0),
        with(5, Some(0.0), i64::MAX),
    ];
    let (plan, cells) = tabulate(&rows, "SELECT sum(both), sum(visits) FROM people").await;
    assert_eq!(plan.derived, [("both".to_owned(), "spend + 2 * visits".to_owned())].into());
    let (_, stats) = cells.iter().next().unwrap();
    let both = &stats.measures[0];
    assert_eq!((both.count, both.units, both.any_negative), (5, 3, false));
    assert_eq!(both.top, [2.0 * i64::MAX as f64, 7.0]);
    // The same zero of a plain measure counts.
    assert_eq!((stats.units, stats.measures[1].units), (5, 5));
}

#[tokio::test]
async fn the_release_ledger_reads_approved_measures_too() {
    let with = |unit, spend: Option<f64>, visits| Row { spend, visits, ..row(unit, 1, "c", 1, "f", 0.0) };
    let rows = [with(1, Some(3.0), 1), with(2, Some(4.0), -2), with(3, None, 5)];
    let mut view = town();
    // What the view's own filter hides is in the ledger.
    view.view.filter = Some("visits > 0".to_owned());
    let (_dir, reader) = reader(&view, &batch(&rows));
    let snapshot = reader.snapshot_rows(&view.id, &["both".to_owned(), "visits".to_owned()]).await.unwrap();
    assert_eq!(snapshot.columns, [[Some(5.0), Some(0.0), None], [Some(1.0), Some(-2.0), Some(5.0)]]);
    assert_eq!(snapshot.zeros, [Zeros::Skip, Zeros::Count]);
    assert_eq!(snapshot.units, [1, 2, 3]);
}

#[test]
fn a_measure_that_is_not_plain_arithmetic_is_refused() {
    let code = |name: &str, formula: &str, mask: Option<(&str, Mask)>| {
        let mut view = town();
        view.view.measures = [(name.to_owned(), formula.to_owned())].into();
        view.view.masks = mask.into_iter().map(|(c, m)| (c.to_owned(), m)).collect();
        view_schema(&view).map_or_else(|refusal| refusal.code, |_| "taken")
    };
    assert_eq!(code("x", "-(spend - 3) / visits * age", None), "taken");
    for formula in [
        "id + spend",
        "7",
        "code",
        "abs(spend)",
        "CASE WHEN age > 3 THEN spend END",
        "sum(spend)",
        "spend;",
        "spend > 3",
        "(SELECT 1)",
    ] {
        assert_eq!(code("x", formula, None), "view.measure", "{formula}");
    }
    assert_eq!(code("x", "spend * age", Some(("age", Mask::Drop))), "view.measure");
    for name in ["spend", "age_band", "__unit", "a b"] {
        assert_eq!(code(name, "spend", None), "view.measure", "{name}");
    }
}

/// What is impossible of a column is known by its codes, and not by a mask's bins, nor by
/// how a curve counts it.
#[test]
fn a_column_of_impossible_combinations_is_no_dimension_behind_a_bin_and_ends_no_curve() {
    let view = town();
    let by_plan =
        |view: &GrantedView| plan_table(std::slice::from_ref(view), "SELECT plan, count(*) FROM people GROUP BY plan");
    let curve = |view: &GrantedView, time: &str, event| {
        let (time, event) = (time.to_owned(), EventFile::Codes(event));
        let file = SurvivalFile { view: view.id.clone(), time, event, by: vec![], steps: vec![1.0], filter: [].into() };
        plan_survival(std::slice::from_ref(view), "s", &file).map(drop).map_err(|refusal| refusal.code)
    };
    let sexes = || [("sex".to_owned(), vec![Key::Text("f".into())])].into();
    let kinds = || [("kind".to_owned(), vec![Key::Text("first".into())])].into();
    assert_eq!(by_plan(&view).unwrap().impossible, []);
    assert_eq!([curve(&view, "plan", sexes()), curve(&view, "visits", kinds())], [Ok(()), Ok(())]);

    let mut view = town_where("[[impossible]]\nbasis = 'b'\ncodes = { kind = ['rest'], age_band = ['young'] }\n");
    let [told] = by_plan(&view).unwrap().impossible.try_into().unwrap();
    // The kind holds plans 2 and 3; the ages are cut at 18 and 65.
    assert_eq!((&told.side("plan").unwrap().inside, told.side("age").unwrap().parts), (&vec![1, 2], 3));
    let bound = Err("survival.impossible");
    assert_eq!([curve(&view, "plan", sexes()), curve(&view, "visits", kinds())], [bound, bound]);
    assert_eq!(curve(&view, "visits", sexes()), Ok(()));
    view.view.masks = [("plan".to_owned(), Mask::Bin { from: 0, to: 4, width: 2 })].into();
    assert_eq!(by_plan(&view).unwrap_err().code, "sql.dimension");
    view.entry.impossible.clear();
    assert!(by_plan(&view).is_ok(), "a bin is a dimension else");
}

#[test]
fn a_code_that_no_bin_has_is_refused() {
    let refusal = plan_table(&[town()], "SELECT count(*) FROM people WHERE age_band = 'ancient'").unwrap_err();
    assert_eq!(refusal.code, "sql.code");
    let plan = plan_table(&[town()], "SELECT count(*) FROM people WHERE age_band = 'old'").unwrap();
    assert_eq!(plan.filter[0].1, [Key::Text("old".into())]);
}
