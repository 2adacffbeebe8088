//! The products that the one who looks may see.

use askama::Template;
use axum::{extract::State, response::Response};

use crate::{
    app::App,
    frame::{Frame, Section, page},
    lang::{texts, words},
    problem::Problem,
    session::Visitor,
    show::{Moment, moment},
};

#[derive(Template)]
#[template(path = "products.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
}

struct Line {
    id: String,
    title: String,
    form: &'static str,
    operator: String,
    released: Moment,
}

/// `GET /products`.
pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let products = app.service.products(&visitor.who).await.map_err(Problem::on_page)?;
    let lang = visitor.here.lang;
    let line = |p: sluice_service::pages::ProductLine| Line {
        id: p.id.to_string(),
        title: p.title,
        form: words::form(p.form, lang),
        operator: p.operator.to_string(),
        released: moment(p.released),
    };
    let frame = Frame::inside(&app, &visitor, Section::Products, texts(lang).product.list_title).await;
    page(&Page { frame, lines: products.into_iter().map(line).collect() })
}
