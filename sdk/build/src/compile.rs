//! From a guest project to its component, with the language's own compiler.
//!
//! A project's folder has a `job.toml` that names the component; the source has the
//! same name (`wage_gap.wasm`: `wage_gap.py`, `.js` or `.c`; a Rust guest has a
//! `Cargo.toml`). A project that carries its SDK is built with that; others with ours.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    BuildError, Language, Toolchain, component,
    files::{self, WIT},
};

/// Compiles the guest project in `folder`; the component, and the file name that its
/// job gives it. Nothing but a Rust project's `target` and
/// Python's `__pycache__` is written into the folder.
///
/// # Errors
/// [`BuildError::NoProject`], [`BuildError::NoTool`], or the compiler's own words in
/// [`BuildError::Compiler`].
pub fn build(folder: &Path, toolchain: &Toolchain) -> Result<(String, Vec<u8>), BuildError> {
    let folder = fs::canonicalize(folder).map_err(BuildError::file(folder))?;
    let file = guest_of(&folder)?;
    let stem = file.strip_suffix(".wasm").unwrap_or(&file);
    let stage = tempfile::tempdir().map_err(BuildError::file(&folder))?;
    let stage = stage.path();
    let source = |extension: &str| folder.join(format!("{stem}.{extension}")).is_file();
    let component = if folder.join("Cargo.toml").is_file() {
        rust(&folder, stem, toolchain)
    } else if source("py") {
        python(&folder, stem, stage, toolchain)
    } else if source("js") {
        js(&folder, stem, stage, toolchain)
    } else if source("c") {
        c(&folder, stem, stage, toolchain)
    } else {
        let why = format!("there is no Cargo.toml and no {stem}.py, {stem}.js or {stem}.c");
        Err(BuildError::NoProject { folder: folder.clone(), why })
    }?;
    Ok((file, component))
}

/// What `job.toml` calls the guest.
fn guest_of(folder: &Path) -> Result<String, BuildError> {
    let no = |why: String| BuildError::NoProject { folder: folder.to_owned(), why };
    let text = fs::read_to_string(folder.join("job.toml")).map_err(|e| no(format!("job.toml: {e}")))?;
    let job: toml::Table = text.parse().map_err(|e| no(format!("job.toml: {e}")))?;
    let guest = job.get("job").and_then(|job| job.get("guest")).and_then(|guest| guest.as_str());
    let plain = guest.filter(|guest| guest.ends_with(".wasm") && !guest.contains(['/', '\\']));
    plain.map(str::to_owned).ok_or_else(|| no("job.toml names no guest such as `guest = \"name.wasm\"`".to_owned()))
}

fn rust(folder: &Path, stem: &str, toolchain: &Toolchain) -> Result<Vec<u8>, BuildError> {
    let mut cargo = toolchain.cargo(folder, stem)?;
    cargo.current_dir(folder).args(["build", "--quiet", "--target", "wasm32-unknown-unknown", "--profile", "guest"]);
    run(cargo.arg("--target-dir").arg(folder.join("target")), Language::Rust)?;
    let module = folder.join("target/wasm32-unknown-unknown/guest").join(format!("{stem}.wasm"));
    component::componentize(&read(&module)?)
}

fn python(folder: &Path, stem: &str, stage: &Path, toolchain: &Toolchain) -> Result<Vec<u8>, BuildError> {
    files::unpack("python", stage)?;
    files::write(&stage.join("sluice-job.wit"), WIT.as_bytes())?;
    let main = format!("import {stem}\nfrom sluice.abi import InnerRoom\n");
    files::write(&stage.join("sluice_main.py"), main.as_bytes())?;
    let out = stage.join("out.wasm");
    let mut componentize = toolchain.python()?;
    componentize.arg("--quiet").arg("--wit-path").arg(stage.join("sluice-job.wit")).args(["--world", "inner"]);
    componentize.args(["componentize", "sluice_main", "--stub-wasi", "--python-path"]).arg(folder);
    run(componentize.arg("--python-path").arg(stage).arg("--output").arg(&out), Language::Python)?;
    Ok(component::narrow(&read(&out)?))
}

fn js(folder: &Path, stem: &str, stage: &Path, toolchain: &Toolchain) -> Result<Vec<u8>, BuildError> {
    files::unpack("js", stage)?;
    for entry in fs::read_dir(folder).map_err(BuildError::file(folder))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "js") {
            files::write(&stage.join(entry.file_name()), &read(&path)?)?;
        }
    }
    files::write(&stage.join("sluice-job.wit"), WIT.as_bytes())?;
    let main = format!(
        "import guest from \"./{stem}.js\";\nimport {{ innerRoom as room }} from \"./sluice.js\";\nexport const innerRoom = room(guest);\n"
    );
    let main_file = stage.join("sluice-main.js");
    files::write(&main_file, main.as_bytes())?;
    let out = stage.join("out.wasm");
    let mut componentize = toolchain.js()?;
    componentize.arg("--wit").arg(stage.join("sluice-job.wit")).args(["--world", "inner", "--stub-wasi", "--sync"]);
    componentize.arg("--js").arg(main_file).arg("--module-root").arg(stage);
    run(componentize.arg("--output").arg(&out), Language::JavaScript)?;
    Ok(component::narrow(&read(&out)?))
}

fn c(folder: &Path, stem: &str, stage: &Path, toolchain: &Toolchain) -> Result<Vec<u8>, BuildError> {
    files::unpack("c", stage)?;
    let out = stage.join("out.wasm");
    let own = folder.join("sluice.c");
    let mut clang = toolchain.c()?;
    clang.args(["--target=wasm32", "-std=c17", "-O2", "-nostdlib", "-ffreestanding", "-fno-builtin", "-Wall"]);
    clang.args(["-Wl,--no-entry", "-Wl,--stack-first", "-Wl,-z,stack-size=262144"]);
    // `sluice guest try` names the line of a trap by these; a room does not look at them.
    // They name the files as the author does, wherever the folder and the stage lie.
    clang.args(["-gline-tables-only", "-fdebug-compilation-dir=."]);
    clang.arg(format!("-fdebug-prefix-map={}=sdk", stage.display()));
    clang.arg(format!("-fdebug-prefix-map={}=.", folder.display()));
    clang.arg("-I").arg(folder).arg("-I").arg(stage);
    // Compiled from within, so that its messages name the file as the author does.
    clang.current_dir(folder).arg(format!("{stem}.c"));
    clang.arg(if own.is_file() { own } else { stage.join("sluice.c") }).arg("-o").arg(&out);
    run(&mut clang, Language::C)?;
    component::componentize(&component::with_world(read(&out)?)?)
}

/// Runs a compiler to its end.
fn run(command: &mut Command, language: Language) -> Result<(), BuildError> {
    let tool = command.get_program().to_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| BuildError::File { path: tool.into(), error })?;
    if done.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    let said = if err.is_empty() { out } else { err };
    if language == Language::Rust && said.contains("target may not be installed") {
        return Err(BuildError::NoTool { tool: "wasm32-unknown-unknown", language });
    }
    let message = if said.is_empty() { format!("{language}: {}", done.status) } else { said };
    Err(BuildError::Compiler { message })
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(BuildError::file(path))
}
