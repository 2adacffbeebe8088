//! Sessions: their ids change at sign-in, they end by themselves, and an id that was
//! signed out is worth nothing.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect::Policy};
use sluice::demo::city::password;
use zeroize::Zeroizing;

use crate::hall::{Answer, Browser, Hall};

fn at_the_door(answer: &Answer) -> bool {
    answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/sign-in")
}

/// Asks for the inbox with a cookie that somebody wrote down.
async fn with_cookie(hall: &Hall, id: &str) -> StatusCode {
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = http.get(format!("http://{}/", hall.address)).header("cookie", format!("sluice={id}"));
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_planted_session_id_is_not_used() {
    let hall = Hall::empty("某人", |_| {}).await;
    let planted = "AAAAAAAAAAAAAAAAAAAAAA";
    let browser = hall.browser();
    let door = browser.get("/sign-in").await;
    let door_cookie = door.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let form = [("token", door.field("token")), ("account", "lin-bureau".into()), ("password", password().to_string())];
    let request = http.post(format!("http://{}/sign-in", hall.address)).form(&form);
    let answer = request.header("cookie", format!("sluice={planted}; {door_cookie}")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let set: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    assert!(set.iter().any(|c| c.starts_with("sluice=")) && set.iter().all(|c| !c.contains(planted)), "{set:?}");
    assert_eq!(with_cookie(&hall, planted).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_id_that_was_signed_out_or_replaced_is_dead() {
    let hall = Hall::empty("某人", |_| {}).await;
    let browser = hall.browser();
    let first = browser.sign_in("lin-bureau", &password()).await.session_cookie().unwrap();
    assert_eq!(with_cookie(&hall, &first).await, StatusCode::OK);

    let token = browser.token().await;
    let answer = browser.post("/sign-out", &[("token", &token)]).await;
    assert!(at_the_door(&answer));
    assert_eq!(with_cookie(&hall, &first).await, StatusCode::SEE_OTHER);
    assert!(at_the_door(&browser.get("/").await));

    let second = browser.sign_in("lin-bureau", &password()).await.session_cookie().unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_session_ends_by_idling_and_polling_is_idling() {
    let hall = Hall::empty("某人", |c| c.idle = Duration::from_secs(3)).await;
    let browser = hall.signed_in("lin-bureau").await;
    tokio::time::sleep(Duration::from_millis(1800)).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(1800)).await;
    // The click above prolonged it; this poll does not.
    assert_eq!(browser.get("/?poll").await.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(1800)).await;
    assert!(at_the_door(&browser.get("/").await));
}

#[tokio::test]
async fn a_session_ends_in_any_case() {
    let hall = Hall::empty("某人", |c| c.longest = Duration::from_secs(2)).await;
    let browser = hall.signed_in("lin-bureau").await;
    for _ in 0..3 {
        assert_eq!(browser.get("/").await.status, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(at_the_door(&browser.get("/").await));
}

#[tokio::test]
async fn a_wrong_password_opens_nothing_and_says_little() {
    let hall = Hall::empty("某人", |_| {}).await;
    let wrong = Zeroizing::new("not-the-password".to_owned());
    let known = hall.browser().sign_in("lin-bureau", &wrong).await;
    let unknown = hall.browser().sign_in("nobody-here", &wrong).await;
    for answer in [&known, &unknown] {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("account.sign-in") && answer.session_cookie().is_none());
        assert!(!answer.body.contains("not-the-password"));
    }
    // The demo's account list names `lin-bureau`; apart from that and the echoed name
    // the two answers are one.
    let neutral =
        |a: &Answer| a.body.replace(&a.field("token"), "").replace("value=\"lin-bureau\"", "value=\"nobody-here\"");
    assert_eq!(neutral(&known), neutral(&unknown));
}

#[tokio::test]
async fn after_sign_in_one_is_where_one_wanted_to_be() {
    let hall = Hall::empty("某人", |_| {}).await;
    let browser: Browser = hall.browser();
    let asked = browser.get("/ledger").await;
    assert_eq!(asked.location(), "/sign-in?next=/ledger");
    let door = browser.get(asked.location()).await;
    let (token, next) = (door.field("token"), door.field("next"));
    let sent = [("token", token.as_str()), ("account", "lin-bureau"), ("password", &password()), ("next", &next)];
    assert_eq!(browser.post("/sign-in", &sent).await.location(), "/ledger");
}
