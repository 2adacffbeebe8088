//! The gate's suppression over tables that are tabulated already: a JSON file of table
//! sets in, the fate of every cell out. For comparisons with other programs
//! (`tests/utility/README.md`), run by hand; no part of the product.
//!
//! `cargo run -p sluice-gate --example suppress -- SETS.json FATES.jsonl`
#![expect(clippy::unwrap_used, reason = "a development tool may fail loudly")]

use std::io::Write;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use sluice_domain::{
    candidate::Reason,
    catalogue::Key,
    contract::{Aggregate, Base, Dimension, MeasureC, TableC, Tabulation, Totals},
    rulepack::RulePack,
};
use sluice_gate::route_c::{Depth, JudgedTable, Rules, Sensitivity, primary, secondary_to};
use sluice_rows::cells::{CellKey, CellStats, Cells, MeasureStats};

#[derive(Deserialize)]
struct Set {
    name: String,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    dimensions: Vec<Axis>,
    /// "rows", "units", "count:COLUMN" or "sum:COLUMN".
    measures: Vec<String>,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Axis {
    name: String,
    codes: usize,
    /// The finest parts' name and, of each, the code it belongs to.
    base: Option<(String, Vec<u32>)>,
}

#[derive(Deserialize)]
struct Cell {
    key: CellKey,
    rows: u64,
    units: u64,
    measures: Vec<Stats>,
}

#[derive(Deserialize)]
struct Stats {
    count: u64,
    units: u64,
    sum: f64,
    abs_sum: f64,
    top: [f64; 2],
    negative: bool,
    all_same: bool,
}

/// What became of one set.
#[derive(Serialize)]
struct Fates {
    name: String,
    seconds: f64,
    /// Per table, per cell in canonical order: its key and its primary reasons.
    cells: Vec<Vec<(CellKey, BTreeSet<Reason>)>>,
    /// Per depth and table: the positions of the cells withheld besides.
    secondary: BTreeMap<&'static str, Vec<BTreeSet<usize>>>,
}

fn main() {
    let mut files = std::env::args().skip(1);
    let (input, output) = (files.next().unwrap(), files.next().unwrap());
    let sets: Vec<Set> = serde_json::from_slice(&std::fs::read(input).unwrap()).unwrap();
    let mut output = std::fs::File::create(output).unwrap();
    for set in &sets {
        writeln!(output, "{}", serde_json::to_string(&decide(set)).unwrap()).unwrap();
    }
}

fn decide(set: &Set) -> Fates {
    let rules = Rules::of(&RulePack::shipped().unwrap().disclosure, Sensitivity::Ordinary);
    let plans: Vec<TableC> = set.tables.iter().map(plan).collect();
    let judged: Vec<JudgedTable> =
        plans.iter().zip(&set.tables).map(|(plan, table)| primary(plan, &cells(table), &rules).unwrap()).collect();
    let pairs: Vec<(&TableC, &JudgedTable)> = plans.iter().zip(&judged).collect();
    let depths = [("elimination", Depth::Elimination), ("unions", Depth::Unions), ("audited", Depth::Audited)];
    let begin = std::time::Instant::now();
    let of_depth = |(name, depth)| (name, secondary_to(depth, &pairs, &rules, 200_000).unwrap());
    let secondary: BTreeMap<_, _> = depths.into_iter().map(of_depth).collect();
    let seconds = begin.elapsed().as_secs_f64();
    let verdicts = |table: &JudgedTable| table.verdicts().map(|(key, why)| (key.clone(), why.clone())).collect();
    Fates { name: set.name.clone(), seconds, cells: judged.iter().map(verdicts).collect(), secondary }
}

fn plan(table: &Table) -> TableC {
    let dimension = |axis: &Axis| Dimension {
        name: axis.name.clone(),
        title: axis.name.clone(),
        domain: (0i64..).take(axis.codes).map(|i| (Key::Int(i), i.to_string())).collect(),
        base: axis.base.clone().map(|(name, of_part)| Base { name, of_part }),
    };
    let measure = |text: &String| {
        let (word, column) = text.split_once(':').map_or((text.as_str(), None), |(w, c)| (w, Some(c.to_owned())));
        let aggregate = match word {
            "rows" => Aggregate::Rows,
            "units" => Aggregate::Units,
            "count" => Aggregate::Count,
            _ => Aggregate::Sum,
        };
        MeasureC { name: text.clone(), aggregate, column }
    };
    let plan = Tabulation {
        view: "v".parse().unwrap(),
        dimensions: table.dimensions.iter().map(dimension).collect(),
        measures: table.measures.iter().map(measure).collect(),
        filter: Vec::new(),
        derived: BTreeMap::new(),
        impossible: vec![],
    };
    let margins = table.cells.iter().any(|cell| cell.key.iter().any(Option::is_none));
    let totals = if margins { Totals::True } else { Totals::None };
    TableC { name: "t".into(), sql: String::new(), plan, totals }
}

fn cells(table: &Table) -> Cells {
    let measure = |stats: &Stats| MeasureStats {
        count: stats.count,
        units: stats.units,
        sum: stats.sum,
        abs_sum: stats.abs_sum,
        top: stats.top,
        top_n_sum: stats.top.iter().map(|x| x.abs()).sum(),
        any_negative: stats.negative,
        all_same: stats.all_same,
        ..MeasureStats::default()
    };
    let cell = |cell: &Cell| {
        let measures = cell.measures.iter().map(measure).collect();
        (cell.key.clone(), CellStats { rows: cell.rows, units: cell.units, measures })
    };
    Cells::new(table.cells.iter().map(cell).collect(), HashMap::new())
}
