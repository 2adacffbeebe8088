//! Chooses the language. It is a link, kept in a cookie that says nothing else.

use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use sluice_domain::Lang;

use crate::{app::App, cookies, problem::Problem, session::own_path};

/// Where the reader was.
#[derive(Deserialize)]
pub(crate) struct From {
    #[serde(default)]
    back: String,
}

/// `GET /lang/{lang}`.
pub(crate) async fn choose(
    State(app): State<App>,
    Path(lang): Path<String>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let lang = match lang.as_str() {
        "zh" => Lang::Zh,
        "en" => Lang::En,
        _ => return Err(Problem::missing()),
    };
    let mut response = Redirect::to(own_path(&from.back).unwrap_or("/")).into_response();
    if let Some(cookie) = cookies::set_language(lang, app.config.transport()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
