//! The shared cases (`tests/cases` at the top of the repository): microdata with the
//! verdict that the gate must reach, checked against the stages of route C.
//!
//! What a case asks of later parts of the gate is left to them: the release ledger
//! between jobs (`two_geographies`), and refusing min and max at planning (`minmax`,
//! which the contract's types cannot even express).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use common::{Row, dimension, recoverable, table, tabulate};
use serde_json::Value;
use sluice_domain::{
    candidate::Reason,
    catalogue::Key,
    contract::{Aggregate, TableC, Totals},
};
use sluice_gate::route_c::{JudgedTable, Rules, Switch, primary, secondary};

/// Key of a cell, as the case writes it: dimension → value.
type CellName = BTreeMap<String, String>;

struct Outcome {
    /// Inner cells with a primary reason.
    unsafe_cells: BTreeMap<CellName, BTreeSet<Reason>>,
    /// Inner cells without one.
    safe_cells: usize,
    added: usize,
    unrecoverable: bool,
}

fn case(id: &str) -> Value {
    serde_json::from_str(&read(&format!("{id}.json"))).unwrap()
}

fn read(file: &str) -> String {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    std::fs::read_to_string(cases.join(file)).unwrap()
}

fn rules(of: &Value) -> Rules {
    Rules {
        threshold: of["threshold"].as_u64(),
        p_percent: of["p_percent"].as_f64(),
        dominance_share: of["dominance"]["k"].as_f64(),
        largest_share: of["largest_share"].as_f64(),
        all_same: if of["all_same"] == true { Switch::On } else { Switch::Off },
        zeros: if of["zeros"] == "unsafe" { Switch::On } else { Switch::Off },
        negatives: Switch::On,
    }
}

/// The microdata of a case: names compare as the strings of the CSV, blank is missing.
fn microdata(case: &Value) -> Vec<Row> {
    let csv = read(case["data"]["file"].as_str().unwrap());
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .enumerate()
        .map(|(i, line)| {
            let fields: Vec<(&str, &str)> = header.iter().copied().zip(line.split(',')).collect();
            let unit = case["data"]["unit"].as_str().map_or_else(
                || i.to_string(),
                |column| fields.iter().find(|(name, _)| *name == column).unwrap().1.to_owned(),
            );
            Row {
                unit,
                codes: fields.iter().map(|(n, v)| ((*n).to_owned(), Key::Text((*v).to_owned()))).collect(),
                values: fields.iter().filter_map(|(n, v)| Some(((*n).to_owned(), v.parse().ok()?))).collect(),
            }
        })
        .collect()
}

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn table_of(job: &Value, rows: &[Row]) -> TableC {
    let observed = |name: &str| -> Vec<Key> {
        rows.iter().map(|r| r.codes[name].clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let dimensions = job["dimensions"].as_array().unwrap().iter().map(|d| {
        let name = d.as_str().unwrap();
        let declared = job["domain"][name].as_array();
        dimension(
            name,
            declared.map_or_else(|| observed(name), |keys| keys.iter().map(|k| Key::Text(string(k))).collect()),
        )
    });
    let measures: Vec<(Aggregate, Option<&str>)> = job["measures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| match (m["agg"].as_str().unwrap(), m["column"].as_str()) {
            ("count", _) => (Aggregate::Rows, None),
            ("sum", column) => (Aggregate::Sum, column),
            ("mean", column) => (Aggregate::Mean, column),
            (other, _) => unreachable!("{other}"),
        })
        .collect();
    let filter = job["filter"].as_object().into_iter().flatten().map(|(name, value)| {
        let keys = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        (dimension(name, observed(name)), keys.iter().map(|k| Key::Text(string(k))).collect())
    });
    let totals = if job["totals"] == "true" { Totals::True } else { Totals::None };
    table(job["name"].as_str().unwrap(), dimensions.collect(), &measures, filter.collect(), totals)
}

fn run(case: &Value, job: &Value) -> Outcome {
    let (rules, rows) = (rules(&case["rules"]), microdata(case));
    let n = usize::try_from(case["rules"]["dominance"]["n"].as_u64().unwrap_or(2)).unwrap();
    let table = table_of(job, &rows);
    let judged: JudgedTable = primary(&table, &tabulate(&table, &rows, n), &rules).unwrap();
    let added = secondary(&[(&table, &judged)], &rules, 20_000).unwrap().remove(0);
    let sizes: Vec<usize> = table.plan.dimensions.iter().map(|d| d.domain.len()).collect();
    let atoms = sizes.iter().fold(vec![vec![]], |atoms: Vec<Vec<u32>>, size| {
        atoms
            .iter()
            .flat_map(|a| (0..u32::try_from(*size).unwrap()).map(move |i| [a.as_slice(), &[i]].concat()))
            .collect()
    });
    let (mut outcome, mut published, mut hidden) = (
        Outcome { unsafe_cells: BTreeMap::new(), safe_cells: 0, added: added.len(), unrecoverable: true },
        vec![],
        vec![],
    );
    for (i, (key, reasons)) in judged.verdicts().enumerate() {
        let inside = |atom: &Vec<u32>| u64::from(atom.iter().zip(key).all(|(a, k)| k.is_none_or(|k| k == *a)));
        let vector: Vec<u64> = atoms.iter().map(inside).collect();
        if reasons.is_empty() && !added.contains(&i) {
            published.push(vector)
        } else {
            hidden.push(vector)
        }
        if key.iter().any(Option::is_none) {
            continue;
        }
        if reasons.is_empty() {
            outcome.safe_cells += 1;
        } else {
            let names = table.plan.dimensions.iter().zip(key);
            let name = names.map(|(d, k)| (d.name.clone(), d.domain[k.unwrap() as usize].0.to_string())).collect();
            outcome.unsafe_cells.insert(name, reasons.clone());
        }
    }
    outcome.unrecoverable = !hidden.iter().any(|vector| recoverable(&published, vector));
    outcome
}

/// Compares with `expected.jobs[]` and the totals of the case.
fn check(id: &str) {
    let case = case(id);
    for (job, expected) in case["jobs"].as_array().unwrap().iter().zip(case["expected"]["jobs"].as_array().unwrap()) {
        let outcome = run(&case, job);
        let wanted: BTreeMap<CellName, BTreeSet<Reason>> = expected["cells"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cell| {
                let key = cell["key"].as_object().unwrap().iter().map(|(d, v)| (d.clone(), string(v))).collect();
                // This version withholds what the cases send to a person.
                let reasons = match cell["status"].as_str().unwrap() {
                    "review" => BTreeSet::from([Reason::Negative]),
                    _ => serde_json::from_value(cell["reasons"].clone()).unwrap(),
                };
                (key, reasons)
            })
            .collect();
        assert_eq!(outcome.unsafe_cells, wanted, "{id}");
        if let Some(most) = case["expected"]["secondary_at_most"].as_u64() {
            assert!(outcome.added as u64 <= most, "{id}: {} cells were added", outcome.added);
        }
        assert!(outcome.unrecoverable, "{id}: a withheld cell follows from published ones");
        assert_eq!(outcome.safe_cells as u64, expected["safe_cells"].as_u64().unwrap(), "{id}");
    }
}

#[test]
fn counts_by_year_and_grant_type() {
    check("freq");
}

#[test]
fn empty_cells_of_a_declared_domain_are_unsafe() {
    check("zeros");
}

#[test]
fn forty_eight_rows_of_eight_units_are_eight() {
    check("units_not_rows");
}

#[test]
fn negative_contributions_are_withheld_unless_a_threshold_already_does() {
    check("negatives");
}

#[test]
fn a_wide_table_of_sums_is_safe() {
    check("synthetic_2d");
}

#[test]
fn one_small_cell_with_true_totals_is_not_recoverable() {
    check("secondary");
}

/// Each of the two tables is safe by itself; that their difference is not is for the
/// release ledger to say.
#[test]
fn two_geographies_are_each_safe() {
    check("two_geographies");
}

/// The two geographies in one job: the gate sees both at once, and one of every two
/// cells whose difference is a handful of people goes.
#[test]
fn two_geographies_in_one_job_are_not_both_published() {
    let case = case("two_geographies");
    let (rules, rows) = (rules(&case["rules"]), microdata(&case));
    let tables: Vec<TableC> = case["jobs"].as_array().unwrap().iter().map(|job| table_of(job, &rows)).collect();
    let judged: Vec<JudgedTable> = tables.iter().map(|t| primary(t, &tabulate(t, &rows, 2), &rules).unwrap()).collect();
    let pairs: Vec<(&TableC, &JudgedTable)> = tables.iter().zip(&judged).collect();
    let added = secondary(&pairs, &rules, 20_000).unwrap();
    let both_published = (0..judged[0].len()).filter(|i| !added[0].contains(i) && !added[1].contains(i));
    let names: Vec<Vec<String>> = both_published
        .map(|i| {
            let (key, _) = judged[0].verdicts().nth(i).unwrap();
            let dimensions = tables[0].plan.dimensions.iter().zip(key);
            dimensions.map(|(d, k)| d.domain[k.unwrap() as usize].0.to_string()).collect()
        })
        .collect();
    for must_go in case["expected"]["must_withhold_in_job2"].as_array().unwrap() {
        let must_go: Vec<String> = must_go.as_array().unwrap().iter().map(string).collect();
        assert!(!names.contains(&must_go), "{must_go:?} is published twice");
    }
}
