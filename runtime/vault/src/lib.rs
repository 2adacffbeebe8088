//! The vault: keys, sealed objects, people's wrapped signing keys, and encrypted
//! Parquet snapshots. Nothing that is secret leaves memory unencrypted, and
//! nothing in here can be printed, cloned or serialised.
//!
//! What hangs under what:
//! ```text
//! KEK (a file outside the domain, or a passphrase)          kek
//! └─ keyring: six random keys, sealed under the KEK         keyring
//!    ├─ objects      → one derived key per sealed object    object
//!    ├─ people       → pepper of every wrapped signing key  people
//!    ├─ commitments  → keyed commitments                    vault
//!    ├─ pseudonyms   → one derived key per agreement, and   pseudonym
//!    │                 the key of the hidden unit column    ingest
//!    ├─ ledger seed  → Ed25519 seed of the ledger           vault
//!    └─ datasets     → one random key per dataset, wrapped  dataset_key
//!       └─ footer key and one key per column, random for
//!          every snapshot, wrapped, in the Parquet file
//! ```
//! What it deliberately does not do: decide who may read (`domain` decides; a
//! [`ColumnGrant`] is the only way to a column, and it can open nothing else),
//! run queries (`view`), or speak to a network.
#![forbid(unsafe_code)]

mod blocks;
mod crypt;
mod dataset_key;
mod disk;
mod error;
mod grant;
mod ingest;
mod kek;
mod keyring;
mod object;
mod people;
mod pseudonym;
mod snapshot;
mod vault;

pub use blocks::BlockKey;
pub use error::VaultError;
pub use grant::ColumnGrant;
pub use ingest::{Impossible, Staged, arrow_type, plain_type};
pub use kek::{Kek, Salt};
pub use object::ObjectKind;
pub use pseudonym::PseudonymKey;
pub use vault::Vault;
