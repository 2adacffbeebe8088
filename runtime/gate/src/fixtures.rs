//! Small contracts and guest outputs for the unit tests.

use sluice_domain::{
    agreement::ProductForm,
    catalogue::Key,
    contract::{Contract, Dimension, Limits, MarkPolicy, MeasureA, ProductTerms, Profile, Table, TableA},
};

use crate::intake::{RawBatch, RawColumn};

pub(crate) fn dimension(name: &str, keys: Vec<Key>) -> Dimension {
    Dimension {
        name: name.into(),
        title: name.into(),
        domain: keys.into_iter().map(|k| (k.clone(), k.to_string())).collect(),
        base: None,
    }
}

pub(crate) fn ints(n: i64) -> Vec<Key> {
    (0..n).map(Key::Int).collect()
}

/// A table with one integer dimension of `keys` keys and the given (lo, hi, grid).
pub(crate) fn table(keys: i64, measures: &[(i64, i64, u32)], keys_per_unit: u32, rho: f64) -> TableA {
    TableA {
        name: "t".into(),
        dimensions: vec![dimension("k", ints(keys))],
        measures: measures
            .iter()
            .enumerate()
            .map(|(i, (lo, hi, grid))| MeasureA { name: format!("m{i}"), lo: *lo, hi: *hi, grid: *grid })
            .collect(),
        keys_per_unit,
        rho,
        noise: sluice_domain::contract::Law::Gaussian,
        shares: vec![],
        consistent: None,
    }
}

pub(crate) fn int_column(values: &[i64]) -> RawColumn {
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    RawColumn { nulls: 0, validity: None, offsets: None, data }
}

pub(crate) fn float_column(values: &[f64]) -> RawColumn {
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    RawColumn { nulls: 0, validity: None, offsets: None, data }
}

pub(crate) fn text_column(values: &[&str]) -> RawColumn {
    let mut offsets = vec![0i32];
    let mut data = Vec::new();
    for v in values {
        data.extend(v.as_bytes());
        offsets.push(i32::try_from(data.len()).unwrap());
    }
    let offsets = offsets.iter().flat_map(|o| o.to_le_bytes()).collect();
    RawColumn { nulls: 0, validity: None, offsets: Some(offsets), data }
}

/// The output of a guest for one unit: rows of (key, one value per measure).
pub(crate) fn output(rows: &[(i64, &[f64])]) -> RawBatch {
    let keys: Vec<i64> = rows.iter().map(|(k, _)| *k).collect();
    let measures = rows.first().map_or(1, |(_, v)| v.len());
    let mut columns = vec![int_column(&keys)];
    for m in 0..measures {
        columns.push(float_column(&rows.iter().map(|(_, v)| v[m]).collect::<Vec<_>>()));
    }
    RawBatch { rows: u32::try_from(rows.len()).unwrap(), columns }
}

/// A contract of these tables.
pub(crate) fn contract(tables: Vec<Table>) -> Contract {
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
        limits: Limits {
            fuel: 1,
            outer_fuel: 1,
            memory_mib: 1,
            stack_kib: 64,
            input_rows: 8,
            rows_max: 8,
            output_kib: 1,
            instances: 1,
            wall_seconds: 1,
        },
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
        rho: 0.02,
        delta: 0.0,
    }
}
