//! The real file: 20 190 person-years of 5 912 people, against folds written apart.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
};

use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch, UInt32Array, UInt64Array},
        compute::{concat_batches, take_record_batch},
        datatypes::{DataType, Field, Float64Type, Int64Type, Schema},
    },
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
};
use futures::StreamExt;
use sluice_domain::{
    agreement::{Mask, View},
    catalogue::CatalogueEntry,
    contract::Totals,
    state::GrantedView,
};
use sluice_rows::{ROW_COLUMN, UNIT_COLUMN};
use std::sync::Arc;

use super::reader;
use crate::{plan_input, plan_table};

/// The whole file, sorted by person, with a unit column: what ingest makes of it.
fn claims() -> RecordBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/randhie.parquet");
    let file = File::open(path).unwrap();
    let batches: Vec<_> =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    let people = all.column_by_name("zper").unwrap().as_primitive::<Int64Type>();
    let mut order: Vec<u64> = (0..all.num_rows() as u64).collect();
    order.sort_by_key(|row| people.value(*row as usize));
    let sorted = take_record_batch(&all, &UInt64Array::from(order)).unwrap();
    let units = sorted.column_by_name("zper").unwrap().as_primitive::<Int64Type>();
    let units = UInt64Array::from_iter_values(units.values().iter().map(|u| u.cast_unsigned()));
    let mut fields: Vec<_> = sorted.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(ROW_COLUMN, DataType::UInt32, false));
    fields.push(Field::new(UNIT_COLUMN, DataType::UInt64, false));
    let mut columns = sorted.columns().to_vec();
    columns.push(Arc::new(UInt32Array::from_iter_values((0u32..).take(sorted.num_rows()))));
    columns.push(Arc::new(units));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn view(filter: Option<&str>) -> GrantedView {
    let column = |name: &str, kind: &str, role: &str, codes: &[i64]| {
        let codes: Vec<_> = codes.iter().map(|c| format!("{{ value = {c}, label = \"{c}\" }}")).collect();
        format!(
            "[[column]]\nname = \"{name}\"\ntitle = \"{name}\"\ntype = \"{kind}\"\nlevel = \"L2\"\nrole = \"{role}\"\ncodes = [{}]\n",
            codes.join(", ")
        )
    };
    let head = super::TOWN.split("[[column]]").next().unwrap().replace("\"id\"", "\"zper\"");
    let plans: Vec<i64> = (1..=19).collect();
    let entry = [
        head,
        column("zper", "int", "unit", &[]),
        column("plan", "int", "dimension", &plans),
        column("year", "int", "dimension", &[1, 2, 3, 4, 5]),
        column("coins", "int", "dimension", &[0, 25, 50, 95, 100]),
        column("xage", "float", "attribute", &[]),
        column("mdvis", "int", "measure", &[]),
        column("outpdol", "float", "measure", &[]),
        column("meddol", "float", "measure", &[]),
    ];
    let columns = ["zper", "plan", "year", "coins", "xage", "mdvis", "outpdol", "meddol"];
    GrantedView {
        id: "claims".parse().unwrap(),
        view: View {
            dataset: "people".parse().unwrap(),
            columns: columns.map(str::to_owned).to_vec(),
            filter: filter.map(str::to_owned),
            masks: BTreeMap::from([("xage".to_owned(), Mask::Bin { from: 0, to: 70, width: 10 })]),
            measures: std::collections::BTreeMap::new(),
        },
        entry: CatalogueEntry::parse(&entry.concat()).unwrap(),
        snapshot: "snap-000001".parse().unwrap(),
        roster_size: 5912,
    }
}

#[tokio::test]
async fn every_person_is_one_batch() {
    let (view, claims) = (view(None), claims());
    let (_dir, reader) = reader(&view, &claims);
    let plan = plan_input(std::slice::from_ref(&view), "SELECT zper, meddol FROM claims").unwrap();
    let units: Vec<_> = reader.units(&plan, 100).map(Result::unwrap).collect().await;
    assert_eq!(units.len(), 5912);
    assert_eq!(units.iter().map(sluice_rows::RowBatch::rows).sum::<usize>(), 20_190);
    for unit in &units {
        let people = unit.columns()[0].as_primitive::<Int64Type>();
        assert!(people.iter().all(|p| p == people.iter().next().unwrap()));
    }
}

#[tokio::test]
async fn a_table_equals_an_independent_fold() {
    let (view, claims) = (view(Some("year <= 4")), claims());
    let (_dir, reader) = reader(&view, &claims);
    let sql = "SELECT plan, year, count(*), sum(meddol), avg(mdvis) FROM claims WHERE coins IN (0, 25, 95) GROUP BY plan, year";
    let plan = plan_table(std::slice::from_ref(&view), sql).unwrap();
    let cells = reader.tabulate(&plan, Totals::True, 2).await.unwrap();

    let int = |name: &str| claims.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (people, plans, years, coins, visits) = (int("zper"), int("plan"), int("year"), int("coins"), int("mdvis"));
    let spent = claims.column_by_name("meddol").unwrap().as_primitive::<Float64Type>();
    // (plan or all, year or all) → person → (rows, spent in order, visits)
    type People = HashMap<i64, (u64, Vec<f64>, i64)>;
    let mut folded: HashMap<(Option<i64>, Option<i64>), People> = HashMap::new();
    for row in 0..claims.num_rows() {
        if years.value(row) > 4 || ![0, 25, 95].contains(&coins.value(row)) {
            continue;
        }
        for plan in [None, Some(plans.value(row))] {
            for year in [None, Some(years.value(row))] {
                let person = folded.entry((plan, year)).or_default().entry(people.value(row)).or_default();
                person.0 += 1;
                person.1.push(spent.value(row));
                person.2 += visits.value(row);
            }
        }
    }
    assert_eq!(cells.iter().count(), folded.len());
    for (key, stats) in cells.iter() {
        // Plans are coded 1–19 and years 1–5, so an index is the code less one.
        let code = |at: usize| key[at].map(|i| i64::from(i) + 1);
        let cell = &folded[&(code(0), code(1))];
        assert_eq!(stats.rows, cell.values().map(|p| p.0).sum::<u64>());
        assert_eq!(stats.units, cell.len() as u64);
        let mut each: Vec<f64> = cell.values().map(|p| p.1.iter().sum()).collect();
        each.sort_by(|a, b| b.total_cmp(a));
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
        let money = &stats.measures[1];
        // Ascending order keeps a plain sum accurate enough to compare with.
        assert!(close(money.sum, each.iter().rev().sum()), "{key:?}");
        assert!(close(money.abs_sum, money.sum));
        assert!(close(money.top[0], each[0]) && close(money.top[1], each.get(1).copied().unwrap_or(0.0)));
        assert!(close(money.top_n_sum, each.iter().take(2).sum()));
        assert_eq!((money.units, money.count, money.any_negative), (stats.units, stats.rows, false));
        let visited: i64 = cell.values().map(|p| p.2).sum();
        assert_eq!(stats.measures[2].sum, visited as f64);
    }
    let total = cells.iter().find(|(key, _)| *key == [None, None]).unwrap();
    assert!(total.1.units < total.1.rows, "people have more than one year");
}

#[tokio::test]
async fn a_binned_column_is_a_dimension() {
    let (view, claims) = (view(None), claims());
    let (_dir, reader) = reader(&view, &claims);
    let sql = "SELECT xage, count(*), count(DISTINCT zper) FROM claims GROUP BY xage";
    let plan = plan_table(std::slice::from_ref(&view), sql).unwrap();
    let cells = reader.tabulate(&plan, Totals::True, 2).await.unwrap();
    let mut decades = [0u64; 7];
    for age in claims.column_by_name("xage").unwrap().as_primitive::<Float64Type>().values() {
        decades[((age / 10.0).floor() as usize).min(6)] += 1;
    }
    for (key, stats) in cells.iter() {
        let expected = key[0].map_or(20_190, |i| decades[i as usize]);
        assert_eq!(stats.rows, expected);
    }
    assert_eq!(cells.iter().count(), 8);
}
