//! Writes guest projects in each language and makes components of them, with the
//! SDKs and the ABI inside: an installed program needs no repository.
//!
//! The compilers are the languages' own, found where `scripts/guests` puts them or
//! on the path (see [`Toolchain`]). Nothing is trusted here and nothing is checked
//! for safety: the host inspects what comes out, wherever it was built.
#![forbid(unsafe_code)]

mod compile;
mod component;
mod files;
mod project;
mod toolchain;

use std::path::{Path, PathBuf};

pub use compile::build;
pub use component::componentize;
pub use project::{Language, Name, create};
pub use toolchain::Toolchain;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The core module does not make a component.
    #[error("this core module does not make a component: {0}")]
    Module(String),
    /// The folder is no guest project.
    #[error("`{}` is no guest project: {why}", folder.display())]
    NoProject {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        why: String,
    },
    /// There is something there already.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// A compiler is not installed.
    #[error("`{tool}` is not installed")]
    NoTool {
        /// The program.
        tool: &'static str,
        /// The language it compiles.
        language: Language,
    },
    /// The compiler said no.
    #[error("{message}")]
    Compiler {
        /// Its own words, with file and line.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl BuildError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::File { path: path.to_owned(), error }
    }
}
