//! Casting a vote. The password is typed again because it unwraps the key that
//! signs; the commitment of what was looked at goes along, so that a changed byte
//! voids the vote. A ballot that is turned back comes back as it was typed.

use std::str::FromStr as _;

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use sluice_domain::{Digest, Refusal, Text, approval::Decision, id::RunId, text};
use sluice_service::pages::Ballot;
use zeroize::Zeroizing;

use super::workbench::{BallotForm, open, render};
use crate::{
    app::{App, undisturbed},
    form::{Sent, Tokened, secret},
    frame::page_with_status,
    lang::{Texts, texts},
    problem::{Problem, status_of},
    session::Visitor,
};

/// Longest comment, in characters.
const COMMENT_CHARS_MAX: usize = 2000;

/// What the vote form sends.
#[derive(Deserialize)]
pub(crate) struct VoteForm {
    token: String,
    seen: String,
    decision: Choice,
    #[serde(default)]
    comment: String,
    #[serde(deserialize_with = "secret")]
    password: Zeroizing<String>,
}

/// The three buttons.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Approve,
    Return,
    Reject,
}

impl From<Choice> for Decision {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Approve => Self::Approve,
            Choice::Return => Self::Return,
            Choice::Reject => Self::Reject,
        }
    }
}

impl Tokened for VoteForm {
    fn token(&self) -> &str {
        &self.token
    }
}

/// `POST /review/{run}/vote`.
pub(crate) async fn cast(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Sent(sent): Sent<VoteForm>,
) -> Result<Response, Problem> {
    let run = RunId::from_str(&run).map_err(|_| Problem::missing())?;
    let seen = Digest::parse(&sent.seen).ok_or_else(Problem::malformed)?;
    let decision = Decision::from(sent.decision);
    // Browsers send line ends as CRLF; what is signed has one form.
    let comment = sent.comment.replace("\r\n", "\n").trim().to_owned();

    if let Err(refusal) = check_comment(decision, &comment) {
        return turn_back(&app, visitor, run, decision, comment, refusal).await;
    }
    let turn = app.turn().await?;
    let ballot = Ballot { run: run.clone(), seen, decision, comment: comment.clone() };
    let (service, password) = (app.service.clone(), sent.password);
    let (visitor, answer) = undisturbed(async move {
        let answer = service.vote(&visitor.who, password, ballot).await;
        (visitor, answer)
    })
    .await?;
    drop(turn);
    match answer {
        // The workbench says what came of it, now and at every later look.
        Ok(_) => Ok(Redirect::to(&format!("/review/{run}")).into_response()),
        Err(refusal) if hides(&refusal) => Err(Problem::on_action(refusal)),
        Err(refusal) => turn_back(&app, visitor, run, decision, comment, refusal).await,
    }
}

/// Refusals after which this person is not shown the workbench again.
fn hides(refusal: &Refusal) -> bool {
    refusal.code == "account.role" || refusal.code.ends_with(".unknown") || refusal.code == "review.own-work"
}

/// The service asks for a comment too; asking here spares a password check.
fn check_comment(decision: Decision, comment: &str) -> Result<(), Refusal> {
    let both = |say: fn(&Texts) -> &'static str| -> Text {
        text(say(texts(sluice_domain::Lang::Zh)), say(texts(sluice_domain::Lang::En)))
    };
    let no = |cause| Err(Refusal::refused("review.comment", cause, both(|t| t.vote.next_comment)));
    if decision != Decision::Approve && comment.is_empty() {
        return no(both(|t| t.vote.comment_needed));
    }
    if comment.chars().count() > COMMENT_CHARS_MAX {
        return no(both(|t| t.vote.comment_too_long));
    }
    Ok(())
}

async fn turn_back(
    app: &App,
    visitor: Visitor,
    run: RunId,
    decision: Decision,
    comment: String,
    refusal: Refusal,
) -> Result<Response, Problem> {
    let (visitor, opened) = open(app, visitor, run).await?;
    let bench = opened.map_err(Problem::on_action)?;
    let ballot = BallotForm::turned_back(Some(decision), comment, &refusal, texts(visitor.here.lang));
    let template = render(app, &visitor, bench, ballot).await;
    page_with_status(&template, status_of(&refusal))
}
