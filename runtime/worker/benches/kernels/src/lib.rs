//! Two loops that guests spend their time in, written as any author would write
//! them. The benchmark runs this crate as a guest and as a native library.
#![forbid(unsafe_code)]

use std::{collections::HashMap, hint::black_box};

use sluice_guest::{Dimension, Error, Output, Room, Rows};

/// Repeats the loop `kernel` (`group-by` or `sums`) `times` over the same rows.
///
/// # Errors
/// When a parameter or a column is missing.
pub fn kernels(room: &Room) -> Result<Output<1, 1>, Error> {
    let times: u32 = room.param("times").and_then(|n| n.parse().ok()).ok_or_else(|| Error::new("how many times?"))?;
    let kernel = match room.param("kernel") {
        Some("group-by") => group_by,
        Some("sums") => sums,
        _ => return Err(Error::new("no such kernel")),
    };
    let mut total = 0.0;
    for _ in 0..times {
        total += kernel(black_box(room.rows()?))?;
    }
    let mut out = Output::new([Dimension::int("all")], ["total"]);
    out.add([0.into()], [total])?;
    Ok(out)
}

/// Mean amount per key; the sum of the means.
fn group_by(rows: &Rows) -> Result<f64, Error> {
    let mut groups: HashMap<i64, (u64, f64)> = HashMap::new();
    for (key, amount) in rows.i64("key")?.zip(rows.f64("amount")?) {
        if let (Some(key), Some(amount)) = (key, amount) {
            let (count, sum) = groups.entry(key).or_default();
            *count += 1;
            *sum += amount;
        }
    }
    Ok(groups.values().map(|(count, sum)| sum / *count as f64).sum())
}

/// The sums of a column of integers and of one of floats.
fn sums(rows: &Rows) -> Result<f64, Error> {
    let whole = rows.i64("key")?.flatten().fold(0i64, i64::wrapping_add);
    Ok(whole as f64 + rows.f64("amount")?.flatten().sum::<f64>())
}

sluice_guest::inner!(kernels);
