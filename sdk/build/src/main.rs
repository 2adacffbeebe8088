//! `guest-build FOLDER OUT.wasm`, and `guest-build MODULE.wasm OUT.wasm` for a core
//! module that carries its world: the library's functions, for scripts.
#![forbid(unsafe_code)]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use sluice_guest_build::{Toolchain, build, componentize};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to), None) = (args.next(), args.next(), args.next()) else {
        return say(2, "usage: guest-build FOLDER|MODULE.wasm COMPONENT.wasm");
    };
    let component = component_of(&from);
    match component.and_then(|c| std::fs::write(&to, c).map_err(|e| format!("cannot write `{}`: {e}", to.display()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => say(1, &e),
    }
}

fn component_of(from: &Path) -> Result<Vec<u8>, String> {
    if from.is_dir() {
        return build(from, &Toolchain::find()).map(|(_, component)| component).map_err(|e| e.to_string());
    }
    let module = std::fs::read(from).map_err(|e| format!("cannot read `{}`: {e}", from.display()))?;
    componentize(&module).map_err(|e| e.to_string())
}

fn say(code: u8, line: &str) -> ExitCode {
    // Nowhere else to say it if stderr is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(code)
}
