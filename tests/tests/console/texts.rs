//! What people write stays text, and the page speaks the reader's language.

use reqwest::StatusCode;

use crate::hall::Hall;
use sluice_domain::id::ProductId;

const HOSTILE: &str = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn is_text(body: &str) {
    assert!(!body.contains("<script>alert") && !body.contains("<img") && !body.contains("onerror=alert(1)>\""));
    assert!(body.contains("&#60;script&#62;alert(1)"));
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let hall = Hall::empty(HOSTILE, |_| {}).await;
    is_text(&hall.signed_in("chen-insurance").await.get("/").await.body);
    let auditor = hall.signed_in("sun-auditor").await;
    is_text(&auditor.get("/ledger").await.body.replace("\\\"", "\""));
    // What was typed at the door comes back as text.
    let door = hall.browser();
    let token = door.get("/sign-in").await.field("token");
    let sent = [("token", token.as_str()), ("account", HOSTILE), ("password", "wrong-password")];
    let refused = door.post("/sign-in", &sent).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    is_text(&refused.body);
}

#[tokio::test]
async fn hostile_titles_stay_text_on_every_page() {
    let (hall, released, waiting) = Hall::city(HOSTILE).await;
    let product = ProductId::of_run(&released);
    let reviewer = hall.signed_in("zhao-reviewer").await;
    for path in ["/".to_owned(), format!("/review/{waiting}"), "/products".to_owned(), format!("/products/{product}")] {
        let answer = reviewer.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        is_text(&answer.body);
    }
}

#[tokio::test]
async fn english_is_one_switch_away() {
    let hall = Hall::empty("某人", |_| {}).await;
    let browser = hall.signed_in("sun-auditor").await;
    let chinese = browser.get("/ledger").await.body;
    assert!(chinese.contains("<html lang=\"zh-CN\">") && chinese.contains("审计日志"));
    assert!(chinese.contains("href=\"/lang/en?back=%2Fledger\""));
    assert_eq!(browser.get("/lang/en?back=%2Fledger").await.location(), "/ledger");
    let english = browser.get("/ledger").await.body;
    assert!(english.contains("<html lang=\"en\">") && english.contains("Append-only"));
    assert_eq!(browser.get("/lang/fr").await.status, StatusCode::NOT_FOUND);
    assert!(browser.get("/nowhere").await.body.contains("There is no such page"));
}

#[tokio::test]
async fn the_style_and_the_script_are_files_and_the_script_is_short() {
    let hall = Hall::empty("某人", |_| {}).await;
    let door = hall.browser().get("/sign-in").await.body;
    for kind in ["href=\"/assets/console.css", "src=\"/assets/console.js"] {
        let path = door.split(kind).nth(1).unwrap().split('"').next().unwrap();
        let path = format!("{}{path}", kind.split('"').nth(1).unwrap());
        let file = hall.browser().get(&path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert!(!file.body.contains("eval(") && !file.body.contains("innerHTML"));
        assert!(!path.contains(".js") || file.body.lines().count() <= 150);
    }
}
