//! The console's three cookies: session, door and language. Reading and writing
//! only; what they mean is said where they are used.

use axum::http::{HeaderMap, HeaderValue, header};
use sluice_domain::Lang;
use tower_sessions::cookie::{Cookie, SameSite, time::Duration};

use crate::config::Transport;

/// The language a reader chose. Not a secret, and kept for a year.
const LANGUAGE: &str = "sluice-lang";

/// Name of the session cookie. Over TLS the `__Host-` prefix binds it to this very
/// host, so that a neighbouring subdomain cannot plant one.
pub(crate) fn session_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "__Host-sluice",
        Transport::Loopback => "sluice",
    }
}

/// Name of the cookie that the sign-in form's token is compared with: there is no
/// session yet to keep it in.
pub(crate) fn door_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "__Host-sluice-door",
        Transport::Loopback => "sluice-door",
    }
}

/// The value of the cookie called `name`.
pub(crate) fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| Cookie::split_parse(line.to_owned()))
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// The language of a request: what the reader chose, else Chinese.
pub(crate) fn language(headers: &HeaderMap) -> Lang {
    match read(headers, LANGUAGE).as_deref() {
        Some("en") => Lang::En,
        _ => Lang::Zh,
    }
}

/// Remembers a language for a year.
pub(crate) fn set_language(lang: Lang, transport: Transport) -> Option<HeaderValue> {
    let value = match lang {
        Lang::Zh => "zh",
        Lang::En => "en",
    };
    set(LANGUAGE, value, transport, Some(Duration::days(365)))
}

/// Sets the door cookie, until the browser is closed.
pub(crate) fn set_door(value: &str, transport: Transport) -> Option<HeaderValue> {
    set(door_name(transport), value, transport, None)
}

fn set(name: &'static str, value: &str, transport: Transport, keep: Option<Duration>) -> Option<HeaderValue> {
    let mut cookie = Cookie::build((name, value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(transport == Transport::Tls);
    if let Some(keep) = keep {
        cookie = cookie.max_age(keep);
    }
    HeaderValue::from_str(&cookie.build().to_string()).ok()
}
