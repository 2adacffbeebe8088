//! Signing out: the session ends on the server.

use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use tower_sessions::Session;

use crate::{
    form::{Sent, Tokened},
    problem::Problem,
    session::{Visitor, end},
};

/// What the sign-out button sends.
#[derive(Deserialize)]
pub(crate) struct SignOutForm {
    token: String,
}

impl Tokened for SignOutForm {
    fn token(&self) -> &str {
        &self.token
    }
}

/// `POST /sign-out`.
pub(crate) async fn leave(_: Visitor, session: Session, _: Sent<SignOutForm>) -> Result<Response, Problem> {
    end(&session).await?;
    Ok(Redirect::to("/sign-in").into_response())
}
