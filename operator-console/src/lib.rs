//! The console: what operators, reviewers, the bureau and auditors see in a browser.
//!
//! Pages are rendered on the server from the plain types of
//! `sluice_service::pages`; forms are real forms, links are real links, and
//! everything works without JavaScript. The crate decides nothing about data:
//! who may see or do what is asked of [`Service`](sluice_service::Service) on
//! every request. What it does guard is the browser's side: sessions, forged
//! requests, headers, escaping, and that a refusal reads the same whether a thing
//! is forbidden or does not exist.
//!
//! Way to read it: [`routes`] (the table of contents) → `pages/` (one file per
//! page) → `session` and `form` (who asks, and whether the form is ours) →
//! `guard` (what every response gets).
#![forbid(unsafe_code)]

mod app;
mod config;
mod cookies;
mod form;
mod frame;
mod guard;
mod lang;
mod pages;
mod problem;
mod router;
mod serve;
mod session;
mod show;
mod store;
mod svg;
mod token;

pub use config::{ConsoleConfig, ConsoleError};
pub use router::{RouteLine, router, routes};
pub use serve::{serve, serve_on};
