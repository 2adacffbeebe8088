//! Recipients' marks: every copy is another one, near the approved numbers, and a
//! found copy names who it was given to.

use std::path::Path;

use crate::town::{Town, VISITS_REPORT};

fn marked() -> String {
    let two = r#"recipients = ["ning-an-insurance", "yong-jiang-health", "city-paper"]"#;
    VISITS_REPORT
        .replace(r#"recipients = ["ning-an-insurance"]"#, two)
        .replace(r#"mark = "none""#, "mark = { rounding = 5 }")
}

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_found_copy_names_its_recipient() {
    let town = Town::start().await;
    let service = &town.city.service;
    let product = town.product(&marked(), None).await;
    let folder = town.city.home.product(&product);

    // The operator is one of the recipients here: three copies, all different.
    let copies = ["", "copy-2.", "copy-3."].map(|prefix| read(&folder, &format!("{prefix}visits-by-plan.csv")));
    assert!(copies[0] != copies[1] && copies[1] != copies[2] && copies[0] != copies[2]);
    let receipt = std::fs::read(folder.join("receipt.json")).unwrap();
    let receipt = sluice_service::verify_receipt(&receipt, Some(&folder), None).unwrap();
    let marks = receipt.marks.unwrap();
    assert_eq!(
        marks.copies.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>(),
        ["ning-an-insurance", "yong-jiang-health", "city-paper"]
    );
    assert!(marks.bits > 20.0, "{}", marks.bits);

    // What the operator sees on its page is its own copy.
    let page = service.product(&town.city.operator, &product).await.unwrap();
    let own = format!("{:?}", page.tables);
    let exact = format!("{:?}", service.product(&town.city.auditor, &product).await.unwrap().tables);
    assert_eq!(own, exact);

    let auditor = &town.city.auditor;
    for (copy, recipient) in copies.iter().zip(["ning-an-insurance", "yong-jiang-health", "city-paper"]) {
        // Half of the lines, turned round, one column gone.
        let mut lines: Vec<_> = copy.lines().skip(1).step_by(2).collect();
        lines.reverse();
        let half = [&[copy.lines().next().unwrap()], lines.as_slice()].concat().join("\n");
        for found in [copy, &half] {
            let trace = service.trace_mark(auditor, found.as_bytes()).await.unwrap();
            assert_eq!(trace.product, Some(product.clone()));
            assert_eq!(trace.named.len(), 1, "{trace:?}");
            assert_eq!(trace.named[0].recipient, recipient);
            assert!(trace.named[0].log10_odds < -6.0);
        }
    }

    // A table that was never released names nobody; an operator may not ask.
    let nothing = service.trace_mark(auditor, b"plan,year,visits\r\n1,1,5\r\n").await.unwrap();
    assert!(nothing.named.is_empty() && nothing.product.is_none());
    let refused = service.trace_mark(&town.city.operator, copies[0].as_bytes()).await.unwrap_err();
    assert_eq!(refused.code, "account.role");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_cannot_work_is_refused_at_submission() {
    let town = Town::start().await;
    let base = marked().replace("rounding = 5", "rounding = 1");
    let twice = marked().replace("city-paper", "ning-an-insurance");
    for (job, code) in [(base, "job.mark"), (twice, "job.recipients")] {
        let refused = town
            .city
            .service
            .submit(&town.city.operator, sluice::demo::city::password(), &job, None)
            .await
            .unwrap_err();
        assert_eq!(refused.code, code);
    }
}
