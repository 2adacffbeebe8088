//! The examples in Python, JavaScript and C through the whole service, on real data,
//! against the same statistics computed here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sluice_domain::{
    candidate::{Candidate, CandidateTable, CellValue},
    catalogue::Key,
};

use crate::{
    raw,
    town::{Town, guest, randhie},
};

const WAGE_GAP: &str = include_str!("../../../guest-examples/wage-gap/job.toml");
const WEEKS_WORKED: &str = include_str!("../../../guest-examples/weeks-worked/job.toml");
const RATIO: &str = include_str!("../../../guest-examples/ratio/job.toml");
const CENSUS: &str = include_str!("../../../guest-examples/domain/census.toml");
const LABOUR: &str = include_str!("../../../guest-examples/domain/labour-statistics-2026.toml");

fn census() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/census_income.parquet")
}

async fn candidate(town: &Town, job: &str, component: &str) -> Candidate {
    let (_, run) = town.run(job, Some(&guest(component))).await;
    let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
    bench.candidate.clone()
}

/// The published numbers of each cell, by the measures' names.
fn cells(table: &CandidateTable) -> Vec<(Vec<Option<Key>>, BTreeMap<&str, f64>)> {
    let numbers = |value: &CellValue| match value {
        CellValue::Published(numbers) => {
            table.measures.iter().zip(numbers).filter_map(|(m, n)| Some((m.name.as_str(), (*n)?))).collect()
        }
        CellValue::Withheld(_) => panic!("noised cells are published"),
    };
    table.cells.iter().map(|cell| (cell.key.clone(), numbers(&cell.value))).collect()
}

/// Half the width of the 95 % interval of measure `name`.
fn error(table: &CandidateTable, name: &str) -> f64 {
    table.measures.iter().find(|m| m.name.as_str() == name).unwrap().error_95.unwrap()
}

/// The median of all differences between a man's and a woman's wage, over everybody.
fn exact_gap() -> f64 {
    let mut wages = BTreeMap::<String, BTreeMap<i64, i64>>::new();
    for row in raw::rows(&census()) {
        let cents = raw::int(&row, "wage_per_hour");
        if cents > 0 {
            *wages.entry(raw::text(&row, "sex")).or_default().entry(cents).or_default() += 1;
        }
    }
    let mut differences = BTreeMap::<i64, i64>::new();
    for (man, men) in &wages["Male"] {
        for (woman, women) in &wages["Female"] {
            *differences.entry(man - woman).or_default() += men * women;
        }
    }
    let half = differences.values().sum::<i64>() / 2;
    let mut below = 0;
    let median = differences.iter().find(|(_, pairs)| {
        below += **pairs;
        below > half
    });
    *median.unwrap().0 as f64 / 100.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_guest_estimates_the_wage_gap_over_blocks() {
    let town = Town::with(&census(), CENSUS, LABOUR).await;
    let candidate = candidate(&town, WAGE_GAP, "wage_gap.wasm").await;
    let table = &candidate.tables[0];
    let (gap, exact, error) = (cells(table)[0].1["gap"], exact_gap(), error(table, "gap"));
    println!("gap {gap:.2} ± {error:.2} dollars; over everybody {exact:.2}");
    assert!(exact > 1.0 && error < 0.35, "{exact} ± {error}");
    // The mean of 400 blocks' medians is not the median over all: 0.2 beside the noise.
    assert!((gap - exact).abs() < 0.2 + 2.6 * error, "{gap} against {exact}");
}

/// Every hundredth person, as CSV: a fresh engine for each of all takes minutes.
fn sample(folder: &Path) -> (PathBuf, Vec<parquet::record::Row>) {
    let rows: Vec<_> = raw::rows(&census()).into_iter().step_by(100).collect();
    let path = folder.join("sample.csv");
    let mut file = csv::Writer::from_path(&path).unwrap();
    file.write_record(rows[0].get_column_iter().map(|(name, _)| name)).unwrap();
    for row in &rows {
        let value = |field: &parquet::record::Field| field.to_string().trim_matches('"').to_owned();
        file.write_record(row.get_column_iter().map(|(_, field)| value(field))).unwrap();
    }
    file.flush().unwrap();
    (path, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_javascript_guest_counts_weeks_worked_person_by_person() {
    let folder = tempfile::tempdir().unwrap();
    let (data, rows) = sample(folder.path());
    let town = Town::with(&data, &CENSUS.replace("format = \"parquet\"", "format = \"csv\""), LABOUR).await;
    let candidate = candidate(&town, WEEKS_WORKED, "weeks_worked.wasm").await;
    let mut exact = BTreeMap::<String, (f64, f64)>::new();
    for row in rows.iter().filter(|row| (25..=64).contains(&raw::int(row, "age"))) {
        let cell = exact.entry(raw::text(row, "education")).or_default();
        *cell = (cell.0 + 1.0, cell.1 + raw::float(row, "weeks_worked"));
    }
    let table = &candidate.tables[0];
    assert_eq!(table.cells.len(), 17, "a cell for each level of education");
    let mut largest: f64 = 0.0;
    for (key, numbers) in cells(table) {
        let Some(Key::Text(level)) = &key[0] else { panic!("a level: {key:?}") };
        let (persons, weeks) = exact.get(level).copied().unwrap_or_default();
        for (name, exact) in [("persons", persons), ("weeks", weeks)] {
            // Eight standard deviations.
            let error = 4.1 * error(table, name);
            assert!((numbers[name] - exact).abs() < error, "{name} of {level}: {} against {exact}", numbers[name]);
            largest = largest.max(exact / error);
        }
    }
    assert!(largest > 4.0, "the noise does not drown everything: {largest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_c_guest_sums_spending_per_coinsurance_group() {
    let town = Town::start().await;
    let candidate = candidate(&town, RATIO, "ratio.wasm").await;
    // Per person: the group of the first year, and both amounts where both are known.
    let mut persons = BTreeMap::<i64, Vec<(i64, i64, f64, f64)>>::new();
    for row in raw::rows(&randhie()) {
        let amounts = (raw::float(&row, "outpdol"), raw::float(&row, "meddol"));
        let year = (raw::int(&row, "year"), raw::int(&row, "coins"), amounts.0, amounts.1);
        persons.entry(raw::int(&row, "zper")).or_default().push(year);
    }
    let mut exact = BTreeMap::<i64, (f64, f64)>::new();
    for years in persons.values_mut() {
        years.sort_by_key(|(year, ..)| *year);
        let cell = exact.entry(years[0].1).or_default();
        cell.0 += years.iter().map(|y| y.2).sum::<f64>().clamp(0.0, 2000.0).round_ties_even();
        cell.1 += years.iter().map(|y| y.3).sum::<f64>().clamp(0.0, 4000.0).round_ties_even();
    }
    let table = &candidate.tables[0];
    assert_eq!(table.cells.len(), exact.len());
    let mut largest: f64 = 0.0;
    for (key, numbers) in cells(table) {
        let Some(Key::Int(group)) = key[0] else { panic!("a group: {key:?}") };
        let (outpatient, all) = exact[&group];
        for (name, exact) in [("outpatient", outpatient), ("all", all)] {
            let error = 4.1 * error(table, name);
            assert!((numbers[name] - exact).abs() < error, "{name} at {group}: {} against {exact}", numbers[name]);
            largest = largest.max(exact / error);
        }
        println!(
            "{group}: outpatient share {:.3}, exactly {:.3}",
            numbers["outpatient"] / numbers["all"],
            outpatient / all
        );
    }
    assert!(largest > 4.0, "the noise does not drown everything: {largest}");
}
