//! Counts people by spending band, and forgets that spending has no upper end.

use sluice_guest::{Dimension, Error, Output, Room};

/// The band that a spending falls into.
#[inline(never)]
fn band(spending: f64) -> usize {
    let bands = [100.0, 1_000.0, 10_000.0, 100_000.0];
    let at = bands.iter().filter(|end| **end < spending).count();
    #[allow(clippy::indexing_slicing, clippy::allow_attributes, reason = "the mistake that this guest is about")]
    let end: f64 = bands[at];
    end.log10() as usize
}

fn stumbler(room: &Room) -> Result<Output<1, 1>, Error> {
    let rows = room.rows()?;
    let mut out = Output::new([Dimension::int("coins")], ["persons"]);
    for (coins, spending) in rows.i64("coins")?.zip(rows.f64("meddol")?) {
        if let (Some(coins), Some(spending)) = (coins, spending)
            && band(spending) > 2
        {
            out.add([coins.into()], [1.0])?;
        }
    }
    Ok(out)
}

sluice_guest::inner!(stumbler);
