//! The review workbench: everything one needs to decide about one candidate, and
//! the form to vote with. Opening it is recorded by the service. Others' votes are
//! not in what it is given until all are in.

use std::str::FromStr as _;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sluice_domain::{
    Refusal,
    approval::{Decision, Vote},
    id::RunId,
};
use sluice_service::pages::{Bits, Change, Changes, Weight, Word, Workbench};

use super::{problem::sentence, workbench_context::Context};
use crate::{
    app::{App, undisturbed},
    frame::{Frame, Section, page},
    lang::{Texts, texts, words},
    problem::Problem,
    session::Visitor,
    show::{Moment, evidence, grid, grid::Grid, moment},
};

#[derive(Template)]
#[template(path = "workbench.html")]
pub(crate) struct Page {
    frame: Frame,
    run: String,
    title: String,
    form: &'static str,
    operator: String,
    standing: Standing,
    votes: String,
    grids: Vec<Grid>,
    artefacts: Vec<grid::Artefact>,
    evidence: evidence::Evidence,
    raw: String,
    commitment: String,
    findings: Vec<FindingLine>,
    changes: Option<ChangesPart>,
    bits: BitsPart,
    context: Context,
    earlier: Vec<EarlierLine>,
    ballot: Option<BallotForm>,
    mine: Option<VoteLine>,
    decided: Option<Vec<VoteLine>>,
    product: Option<String>,
    tick: Moment,
}

/// Where the review stands.
#[derive(PartialEq, Eq)]
enum Standing {
    Open,
    Approved,
    Declined,
}

struct FindingLine {
    tone: &'static str,
    weight: &'static str,
    text: String,
}

/// What is different since the last approved job of the name.
struct ChangesPart {
    since: String,
    at: Moment,
    fields: Vec<ChangeLine>,
}

struct ChangeLine {
    field: String,
    /// Tone and text of each run of words.
    words: Vec<(&'static str, String)>,
}

/// What withheld places and refusals have told so far.
pub(crate) struct BitsPart {
    pub(crate) refusals: String,
    pub(crate) pattern: String,
    /// Whether reviewers ought to look.
    pub(crate) alert: bool,
}

impl BitsPart {
    /// The numbers in words.
    pub(crate) fn of(bits: Bits, t: &Texts) -> Self {
        Self {
            refusals: (t.bench.refusal_bits)(bits.refusals, bits.refusals_max),
            pattern: (t.bench.pattern_bits)(bits.pattern, bits.pattern_alert),
            alert: bits.pattern > bits.pattern_alert || bits.refusals >= bits.refusals_max,
        }
    }
}

struct EarlierLine {
    job: String,
    decision: &'static str,
    comment: String,
}

struct VoteLine {
    reviewer: String,
    decision: &'static str,
    tone: &'static str,
    comment: String,
    at: Moment,
}

/// The vote form, with what was typed before if it was turned back.
#[derive(Default)]
pub(crate) struct BallotForm {
    pub(crate) decision: Option<Decision>,
    pub(crate) comment: String,
    /// Code, cause and next step of the refusal.
    pub(crate) refused: Option<(&'static str, String, String)>,
}

impl BallotForm {
    /// The form as it was sent, with the reason why it was not taken.
    pub(crate) fn turned_back(decision: Option<Decision>, comment: String, refusal: &Refusal, t: &Texts) -> Self {
        let words = |text: &str| sentence(text, t.lang);
        let refused = (refusal.code, words(refusal.cause.of(t.lang)), words(refusal.next.of(t.lang)));
        Self { decision, comment, refused: Some(refused) }
    }

    fn chose(&self, name: &str) -> bool {
        self.decision.is_some_and(|d| d.as_str() == name)
    }
}

/// `GET /review/{run}`.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run = RunId::from_str(&run).map_err(|_| Problem::missing())?;
    let (visitor, opened) = open(&app, visitor, run).await?;
    let bench = opened.map_err(Problem::on_page)?;
    page(&render(&app, &visitor, bench, BallotForm::default()).await)
}

/// Opens a candidate; recorded whether or not the browser waits for it.
pub(crate) async fn open(
    app: &App,
    visitor: Visitor,
    run: RunId,
) -> Result<(Visitor, Result<Workbench, Refusal>), Problem> {
    let service = app.service.clone();
    undisturbed(async move {
        let opened = service.open_candidate(&visitor.who, &run).await;
        (visitor, opened)
    })
    .await
}

/// Lays the workbench out.
pub(crate) async fn render(app: &App, visitor: &Visitor, bench: Workbench, ballot: BallotForm) -> Page {
    let t = texts(visitor.here.lang);
    let mut frame = Frame::inside(app, visitor, Section::Inbox, &bench.candidate.product.title).await;
    // A form's own address cannot be opened by the language switch; the workbench can.
    frame.here = format!("/review/{}", bench.run);
    let standing = match &bench.decided {
        None => Standing::Open,
        Some(votes) if votes.iter().all(|v| v.decision == Decision::Approve) => Standing::Approved,
        Some(_) => Standing::Declined,
    };
    let may_vote = bench.my_vote.is_none() && standing == Standing::Open;
    Page {
        run: bench.run.to_string(),
        title: bench.candidate.product.title.clone(),
        form: words::form(bench.candidate.product.form, t.lang),
        operator: bench.submitted_by.1.to_string(),
        standing,
        votes: (t.bench.votes)(bench.votes.0, bench.votes.1),
        context: Context::of(&bench, t),
        grids: grid::for_reviewers(&bench.candidate.tables, bench.said, bench.charts, t),
        artefacts: grid::artefacts(bench.artefacts),
        evidence: evidence::blocks(bench.evidence, &bench.candidate.tables, t),
        raw: bench.raw,
        commitment: bench.commitment.to_string(),
        findings: bench.findings.into_iter().map(|f| finding_line(f.weight, f.text.of(t.lang), t)).collect(),
        changes: bench.changes.map(changes_part),
        bits: BitsPart::of(bench.bits, t),
        earlier: bench
            .earlier
            .into_iter()
            .map(|(job, decision, comment)| EarlierLine {
                job: job.to_string(),
                decision: words::decision(decision, t.lang),
                comment,
            })
            .collect(),
        ballot: may_vote.then_some(ballot),
        mine: bench.my_vote.map(|v| vote_line(v, t)),
        decided: bench.decided.map(|votes| votes.into_iter().map(|v| vote_line(v, t)).collect()),
        product: bench.product.map(|p| p.to_string()),
        tick: moment(bench.tick),
        frame,
    }
}

fn changes_part(changes: Changes) -> ChangesPart {
    let line = |change: Change| {
        let whole = [("gone", change.before), ("new", change.after)];
        let words = if change.words.is_empty() {
            whole.into_iter().filter_map(|(tone, text)| Some((tone, text?))).collect()
        } else {
            change.words.into_iter().map(|(word, text)| (tone(word), text)).collect()
        };
        ChangeLine { field: change.field, words }
    };
    ChangesPart {
        since: changes.since.to_string(),
        at: moment(changes.at),
        fields: changes.fields.into_iter().map(line).collect(),
    }
}

fn tone(word: Word) -> &'static str {
    match word {
        Word::Kept => "kept",
        Word::Gone => "gone",
        Word::New => "new",
    }
}

fn finding_line(weight: Weight, text: &str, t: &Texts) -> FindingLine {
    let tone = match weight {
        Weight::Risk => "risk",
        Weight::Note => "plain",
        Weight::Limit => "warn",
    };
    FindingLine { tone, weight: words::weight(weight, t.lang), text: sentence(text, t.lang) }
}

fn vote_line(vote: Vote, t: &Texts) -> VoteLine {
    VoteLine {
        reviewer: vote.reviewer.to_string(),
        decision: words::decision(vote.decision, t.lang),
        tone: match vote.decision {
            Decision::Approve => "good",
            Decision::Return => "warn",
            Decision::Reject => "risk",
        },
        comment: vote.comment,
        at: moment(vote.at),
    }
}
