//! What every response gets, whatever page made it: security headers, an error
//! page without inner detail, limits, and the refusal of requests that other sites
//! set off. It knows no page.

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer};
use tower_sessions::{Expiry, SessionManagerLayer};
use tracing::{info, warn};

use crate::{
    config::{ConsoleConfig, Transport},
    cookies,
    frame::Shown,
    pages,
    problem::Problem,
    session::Here,
    store::Sessions,
};

/// The policy on every response. Nothing inline, nothing from elsewhere, no frames,
/// no connections from scripts.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                 form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers that every response has. `no-referrer` makes browsers send
/// `Origin: null` with our own forms, so `guard` leans on `Sec-Fetch-Site`, which
/// every browser since 2023 sends over TLS and on loopback.
pub(crate) const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-read=()",
    ),
];

/// Puts the routes behind the guard. The last layer named is the first that a
/// request meets.
pub(crate) fn shield(routes: Router, config: &ConsoleConfig) -> Router {
    let transport = config.transport();
    let idle = config.idle.try_into().unwrap_or(tower_sessions::cookie::time::Duration::minutes(30));
    let sessions = SessionManagerLayer::new(Sessions::new(config.sessions_max))
        .with_name(cookies::session_name(transport))
        .with_expiry(Expiry::OnInactivity(idle))
        .with_secure(transport == Transport::Tls);
    let names = Arc::new(config.reached_as.clone());
    routes
        .layer(sessions)
        .layer(CsrfLayer::new())
        .layer(from_fn_with_state((names, transport), own_host))
        .layer(RequestBodyLimitLayer::new(config.body_bytes_max))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(dress))
        .layer(from_fn_with_state(transport, seal))
}

/// Answers only to our own name: a foreign name that resolves to this machine
/// (DNS rebinding) would make another site's pages count as ours.
async fn own_host(
    State((name, transport)): State<(Arc<Option<String>>, Transport)>,
    request: Request,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .and_then(|h| h.parse::<Authority>().ok())
        .map(|authority| authority.host().to_ascii_lowercase());
    let ours = match (name.as_deref(), transport) {
        (Some(name), _) => host.is_some_and(|h| h.eq_ignore_ascii_case(name)),
        (None, Transport::Loopback) => {
            host.is_some_and(|h| h == "localhost" || h.trim_matches(['[', ']']).parse().is_ok_and(is_loopback))
        }
        (None, Transport::Tls) => true,
    };
    if ours { next.run(request).await } else { Problem::of_status(StatusCode::MISDIRECTED_REQUEST).into_response() }
}

fn is_loopback(address: std::net::IpAddr) -> bool {
    address.is_loopback()
}

/// Says that a handler panicked, and nothing of what it said.
fn after_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    warn!("a request handler panicked");
    Problem::broken().into_response()
}

/// Gives every error that has no page yet its page, in the reader's language.
async fn dress(here: Here, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let status = response.status();
    info!(%method, path = %here.path, status = status.as_u16(), "answered {method} with {}", status.as_u16());
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || response.extensions().get::<Shown>().is_some() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::of_status(status));
    let page = pages::problem::render(&problem, &here);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    *response.body_mut() = Body::from(page);
    response
}

/// Sets the headers that every response has. Pages are never kept by a browser or
/// a proxy; the static files say otherwise themselves.
async fn seal(State(transport): State<Transport>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if transport == Transport::Tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

#[cfg(test)]
mod tests;
