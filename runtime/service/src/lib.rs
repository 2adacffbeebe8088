//! The verbs of Sluice, one file each. Read them in the order of the data:
//! [`open`](Service::init) → `people` → `ingest` → `agree` → `submit` → `run` →
//! `review` → `release` → `audit`.
//!
//! Every verb goes the same way: decide against the state (pure code in
//! `sluice-domain`), record in the ledger, then act. A verb that was interrupted
//! between record and act is finished or cleanly abandoned by [`Service::recover`].
#![forbid(unsafe_code)]

mod account;
mod again;
mod agree;
mod answer;
mod audit;
mod changes;
pub mod chart;
mod copies;
mod evidence;
mod final_check;
mod held;
mod home;
mod inbox;
mod ingest;
mod ledger_page;
mod lineage;
mod open;
mod outer;
pub mod pages;
mod people;
mod product;
mod products;
mod quote;
mod receipt;
mod record;
mod recover;
mod rederive;
pub mod rehearse;
mod release;
mod replay;
mod restore;
mod review;
mod run;
mod schema;
mod submit;
mod suggest;
mod witness;

pub use account::RootAccount;
pub use audit::Trace;
pub use copies::{MarkReceipt, MarkTrace, Suspect};
pub use home::Home;
pub use open::Service;
pub use people::SignedIn;
pub use quote::{Quote, TableQuote};
pub use receipt::{Receipt, verify_receipt};
pub use rederive::{Part, Rederived};
pub use replay::Replayed;
pub use restore::{Presented, Restored};
pub use run::RunEnd;
pub use schema::SchemaFile;
pub use sluice_ledger::verify;
pub use sluice_vault::{Kek, Salt};
pub use sluice_worker::Programs;
pub use submit::Guests;
pub use suggest::Suggestion;
