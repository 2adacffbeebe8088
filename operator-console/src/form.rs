//! A form that was sent to us, taken only if it carries the token of the page we
//! made. The check on `Sec-Fetch-Site` and `Origin` comes before, in `guard`;
//! either one alone would do, and neither is left out.

use axum::{
    extract::{Form, FromRequest, Request},
    response::IntoResponse as _,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{problem::Problem, token::Token};

/// A form that has a token field. A form without one cannot be received.
pub(crate) trait Tokened: DeserializeOwned {
    /// What the browser sent back as the token.
    fn token(&self) -> &str;
}

/// A form whose token was right. Comes after `Visitor` or `Door` in a handler's
/// arguments: they say which token is right, and without them none is.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: Tokened, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let right = request.extensions().get::<Token>().cloned();
        // The library's own words about a bad body are dropped: they quote it.
        let form = Form::<T>::from_request(request, state)
            .await
            .map_err(|rejection| Problem::of_status(rejection.into_response().status()));
        let right = right.ok_or_else(Problem::forged)?;
        let Form(form) = form?;
        if right.matches(form.token()) { Ok(Self(form)) } else { Err(Problem::forged()) }
    }
}

/// Reads a password so that it is wiped when dropped.
pub(crate) fn secret<'de, D: Deserializer<'de>>(field: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(field).map(Zeroizing::new)
}
