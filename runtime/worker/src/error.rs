//! What can go wrong on the host's side of a room. A guest's failure is not
//! here: it is [`crate::UnitOutcome::Failed`]. Nothing here says anything of a
//! unit's rows, not even which unit it was.

use std::{io, path::PathBuf};

use sluice_domain::{Refusal, text};

use crate::{layer::LayerName, wire::WireError};

/// A fault of the host or its configuration: the run is void.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A child program is not where it should be.
    #[error("the program `{}` is missing", .0.display())]
    ProgramMissing(PathBuf),
    /// A child could not be started.
    #[error("a child process could not be started")]
    Spawn(#[source] io::Error),
    /// The pipe to a child broke, or a child ended before it had answered.
    #[error("the child process ended before its time")]
    Died,
    /// The wall-clock limit passed and the child was killed.
    #[error("the child process was killed at its time limit")]
    TimedOut,
    /// A child sent what it must not.
    #[error("the child process broke the protocol")]
    Protocol(#[from] WireError),
    /// A child found itself unable to work.
    #[error("the child process could not start: {0}")]
    Child(ChildFault),
    /// A layer of the jail is not wholly in force and not given up by name.
    #[error("the jail's layer `{0}` is not in force")]
    Layer(LayerName),
    /// The cache of compiled guests cannot be used.
    #[error("the cache of compiled guests cannot be written")]
    Cache(#[source] io::Error),
    /// A column's type does not exist in the room.
    #[error("a column's type has no form in the guest ABI")]
    ColumnType,
    /// The hidden unit column was about to enter a room.
    #[error("the unit's pseudonym must not enter the room")]
    UnitColumn,
    /// Too many parameters or columns, or a guest too large to send.
    #[error("the start message is too large")]
    TooLarge,
    /// The room was used after it broke.
    #[error("the room is closed")]
    Closed,
}

/// Why a child could not work. The number is its place on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum ChildFault {
    /// A layer of the jail that is never missing could not be put on.
    #[error("the jail could not be closed")]
    Jail = 1,
    /// The parent's message was not what was agreed.
    #[error("the parent's message did not read")]
    Message = 2,
    /// The engine could not be set up within the limits.
    #[error("the engine could not be set up")]
    Engine = 3,
    /// Compilation failed.
    #[error("the guest could not be compiled")]
    Compile = 4,
    /// The compiled code was made for another engine or machine.
    #[error("the compiled guest does not fit this engine")]
    Load = 5,
    /// The compiled code does not export the ABI.
    #[error("the compiled guest lacks the ABI")]
    Abi = 6,
}

impl ChildFault {
    /// From its place on the wire.
    pub fn from_wire(code: u8) -> Option<Self> {
        [Self::Jail, Self::Message, Self::Engine, Self::Compile, Self::Load, Self::Abi]
            .into_iter()
            .find(|f| *f as u8 == code)
    }
}

impl WorkerError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProgramMissing(_) => "worker.program-missing",
            Self::Spawn(_) => "worker.spawn",
            Self::Died => "worker.died",
            Self::TimedOut => "worker.timed-out",
            Self::Protocol(_) => "worker.protocol",
            Self::Child(ChildFault::Compile) => "guest.compile",
            Self::Child(_) => "worker.child",
            Self::Layer(_) => "worker.layer",
            Self::Cache(_) => "worker.cache",
            Self::ColumnType => "worker.column-type",
            Self::UnitColumn => "worker.unit-column",
            Self::TooLarge => "worker.too-large",
            Self::Closed => "worker.closed",
        }
    }

    /// For the people who run the domain. Operators are told `run.void` by the
    /// service and nothing of this.
    ///
    /// A guest that cannot be compiled is its author's affair, and is refused in words.
    pub fn refusal(&self) -> Refusal {
        let (zh, en) = match self {
            Self::Child(ChildFault::Compile) => return uncompiled(),
            Self::ProgramMissing(_) => (
                "把 sluice-run 与 sluice-compile 放在 sluice 旁边（cargo build --workspace）",
                "put sluice-run and sluice-compile beside sluice (cargo build --workspace)",
            ),
            Self::Layer(_) => (
                "换用支持该层的内核，或在域的配置 sluice.toml 中按名称接受其缺失；详见 `sluice doctor`",
                "use a kernel that has the layer, or accept its absence by name in the domain's sluice.toml; see `sluice doctor`",
            ),
            Self::TimedOut => {
                ("提高作业的 wall_seconds 后重新提交", "raise the job's wall_seconds and submit it again")
            }
            Self::Cache(_) => ("检查缓存目录的权限与空间", "check the cache folder's permissions and space"),
            _ => ("查看服务日志；本次运行作废，预算不退", "see the service's log; the run is void, its charge stands"),
        };
        let refusal =
            Refusal::failed(self.code(), text(format!("内室故障（{}）", self.code()), self.to_string()), text(zh, en));
        match self {
            Self::Layer(name) => refusal.at(name.as_str()),
            _ => refusal,
        }
    }
}

fn uncompiled() -> Refusal {
    Refusal::refused(
        "guest.compile",
        text(
            "客件通过了检查，但编译器编译不了它：某个函数过大或过于复杂",
            "the guest passes inspection, but the compiler cannot take it: a function is too large or too complex",
        ),
        text("把最大的函数拆开，或少内联，再构建", "split its largest function, or inline less, and build it again"),
    )
}
