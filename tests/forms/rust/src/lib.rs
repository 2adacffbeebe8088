//! The table of `tests/forms` in Rust.
#![forbid(unsafe_code)]

use sluice_guest::{Dimension, Error, Output, Room};

/// See `tests/forms/README.md`.
///
/// # Errors
/// On a row whose text is the parameter `fail`.
pub fn form(room: &Room) -> Result<Output<2, 3>, Error> {
    let mut out = Output::new([Dimension::text("t"), Dimension::int("n")], ["x", "flag", "days"]);
    let rows = room.input("people")?;
    let keys = rows.text("t")?.zip(rows.i64("n")?);
    let values = rows.f64("x")?.zip(rows.bool("b")?).zip(rows.date("d")?);
    for ((t, n), ((x, b), d)) in keys.zip(values) {
        let (Some(t), Some(n)) = (t, n) else { continue };
        if room.param("fail") == Some(t) {
            return Err(Error::new("told to fail"));
        }
        if room.param("spin") == Some(t) {
            loop {
                std::hint::spin_loop();
            }
        }
        let flag = b.map_or(3.0, |b| if b { 1.0 } else { 2.0 });
        out.add([t.into(), n.into()], [x.unwrap_or(-0.5), flag, f64::from(d.unwrap_or(0))])?;
    }
    if let Ok(more) = room.input("zmore") {
        out.add(["多".into(), i64::try_from(more.len()).unwrap_or(-1).into()], [0.0, 0.0, 0.0])?;
    }
    Ok(out)
}

sluice_guest::inner!(form);
