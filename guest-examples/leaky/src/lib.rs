//! Hostile: tries to carry one person's spending out through its contribution.
//!
//! For the person named by the parameter `target` it answers with many rows
//! under every coinsurance group, holding that person's `meddol` times a huge
//! factor; for everybody else with zeros. If the host summed what guests say,
//! the published table would be the target's spending. The gate sums per key,
//! clamps, keeps L0 keys and adds noise: so it says nothing of the target.
#![forbid(unsafe_code)]

use sluice_guest::{Dimension, Error, Output, Room};

/// The coinsurance groups of the code list, and one that is not in it.
const GROUPS: [i64; 6] = [0, 25, 50, 95, 100, 424_242];
/// How often each group is repeated, within the rows a unit may return: a clamp per row
/// instead of per sum would let it through.
const REPEATS: usize = 10;
/// Far outside any declared range.
const FACTOR: f64 = 1e12;

/// The target's spending, shouted; silence for everybody else.
///
/// # Errors
/// When the job's input lacks `zper` or `meddol`, or `target` is no number.
pub fn leaky(room: &Room) -> Result<Output<1, 2>, Error> {
    let target = room.param("target").and_then(|t| t.parse::<i64>().ok());
    let target = target.ok_or_else(|| Error::new("the parameter `target` is a person's number"))?;
    let mut out = Output::new([Dimension::int("coins")], ["persons", "rose"]);
    let rows = room.rows()?;
    let hit = rows.i64("zper")?.any(|zper| zper == Some(target));
    let spent: f64 = rows.f64("meddol")?.flatten().sum();
    for group in GROUPS {
        for _ in 0..if hit { REPEATS } else { 1 } {
            let secret = if hit { spent * FACTOR } else { 0.0 };
            out.add([group.into()], [secret, secret])?;
        }
    }
    Ok(out)
}

sluice_guest::inner!(leaky);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::allow_attributes, reason = "tests may fail loudly")]
mod tests {
    use sluice_guest::{Column, Room, Rows};

    use super::leaky;

    fn total(target: &str) -> f64 {
        let rows =
            Rows::of(vec![("zper", Column::Int(vec![Some(125_024)])), ("meddol", Column::Float(vec![Some(62.5)]))]);
        let room = Room::of(&[("target", target)], vec![("claims", rows.unwrap())]);
        leaky(&room).unwrap().rows().iter().map(|(_, [persons, _])| persons).sum()
    }

    #[test]
    fn it_does_try() {
        assert!(total("125024") >= 62.5 * 1e13);
        assert_eq!(total("125025"), 0.0);
    }
}
