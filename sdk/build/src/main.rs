//! `componentize IN OUT`: the library's one function, for scripts.
#![forbid(unsafe_code)]

use std::{io::Write as _, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to), None) = (args.next(), args.next(), args.next()) else {
        return say(2, "usage: componentize MODULE.wasm COMPONENT.wasm");
    };
    let module = match std::fs::read(&from) {
        Ok(module) => module,
        Err(e) => return say(1, &format!("cannot read `{}`: {e}", from.display())),
    };
    match sluice_guest_build::componentize(&module) {
        Err(e) => say(1, &e.to_string()),
        Ok(component) => match std::fs::write(&to, component) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => say(1, &format!("cannot write `{}`: {e}", to.display())),
        },
    }
}

fn say(code: u8, line: &str) -> ExitCode {
    // Nowhere else to say it if stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(code)
}
