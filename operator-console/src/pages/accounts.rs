//! 隐私账: what every dataset root has paid, what is left of the year, and what each
//! agreement may still spend. For the bureau and auditors; nothing here depends on data.

use askama::Template;
use axum::{extract::State, response::Response};
use sluice_service::pages::{AgreementLine, RootLine};

use super::workbench::BitsPart;
use crate::{
    app::App,
    frame::{Frame, Section, page},
    lang::{Texts, texts},
    problem::Problem,
    session::Visitor,
    show::number,
};

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page {
    frame: Frame,
    roots: Vec<Root>,
}

struct Root {
    id: String,
    title: String,
    /// What, ρ, δ.
    spent: Vec<(String, String)>,
    epsilon: (String, String),
    agreements: Vec<Line>,
}

struct Line {
    id: String,
    operator: String,
    term: String,
    in_force: bool,
    charged: String,
    left: String,
    bits: BitsPart,
}

/// `GET /accounts`.
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let found = app.service.accounts(&visitor.who).await.map_err(Problem::on_page)?;
    let t = texts(visitor.here.lang);
    page(&Page {
        frame: Frame::inside(&app, &visitor, Section::Accounts, t.accounts.title).await,
        roots: found.roots.into_iter().map(|r| root(r, found.year, t)).collect(),
    })
}

fn root(line: RootLine, year: i16, t: &Texts) -> Root {
    let (a, account) = (&t.accounts, &line.account);
    let small = |delta: f64| if delta == 0.0 { "0".to_owned() } else { format!("{delta:e}") };
    let both = |rho: f64, delta: f64| format!("ρ = {} · δ = {}", rounded(rho), small(delta));
    Root {
        id: account.root.to_string(),
        title: line.title,
        spent: vec![
            ((a.of_year)(year), both(account.rho_of_year, line.delta_of_year)),
            (a.left.to_owned(), both(account.rho_left, line.delta_left)),
            (a.allotted.to_owned(), format!("ρ = {}", rounded(line.allotted))),
            (a.ever.to_owned(), both(account.rho, account.delta)),
        ],
        epsilon: (
            (a.epsilon)(account.epsilon_delta),
            account.epsilon.map_or_else(|| a.no_epsilon.to_owned(), |epsilon| format!("{epsilon:.4}")),
        ),
        agreements: line.agreements.into_iter().map(|l| agreement(l, t)).collect(),
    }
}

fn agreement(line: AgreementLine, t: &Texts) -> Line {
    Line {
        id: line.id.to_string(),
        operator: line.operator.to_string(),
        term: format!("{} – {}", line.term.0, line.term.1),
        in_force: line.in_force,
        charged: format!("ρ = {} / {}", rounded(line.charged), rounded(line.allotted)),
        left: format!("ρ = {}", rounded(line.left)),
        bits: BitsPart::of(line.bits, t),
    }
}

/// Sums of ρ without the last digits of their rounding.
fn rounded(rho: f64) -> String {
    number((rho * 1e9).round() / 1e9)
}
