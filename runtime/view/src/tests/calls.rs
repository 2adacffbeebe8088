//! Calls: units over several inputs, blocks within a budget.

use datafusion::arrow::{array::AsArray, datatypes::Int64Type};
use futures::StreamExt;

use super::{ALL, Row, batch, granted, reader, row};
use crate::{Blocks, Call, plan_input};

/// Input number and ages of every part of every call.
type Seen = Vec<Vec<(u32, Vec<i64>)>>;

fn town() -> Vec<Row> {
    let ages = |u: u64| (0..=u % 3).map(move |n| row(u, (u * 10 + n).cast_signed(), "c", 1, "f", 0.5));
    (0..3000u64).flat_map(ages).collect()
}

fn seen(calls: Vec<Result<Call, crate::ViewError>>) -> Seen {
    let ages = |(input, rows): (u32, sluice_rows::RowBatch)| {
        (input, rows.columns()[0].as_primitive::<Int64Type>().values().to_vec())
    };
    calls.into_iter().map(|call| call.unwrap().into_iter().map(ages).collect()).collect()
}

#[tokio::test]
async fn a_unit_brings_its_rows_of_every_input_and_the_roster_is_the_union() {
    let view = granted(&ALL, None, &[]);
    let rows = [row(1, 11, "c", 1, "f", 0.0), row(2, 22, "c", 1, "m", 0.0), row(2, 23, "c", 2, "f", 0.0)];
    let (_dir, reader) = reader(&view, &batch(&rows));
    let plans = ["SELECT age FROM people WHERE sex = 'f'", "SELECT age FROM people WHERE sex = 'm'"]
        .map(|sql| plan_input(std::slice::from_ref(&view), sql).unwrap());
    let calls = seen(reader.unit_calls(&plans, 100).collect().await);
    assert_eq!(calls, [vec![(0, vec![11])], vec![(0, vec![23]), (1, vec![22])]]);
}

#[tokio::test]
async fn several_passes_within_a_tiny_budget_give_what_one_gives() {
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = reader(&view, &batch(&town()));
    let plans = [plan_input(std::slice::from_ref(&view), "SELECT age FROM people").unwrap()];
    let block_of = |unit: u64| u32::try_from(unit * 7 % 50).unwrap();
    let mut found: Vec<Seen> = Vec::new();
    for bytes_max in [usize::MAX, 20_000, 1] {
        let blocks = Blocks { count: 50, rows_max: 1_000_000, bytes_max, of: &block_of };
        found.push(seen(reader.block_calls(&plans, &blocks).collect().await));
    }
    assert_eq!(found[0].len(), 50);
    let whole: Vec<i64> = found[0].iter().flat_map(|call| call[0].1.clone()).collect();
    assert_eq!(whole.len(), town().len());
    assert!(found[0].iter().enumerate().all(|(b, call)| call[0].1.iter().all(|age| age / 10 * 7 % 50 == b as i64)));
    assert!(found[0].iter().all(|call| call[0].1.is_sorted()), "units in canonical order");
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_block_beyond_its_limit_is_seen_to_be_so_and_stays_bounded() {
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = reader(&view, &batch(&town()));
    let plans = [plan_input(std::slice::from_ref(&view), "SELECT age FROM people").unwrap()];
    let blocks = Blocks { count: 1, rows_max: 10, bytes_max: usize::MAX, of: &|_| 0 };
    let calls = seen(reader.block_calls(&plans, &blocks).collect().await);
    assert_eq!(calls.len(), 1);
    assert!(calls[0][0].1.len() > 10);
}
