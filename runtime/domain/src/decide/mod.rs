//! What may happen next, decided by pure code against the state. Each function
//! answers with the event to record, or says no; it changes nothing.

mod agreement;
mod freeze;
mod held;
mod job;
mod people;
mod restore;
mod review;

pub use agreement::{register_dataset, sign_agreement};
pub use freeze::{Resolved, check, freeze};
pub use held::allows;
pub use job::{Left, accept_job, left, set_aside, start_run, tick_of};
pub use people::{enrol, require};
pub use restore::{Later, restore};
pub use review::{may_open, may_see_product, record_vote, release};
