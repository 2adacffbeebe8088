//! Hands a product's file over. The service records who took it; the file is never
//! shown by the browser as a page of this site.

use std::str::FromStr as _;

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use sluice_domain::id::ProductId;

use crate::{
    app::{App, undisturbed},
    problem::Problem,
    session::Visitor,
};

/// `GET /products/{product}/files/{file}`.
pub(crate) async fn take(
    State(app): State<App>,
    visitor: Visitor,
    Path((product, file)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = ProductId::from_str(&product).map_err(|_| Problem::missing())?;
    let service = app.service.clone();
    let taken = undisturbed(async move { service.download(&visitor.who, &id, &file).await }).await?;
    let taken = taken.map_err(Problem::on_page)?;
    let disposition = format!("attachment; filename=\"{}\"", plain(&taken.name));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_str(taken.media_type).map_err(|_| Problem::broken())?),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(|_| Problem::broken())?),
    ];
    Ok((headers, taken.bytes).into_response())
}

/// A file name that means nothing to a header or a file system.
fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    name.chars().map(keep).collect::<String>().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn file_names_are_plain() {
        assert_eq!(plain("rose.csv"), "rose.csv");
        assert_eq!(plain("../a\"b\r\n表.csv"), "_a_b___.csv");
    }
}
