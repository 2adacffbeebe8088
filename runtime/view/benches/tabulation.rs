//! Route C against the bare query, and encrypted scans against plain ones, each pair in
//! the same run: `cargo bench -p sluice-view [-- --rows N]`.
//!
//! One snapshot goes through the vault; the same rows stand beside it in a plain Parquet
//! file written with the same settings. The bare query is DataFusion's own over either
//! file, with its default optimizer and one partition, as route C reads. Times are
//! processor time, the least of several rounds taken in turn.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::allow_attributes,
    reason = "a benchmark prints, and may fail loudly"
)]

use std::{fmt::Write as _, fs::File, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray},
        datatypes::SchemaRef,
    },
    config::EncryptionFactoryOptions,
    datasource::{
        file_format::{FileFormat, parquet::ParquetFormat},
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::Result as FusionResult,
    execution::parquet_encryption::EncryptionFactory,
    object_store::path::Path as StorePath,
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        encryption::{decrypt::FileDecryptionProperties, encrypt::FileEncryptionProperties},
        file::properties::{EnabledStatistics, WriterProperties},
    },
    prelude::{SessionConfig, SessionContext},
};
use sluice_domain::{
    Timestamp,
    agreement::Agreement,
    catalogue::CatalogueEntry,
    contract::Totals,
    event::{Actor, Entry, Event},
    id::AgreementId,
    rulepack::RulePack,
    state::{Authorised, GrantedView, State},
};
use sluice_vault::{Kek, Vault};
use sluice_view::{ViewReader, plan_table};

const AGES: u64 = 19;
const PLANS: [&str; 7] = ["fee", "shared", "half", "mixed", "limited", "family", "centre"];
const ROUNDS: usize = 10;
/// Rows of one person.
const EACH: u64 = 10;

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--rows").skip(1);
    let rows: u64 = args.next().map_or(4_000_000, |n| n.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare(rows));
}

async fn compare(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (vault, granted) = ingest(dir.path(), rows);
    let view = &granted.get()[0];
    let columns = view.view.columns.iter().cloned().collect();
    let grant = vault.grant(&view.entry, &view.snapshot, &columns).unwrap();
    let sealed = bare(grant.path(), &grant.schema(), Some(grant.decryption().unwrap()));
    let copy = dir.path().join("plain.parquet");
    write_plain(&sealed, &grant.schema(), &copy).await;
    let plain = bare(&copy, &grant.schema(), None);
    let reader = ViewReader::open(&vault, &granted).unwrap();
    println!("{rows} rows of {} people", rows / EACH);

    println!("\nencrypted scans against plain ones, by the bare query");
    for (what, goal, sql) in [
        ("all columns", 1.10, "SELECT max(age), max(plan), sum(spend), sum(visits) FROM claims"),
        ("one of them", 1.10, "SELECT sum(spend) FROM claims"),
        ("selective: one row in a thousand", 1.3, "SELECT sum(spend) FROM claims WHERE visits = 999"),
    ] {
        let (mut open, mut shut) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            open = open.min(timed(async { plain.sql(sql).await.unwrap().collect().await.unwrap() }).await);
            shut = shut.min(timed(async { sealed.sql(sql).await.unwrap().collect().await.unwrap() }).await);
        }
        ratio(what, shut, open, goal);
    }

    println!("\nroute C against the bare query over the same sealed file");
    for (what, of, totals) in [
        ("count and sum by one key", "age, count(*), sum(spend) FROM claims GROUP BY age", Totals::None),
        ("… by two keys", "age, plan, count(*), sum(spend) FROM claims GROUP BY age, plan", Totals::None),
        (
            "… two sums, with every margin",
            "age, plan, count(*), sum(spend), sum(visits) FROM claims GROUP BY age, plan",
            Totals::True,
        ),
    ] {
        let sql = format!("SELECT {of}");
        let bare = match totals {
            Totals::None => sql.clone(),
            _ => sql.replace("GROUP BY age, plan", "GROUP BY CUBE(age, plan)"),
        };
        let plan = plan_table(granted.get(), &sql).unwrap();
        let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            theirs = theirs.min(timed(async { sealed.sql(&bare).await.unwrap().collect().await.unwrap() }).await);
            ours = ours.min(timed(async { reader.tabulate(&plan, totals, 2).await.unwrap() }).await);
        }
        ratio(what, ours, theirs, 1.5);
    }
}

/// Processor time of this program for `work`.
async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let before = cpu_time();
    std::hint::black_box(work.await);
    cpu_time() - before
}

#[expect(unsafe_code, reason = "the standard library has no clock of processor time")]
fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer and outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    assert_eq!(failed, 0);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

fn ratio(what: &str, ours: Duration, theirs: Duration, goal: f64) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let kept = if ratio <= goal { "kept" } else { "MISSED" };
    println!("  {what:<40} {ratio:>6.2}×   goal ≤ {goal}× {kept}; {ours:.1?} to {theirs:.1?}");
}

/// A domain with one sealed snapshot of so many rows, ten a person.
fn ingest(dir: &Path, rows: u64) -> (Vault, Authorised<Vec<GrantedView>>) {
    let vault = Vault::create(dir, Kek::generate_file(&dir.join("kek")).unwrap()).unwrap();
    let entry = CatalogueEntry::parse(&catalogue()).unwrap();
    let source = dir.join("claims.parquet");
    let mut writer: Option<ArrowWriter<File>> = None;
    for from in (0..rows).step_by(1 << 16) {
        let batch = made_up(from..rows.min(from + (1 << 16)));
        let writer = writer
            .get_or_insert_with(|| ArrowWriter::try_new(File::create(&source).unwrap(), batch.schema(), None).unwrap());
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
    let snapshot = "snap-000002".parse().unwrap();
    let staged = vault.stage(&entry, &source, &snapshot, &mut |_, _| {}).unwrap();
    vault.publish(&snapshot).unwrap();
    let events = [
        Event::DatasetRegistered { entry: entry.clone() },
        Event::AgreementSigned { agreement: Agreement::parse(AGREEMENT).unwrap() },
        Event::SnapshotSealed {
            dataset: entry.dataset.id,
            snapshot,
            rows: staged.rows,
            roster_size: staged.roster_size,
            commitment: staged.commitment,
            sealed_file: staged.sealed_file,
        },
    ];
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    let mut state = State::new(RulePack::shipped().unwrap());
    for (seq, event) in (0..).zip(events) {
        state.apply(&Entry { seq, at, actor: Actor::System, event });
    }
    (vault, state.authorise(&"agreement-1".parse::<AgreementId>().unwrap(), at).unwrap())
}

/// Rows by a fixed rule: any would do, as long as keys mix and values differ.
fn made_up(rows: std::ops::Range<u64>) -> RecordBatch {
    let mixed = |row: u64, salt: u64| (row ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| (row / EACH) as i64)))),
        ("age", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| (mixed(row / EACH, 1) % AGES) as i64)))),
        (
            "plan",
            Arc::new(StringArray::from_iter_values(
                rows.clone().map(|row| PLANS[(mixed(row, 2) % PLANS.len() as u64) as usize]),
            )),
        ),
        ("spend", Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| mixed(row, 3) as f64 / 1000.0)))),
        ("visits", Arc::new(Int64Array::from_iter_values(rows.map(|row| (mixed(row, 4) % 1000) as i64)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The same rows in the same order, written as the vault writes but for the keys.
async fn write_plain(sealed: &SessionContext, schema: &SchemaRef, to: &Path) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(1 << 20))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), Arc::clone(schema), Some(properties)).unwrap();
    for batch in sealed.sql("SELECT * FROM claims").await.unwrap().collect().await.unwrap() {
        writer.write(&batch.with_schema(Arc::clone(schema)).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

/// DataFusion as it comes, over one file.
fn bare(file: &Path, schema: &SchemaRef, keys: Option<Arc<FileDecryptionProperties>>) -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let mut format = ParquetFormat::default();
    if let Some(keys) = keys {
        context.runtime_env().register_parquet_encryption_factory("sealed", Arc::new(Keys(keys)));
        let mut options = format.options().clone();
        options.crypto.factory_id = Some("sealed".to_owned());
        options.global.enable_page_index = false;
        format = format.with_options(options);
    }
    let format: Arc<dyn FileFormat> = Arc::new(format.with_enable_pruning(true));
    let url = ListingTableUrl::parse(file.to_str().unwrap()).unwrap();
    let config =
        ListingTableConfig::new(url).with_listing_options(ListingOptions::new(format)).with_schema(Arc::clone(schema));
    context.register_table("claims", Arc::new(ListingTable::try_new(config).unwrap())).unwrap();
    context
}

#[derive(Debug)]
struct Keys(Arc<FileDecryptionProperties>);

#[async_trait]
impl EncryptionFactory for Keys {
    async fn get_file_encryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        _: &SchemaRef,
        _: &StorePath,
    ) -> FusionResult<Option<Arc<FileEncryptionProperties>>> {
        Ok(None)
    }

    async fn get_file_decryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        _: &StorePath,
    ) -> FusionResult<Option<Arc<FileDecryptionProperties>>> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

fn catalogue() -> String {
    let mut text = CATALOGUE.to_owned();
    let ages = (0..AGES).map(|age| format!("{{ value = {age}, label = \"{age}\" }}")).collect::<Vec<_>>().join(", ");
    let plans = PLANS.map(|plan| format!("{{ value = \"{plan}\", label = \"{plan}\" }}")).join(", ");
    for (name, kind, codes) in [("age", "int", ages), ("plan", "text", plans)] {
        write!(
            text,
            "[[column]]\nname = \"{name}\"\ntitle = \"{name}\"\ntype = \"{kind}\"\nlevel = \"L1\"\nrole = \"dimension\"\ncodes = [{codes}]\n"
        )
        .unwrap();
    }
    for (name, kind) in [("spend", "float"), ("visits", "int")] {
        write!(
            text,
            "[[column]]\nname = \"{name}\"\ntitle = \"{name}\"\ntype = \"{kind}\"\nlevel = \"L2\"\nrole = \"measure\"\n"
        )
        .unwrap();
    }
    text
}

const CATALOGUE: &str = r#"
[dataset]
id = "claims"
title = "Claims"
system = "register"
format = "parquet"
provider = "office"
sharing = "unconditional"
opening = "unconditional"
provision = "batch"
cycle = "yearly"
term = "none"
unit = "id"

[[column]]
name = "id"
title = "Person"
type = "int"
level = "L3"
role = "unit"
"#;

const AGREEMENT: &str = r#"
[agreement]
id = "agreement-1"
operator = "operator"
scenario = "scenario"
title = "Scenario"
purpose = "A benchmark"
from = "2026-01-01"
to = "2026-12-31"
forms = ["data-report"]
rho_per_year = 0.1
contingency_plan = "Stop."

[view.claims]
dataset = "claims"
columns = ["age", "plan", "spend", "visits"]
"#;
