//! Route A on the RAND Health Insurance Experiment: did a person's medical
//! spending rise by more than half between their first and last observed year?
//!
//! One person's rows come in; one row goes out: the person's coinsurance group
//! in their first year, 1 person, and 1 or 0 for "rose". The host adds up the
//! groups and the noise. Logic only: nothing here can reach outside the room.
#![forbid(unsafe_code)]

use sluice_guest::{Dimension, Error, Output, Room};

/// Spending must exceed this multiple of the first year's to count as risen.
const RISE: f64 = 1.5;

/// One row per person who has at least one dated row.
///
/// # Errors
/// When the job's input lacks `year`, `coins` or `meddol`.
pub fn spending_change(room: &Room) -> Result<Output<1, 2>, Error> {
    let mut out = Output::new([Dimension::int("coins")], ["persons", "rose"]);
    let rows = room.rows()?;
    let years = rows.i64("year")?.zip(rows.i64("coins")?).zip(rows.f64("meddol")?);
    let mut years: Vec<_> = years.filter_map(|((year, coins), meddol)| Some((year?, coins, meddol))).collect();
    years.sort_by_key(|(year, ..)| *year);
    if let (Some((_, Some(coins), before)), Some((_, _, after))) = (years.first(), years.last()) {
        let rose = before.zip(*after).is_some_and(|(before, after)| after > RISE * before);
        out.add([(*coins).into()], [1.0, f64::from(u8::from(rose))])?;
    }
    Ok(out)
}

sluice_guest::inner!(spending_change);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::allow_attributes, reason = "tests may fail loudly")]
mod tests {
    use sluice_guest::{Column, Key, Room, Rows};

    use super::spending_change;

    fn contribution(years: &[i64], coins: &[i64], meddol: &[Option<f64>]) -> Vec<([Key; 1], [f64; 2])> {
        let rows = Rows::of(vec![
            ("year", Column::Int(years.iter().copied().map(Some).collect())),
            ("coins", Column::Int(coins.iter().copied().map(Some).collect())),
            ("meddol", Column::Float(meddol.to_vec())),
        ]);
        spending_change(&Room::of(&[], vec![("claims", rows.unwrap())])).unwrap().rows().to_vec()
    }

    #[test]
    fn a_rise_by_more_than_half_counts_under_the_first_years_group() {
        let got = contribution(&[2, 1, 3], &[50, 25, 95], &[Some(9.0), Some(100.0), Some(151.0)]);
        assert_eq!(got, [([Key::Int(25)], [1.0, 1.0])]);
    }

    #[test]
    fn exactly_half_more_one_year_only_or_no_amount_does_not_count() {
        assert_eq!(contribution(&[1, 2], &[0, 0], &[Some(100.0), Some(150.0)]), [([Key::Int(0)], [1.0, 0.0])]);
        assert_eq!(contribution(&[1], &[0], &[Some(100.0)]), [([Key::Int(0)], [1.0, 0.0])]);
        assert_eq!(contribution(&[1, 2], &[0, 0], &[None, Some(150.0)]), [([Key::Int(0)], [1.0, 0.0])]);
    }

    #[test]
    fn nobody_observed_contributes_nothing() {
        assert_eq!(contribution(&[], &[], &[]), []);
    }
}
