//! People and doctor visits per plan: one row for each person who has a plan.

use sluice_guest::{Dimension, Error, Output, Room};

/// One person's plan and visits over all their years.
///
/// # Errors
/// When the job's input lacks `plan` or `mdvis`.
pub fn visits(room: &Room) -> Result<Output<1, 2>, Error> {
    let mut out = Output::new([Dimension::int("plan")], ["persons", "visits"]);
    let rows = room.rows()?;
    if let Some(plan) = rows.i64("plan")?.flatten().next() {
        let visits: i64 = rows.i64("mdvis")?.flatten().sum();
        out.add([plan.into()], [1.0, visits as f64])?;
    }
    Ok(out)
}

sluice_guest::inner!(visits);

#[cfg(test)]
mod tests {
    use sluice_guest::{Column, Key, Room, Rows};

    use super::visits;

    #[test]
    fn visits_add_up_under_the_first_plan() {
        let rows = Rows::of(vec![
            ("plan", Column::Int(vec![Some(3), Some(3)])),
            ("mdvis", Column::Int(vec![Some(2), None])),
        ]);
        let room = Room::of(&[], vec![("claims", rows.unwrap())]);
        assert_eq!(visits(&room).unwrap().rows(), [([Key::Int(3)], [1.0, 2.0])]);
    }
}
