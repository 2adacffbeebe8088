//! Forms that did not come from our pages.

use reqwest::{Method, StatusCode};
use sluice::demo::city::password;
use sluice_console::routes;

use crate::hall::Hall;

fn fields<'a>(token: Option<&'a str>, password: &'a str) -> Vec<(&'a str, &'a str)> {
    const SEEN: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let rest = [("account", "sun-auditor"), ("password", password), ("decision", "approve"), ("seen", SEEN)];
    token.map(|t| ("token", t)).into_iter().chain(rest).collect()
}

#[tokio::test]
async fn no_form_is_taken_without_its_own_token() {
    let hall = Hall::empty("某人", |_| {}).await;
    let password = password();
    let reviewer = hall.signed_in("zhao-reviewer").await;
    let stranger = hall.signed_in("qian-reviewer").await;
    let foreign = stranger.token().await;
    let door = hall.browser();
    let door_of_another = door.get("/sign-in").await.field("token");
    for route in routes().into_iter().filter(|r| r.method == Method::POST) {
        let path = route.path.replace("{run}", "run-000001");
        for token in [None, Some(""), Some("x"), Some(foreign.as_str()), Some(door_of_another.as_str())] {
            let answer = reviewer.post(&path, &fields(token, &password)).await;
            // A form without the field at all cannot even be read.
            let expected = if token.is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNPROCESSABLE_ENTITY };
            let refused = answer.status == expected || answer.status == StatusCode::FORBIDDEN;
            assert!(refused, "{path} with {token:?}: {}", answer.status);
        }
    }
    // Nothing of it was done: the session still stands.
    assert_eq!(reviewer.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_form_is_taken_from_another_site_even_with_the_token() {
    let hall = Hall::empty("某人", |_| {}).await;
    let password = password();
    let reviewer = hall.signed_in("zhao-reviewer").await;
    let token = reviewer.token().await;
    let elsewhere = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for route in routes().into_iter().filter(|r| r.method == Method::POST) {
        let path = route.path.replace("{run}", "run-000001");
        for header in elsewhere {
            let answer = reviewer.post_with(&path, &fields(Some(&token), &password), &[header]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} from {header:?}");
            assert!(answer.body.contains("request.foreign"));
        }
    }
    assert_eq!(reviewer.get("/").await.status, StatusCode::OK);
    // The same form from our own page is taken.
    let answer = reviewer.post_with("/sign-out", &[("token", &token)], &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_never_leads_elsewhere() {
    let hall = Hall::empty("某人", |_| {}).await;
    let browser = hall.browser();
    for bad in ["//evil.example", "https://evil.example/", "/%5Cevil.example", "%0d%0aX:y"] {
        assert_eq!(browser.get(&format!("/lang/en?back={bad}")).await.location(), "/");
        let door = browser.get(&format!("/sign-in?next={bad}")).await;
        assert_eq!(door.field("next"), "/");
        let token = door.field("token");
        let sent = [("token", token.as_str()), ("account", "lin-bureau"), ("password", &password()), ("next", bad)];
        assert_eq!(
            hall.browser().post("/sign-in", &sent).await.status,
            StatusCode::FORBIDDEN,
            "another browser's door"
        );
    }
    assert_eq!(browser.get("/lang/en?back=/ledger").await.location(), "/ledger");
}
