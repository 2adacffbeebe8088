//! A held product through the browser: what its reviewers are told, where the marks stand,
//! and the way out by two votes.

use std::time::Duration;

use reqwest::StatusCode;
use sluice::demo::city::password;

use crate::{hall::Hall, review::vote};

/// What stands between two words of a page.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("no `{from}`"));
    rest.split_once(to).unwrap_or_else(|| panic!("no `{to}` after `{from}`")).0
}

#[tokio::test]
async fn a_held_model_is_marked_reviewed_and_released() {
    let (hall, job, run) = Hall::held("就诊次数回归树").await;
    let path = format!("/review/{run}");
    let (zhao, qian) = (hall.signed_in("zhao-reviewer").await, hall.signed_in("qian-reviewer").await);
    let bench = zhao.get(&path).await;
    assert_eq!(bench.status, StatusCode::OK);

    // First of all: no guarantee. No mark says that rules were passed.
    let parts = between(&bench.body, "<nav class=\"parts\"", "</nav>");
    assert!(parts.contains("没有保证") && !parts.contains("规则已过"), "{parts}");
    let findings = between(&bench.body, "id=\"findings-title\"", "</ol>");
    let first = between(findings, "<li class=\"", "</li>");
    assert!(first.starts_with("risk") && first.contains("没有任何隐私保证"), "{first}");
    // Fifteen nodes as numbers, and no bars of them.
    let table = between(&bench.body, "id=\"part-1\"", "class=\"summary\"");
    assert_eq!(table.matches("<tr").count(), 1 + 15, "{table}");
    assert!(!table.contains("<svg") && table.contains("threshold"), "{table}");
    // What running it again showed, each with what it cannot show.
    let evidence = between(&bench.body, "<section id=\"evidence\"", "</section>");
    let titles = ["一人的影响", "诱饵", "成员推断", "模型", "罕见取值扫描", "容量"];
    let missing: Vec<_> = titles.into_iter().filter(|title| !evidence.contains(title)).collect();
    assert!(missing.is_empty(), "{missing:?} {evidence}");
    assert!(evidence.matches("看不出").count() >= evidence.matches("class=\"check ").count());

    for browser in [&zhao, &qian] {
        let seen = browser.get(&path).await;
        let counted = vote(browser, &seen, run.as_str(), "approve", "", &password()).await;
        assert_eq!(counted.status, StatusCode::SEE_OTHER, "{}", counted.body);
    }
    let tick = hall.service.tick(&job).await.unwrap();
    let left = tick.duration_since(sluice_domain::Timestamp::now()).try_into().unwrap_or(Duration::ZERO);
    tokio::time::sleep(left).await;
    hall.service.release_due().await.unwrap();

    // Its operator reads the same warning beside the numbers; the other one reads nothing.
    let operator = hall.signed_in("chen-insurance").await;
    let inbox = operator.get("/").await.body;
    let product = format!("/products/{}", between(&inbox, "href=\"/products/", "\""));
    let page = operator.get(&product).await.body;
    assert!(page.contains("没有任何隐私保证") || page.contains("没有隐私保证"), "{page}");
    assert!(page.contains("tree.csv") && !page.contains("看不出"), "{page}");
    assert_eq!(hall.signed_in("wang-health").await.get(&product).await.status, StatusCode::NOT_FOUND);
}
