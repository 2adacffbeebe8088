//! Lists the files of the SDKs and of the project templates, so that the built
//! program carries them all: a file that is added is carried without being named.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let sdk = here.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut files = Vec::new();
    for folder in ["wit", "rust", "python", "js", "c", "build/templates"] {
        walk(&sdk.join(folder), &mut files)?;
    }
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(sdk).map_err(io::Error::other)?;
        code += &format!("    ({:?}, include_str!({file:?})),\n", name.to_string_lossy());
    }
    code += "]\n";
    fs::write(PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("files.rs"), code)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What tools leave behind is no part of an SDK.
        if ["__pycache__", "node_modules", "target", "tests"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
