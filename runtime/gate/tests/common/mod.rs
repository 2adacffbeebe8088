//! A plain tabulation of plain rows, for tests that need true statistics. It is the
//! slow, obvious way: collect every unit's sum, then sort.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringBitmap;
use sluice_domain::{
    agreement::ProductForm,
    catalogue::Key,
    contract::{
        Aggregate, Contract, Dimension, Limits, MarkPolicy, MeasureC, ProductTerms, Profile, Table, TableC, Tabulation,
        Totals,
    },
};
use sluice_rows::cells::{CellKey, CellStats, Cells, MeasureStats, Squares};

/// One row of microdata.
pub(crate) struct Row {
    pub(crate) unit: String,
    pub(crate) codes: BTreeMap<String, Key>,
    pub(crate) values: BTreeMap<String, f64>,
}

pub(crate) fn dimension(name: &str, keys: Vec<Key>) -> Dimension {
    let domain = keys.into_iter().map(|k| (k.clone(), k.to_string())).collect();
    Dimension { name: name.into(), title: name.into(), domain, base: None }
}

pub(crate) fn ints(n: usize) -> Vec<Key> {
    (0..i64::try_from(n).unwrap()).map(Key::Int).collect()
}

pub(crate) fn table(
    name: &str,
    dimensions: Vec<Dimension>,
    measures: &[(Aggregate, Option<&str>)],
    filter: Vec<(Dimension, Vec<Key>)>,
    totals: Totals,
) -> TableC {
    let measures = measures
        .iter()
        .enumerate()
        .map(|(i, (aggregate, column))| MeasureC {
            name: format!("m{i}"),
            aggregate: *aggregate,
            column: column.map(str::to_owned),
        })
        .collect();
    let (view, derived, impossible) = ("v".parse().unwrap(), BTreeMap::new(), vec![]);
    let plan = Tabulation { view, dimensions, measures, filter, derived, impossible };
    TableC { name: name.into(), sql: String::new(), plan, totals }
}

/// True statistics of every cell and margin that holds a row; `n` of the dominance rule.
pub(crate) fn tabulate(table: &TableC, rows: &[Row], n: usize) -> Cells {
    let plan = &table.plan;
    let mut members: BTreeMap<CellKey, Vec<&Row>> = BTreeMap::new();
    let mut numbers: HashMap<CellKey, RoaringBitmap> = HashMap::new();
    for (number, row) in (0u32..).zip(rows) {
        if !plan.filter.iter().all(|(d, keys)| keys.contains(&row.codes[&d.name])) {
            continue;
        }
        let positions: Vec<u32> = plan
            .dimensions
            .iter()
            .map(|d| u32::try_from(d.domain.iter().position(|(k, _)| *k == row.codes[&d.name]).unwrap()).unwrap())
            .collect();
        numbers.entry(positions.iter().copied().map(Some).collect()).or_default().insert(number);
        let patterns = if table.totals == Totals::None { 1 } else { 1u32 << positions.len() };
        for pattern in 0..patterns {
            let key = positions.iter().enumerate().map(|(i, p)| (pattern >> i & 1 == 0).then_some(*p)).collect();
            members.entry(key).or_default().push(row);
        }
    }
    let stats = |rows: Vec<&Row>| CellStats {
        rows: rows.len() as u64,
        units: rows.iter().map(|r| &r.unit).collect::<BTreeSet<_>>().len() as u64,
        measures: plan
            .measures
            .iter()
            .map(|m| m.column.as_ref().map_or_else(MeasureStats::default, |column| measure(&rows, column, n)))
            .collect(),
    };
    Cells::new(members.into_iter().map(|(key, rows)| (key, stats(rows))).collect(), numbers)
}

fn measure(rows: &[&Row], column: &str, n: usize) -> MeasureStats {
    let values: Vec<(&str, f64)> =
        rows.iter().filter_map(|r| Some((r.unit.as_str(), *r.values.get(column)?))).collect();
    let mut by_unit: BTreeMap<&str, f64> = BTreeMap::new();
    for (unit, value) in &values {
        *by_unit.entry(unit).or_default() += value;
    }
    let mut sums: Vec<f64> = by_unit.into_values().collect();
    sums.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    let at = |i: usize| sums.get(i).copied().unwrap_or(0.0);
    MeasureStats {
        count: values.len() as u64,
        units: sums.len() as u64,
        sum: values.iter().map(|(_, v)| v).sum(),
        abs_sum: sums.iter().map(|s| s.abs()).sum(),
        top: [at(0), at(1)],
        top_n_sum: sums.iter().take(n).sum(),
        any_negative: values.iter().any(|(_, v)| *v < 0.0),
        all_same: sums.windows(2).all(|w| w[0] == w[1]),
        squares: Some(squares(&values, n)),
        quantile: None,
    }
}

fn squares(values: &[(&str, f64)], n: usize) -> Squares {
    let mut by_unit: BTreeMap<&str, f64> = BTreeMap::new();
    for (unit, value) in values {
        *by_unit.entry(unit).or_default() += value * value;
    }
    let mut sums: Vec<f64> = by_unit.into_values().collect();
    sums.sort_by(|a, b| b.total_cmp(a));
    let at = |i: usize| sums.get(i).copied().unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let mean = values.iter().map(|(_, v)| v).sum::<f64>() / values.len().max(1) as f64;
    Squares {
        sum: sums.iter().sum(),
        top: [at(0), at(1)],
        top_n_sum: sums.iter().take(n).sum(),
        all_same: sums.windows(2).all(|w| w[0] == w[1]),
        deviations: values.iter().map(|(_, v)| (v - mean) * (v - mean)).sum(),
    }
}

/// The rank of 0/1 vectors modulo a prime that the product does not use, by plain
/// dense elimination.
pub(crate) fn rank(vectors: &[Vec<u64>]) -> usize {
    const P: u64 = 998_244_353;
    let power = |mut base: u64, mut exponent: u64| {
        let mut result = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * base % P;
            }
            base = base * base % P;
            exponent >>= 1;
        }
        result
    };
    let mut rows = vectors.to_vec();
    let width = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..width {
        let Some(pivot) = (rank..rows.len()).find(|r| rows[*r][column] != 0) else { continue };
        rows.swap(rank, pivot);
        let (done, rest) = rows.split_at_mut(rank + 1);
        let lead = &done[rank];
        let inverse = power(lead[column], P - 2);
        for row in rest {
            let factor = row[column] * inverse % P;
            for (value, of_lead) in row.iter_mut().zip(lead) {
                *value = (*value + (P - factor) * of_lead) % P;
            }
        }
        rank += 1;
    }
    rank
}

/// Whether `vector` is a linear combination of `published`.
pub(crate) fn recoverable(published: &[Vec<u64>], vector: &[u64]) -> bool {
    let mut with = published.to_vec();
    with.push(vector.to_vec());
    rank(&with) == rank(published)
}

/// A contract of these tables that pays for no noise.
pub(crate) fn contract(tables: Vec<Table>) -> Contract {
    let limits = Limits {
        fuel: 1,
        outer_fuel: 1,
        memory_mib: 1,
        stack_kib: 64,
        input_rows: 8,
        rows_max: 8,
        output_kib: 1,
        instances: 1,
        wall_seconds: 1,
    };
    Contract {
        version: 2,
        name: "job".into(),
        agreement: "agreement".parse().unwrap(),
        scenario: "scenario".parse().unwrap(),
        rulepack: "2026.2".into(),
        guest: None,
        params: [].into(),
        inputs: [].into(),
        tables,
        limits,
        profile: Profile::Standard,
        rounds: None,
        report: None,
        tick_seconds: 1,
        product: ProductTerms {
            title: "job".into(),
            form: ProductForm::DataReport,
            recipients: vec![],
            mark: MarkPolicy::None,
        },
        rho: 0.0,
        delta: 0.0,
    }
}
