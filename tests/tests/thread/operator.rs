//! What an operator sees before the tick depends on the contract and the clock alone:
//! domains with different data, one of them with a run that ends as void, and one
//! contract give the same bytes from the command line and from the console.
//!
//! Moments are compared as distances from the acceptance of their job. How long a
//! command takes is not compared: `job submit` and `run start` wait for the tick.

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use sluice::demo::city::password;
use sluice_console::{ConsoleConfig, serve_on};
use sluice_domain::{Timestamp, event::Event, id::JobId};
use sluice_rows::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use sluice_service::RunEnd;
use tokio::net::TcpListener;

use crate::{
    command_line::sluice,
    impostor::{Impostor, reopened},
    town::{SPENDING_CHANGE, Town, VISITS_REPORT, entries, guest, patient, randhie},
};

/// The same persons and years, every visit and every sum of money zero: whatever is
/// published of it differs, and most of it is withheld.
pub(crate) fn zeroed(out: &Path) {
    let file = std::fs::File::open(randhie()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut writer: Option<ArrowWriter<std::fs::File>> = None;
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| -> ArrayRef {
            match field.name().as_str() {
                "mdvis" => Arc::new(Int64Array::from(vec![0; column.len()])),
                "meddol" | "outpdol" => Arc::new(Float64Array::from(vec![0.0; column.len()])),
                _ => Arc::clone(column),
            }
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let open = || ArrowWriter::try_new(std::fs::File::create(out).unwrap(), Arc::clone(&schema), None).unwrap();
        writer.get_or_insert_with(open).write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

/// `text` with every moment as its distance from `start`, in milliseconds.
fn since(start: Timestamp, text: &str) -> String {
    let moment = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find(|c| !moment(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        match word.parse::<Timestamp>() {
            Ok(time) => out.push_str(&format!("<{}>", time.duration_since(start).as_millis())),
            Err(_) => out.push_str(word),
        }
        rest = after;
    }
    out + rest
}

/// What a command says: code and both streams.
fn told(out: &Output) -> String {
    let words = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{:?}\n{}\n{}", out.status.code(), words(&out.stdout), words(&out.stderr))
}

/// The commands that an operator has, before the tick.
async fn by_command(town: &Town, job: &JobId) -> Vec<String> {
    let at = town.folder.path();
    std::fs::write(at.join("password"), "sluice-demo\n").unwrap();
    let run = |args: &[&str]| {
        let out = Command::new(sluice())
            .args(args)
            .args(["--as", "chen-insurance"])
            .env_clear()
            .env("SLUICE_DOMAIN", "domain")
            .env("SLUICE_KEY_FILE", "domain.key")
            .env("SLUICE_PASSWORD_FILE", "password")
            .current_dir(at)
            .output()
            .unwrap();
        format!("{args:?} {}", told(&out))
    };
    let said = [
        run(&["job", "list"]),
        run(&["--json", "job", "list"]),
        run(&["--lang", "en", "job", "list"]),
        run(&["product", "list"]),
        run(&["run", "replay", "R-2026-0001"]),
        run(&["review", "list"]),
        run(&["audit", "trace", "P-2026-0001"]),
    ];
    let start = town.city.service.snapshot().await.unwrap().job(job).unwrap().at;
    said.iter().map(|words| since(start, words)).collect()
}

/// The pages that an operator has, before the tick.
async fn by_console(address: std::net::SocketAddr, start: Timestamp, run: &str) -> Vec<String> {
    let http =
        reqwest::Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = async |path: &str| {
        let answer = http.get(format!("http://{address}{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let field = |page: &str, name: &str| {
        let start = format!("name=\"{name}\" value=\"");
        page.split_once(&start).unwrap().1.split('"').next().unwrap().to_owned()
    };
    let (_, door) = get("/sign-in").await;
    let form =
        [("token", field(&door, "token")), ("account", "chen-insurance".into()), ("password", password().to_string())];
    assert_eq!(http.post(format!("http://{address}/sign-in")).form(&form).send().await.unwrap().status().as_u16(), 303);
    let mut pages = Vec::new();
    for path in ["/", "/products", &format!("/review/{run}"), "/products/P-2026-0001", "/ledger"] {
        let (status, page) = get(path).await;
        // What differs between any two visits: the forms' token, and the clock's words
        // beside the moments, which are compared.
        let signed_in = page.contains("name=\"token\"");
        let page = if signed_in { page.replace(&field(&page, "token"), "TOKEN") } else { page };
        pages.push(format!("{path} {status} {}", clocks(&since(start, &page))));
    }
    assert!(
        pages[0].contains("<time datetime=\"<0>\""),
        "the job list shows the job since its acceptance: {}",
        pages[0]
    );
    pages
}

/// A page without the words that a clock puts into a `<time>` and its title.
fn clocks(page: &str) -> String {
    let mut parts = page.split("<time ");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (datetime, rest) = part.split_once("<").and_then(|(_, m)| m.split_once(">")).unwrap();
        let (_, after) = rest.split_once("</time>").unwrap();
        out.push_str(&format!("<time datetime=\"<{datetime}>\"{after}"));
    }
    out
}

/// A town whose candidate waits, or whose run is void, long before its tick; what its
/// operator has seen, by stage.
async fn seen(town: &Town, wanted: RunEnd) -> Vec<String> {
    let (service, operator) = (&town.city.service, &town.city.operator);
    let mut stages = Vec::new();
    let wasm = guest("spending_change.wasm");
    let job = service.submit(operator, password(), &patient(SPENDING_CHANGE), Some(&wasm)).await.unwrap();
    stages.extend(by_command(town, &job).await);
    let (run, end) = service.run(&job).await.unwrap();
    assert_eq!(end, wanted);
    // The run is over; the operator learns neither that nor how it ended.
    stages.extend(by_command(town, &job).await);
    let state = service.snapshot().await.unwrap();
    let start = state.job(&job).unwrap().at;
    assert!(Timestamp::now() < service.tick(&job).await.unwrap(), "the machine is too slow for this tick");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(reopened(town.folder.path(), None).await);
    let server = tokio::spawn(serve_on(listener, served, ConsoleConfig::on(address), std::future::pending()));
    stages.extend(by_console(address, start, run.as_str()).await);
    server.abort();
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn different_data_and_ends_give_the_same_bytes_until_the_tick() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("zeroed.parquet");
    zeroed(&other);
    let real = seen(&Town::start().await, RunEnd::InReview).await;
    assert!(real[7].contains("运行中") && real[9].contains("Running"), "{real:#?}");
    assert_eq!(real, seen(&Town::over(&other).await, RunEnd::InReview).await);

    // The same contract where the run dies: void, and nobody sees it yet.
    let mut town = Town::start().await;
    let impostor = Impostor::new();
    impostor.dies();
    town.city.service = reopened(town.folder.path(), Some(impostor.programs())).await;
    assert_eq!(real, seen(&town, RunEnd::Void).await);
    let code = |e: &Event| matches!(e, Event::RunVoid { code, .. } if code == "room.open" || code == "room.map");
    assert!(entries(&town).await.iter().any(|e| code(&e.event)), "the ledger knows why");
}

/// Route C beside route A: two jobs, fields and order as the list holds them.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_two_jobs_is_the_same_too() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("zeroed.parquet");
    zeroed(&other);
    let wasm = guest("spending_change.wasm");
    let mut all = Vec::new();
    for data in [randhie(), other] {
        let town = Town::over(&data).await;
        let (service, operator) = (&town.city.service, &town.city.operator);
        let mut first = None;
        for (job, guest) in [(SPENDING_CHANGE, Some(wasm.as_slice())), (VISITS_REPORT, None)] {
            let job = service.submit(operator, password(), &patient(job), guest).await.unwrap();
            service.run(&job).await.unwrap();
            first.get_or_insert(job);
        }
        let said = by_command(&town, &first.unwrap()).await;
        // The second job was accepted when the first was done: its moments are the clock's.
        all.push(said.iter().map(|words| words.split('<').next().unwrap().to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(all[0], all[1]);
}
