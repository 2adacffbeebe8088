//! 留置 (route D): what the host reads out of a product that a guest made straight from
//! person rows, and the rules that a model is held to. Pure: numbers and rows come in.
//!
//! A model is read from the canonical numbers alone ([`Fitted`]); whatever of it nobody
//! can reach or read must be blank, or it could store rows. [`Judge`] then sees the rows,
//! unit by unit. Nothing here says that a product is safe: no guarantee exists for it.

mod examples;
mod fitted;
mod judge;

pub(crate) use self::examples::{Columns, Example};
pub use self::{
    fitted::Fitted,
    judge::{Judge, Judged},
};
