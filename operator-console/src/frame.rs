//! What stands around every page: title, navigation, who is signed in, language,
//! the demo banner. And the one function that turns a template into a response.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Extension, Html, IntoResponse as _, Response},
};
use sluice_domain::{Lang, person::Role};

use crate::{
    app::App,
    lang::{Texts, texts, words},
    pages::assets,
    problem::Problem,
    session::{Here, Visitor},
};

/// Marks an error response that already has its page.
#[derive(Clone)]
pub(crate) struct Shown;

/// Which entry of the navigation is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Inbox,
    Quote,
    Products,
    Accounts,
    Ledger,
}

/// Everything that the frame of a page shows.
pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    pub(crate) title: String,
    /// Path of the page, where the language switch comes back to.
    pub(crate) here: String,
    pub(crate) visitor: Option<Badge>,
    pub(crate) links: Vec<Link>,
    pub(crate) demo: bool,
    /// Whether the page is worth reloading while it is looked at.
    pub(crate) poll_seconds: Option<u32>,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
}

/// Who is signed in, as the header says it.
pub(crate) struct Badge {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) org: String,
    pub(crate) token: String,
}

/// An entry of the navigation.
pub(crate) struct Link {
    pub(crate) to: &'static str,
    pub(crate) text: &'static str,
    pub(crate) current: bool,
}

impl Frame {
    /// The frame of a page for nobody in particular.
    pub(crate) fn outside(here: &Here, title: &str) -> Self {
        Self {
            t: texts(here.lang),
            title: title.to_owned(),
            here: here.path.clone(),
            visitor: None,
            links: Vec::new(),
            demo: false,
            poll_seconds: None,
            style: assets::style_path(),
            script: assets::script_path(),
        }
    }

    /// The frame of a page for somebody signed in.
    pub(crate) async fn inside(app: &App, visitor: &Visitor, section: Section, title: &str) -> Self {
        let person = visitor.who.person();
        let badge = Badge {
            name: person.name.clone(),
            role: words::role(person.role, visitor.here.lang),
            org: person.org.to_string(),
            token: visitor.token.as_str().to_owned(),
        };
        let mut frame = Self::outside(&visitor.here, title);
        frame.links = links(person.role, section, frame.t);
        frame.visitor = Some(badge);
        frame.demo = app.service.is_demo().await;
        frame
    }

    /// The token for forms of the page; empty where nobody is signed in.
    pub(crate) fn token(&self) -> &str {
        self.visitor.as_ref().map_or("", |badge| badge.token.as_str())
    }

    /// The language of the page.
    pub(crate) fn lang(&self) -> Lang {
        self.t.lang
    }
}

/// The pages that mean something to a role. Hiding a link protects nothing; the
/// service answers the same to those who guess it.
fn links(role: Role, section: Section, t: &'static Texts) -> Vec<Link> {
    let reads_ledger = matches!(role, Role::Bureau | Role::Auditor | Role::Reviewer);
    let reads_accounts = matches!(role, Role::Bureau | Role::Auditor);
    let reads_products = role != Role::Provider;
    [
        (true, Section::Inbox, "/", t.frame.inbox),
        (role == Role::Operator, Section::Quote, "/quote", t.frame.quote),
        (reads_products, Section::Products, "/products", t.frame.products),
        (reads_accounts, Section::Accounts, "/accounts", t.frame.accounts),
        (reads_ledger, Section::Ledger, "/ledger", t.frame.ledger),
    ]
    .into_iter()
    .filter(|(shown, ..)| *shown)
    .map(|(_, of, to, text)| Link { to, text, current: of == section })
    .collect()
}

/// Renders a page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Problem> {
    let html = template.render().map_err(|_| Problem::broken())?;
    Ok(Html(html).into_response())
}

/// Renders a page that says no in its own words, beside the form it is about.
pub(crate) fn page_with_status(template: &impl Template, status: StatusCode) -> Result<Response, Problem> {
    Ok((status, Extension(Shown), page(template)?).into_response())
}
