//! The role matrix: every route of the router's own table, asked by everybody.

use std::fmt::Write as _;

use reqwest::{Method, StatusCode};
use sluice::demo::city::password;
use sluice_console::{RouteLine, routes};
use sluice_domain::id::ProductId;

use crate::hall::{Answer, Browser, Hall};

pub(crate) const PEOPLE: [(&str, Option<&str>); 7] = [
    ("nobody", None),
    ("bureau", Some("lin-bureau")),
    ("provider", Some("wang-health")),
    ("operator", Some("chen-insurance")),
    ("other operator", Some("wu-other")),
    ("reviewer", Some("zhao-reviewer")),
    ("auditor", Some("sun-auditor")),
];

/// Fills in what varies in a path. A new kind of hole must be thought about here.
pub(crate) fn fill(path: &str, run: &str, product: &str) -> String {
    let path = path
        .replace("{lang}", "en")
        .replace("{run}", run)
        .replace("{product}", product)
        .replace("{file}", "receipt.json");
    assert!(!path.contains('{'), "`{path}` has a hole that the matrix does not know");
    path
}

/// Asks for a route as well as this person could: with a good token and good fields.
async fn ask(browser: &Browser, route: &RouteLine, path: &str) -> Answer {
    if route.method == Method::GET {
        return browser.get(path).await;
    }
    let mut token = browser.token().await;
    if route.path == "/sign-in" && token.is_empty() {
        token = browser.get("/sign-in").await.field("token");
    }
    let seen = "00".repeat(32);
    let fields = [
        ("token", token.as_str()),
        ("account", "sun-auditor"),
        ("password", &password()),
        // A vote on other bytes than the candidate's: understood, and never counted.
        ("decision", "approve"),
        ("seen", &seen),
    ];
    browser.post(path, &fields).await
}

#[tokio::test]
async fn every_route_answers_every_role_as_written_down() {
    let (hall, released, waiting) = Hall::city("年度统计").await;
    let product = ProductId::of_run(&released);
    let mut matrix = String::new();
    let _ = writeln!(matrix, "{:<38}{}", "route", PEOPLE.map(|(name, _)| format!("{name:<16}")).concat().trim_end());
    for route in routes() {
        let mut line = format!("{:<38}", format!("{} {}", route.method, route.path));
        for (_, account) in PEOPLE {
            let browser = match account {
                Some(account) => hall.signed_in(account).await,
                None => hall.browser(),
            };
            let answer = ask(&browser, &route, &fill(route.path, waiting.as_str(), product.as_str())).await;
            let to_door = answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/sign-in");
            let shown = if to_door { "to the door".to_owned() } else { answer.status.as_u16().to_string() };
            let _ = write!(line, "{shown:<16}");
        }
        let _ = writeln!(matrix, "{}", line.trim_end());
    }
    insta::assert_snapshot!("role-matrix", matrix);
}

#[tokio::test]
async fn what_is_hidden_reads_like_what_does_not_exist() {
    let (hall, released, waiting) = Hall::city("年度统计").await;
    let product = ProductId::of_run(&released);
    for (_, account) in PEOPLE {
        let Some(account) = account else { continue };
        let browser = hall.signed_in(account).await;
        let nothing = browser.get("/nothing-is-here").await;
        assert_eq!(nothing.status, StatusCode::NOT_FOUND);
        for route in routes().into_iter().filter(|r| r.method == Method::GET && r.path.contains('{')) {
            if route.path.contains("{lang}") {
                continue;
            }
            let real = browser.get(&fill(route.path, waiting.as_str(), product.as_str())).await;
            let unreal = browser.get(&fill(route.path, "run-999999", "product-999999")).await;
            assert_eq!(unreal.status, StatusCode::NOT_FOUND, "{account} {}", route.path);
            assert_eq!(unreal.body, nothing.body, "{account} {}", route.path);
            if real.status == StatusCode::NOT_FOUND {
                assert_eq!(real.body, unreal.body, "{account} can tell that {} exists", route.path);
            }
        }
    }
}

#[tokio::test]
async fn a_demo_is_served_on_loopback_only() {
    let hall = Hall::empty("某人", |_| {}).await;
    let open = sluice_console::ConsoleConfig::on("0.0.0.0:0".parse().unwrap());
    let refused = sluice_console::serve(hall.service.clone(), open, std::future::pending()).await;
    assert!(matches!(refused, Err(sluice_console::ConsoleError::DemoNotLoopback(_))));
}
