//! The ledger, newest first, with the signed checkpoint that an auditor takes away.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use sluice_service::pages::LedgerLine;

use crate::{
    app::App,
    frame::{Frame, Section, page},
    lang::{Texts, texts},
    problem::Problem,
    session::Visitor,
    show::{Moment, moment},
};

#[derive(Template)]
#[template(path = "ledger.html")]
struct Page {
    frame: Frame,
    total: String,
    checkpoint: String,
    lines: Vec<Line>,
    older: Option<u64>,
    newest: bool,
}

struct Line {
    seq: u64,
    at: Moment,
    actor: String,
    summary: String,
    json: String,
}

/// Which page of the ledger.
#[derive(Deserialize)]
pub(crate) struct Paging {
    before: Option<u64>,
}

/// `GET /ledger`.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let found = app.service.ledger_page(&visitor.who, paging.before).await.map_err(Problem::on_page)?;
    let t = texts(visitor.here.lang);
    page(&Page {
        frame: Frame::inside(&app, &visitor, Section::Ledger, t.ledger.title).await,
        total: (t.ledger.total)(found.total),
        checkpoint: found.checkpoint,
        lines: found.lines.into_iter().map(|l| line(l, t)).collect(),
        older: found.older,
        newest: paging.before.is_none(),
    })
}

fn line(l: LedgerLine, t: &Texts) -> Line {
    Line {
        seq: l.seq,
        at: moment(l.at),
        actor: l.actor.map_or_else(|| t.ledger.system.to_owned(), |person| person.to_string()),
        summary: l.summary.of(t.lang).to_owned(),
        json: l.json,
    }
}
