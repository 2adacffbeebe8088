//! Views: what an agreement grants, read as rows behind a barrier.
//!
//! Two halves. *Planning* ([`plan_input`], [`plan_table`], [`view_schema`]) is pure
//! over public schemas: it parses the operator's SQL, reduces it to an allow-listed
//! form or refuses it, and never sees a row. *Reading* ([`ViewReader`]) takes an
//! authorisation and the vault and runs only what planning left over: the SQL text
//! itself is never executed.
//!
//! Between the two stands the barrier (`barrier.rs`): a view's rows come out of a
//! leaf of the plan, already filtered and masked, so that no expression of an
//! operator's is ever evaluated on a row or a value that the view hides.
//!
//! What this crate does not do: decide who may read (domain), hold keys (vault),
//! judge a cell (gate), or say anything about a failure beyond one fixed sentence
//! ([`ViewError`]).
#![forbid(unsafe_code)]

mod axis;
mod barrier;
mod calls;
mod clauses;
mod derived;
mod error;
mod expression;
mod filter;
mod fold;
mod functions;
mod input;
mod leakproof;
mod mask;
mod measure;
mod names;
mod nearest;
mod noted;
mod parse;
mod provider;
mod reader;
mod refuse;
mod regress;
mod schema;
mod sealed;
mod session;
mod survive;
mod table;
mod tabulate;
mod texts;
mod units;

#[cfg(test)]
mod tests;

pub use calls::{Blocks, Call};
pub use error::ViewError;
pub use input::{InputPlan, plan_input};
pub use reader::ViewReader;
pub use regress::plan_regression;
pub use schema::{ViewColumn, ViewRole, view_schema};
pub use survive::plan_survival;
pub use table::plan_table;
