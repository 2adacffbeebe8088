//! The layers of the jail by name, and whether each is in force: for `doctor`,
//! the demo and the log. The child reports what it did, not what it meant to do.

use std::fmt;

/// One way in which a child is shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerName {
    /// No descriptor but stdin, stdout and a null stderr.
    Descriptors,
    /// No environment variable.
    Environment,
    /// Dies with the thread that keeps it.
    ParentDeath,
    /// Cannot be traced or dumped by the same user.
    NotDumpable,
    /// Can never gain a privilege.
    NoNewPrivileges,
    /// Own and empty user, network, mount, IPC, UTS and cgroup namespaces.
    Namespaces,
    /// Limits on memory, CPU time, files, descriptors and processes.
    ResourceLimits,
    /// Landlock with an empty rule set: no file, no TCP port.
    Landlock,
    /// A short list of system calls, none of them able to map executable memory.
    Seccomp,
}

impl LayerName {
    /// Every layer, in the order they are put on.
    pub const ALL: [Self; 9] = [
        Self::Descriptors,
        Self::Environment,
        Self::ParentDeath,
        Self::NotDumpable,
        Self::NoNewPrivileges,
        Self::Namespaces,
        Self::ResourceLimits,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Stable name, for configuration files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Environment => "environment",
            Self::ParentDeath => "parent-death",
            Self::NotDumpable => "not-dumpable",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Namespaces => "namespaces",
            Self::ResourceLimits => "resource-limits",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// Whether a kernel or a container may lack it. The others are never missing
    /// on Linux, so a room without one of them is not opened at all.
    pub fn may_be_missing(self) -> bool {
        matches!(self, Self::Namespaces | Self::Landlock | Self::Seccomp)
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a layer is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerStatus {
    /// It is.
    InForce,
    /// It is, except for a part that this kernel or system does not offer.
    Partly,
    /// It is not; the kernel's error number, or 0 when there was none.
    Missing(u16),
}

impl fmt::Display for LayerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce => f.write_str("in force"),
            Self::Partly => f.write_str("in force as far as this system offers it"),
            Self::Missing(0) => f.write_str("missing"),
            Self::Missing(errno) => write!(f, "missing (error {errno})"),
        }
    }
}

/// A layer and its status, as the child reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Which.
    pub name: LayerName,
    /// In force or not.
    pub status: LayerStatus,
}
