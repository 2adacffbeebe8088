//! What a hostile outer guest composes reaches a reviewer's browser as words, on every
//! page and in every file; what could not be words never becomes an artefact.

use reqwest::StatusCode;
use sluice::demo::city::password;
use sluice_domain::{
    artefact::{Content, Report},
    id::ProductId,
};
use sluice_service::{Guests, RunEnd};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::hall::Hall;

const WIT: &str = include_str!("../../../sdk/wit/sluice-job.wit");
const REPORT: &str = include_str!("../../../guest-examples/visits-report/report.toml");
const SCRIPT: &str = "</pre></svg></title><script>alert(1)</script><img src=x onerror=alert(1)>\n=HYPERLINK(\"//x\")\n";

/// A component whose `compose` answers with these artefacts, whatever it is given.
fn composer(artefacts: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut list, mut data) = (Vec::new(), Vec::new());
    let mut put = |bytes: &[u8]| {
        list.extend_from_slice(&(8192 + u32::try_from(data.len()).unwrap()).to_le_bytes());
        list.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        data.extend_from_slice(bytes);
    };
    artefacts.iter().for_each(|(name, bytes)| {
        put(name.as_bytes());
        put(bytes);
    });
    let text = |bytes: &[u8]| bytes.iter().map(|b| format!("\\{b:02x}")).collect::<String>();
    let module = format!(
        r#"(module
          (memory (export "memory") 8)
          (global $heap (mut i32) (i32.const 262144))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
            (local.set 4 (global.get $heap))
            (global.set $heap (i32.and (i32.add (i32.add (local.get 4) (local.get 3)) (i32.const 7)) (i32.const -8)))
            (local.get 4))
          (data (i32.const 20) "{}") (data (i32.const 1024) "{}") (data (i32.const 8192) "{}")
          (func (export "sluice:job/outer-room@0.1.0#update") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 40))
          (func (export "sluice:job/outer-room@0.1.0#compose") (param i32 i32 i32 i32) (result i32) (i32.const 16)))"#,
        text(&[1024u32.to_le_bytes(), u32::try_from(artefacts.len()).unwrap().to_le_bytes()].concat()),
        text(&list),
        text(&data),
    );
    let mut module = wat::parse_str(&module).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guest.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("outer")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A chart of two points whose every word is `word`.
fn chart(word: &str, number: &str) -> Vec<u8> {
    let word = serde_json::to_string(word).unwrap();
    format!(
        r#"{{"kind":"line","title":{word},"labels":[{word},"b"],"series":[{{"name":{word},"values":[{number},2]}}]}}"#
    )
    .into_bytes()
}

/// Words that a browser reads as words.
fn is_text(page: &str, place: &str) {
    assert!(!page.contains("<script>alert") && !page.contains("<img"), "{place}");
    let escaped = ["&#60;script&#62;alert(1)", "&lt;script&gt;alert(1)"].iter().any(|e| page.contains(e));
    assert!(escaped, "{place} does not show it at all");
    assert!(!page.contains("javascript:") && !page.contains(" onload="), "{place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_report_is_words_in_every_page_and_file() {
    let hall = Hall::city("报告").await.0;
    let service = &hall.service;
    let operator = service.sign_in("chen-insurance", password()).await.unwrap();
    let word = "\"><script>alert(1)</script><b>";
    let guest = composer(&[("notes.md", SCRIPT.as_bytes()), ("a.chart.json", &chart(word, "1e15"))]);
    let guests = Guests { composes: Some(&guest), ..Guests::default() };
    let job = service.submit_with(&operator, password(), &hall.pace.fits(REPORT).unwrap(), &guests).await.unwrap();
    let (run, end) = service.run(&job).await.unwrap();
    assert_eq!(end, RunEnd::InReview);

    let reviewer = hall.signed_in("zhao-reviewer").await;
    // Every answer of the console is held against its content policy by the hall.
    let bench = reviewer.get(&format!("/review/{run}")).await;
    assert_eq!(bench.status, StatusCode::OK);
    is_text(&bench.body, "the workbench");
    assert!(bench.body.contains("notes.md") && !bench.body.contains("NaN"));

    for who in ["zhao-reviewer", "qian-reviewer"] {
        let who = service.sign_in(who, password()).await.unwrap();
        let seen = service.open_candidate(&who, &run).await.unwrap().commitment;
        let decision = sluice_domain::approval::Decision::Approve;
        let ballot = sluice_service::pages::Ballot { run: run.clone(), seen, decision, comment: String::new() };
        service.vote(&who, password(), ballot).await.unwrap();
    }
    let left = service.tick(&job).await.unwrap().duration_since(sluice_domain::Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    service.release_due().await.unwrap();

    let product = ProductId::of_run(&run);
    let browser = hall.signed_in("chen-insurance").await;
    let page = browser.get(&format!("/products/{product}")).await;
    assert_eq!(page.status, StatusCode::OK);
    is_text(&page.body, "the product's page");
    let report = browser.get(&format!("/products/{product}/files/report.html")).await;
    assert_eq!(report.status, StatusCode::OK);
    is_text(&report.body, "report.html");
    assert!(report.headers.get("content-disposition").unwrap().to_str().unwrap().starts_with("attachment"));
    let notes = browser.get(&format!("/products/{product}/files/notes.md")).await;
    assert_eq!(notes.body, SCRIPT, "a text is the reviewed bytes");
    assert!(notes.headers.get("content-disposition").unwrap().to_str().unwrap().starts_with("attachment"));
    assert!(notes.headers.get("content-type").unwrap().to_str().unwrap().starts_with("text/plain"));
}

/// The layer is `Report::parse`: without it these bytes would be files of a product.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_and_no_chart_spoils_the_whole_report() {
    let hall = Hall::city("报告").await.0;
    let service = &hall.service;
    let operator = service.sign_in("chen-insurance", password()).await.unwrap();
    let fine: (&str, &[u8]) = ("fine.txt", b"fine");
    let bidi = "safe \u{202e}elif".as_bytes();
    let (huge, bomb) = ("x".repeat(70_000), "[".repeat(60_000));
    let (nan, beyond, style) = (chart("t", "NaN"), chart("t", "1e400"), chart("a\nb", "1"));
    let hostile: [(&str, &[u8]); 11] = [
        ("page.html", b"<script>alert(1)</script>"),
        ("picture.svg", b"<svg onload=alert(1)/>"),
        ("table.csv", b"=cmd|' /C calc'!A0"),
        ("../../receipt.json", b"{}"),
        ("fine.txt", b"the same name twice"),
        ("a.txt", b"\x1b]0;owned\x07"),
        ("a.txt", bidi),
        ("a.txt", huge.as_bytes()),
        ("a.chart.json", bomb.as_bytes()),
        ("a.chart.json", &nan),
        ("a.chart.json", &beyond),
    ];
    // All in one guest would be refused for the first; each is refused alone.
    for (name, bytes) in hostile.into_iter().chain([("a.chart.json", style.as_slice())]) {
        let sent = [fine, (name, bytes)].map(|(n, b)| (n.to_owned(), b.to_vec()));
        assert_eq!(Report::parse(&sent), Report::Failed, "{name}");
    }
    // The same through the room: the tables go on to review without the report.
    let guest = composer(&[fine, hostile[3]]);
    let guests = Guests { composes: Some(&guest), ..Guests::default() };
    let job = service.submit_with(&operator, password(), &hall.pace.fits(REPORT).unwrap(), &guests).await.unwrap();
    let (run, end) = service.run(&job).await.unwrap();
    assert_eq!(end, RunEnd::InReview);
    let reviewer = service.sign_in("zhao-reviewer", password()).await.unwrap();
    let bench = service.open_candidate(&reviewer, &run).await.unwrap();
    assert_eq!(bench.candidate.report, Report::Failed);
    assert!(bench.artefacts.is_empty() && bench.candidate.tables.len() == 2);
    // And the fine one alone is taken, so that it was the other that spoilt it.
    let taken = Report::parse(&[(fine.0.to_owned(), fine.1.to_vec())]);
    assert!(matches!(&taken.artefacts()[0].content, Content::Text(text) if text == "fine"));
}
