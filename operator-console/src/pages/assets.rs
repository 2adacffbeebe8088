//! The stylesheet, the script and the mark: three files, built in. Their addresses
//! carry a digest, so browsers may keep them and still never show an old one.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use sluice_domain::Digest;

const STYLE: &str = include_str!("../../assets/console.css");
const SCRIPT: &str = include_str!("../../assets/console.js");
const MARK: &str = include_str!("../../assets/mark.svg");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| versioned("/assets/console.css", STYLE));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| versioned("/assets/console.js", SCRIPT));

/// `GET /assets/console.css`.
pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

/// `GET /assets/console.js`.
pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /assets/mark.svg`.
pub(crate) async fn mark() -> Response {
    file("image/svg+xml", MARK)
}

/// Where pages find the stylesheet.
pub(crate) fn style_path() -> &'static str {
    &STYLE_PATH
}

/// Where pages find the script.
pub(crate) fn script_path() -> &'static str {
    &SCRIPT_PATH
}

fn versioned(path: &str, content: &str) -> String {
    format!("{path}?v={}", Digest::of(content.as_bytes()).short())
}

fn file(media_type: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=86400")], content).into_response()
}
