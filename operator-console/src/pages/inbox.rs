//! The first page: what waits for the one who looks, and who holds what since when.

use askama::Template;
use axum::{extract::State, response::Response};
use sluice_domain::{Lang, Timestamp, person::Role};
use sluice_service::pages::{JobStatus, OperatorJob, Waiting};

use crate::{
    app::App,
    frame::{Frame, Section, page},
    lang::{texts, words},
    problem::Problem,
    session::Visitor,
    show::{Moment, age, moment},
};

/// How often the page looks again while something is under way.
const POLL_SECONDS: u32 = 20;

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page {
    frame: Frame,
    desk: Desk,
    waiting: Vec<WaitingLine>,
    jobs: Vec<JobLine>,
}

/// What the page is made of, by role. It only arranges; what the lists hold is the
/// service's decision.
#[derive(PartialEq, Eq)]
enum Desk {
    Reviewer,
    Operator,
    Bureau,
    Auditor,
    Provider,
}

struct WaitingLine {
    run: String,
    title: String,
    operator: String,
    scenario: String,
    form: &'static str,
    age: String,
    since: Moment,
    votes: String,
    voted: bool,
}

struct JobLine {
    job: String,
    name: String,
    operator: String,
    status: String,
    tone: &'static str,
    holder: String,
    age: String,
    since: Moment,
    tick: Moment,
    comments: Vec<String>,
    product: Option<String>,
}

/// `GET /`.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let inbox = app.service.inbox(&visitor.who).await.map_err(Problem::on_page)?;
    let (lang, now) = (visitor.here.lang, Timestamp::now());
    let moving = |job: &OperatorJob| matches!(job.status, JobStatus::Running | JobStatus::InReview);
    let poll = !inbox.waiting.is_empty() || inbox.jobs.iter().any(moving);
    let mut frame = Frame::inside(&app, &visitor, Section::Inbox, texts(lang).inbox.title).await;
    frame.poll_seconds = poll.then_some(POLL_SECONDS);
    page(&Page {
        frame,
        desk: match visitor.who.person().role {
            Role::Reviewer => Desk::Reviewer,
            Role::Operator => Desk::Operator,
            Role::Bureau => Desk::Bureau,
            Role::Auditor => Desk::Auditor,
            Role::Provider => Desk::Provider,
        },
        waiting: inbox.waiting.into_iter().map(|w| waiting_line(w, now, lang)).collect(),
        jobs: inbox.jobs.into_iter().map(|j| job_line(j, now, lang)).collect(),
    })
}

fn waiting_line(w: Waiting, now: Timestamp, lang: Lang) -> WaitingLine {
    WaitingLine {
        run: w.run.to_string(),
        title: w.title,
        operator: w.operator.to_string(),
        scenario: w.scenario,
        form: words::form(w.form, lang),
        age: age(w.since, now, lang),
        since: moment(w.since),
        votes: (texts(lang).bench.votes)(w.votes_cast, w.votes_needed),
        voted: w.voted,
    }
}

fn job_line(j: OperatorJob, now: Timestamp, lang: Lang) -> JobLine {
    JobLine {
        job: j.job.to_string(),
        name: j.name,
        operator: j.operator.to_string(),
        status: j.status.text().of(lang).to_owned(),
        tone: match j.status {
            JobStatus::Running => "plain",
            JobStatus::InReview => "open",
            JobStatus::Returned | JobStatus::NotRun => "warn",
            JobStatus::Rejected | JobStatus::Void => "risk",
            JobStatus::Released => "good",
        },
        holder: j.holder.of(lang).to_owned(),
        age: age(j.since, now, lang),
        since: moment(j.since),
        tick: moment(j.tick),
        comments: j.comments,
        product: j.product.map(|p| p.to_string()),
    }
}
