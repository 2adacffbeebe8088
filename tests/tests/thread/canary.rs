//! Canaries: a value that occurs nowhere else in every raw column, of the column's
//! own type. After everything has run, none of them is found outside the vault, in
//! any file decoded, in any answer, on any page; and inside it only sealed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use sluice::demo::city::{AGREEMENT, CATALOGUE, City};
use sluice_domain::catalogue::{CatalogueEntry, ColumnRole};
use sluice_rows::arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema},
};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest, randhie, within};

const WORD: &str = "金丝雀Canary7Q";

/// The planted values and every form they could be found in.
struct Canaries {
    forms: Vec<(String, Vec<u8>)>,
}

impl Canaries {
    fn int(&mut self, column: &str, value: i64) {
        self.forms.push((format!("{column} as text"), value.to_string().into_bytes()));
        self.forms.push((format!("{column} as int64"), value.to_le_bytes().to_vec()));
        self.forms.push((format!("{column} as hex"), format!("{value:x}").into_bytes()));
    }

    fn float(&mut self, column: &str, value: f64) {
        self.forms.push((format!("{column} as text"), format!("{value:.0}").into_bytes()));
        self.forms.push((format!("{column} as float64"), value.to_le_bytes().to_vec()));
    }

    fn text(&mut self, column: &str, value: &str) {
        self.forms.push((format!("{column} as text"), value.as_bytes().to_vec()));
        self.forms.push((format!("{column} as base64"), data_encoding::BASE64.encode(value.as_bytes()).into_bytes()));
        self.forms.push((format!("{column} as hex"), data_encoding::HEXLOWER.encode(value.as_bytes()).into_bytes()));
    }

    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for (what, form) in &self.forms {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "the canary of {what} is in {place}");
        }
    }
}

/// The real file with one person's values replaced and a text column added.
fn planted(folder: &Path) -> (PathBuf, String, Canaries) {
    let catalogue =
        format!("{CATALOGUE}\n[[column]]\nname = \"memo\"\ntitle = \"备注\"\ntype = \"text\"\nlevel = \"L4\"\n");
    let entry = CatalogueEntry::parse(&catalogue).unwrap();
    let mut canaries = Canaries { forms: Vec::new() };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(randhie()).unwrap())
        .unwrap()
        .with_batch_size(1 << 20)
        .build()
        .unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    // The first person's rows are adjacent in the provider's file.
    let person = batch.column_by_name("zper").unwrap().as_primitive::<Int64Type>().clone();
    let target: Vec<bool> = person.iter().map(|p| p == Some(person.value(0))).collect();

    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (i, field) in batch.schema().fields().iter().enumerate() {
        let column = batch.column(i);
        let plant = entry.column(field.name()).unwrap().role != ColumnRole::Dimension;
        columns.push(match column.data_type() {
            DataType::Int64 if plant => {
                let value = 7_300_619_000_000 + 1_000_003 * i as i64;
                canaries.int(field.name(), value);
                let old = column.as_primitive::<Int64Type>();
                Arc::new(
                    old.iter().zip(&target).map(|(v, hit)| if *hit { Some(value) } else { v }).collect::<Int64Array>(),
                )
            }
            DataType::Float64 if plant => {
                let value = 5_190_730_000_000.0 + 1_000_033.0 * i as f64 + 0.375;
                canaries.float(field.name(), value);
                let old = column.as_primitive::<Float64Type>();
                Arc::new(
                    old.iter()
                        .zip(&target)
                        .map(|(v, hit)| if *hit { Some(value) } else { v })
                        .collect::<Float64Array>(),
                )
            }
            _ => Arc::clone(column),
        });
        fields.push(Arc::clone(field));
    }
    canaries.text("memo", WORD);
    fields.push(Arc::new(Field::new("memo", DataType::Utf8, false)));
    columns.push(Arc::new(StringArray::from_iter_values(target.iter().map(|hit| if *hit { WORD } else { "无" }))));

    let schema = Arc::new(Schema::new(fields));
    let path = folder.join("planted.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), Arc::clone(&schema), None).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.close().unwrap();
    (path, catalogue, canaries)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_found_outside_the_vault() {
    let outside = tempfile::tempdir().unwrap();
    let (data, catalogue, canaries) = planted(outside.path());
    // The search itself works: the raw file, decoded, is full of them.
    let raw = decoded(&data);
    assert!(
        canaries
            .forms
            .iter()
            .filter(|(what, _)| what.ends_with("as text"))
            .all(|(_, form)| raw.windows(form.len()).any(|w| w == form))
    );

    let agreement = AGREEMENT.replace("\"xage\"]", "\"xage\", \"income\", \"inpdol\", \"mhi\", \"memo\"]");
    assert_ne!(agreement, AGREEMENT);
    let town = Town::with(&data, &catalogue, &agreement).await;
    let city = &town.city;
    let a = town.product(SPENDING_CHANGE, Some(&guest("spending_change.wasm"))).await;
    let c = town.product(VISITS_REPORT, None).await;
    let money = VISITS_REPORT.replace("sum(mdvis) AS visits", "sum(meddol) AS spent, sum(income) AS earned");
    let (_, run) = town.run(&money, None).await;

    // What people are shown and given.
    let bench = city.service.open_candidate(&city.reviewers[0], &run).await.unwrap();
    canaries.assert_absent("the workbench", bench.raw.as_bytes());
    canaries
        .assert_absent("its charts", bench.charts.iter().map(|(_, svg)| svg.as_str()).collect::<String>().as_bytes());
    for product in [&a, &c] {
        for (name, ..) in city.service.product(&city.operator, product).await.unwrap().files {
            let file = city.service.download(&city.operator, product, &name).await.unwrap();
            canaries.assert_absent(&name, &file.bytes);
        }
    }
    let mut export = Vec::new();
    city.service.export_ledger(&city.auditor, &mut export).await.unwrap();
    canaries.assert_absent("the exported ledger", &export);
    let jobs = city.service.inbox(&city.operator).await.unwrap().jobs;
    let told: String = jobs.iter().flat_map(|j| [j.name.clone(), j.comments.join(" "), j.holder.zh.clone()]).collect();
    canaries.assert_absent("the operator's inbox", told.as_bytes());

    // Every page, as a reviewer and as the operator are served it.
    let Town { city, folder } = town;
    let home = city.home.folder().to_owned();
    let City { service, pace, .. } = city;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let config = sluice_console::ConsoleConfig::on(listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { stopped.await.unwrap_or(()) };
    let server = tokio::spawn(sluice_console::serve_on(listener, Arc::new(service), config, stopped));
    let products = [&a, &c].map(|p| format!("/products/{p}"));
    let review = format!("/review/{run}");
    for (person, paths) in [
        ("zhao-reviewer", vec!["/", &review, "/ledger"]),
        ("chen-insurance", vec!["/", "/products", &products[0], &products[1]]),
    ] {
        for page in pages(&base, person, &paths).await {
            assert!(page.len() > 1_000, "a whole page came back");
            canaries.assert_absent("a page", page.as_bytes());
        }
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();

    // What the binary says and logs, at its most talkative.
    std::fs::write(folder.path().join("password"), "sluice-demo").unwrap();
    std::fs::write(folder.path().join("job.toml"), pace.fits(&within(VISITS_REPORT, 12)).unwrap()).unwrap();
    let said = std::process::Command::new(crate::command_line::sluice())
        .args([
            "job",
            "submit",
            "job.toml",
            "--as",
            "chen-insurance",
            "--domain",
            "domain",
            "--key-file",
            "domain.key",
            "--password-file",
            "password",
        ])
        .env("SLUICE_LOG", "trace")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let logged = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && logged.contains("INFO"), "it ran and logged: {logged}");
    canaries.assert_absent("what the binary prints", &said.stdout);
    canaries.assert_absent("what the binary logs", &said.stderr);

    // Every file of the domain, now that nothing has it open.
    let mut read = 0;
    for file in files(&home) {
        let place = file.strip_prefix(&home).unwrap().display().to_string();
        // SQLite's side files may go while its handle closes.
        let Ok(bytes) = std::fs::read(&file) else { continue };
        canaries.assert_absent(&place, &bytes);
        if file.extension().is_some_and(|e| e == "parquet") && !place.starts_with("vault") {
            canaries.assert_absent(&format!("{place}, decoded"), &decoded(&file));
        }
        read += 1;
    }
    assert!(read > 20, "the whole domain was read: {read} files");
    drop(folder);
}

/// Signs `person` in and fetches `paths`.
async fn pages(base: &str, person: &str, paths: &[&str]) -> Vec<String> {
    let http = reqwest::Client::builder().cookie_store(true).build().unwrap();
    let form = http.get(format!("{base}/sign-in")).send().await.unwrap().text().await.unwrap();
    let token = form.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = [("token", token.as_str()), ("next", "/"), ("account", person), ("password", "sluice-demo")];
    let post = http.post(format!("{base}/sign-in")).header("sec-fetch-site", "same-origin").form(&fields);
    assert!(post.send().await.unwrap().status().is_success());
    let mut found = Vec::new();
    for path in paths {
        let answer = http.get(format!("{base}{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        found.push(answer.text().await.unwrap());
    }
    found
}

/// Every value of a Parquet file as text.
fn decoded(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for row in crate::raw::rows(path) {
        for (_, field) in row.get_column_iter() {
            let text = match field {
                parquet::record::Field::Double(x) => format!("{x:.3} "),
                parquet::record::Field::Str(s) => format!("{s} "),
                other => format!("{other} "),
            };
            out.extend(text.into_bytes());
        }
    }
    out
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
