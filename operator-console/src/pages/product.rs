//! One released product: its tables and charts, its files, and what to do about
//! withheld cells. It prints.

use std::str::FromStr as _;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sluice_domain::id::ProductId;

use super::problem::sentence;
use crate::{
    app::App,
    frame::{Frame, Section, page},
    lang::{texts, words},
    problem::Problem,
    session::Visitor,
    show::{Moment, count, grid, grid::Grid, moment},
};

#[derive(Template)]
#[template(path = "product.html")]
struct Page {
    frame: Frame,
    id: String,
    title: String,
    form: &'static str,
    operator: String,
    released: Moment,
    grids: Vec<Grid>,
    artefacts: Vec<grid::Artefact>,
    files: Vec<FileLine>,
    next_steps: Vec<String>,
}

struct FileLine {
    name: String,
    size: String,
    digest: String,
}

/// `GET /products/{product}`.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(product): Path<String>,
) -> Result<Response, Problem> {
    let id = ProductId::from_str(&product).map_err(|_| Problem::missing())?;
    let found = app.service.product(&visitor.who, &id).await.map_err(Problem::on_page)?;
    let t = texts(visitor.here.lang);
    let file = |(name, digest, bytes): (String, sluice_domain::Digest, u64)| FileLine {
        name,
        size: (t.product.bytes)(&count(bytes)),
        digest: digest.to_string(),
    };
    page(&Page {
        frame: Frame::inside(&app, &visitor, Section::Products, &found.line.title).await,
        id: found.line.id.to_string(),
        title: found.line.title,
        form: words::form(found.line.form, t.lang),
        operator: found.line.operator.to_string(),
        released: moment(found.line.released),
        grids: grid::as_published(&found.tables, found.said, found.charts, t),
        artefacts: grid::artefacts(found.artefacts),
        files: found.files.into_iter().map(file).collect(),
        next_steps: found.next_steps.iter().map(|step| sentence(step.of(t.lang), t.lang)).collect(),
    })
}
