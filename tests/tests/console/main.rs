//! The console over a real service, asked over real HTTP: who sees what, and what
//! other sites, strangers and hostile texts cannot do.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod artefacts;
mod evidence;
mod forgery;
mod hall;
mod held;
mod quote;
mod review;
mod roles;
mod sessions;
mod texts;
