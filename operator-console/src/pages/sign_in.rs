//! Signing in. There is no session before it: the form's token is kept in a cookie
//! of its own, so that strangers cost the server no memory and a link from
//! elsewhere never signs anybody out.

use askama::Template;
use axum::{
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use sluice_domain::Lang;
use tower_sessions::Session;
use zeroize::Zeroizing;

use super::problem::sentence;
use crate::{
    app::{App, undisturbed},
    cookies,
    form::{Sent, Tokened, secret},
    frame::{Frame, page, page_with_status},
    lang::{texts, words},
    problem::{Problem, status_of},
    session::{Here, Visitor, begin, own_path},
    token::Token,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    token: String,
    next: String,
    account: String,
    refused: Option<(&'static str, String)>,
    demo_accounts: Vec<DemoAccount>,
}

/// An account of a demo domain, whose passwords are public.
struct DemoAccount {
    name: String,
    role: &'static str,
}

/// The token that the sign-in form must carry: it came with a cookie that only this
/// host can set and read.
pub(crate) struct Door(Option<Token>);

impl FromRequestParts<App> for Door {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let name = cookies::door_name(app.config.transport());
        let token = cookies::read(&parts.headers, name).as_deref().and_then(Token::parse);
        if let Some(token) = &token {
            parts.extensions.insert(token.clone());
        }
        Ok(Self(token))
    }
}

/// Where to go after signing in.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    next: String,
}

/// What the sign-in form sends.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    token: String,
    account: String,
    #[serde(deserialize_with = "secret")]
    password: Zeroizing<String>,
    #[serde(default)]
    next: String,
}

impl Tokened for SignInForm {
    fn token(&self) -> &str {
        &self.token
    }
}

/// `GET /sign-in`.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Result<Visitor, Response>,
    here: Here,
    door: Door,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    if visitor.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    // A token that is there already stays: two open tabs both work.
    let token = door.0.unwrap_or_else(Token::fresh);
    let template = form(&app, &here, &token, wanted.next, String::new(), None).await;
    let mut response = page(&template)?;
    if let Some(cookie) = cookies::set_door(token.as_str(), app.config.transport()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /sign-in`.
pub(crate) async fn enter(
    State(app): State<App>,
    session: Session,
    here: Here,
    door: Door,
    Sent(sent): Sent<SignInForm>,
) -> Result<Response, Problem> {
    let turn = app.turn().await?;
    let (service, account, password) = (app.service.clone(), sent.account.clone(), sent.password);
    let answer = undisturbed(async move { service.sign_in(&account, password).await }).await?;
    drop(turn);
    match answer {
        Ok(who) => {
            begin(&session, &who).await?;
            Ok(Redirect::to(own_path(&sent.next).unwrap_or("/")).into_response())
        }
        Err(refusal) => {
            let token = door.0.unwrap_or_else(Token::fresh);
            let words = sentence(refusal.cause.of(here.lang), here.lang);
            let template = form(&app, &here, &token, sent.next, sent.account, Some((refusal.code, words))).await;
            let status = match status_of(&refusal) {
                // Being told 404 or 409 at the door would only puzzle.
                status if status.is_server_error() => status,
                _ => StatusCode::FORBIDDEN,
            };
            page_with_status(&template, status)
        }
    }
}

async fn form(
    app: &App,
    here: &Here,
    token: &Token,
    next: String,
    account: String,
    refused: Option<(&'static str, String)>,
) -> Page {
    let mut frame = Frame::outside(here, texts(here.lang).sign_in.title);
    frame.demo = app.service.is_demo().await;
    let demo_accounts = if frame.demo { demo_accounts(app, here.lang).await } else { Vec::new() };
    let next = own_path(&next).unwrap_or("/").to_owned();
    Page { frame, token: token.as_str().to_owned(), next, account, refused, demo_accounts }
}

/// Who can sign in to a demo domain. Never asked of any other.
async fn demo_accounts(app: &App, lang: Lang) -> Vec<DemoAccount> {
    let Ok(state) = app.service.snapshot().await else { return Vec::new() };
    state.people().map(|p| DemoAccount { name: p.id.to_string(), role: words::role(p.role, lang) }).collect()
}
