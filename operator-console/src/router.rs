//! The table of contents: every address the console answers, each once. The router
//! is built from it, and so is the role matrix of the tests: a route that is not
//! in the table does not exist, and one that is in it cannot escape the matrix.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{self, MethodRouter},
};
use sluice_service::Service;

use crate::{
    app::App,
    config::ConsoleConfig,
    guard,
    pages::{
        accounts, assets, download, inbox, language, ledger, product, products, quote, sign_in, sign_out, vote,
        workbench,
    },
    problem::Problem,
};

/// One line of the table, for tests and documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLine {
    /// The method; GET also answers HEAD.
    pub method: Method,
    /// The path, with `{…}` for what varies.
    pub path: &'static str,
}

struct Route {
    line: RouteLine,
    answer: MethodRouter<App>,
}

fn table() -> Vec<Route> {
    vec![
        read("/", inbox::show),
        read("/sign-in", sign_in::show),
        send("/sign-in", sign_in::enter),
        send("/sign-out", sign_out::leave),
        read("/lang/{lang}", language::choose),
        read("/quote", quote::ask),
        send("/quote", quote::show),
        read("/review/{run}", workbench::show),
        send("/review/{run}/vote", vote::cast),
        read("/products", products::list),
        read("/products/{product}", product::show),
        read("/products/{product}/files/{file}", download::take),
        read("/accounts", accounts::show),
        read("/ledger", ledger::show),
        read("/assets/console.css", assets::style),
        read("/assets/console.js", assets::script),
        read("/assets/mark.svg", assets::mark),
    ]
}

/// Every route, in the order of the table.
pub fn routes() -> Vec<RouteLine> {
    table().into_iter().map(|route| route.line).collect()
}

/// The console as an axum router, guard and sessions included.
pub fn router(service: Arc<Service>, config: ConsoleConfig) -> Router {
    let app = App::new(service, config.clone());
    let routes = table()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.line.path, route.answer))
        .fallback(|| async { Problem::missing() })
        .with_state(app);
    guard::shield(routes, &config)
}

fn read<T: 'static>(path: &'static str, handler: impl Handler<T, App>) -> Route {
    Route { line: RouteLine { method: Method::GET, path }, answer: routing::get(handler) }
}

fn send<T: 'static>(path: &'static str, handler: impl Handler<T, App>) -> Route {
    Route { line: RouteLine { method: Method::POST, path }, answer: routing::post(handler) }
}
