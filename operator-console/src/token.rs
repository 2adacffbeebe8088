//! The secret that proves a form came from our page. It knows nothing of who
//! holds it.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tower_sessions::session::Id;

/// 128 random bits, written as 22 URL-safe characters.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token(String);

impl Token {
    /// A new one. Session ids come from the thread's cryptographic generator, and
    /// a token needs just what they have: 128 bits that nobody can guess.
    pub(crate) fn fresh() -> Self {
        Self(Id::default().to_string())
    }

    /// Takes one back from a cookie; anything of another shape is nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse::<Id>().ok().map(|_| Self(text.to_owned()))
    }

    /// Compares in a time that does not tell how far two tokens agree.
    pub(crate) fn matches(&self, sent: &str) -> bool {
        self.0.as_bytes().ct_eq(sent.as_bytes()).into()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn a_token_matches_itself_only() {
        let token = Token::fresh();
        assert!(token.matches(token.as_str()));
        assert!(!token.matches(Token::fresh().as_str()));
        assert!(!token.matches(""));
        assert!(!token.matches(&token.as_str()[1..]));
        assert!(Token::parse(token.as_str()).is_some());
        assert!(Token::parse("x").is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        let token = Token::fresh();
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
