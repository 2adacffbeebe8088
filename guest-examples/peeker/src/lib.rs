//! Hostile: an ordinary guest that also imports a host function, `read-file`.
//!
//! The host never gets so far as to refuse the call: a component with an import
//! is refused before it is compiled, and the refusal names the import.
#![forbid(unsafe_code)]

use sluice_guest::{Dimension, Error, Output, Room};

mod host {
    //! The import, as `wit-bindgen` binds it.
    #![allow(missing_docs, unreachable_pub, clippy::allow_attributes, clippy::all, reason = "generated")]

    wit_bindgen::generate!({
        inline: "
            package peeker:guest;
            interface host {
                read-file: func(path: string) -> list<u8>;
            }
            world peeker {
                import host;
            }
        ",
    });
}

/// Counts the bytes of a file it has no business with.
///
/// # Errors
/// When the job has no room for the answer.
pub fn peek(_: &Room) -> Result<Output<1, 2>, Error> {
    let stolen = host::peeker::guest::host::read_file("/etc/hostname");
    let mut out = Output::new([Dimension::int("coins")], ["persons", "rose"]);
    #[expect(clippy::cast_precision_loss, reason = "a thief does not mind the last bit")]
    out.add([0.into()], [1.0, stolen.len() as f64])?;
    Ok(out)
}

sluice_guest::inner!(peek);
