//! Evidence is on the reviewers' workbench and on no other page, whoever asks for it.

use reqwest::{Method, StatusCode};
use sluice_console::routes;
use sluice_domain::id::ProductId;

use crate::{
    hall::Hall,
    roles::{PEOPLE, fill},
};

/// Words of the evidence's sentences, which are the same in every candidate.
const WORDS: [&str; 4] = ["罕见取值扫描", "把 5912 个单位逐一删去", "平均暴露", "至多容纳"];

#[tokio::test]
async fn reviewers_alone_are_shown_evidence() {
    let (hall, released, waiting) = Hall::city("年度统计").await;
    let product = ProductId::of_run(&released);
    let mut shown = 0;
    for (role, account) in PEOPLE {
        let browser = match account {
            Some(account) => hall.signed_in(account).await,
            None => hall.browser(),
        };
        for run in [&released, &waiting] {
            for route in routes().into_iter().filter(|r| r.method == Method::GET && !r.path.contains("{lang}")) {
                let page = browser.get(&fill(route.path, run.as_str(), product.as_str())).await;
                let found = WORDS.iter().filter(|words| page.body.contains(**words)).count();
                let bench = role == "reviewer" && route.path == "/review/{run}" && page.status == StatusCode::OK;
                assert_eq!(found, if bench { WORDS.len() } else { 0 }, "{role} {} {run}", route.path);
                shown += usize::from(bench);
            }
        }
    }
    assert!(shown > 0);
}
