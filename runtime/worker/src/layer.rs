//! The layers of the jail by name, and whether each is in force: for `doctor`,
//! the demo and the log. The child reports what it did, not what it meant to do.

use std::fmt;

use sluice_domain::{Text, text};

/// One way in which a child is shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerName {
    /// No descriptor but stdin, stdout and a null stderr.
    Descriptors,
    /// No environment variable.
    Environment,
    /// Can never gain a privilege by starting a program.
    NoNewPrivileges,
    /// Own and empty user, network, mount, IPC, UTS and cgroup namespaces.
    Namespaces,
    /// An empty, read-only file system in the place of the host's.
    EmptyRoot,
    /// No capability, none that could be gained, and not root.
    Privileges,
    /// Cannot be traced or dumped by the same user.
    NotDumpable,
    /// Dies with the thread that keeps it.
    ParentDeath,
    /// Limits on memory, CPU time, files, descriptors and processes.
    ResourceLimits,
    /// Landlock with an empty rule set: no file, no TCP port.
    Landlock,
    /// The kernel refuses mappings that are writable and executable, or become executable.
    NoNewCode,
    /// A short list of system calls, none of them able to map executable memory.
    Seccomp,
}

impl LayerName {
    /// Every layer, in the order they are put on.
    pub const ALL: [Self; 12] = [
        Self::Descriptors,
        Self::Environment,
        Self::NoNewPrivileges,
        Self::Namespaces,
        Self::EmptyRoot,
        Self::Privileges,
        Self::NotDumpable,
        Self::ParentDeath,
        Self::ResourceLimits,
        Self::Landlock,
        Self::NoNewCode,
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
            Self::EmptyRoot => "empty-root",
            Self::Privileges => "privileges",
            Self::ResourceLimits => "resource-limits",
            Self::Landlock => "landlock",
            Self::NoNewCode => "no-new-code",
            Self::Seccomp => "seccomp",
        }
    }

    /// Whether a kernel or a container may lack it. The others are never missing
    /// on Linux, so a room without one of them is not opened at all.
    pub fn may_be_missing(self) -> bool {
        matches!(
            self,
            Self::Namespaces | Self::EmptyRoot | Self::Privileges | Self::Landlock | Self::NoNewCode | Self::Seccomp
        )
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

impl LayerStatus {
    /// For people.
    pub fn text(self) -> Text {
        match self {
            Self::InForce => text("已生效", "in force"),
            Self::Partly => text("部分生效：本机只提供其中一部分", "in force as far as this system offers it"),
            Self::Missing(0) => text("缺失", "missing"),
            Self::Missing(errno) => text(format!("缺失（错误 {errno}）"), format!("missing (error {errno})")),
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
