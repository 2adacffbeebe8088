//! The table of `tests/forms` in Rust.
#![forbid(unsafe_code)]

use std::{cell::Cell, hint::black_box};

use sluice_guest::{Dimension, Error, Output, Room, Rows};

thread_local! {
    /// Rows that this module has seen: a fresh instance begins at none.
    static SEEN: Cell<i64> = const { Cell::new(0) };
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deep(n: &i64) -> i64 {
    1 + black_box(deep(black_box(&(n + 1))))
}

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
        let (Some(t), Some(mut n)) = (t, n) else { continue };
        if room.param("fail") == Some(t) {
            return Err(Error::new("told to fail"));
        }
        if room.param("spin") == Some(t) {
            loop {
                std::hint::spin_loop();
            }
        }
        if room.param("deep") == Some(t) {
            n = deep(&0);
        }
        if room.param("seen") == Some(t) {
            SEEN.set(SEEN.get() + 1);
            n = SEEN.get();
        }
        let flag = b.map_or(3.0, |b| if b { 1.0 } else { 2.0 });
        out.add([t.into(), n.into()], [x.unwrap_or(-0.5), flag, f64::from(d.unwrap_or(0))])?;
    }
    if let Ok(rows) = room.input("wide") {
        wide(rows, &mut out)?;
    }
    Ok(out)
}

fn wide(rows: &Rows, out: &mut Output<2, 3>) -> Result<(), Error> {
    let lists = rows.list_i64("i")?.zip(rows.list_f64("f")?).zip(rows.list_text("w")?);
    for ((c, m), ((i, f), w)) in rows.decimal("c")?.zip(rows.timestamp("m")?).zip(lists) {
        let words = w.map_or("无".to_owned(), |w| w.iter().map(|word| format!("[{word}]")).collect());
        let units = c.map_or(-1, |c| i64::try_from(c.units).unwrap_or(0));
        let ints = i.map_or(0.5, |i| 1000.0 * i.iter().sum::<i64>() as f64);
        let sum = ints + f.map_or(0.25, |f| f.iter().sum());
        out.add([words.as_str().into(), units.into()], [sum, c.map_or(-1.0, |c| c.to_f64()), m.unwrap_or(-1) as f64])?;
    }
    let empty = rows.null("z")?.filter(Option::is_none).count();
    out.add(["空".into(), i64::try_from(empty).unwrap_or(-1).into()], [0.0, 0.0, 0.0])
}

sluice_guest::inner!(form);
