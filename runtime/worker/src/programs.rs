//! Where the two child programs are. They lie beside the program that starts
//! them; nothing is searched on a path.

use std::path::{Path, PathBuf};

use crate::{
    Layer, WorkerError,
    layer::{LayerName, LayerStatus},
};

/// The child programs, and which layers of the jail the domain can do without.
#[derive(Debug, Clone)]
pub struct Programs {
    pub(crate) run: PathBuf,
    pub(crate) compile: PathBuf,
    accepted_missing: Vec<LayerName>,
}

impl Programs {
    /// `sluice-run` and `sluice-compile` in the folder of the running program,
    /// or in the one above (tests run from `deps`).
    ///
    /// # Errors
    /// [`WorkerError::ProgramMissing`] with the place where it should be.
    pub fn beside_current_exe() -> Result<Self, WorkerError> {
        let exe = std::env::current_exe().map_err(WorkerError::Spawn)?;
        let beside = exe.parent().unwrap_or(Path::new("/"));
        let above = beside.parent().unwrap_or(beside);
        Self::in_folder(beside).or_else(|missing| Self::in_folder(above).map_err(|_| missing))
    }

    /// Both programs in `folder`.
    ///
    /// # Errors
    /// [`WorkerError::ProgramMissing`].
    pub fn in_folder(folder: &Path) -> Result<Self, WorkerError> {
        let find = |name: &str| {
            let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            if path.is_file() { Ok(path) } else { Err(WorkerError::ProgramMissing(path)) }
        };
        Ok(Self { run: find("sluice-run")?, compile: find("sluice-compile")?, accepted_missing: Vec::new() })
    }

    /// `sluice-try`, beside the others; only an author's machine needs it.
    pub(crate) fn explain(&self) -> Result<PathBuf, WorkerError> {
        let path = self.run.with_file_name(format!("sluice-try{}", std::env::consts::EXE_SUFFIX));
        if path.is_file() { Ok(path) } else { Err(WorkerError::ProgramMissing(path)) }
    }

    /// Opens rooms although the kernel lacks these layers. Layers that no Linux
    /// lacks cannot be given up.
    #[must_use]
    pub fn accepting_missing(mut self, layers: &[LayerName]) -> Self {
        self.accepted_missing = layers.iter().copied().filter(|l| l.may_be_missing()).collect();
        self
    }

    /// Whether a child so shut in may be given work: each layer is wholly in force,
    /// or given up by name.
    ///
    /// # Errors
    /// [`WorkerError::Layer`] with the first that is not.
    pub(crate) fn accept(&self, layers: &[Layer]) -> Result<(), WorkerError> {
        let lacks = |l: &&Layer| l.status != LayerStatus::InForce && !self.accepted_missing.contains(&l.name);
        layers.iter().find(lacks).map_or(Ok(()), |layer| Err(WorkerError::Layer(layer.name)))
    }
}
