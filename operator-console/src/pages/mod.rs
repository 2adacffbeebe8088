//! One file per page or act. Each handler reads check → check → act; who may do
//! what is the service's answer, never a test on the role made here.

pub(crate) mod accounts;
pub(crate) mod assets;
pub(crate) mod download;
pub(crate) mod inbox;
pub(crate) mod language;
pub(crate) mod ledger;
pub(crate) mod problem;
pub(crate) mod product;
pub(crate) mod products;
pub(crate) mod quote;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod vote;
pub(crate) mod workbench;
mod workbench_context;
