//! 报价与预审: what a job would cost, and the verdict to expect on synthetic people, before
//! anything is submitted. For operators. It submits nothing, and no real row is read for it;
//! the words are the service's.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;
use sluice_domain::{Refusal, Text};
use sluice_service::{Quote, rehearse::Preflight};

use super::problem::sentence;
use crate::{
    app::{App, undisturbed},
    form::{Sent, Tokened},
    frame::{Frame, Section, page, page_with_status},
    lang::{Texts, texts},
    problem::{Problem, status_of},
    session::Visitor,
    show::number,
};

#[derive(Template)]
#[template(path = "quote.html")]
struct Page {
    frame: Frame,
    /// The job file as it was typed.
    job: String,
    refused: Option<Refused>,
    offer: Option<Offer>,
}

struct Refused {
    code: &'static str,
    cause: String,
    next: String,
    place: Option<String>,
}

struct Offer {
    synthetic: String,
    stand_in: Option<String>,
    tables: Vec<Line>,
    notes: Vec<String>,
    facts: Vec<(&'static str, String)>,
    suggestions: Vec<String>,
}

struct Line {
    name: String,
    route: &'static str,
    cells: String,
    withheld: String,
    said: String,
    needed: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct QuoteForm {
    token: String,
    #[serde(default)]
    job: String,
}

impl Tokened for QuoteForm {
    fn token(&self) -> &str {
        &self.token
    }
}

/// `GET /quote`.
pub(crate) async fn ask(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    app.service.may_quote(&visitor.who).await.map_err(Problem::on_page)?;
    page(&laid_out(&app, &visitor, String::new(), None, None).await)
}

/// `POST /quote`.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Sent(sent): Sent<QuoteForm>,
) -> Result<Response, Problem> {
    app.service.may_quote(&visitor.who).await.map_err(Problem::on_page)?;
    let t = texts(visitor.here.lang);
    let (visitor, answer) = quoted(&app, visitor, sent.job.clone(), t).await?;
    match answer {
        Ok(offer) => page(&laid_out(&app, &visitor, sent.job, None, Some(offer)).await),
        Err(refusal) => {
            let words = |text: &Text| sentence(text.of(t.lang), t.lang);
            let (cause, next) = (words(&refusal.cause), words(&refusal.next));
            let refused =
                Refused { code: refusal.code, cause, next, place: refusal.place.as_deref().map(str::to_owned) };
            page_with_status(&laid_out(&app, &visitor, sent.job, Some(refused), None).await, status_of(&refusal))
        }
    }
}

/// Asks the service, and holds the turn until it has answered: a table may take longer
/// than a request does.
async fn quoted(
    app: &App,
    visitor: Visitor,
    job: String,
    t: &'static Texts,
) -> Result<(Visitor, Result<Offer, Refusal>), Problem> {
    let (turn, service) = (app.rehearsal().await?, app.service.clone());
    undisturbed(async move {
        let asked = async {
            let contract = service.quote_unseen(&visitor.who, &job).await?;
            let quote = service.offer(&visitor.who, &contract).await?;
            let preflight = service.preflight(&visitor.who, &contract).await?;
            let note = service.note_on_snapshots(&contract).await?;
            Ok(offer(&quote, &preflight, note.into_iter(), t))
        };
        let answer = asked.await;
        drop(turn);
        (visitor, answer)
    })
    .await
}

async fn laid_out(app: &App, visitor: &Visitor, job: String, refused: Option<Refused>, offer: Option<Offer>) -> Page {
    let title = texts(visitor.here.lang).quote.title;
    Page { frame: Frame::inside(app, visitor, Section::Quote, title).await, job, refused, offer }
}

fn offer(quote: &Quote, preflight: &Preflight, notes: impl Iterator<Item = Text>, t: &Texts) -> Offer {
    let (q, say) = (&t.quote, |text: &Text| sentence(text.of(t.lang), t.lang));
    let lines = preflight.tables.iter().zip(&quote.tables).map(|(expected, table)| Line {
        name: expected.table.clone(),
        route: table.made_by,
        cells: counted(expected.cells),
        withheld: counted(expected.withheld),
        said: say(&expected.said),
        needed: table.units_needed.map(q.needed),
    });
    let small = |delta: f64| if delta == 0.0 { "0".to_owned() } else { format!("{delta:e}") };
    let epsilon = quote.epsilon.map(|epsilon| format!(" · ε({:e}) = {epsilon:.4}", quote.epsilon_delta));
    let (rho, delta) = (number(quote.rho), small(quote.delta));
    let left = quote.roots.iter().map(|(_, left)| *left).fold(quote.agreement_left, f64::min);
    let passes = (quote.passes > 1).then(|| (q.passes)(quote.passes));
    let once = format!("ρ = {rho} · δ = {delta}{}", epsilon.unwrap_or_default());
    Offer {
        synthetic: say(&preflight.synthetic),
        stand_in: preflight.stand_in.as_ref().map(say),
        tables: lines.collect(),
        notes: notes.map(|note| say(&note)).collect(),
        facts: vec![
            (q.once, [Some(once), passes].into_iter().flatten().collect::<Vec<_>>().join(" · ")),
            (q.left, format!("ρ = {}", number((left * 1e9).round() / 1e9))),
            (q.tick, (q.seconds)(quote.tick_seconds, quote.wall_seconds)),
        ],
        suggestions: quote.suggestions.iter().map(|s| s.sentence().of(t.lang).to_owned()).collect(),
    }
}

/// A number that is known, or a dash.
fn counted(n: Option<usize>) -> String {
    n.map_or_else(|| "—".to_owned(), |n| n.to_string())
}
