//! The error page: code, cause, place, next step. Never an inner detail, and for
//! everything that is missing or hidden the very same words.

use askama::Template;
use axum::http::StatusCode;
use sluice_domain::Lang;

use crate::{frame::Frame, lang::texts, problem::Problem, session::Here};

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    frame: Frame,
    heading: &'static str,
    code: &'static str,
    cause: String,
    place: Option<String>,
    next: String,
}

/// The page for `problem`, in the reader's language.
pub(crate) fn render(problem: &Problem, here: &Here) -> String {
    let t = &texts(here.lang).problem;
    let heading = match problem.status {
        StatusCode::NOT_FOUND => t.missing,
        status if status.is_server_error() => t.failed,
        _ => t.refused,
    };
    let refusal = &problem.refusal;
    let mut frame = Frame::outside(here, heading);
    // A form's own address cannot be opened by the language switch.
    frame.here = "/".to_owned();
    let page = Page {
        frame,
        heading,
        code: refusal.code,
        cause: sentence(refusal.cause.of(here.lang), here.lang),
        place: refusal.place.as_deref().map(str::to_owned),
        next: sentence(refusal.next.of(here.lang), here.lang),
    };
    page.render().unwrap_or_else(|_| refusal.code.to_owned())
}

/// Refusals are written without a capital and a full stop; a page has both. A Greek
/// letter stays as it is: σ is not Σ.
pub(crate) fn sentence(text: &str, lang: Lang) -> String {
    let stop = if lang == Lang::Zh { "。" } else { "." };
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let first = first.map(String::from).unwrap_or_default();
    format!("{first}{}{stop}", chars.as_str().trim_end_matches(['。', '.']))
}
