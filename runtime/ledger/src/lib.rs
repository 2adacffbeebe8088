//! 审计日志: an append-only Merkle log of everything that happened, durable before
//! any effect, with a signed checkpoint per entry and a verifier that needs neither
//! the database nor a network.
//!
//! The way to read it: [`Ledger`] (append, read, prove) → [`Recorded`] (the proof
//! that something is in it) → [`Checkpoint`] (what a receipt pins) → the export,
//! one line per entry → [`verify`] (what an auditor runs on it).
//!
//! - Hashes are those of RFC 6962 §2.1 over the exact bytes of an entry, a JSON text.
//! - Checkpoints are C2SP signed notes (<https://c2sp.org/tlog-checkpoint>), Ed25519.
//! - The store is SQLite; several processes may have the same file open.
//!
//! What it does not do: it does not decide anything, reads no clock, and does not
//! keep the key that it signs with. A holder of that key can write another history;
//! whoever holds an older checkpoint finds out ([`verify::verify`] with `known`).
#![forbid(unsafe_code)]

mod again;
mod chain;
mod checkpoint;
mod error;
mod export;
mod inclusion;
mod ledger;
mod record;
mod sign;
mod store;
mod tree;
pub mod verify;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use error::{Damage, LedgerError};
pub use inclusion::Inclusion;
pub use ledger::Ledger;
pub use record::Recorded;
pub use sign::{LedgerKey, PersonKey};

/// Bytes of the longest entry. Longer ones are refused, so that one line of an
/// export always fits in memory.
pub const ENTRY_BYTES_MAX: usize = 4 << 20;
