//! A quote and a verdict through the browser, before anything is submitted.

use reqwest::StatusCode;

use crate::hall::{Answer, Browser, Hall};

const VISITS_REPORT: &str = include_str!("../../../guest-examples/visits-report/job.toml");
const SPENDING_CHANGE: &str = include_str!("../../../guest-examples/spending-change/job.toml");

async fn ask(browser: &Browser, job: &str) -> Answer {
    let token = browser.get("/quote").await.field("token");
    browser.post("/quote", &[("token", token.as_str()), ("job", job)]).await
}

#[tokio::test]
async fn an_operator_reads_cost_and_verdict_before_submitting() {
    let hall = Hall::quiet().await;
    let operator = hall.signed_in("chen-insurance").await;
    assert!(operator.get("/").await.body.contains("href=\"/quote\""));
    assert!(!hall.signed_in("zhao-reviewer").await.get("/").await.body.contains("href=\"/quote\""));

    let page = ask(&operator, VISITS_REPORT).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let words =
        ["合成数据", "不读任何真实的行", "公开的占位参数", "合成数据上 114 格", "合成数据上 108 格", "如何少隐去"];
    assert!(words.iter().all(|words| page.body.contains(words)), "{}", page.body);
    assert!(!page.body.contains("ε("), "what has no noise promises no ε");
    assert!(page.body.contains("SELECT plan, year"), "what was typed stays");
    // A job with a component is quoted without it.
    let page = ask(&operator, SPENDING_CHANGE).await.body;
    assert!(page.contains("ρ = 0.02") && page.contains("ε(") && page.contains("5 格全部公布，不取决于数据"), "{page}");
    // Nothing was submitted.
    assert_eq!(operator.get("/").await.body.matches("spending-change").count(), 0);
}

#[tokio::test]
async fn a_refusal_stands_above_what_was_typed_with_its_line() {
    let hall = Hall::quiet().await;
    let operator = hall.signed_in("chen-insurance").await;
    let page = ask(&operator, &VISITS_REPORT.replace("sum(mdvis)", "max(mdvis)")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("sql.extreme") && page.body.contains("line 10"), "{}", page.body);
    assert!(page.body.contains("max(mdvis)"));
    let hostile = "</textarea><script>alert(1)</script>";
    let page = ask(&operator, hostile).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!page.body.contains("<script>alert") && page.body.contains("&#60;script&#62;alert(1)"));
    // Another operator's agreement reads like one that does not exist.
    let other = hall.signed_in("wu-other").await;
    assert!(ask(&other, VISITS_REPORT).await.body.contains("agreement.unknown"));
}
