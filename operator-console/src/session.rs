//! Who asks. A session lives on the server; the browser holds its id only. It
//! ends by sign-out, after idling, and after a fixed time in any case, and its id
//! is new at every sign-in. What the person may do is asked of the service on
//! every request, so a role that is withdrawn is withdrawn at once.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{Method, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use sluice_domain::{Lang, Timestamp, id::PersonId};
use sluice_service::SignedIn;
use tower_sessions::Session;

use crate::{app::App, config::ConsoleConfig, cookies, problem::Problem, token::Token};

const KEY: &str = "visit";

/// What the server remembers of a session.
#[derive(Serialize, Deserialize)]
struct Visit {
    person: PersonId,
    token: Token,
    since: Timestamp,
    seen: Timestamp,
}

impl Visit {
    fn alive(&self, now: Timestamp, config: &ConsoleConfig) -> bool {
        let within = |from: Timestamp, most: Duration| {
            Duration::try_from(now.duration_since(from)).is_ok_and(|passed| passed < most)
        };
        within(self.seen, config.idle) && within(self.since, config.longest)
    }
}

/// Somebody who is signed in, and the token that their forms must carry.
pub(crate) struct Visitor {
    pub(crate) who: SignedIn,
    pub(crate) token: Token,
    pub(crate) here: Here,
}

/// Where a request stands: its language and its path.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) lang: Lang,
    pub(crate) path: String,
}

/// Starts a session for `who`. Whatever was in the session before is dropped and
/// the id changes, so an id that somebody planted is worth nothing.
pub(crate) async fn begin(session: &Session, who: &SignedIn) -> Result<(), Problem> {
    session.clear().await;
    session.cycle_id().await.map_err(|_| Problem::broken())?;
    let now = Timestamp::now();
    let visit = Visit { person: who.person().id.clone(), token: Token::fresh(), since: now, seen: now };
    session.insert(KEY, visit).await.map_err(|_| Problem::broken())
}

/// Ends a session on the server; the browser's cookie is removed with it.
pub(crate) async fn end(session: &Session) -> Result<(), Problem> {
    session.flush().await.map_err(|_| Problem::broken())
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let broken = |_| Problem::broken().into_response();
        let session = parts.extensions.get::<Session>().cloned().ok_or(()).map_err(broken)?;
        // A session that cannot be read is no session.
        let Some(mut visit) = session.get::<Visit>(KEY).await.unwrap_or_default() else {
            return Err(to_sign_in(parts));
        };
        let now = Timestamp::now();
        let who = match visit.alive(now, &app.config) {
            true => app.service.resume(&visit.person).await,
            false => None,
        };
        let Some(who) = who else {
            end(&session).await.map_err(IntoResponse::into_response)?;
            return Err(to_sign_in(parts));
        };
        let token = visit.token.clone();
        if !is_poll(parts) {
            visit.seen = now;
            session.insert(KEY, visit).await.map_err(|_| Problem::broken().into_response())?;
        }
        parts.extensions.insert(token.clone());
        Ok(Self { who, token, here: here(parts) })
    }
}

impl<S: Sync> FromRequestParts<S> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(here(parts))
    }
}

fn here(parts: &Parts) -> Here {
    Here { lang: cookies::language(&parts.headers), path: parts.uri.path().to_owned() }
}

/// A page that reloads itself is not somebody at work: it does not keep a session alive.
fn is_poll(parts: &Parts) -> bool {
    parts.method == Method::GET && parts.uri.query() == Some("poll")
}

fn to_sign_in(parts: &Parts) -> Response {
    let wanted = (parts.method == Method::GET).then(|| parts.uri.path()).and_then(own_path).filter(|p| *p != "/");
    let to = wanted.map_or_else(|| "/sign-in".to_owned(), |path| format!("/sign-in?next={path}"));
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&to)).into_response()
}

/// A path of this console, fit to redirect to: no other host, no query, nothing
/// that would need escaping.
pub(crate) fn own_path(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.'));
    (plain && text.starts_with('/') && !text.contains("//") && text.len() <= 200).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn redirects_stay_here() {
        for good in ["/", "/review/run-000031", "/products/product-000011/files/rose.csv"] {
            assert_eq!(own_path(good), Some(good));
        }
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a?b", "/a\r\nX: y", "review"] {
            assert_eq!(own_path(bad), None, "{bad:?}");
        }
    }
}
