//! A review through the browser: comment where one is needed, blind until all are
//! in, bound to the bytes that were seen.

use std::time::Duration;

use reqwest::StatusCode;
use sluice::demo::city::password;

use crate::hall::{Answer, Browser, Hall};

const FIRST: &str = "第一位的意见";

pub(crate) async fn vote(
    browser: &Browser,
    page: &Answer,
    run: &str,
    decision: &str,
    comment: &str,
    password: &str,
) -> Answer {
    let (token, seen) = (page.field("token"), page.field("seen"));
    let fields = [
        ("token", token.as_str()),
        ("seen", &seen),
        ("decision", decision),
        ("comment", comment),
        ("password", password),
    ];
    browser.post(&format!("/review/{run}/vote"), &fields).await
}

#[tokio::test]
async fn two_blind_votes_make_a_product() {
    let (hall, _, run) = Hall::city("年度统计").await;
    let run = run.as_str();
    let page = format!("/review/{run}");
    let (zhao, qian) = (hall.signed_in("zhao-reviewer").await, hall.signed_in("qian-reviewer").await);
    let bench = zhao.get(&page).await;
    assert!(bench.body.contains("隐去") && bench.body.contains("class=\"chip\""), "reviewers see reasons");

    // Return and reject need a comment; what was chosen stays chosen, and nothing is counted.
    for decision in ["return", "reject"] {
        let turned_back = vote(&zhao, &bench, run, decision, " \r\n ", &password()).await;
        assert_eq!(turned_back.status, StatusCode::BAD_REQUEST);
        assert!(turned_back.body.contains("review.comment"));
        assert!(turned_back.body.contains(&format!("value=\"{decision}\" required checked")));
    }
    // A wrong password signs nothing, and the comment is not lost.
    let turned_back = vote(&zhao, &bench, run, "approve", FIRST, "not-the-password").await;
    assert_eq!(turned_back.status, StatusCode::FORBIDDEN);
    assert!(turned_back.body.contains(FIRST) && !turned_back.body.contains("not-the-password"));
    assert!(turned_back.body.contains("0 / 2 票"));
    // Other bytes than the candidate's void the vote.
    let (token, other) = (bench.field("token"), "00".repeat(32));
    let stale = [("token", token.as_str()), ("seen", &other), ("decision", "approve"), ("password", &password())];
    assert_eq!(zhao.post(&format!("{page}/vote"), &stale).await.status, StatusCode::CONFLICT);

    let counted = vote(&zhao, &bench, run, "approve", FIRST, &password()).await;
    assert_eq!((counted.status, counted.location()), (StatusCode::SEE_OTHER, page.as_str()));
    let mine = zhao.get(&page).await.body;
    assert!(mine.contains(FIRST) && mine.contains("1 / 2 票") && !mine.contains("id=\"vote\""));

    // The second reviewer sees that one is in, not whose nor what.
    let bench = qian.get(&page).await;
    assert!(bench.body.contains("1 / 2 票"));
    assert!(!bench.body.contains(FIRST) && !bench.body.contains("zhao-reviewer"));
    let again = vote(&zhao, &bench, run, "approve", "", &password()).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "another's token");

    let decided = vote(&qian, &bench, run, "approve", "", &password()).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER);
    let outcome = qian.get(&page).await.body;
    assert!(outcome.contains(FIRST) && outcome.contains("zhao-reviewer") && outcome.contains("已通过"));
}

#[tokio::test]
async fn a_returned_candidate_tells_its_operator_why() {
    let (hall, _, run) = Hall::city("年度统计").await;
    let zhao = hall.signed_in("zhao-reviewer").await;
    let bench = zhao.get(&format!("/review/{run}")).await;
    let comment = "年龄请改为五岁一档<script>alert(1)</script>";
    let counted = vote(&zhao, &bench, run.as_str(), "return", comment, &password()).await;
    assert_eq!(counted.status, StatusCode::SEE_OTHER);
    // Before the tick the operator is told nothing that depends on the run.
    tokio::time::sleep(Duration::from_secs(13)).await;
    let inbox = hall.signed_in("chen-insurance").await.get("/").await.body;
    assert!(inbox.contains("已退回") && inbox.contains("年龄请改为五岁一档&#60;script&#62;"));
    assert!(!hall.signed_in("wu-other").await.get("/").await.body.contains("五岁一档"));
}
