//! The ledger from outside: what an auditor, a second process, a damaged disk and a
//! killed process meet. One binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod crash;
mod export;
mod receipt;
mod store;
mod support;
