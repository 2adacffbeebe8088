//! The attack of `leaky`, measured: it runs once on data that hold its target and
//! once on data that do not, in two throw-away demo domains; then the mechanism is
//! drawn many times on the two answers, and the best possible distinguisher is
//! scored against the exact bound of the declared noise.

use std::path::Path;

use anyhow::{Context, anyhow};
use serde::Serialize;
use sluice_domain::{
    contract::{JobFile, TableA},
    state::DemoDomain,
    text,
};
use sluice_gate::{noise::advantage, route_a::PreNoise};
use sluice_rows::arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{Float64Type, Int64Type},
};
use sluice_service::RunEnd;

use super::{
    city::{City, password},
    pace::patient,
};
use crate::{commands::Failure, output::Output};

const JOB: &str = include_str!("../../../../guest-examples/leaky/job.toml");
/// Draws on each of the two answers.
const DRAWS: u32 = 50_000;

/// How well `leaky` told the two worlds apart.
#[derive(Debug, Serialize)]
pub(super) struct Attack {
    guest: String,
    layer: String,
    /// True-positive rate minus false-positive rate of the best distinguisher.
    advantage: f64,
    /// 99 % interval.
    interval: [f64; 2],
    /// Exact total-variation distance that the declared noise allows.
    bound: f64,
    draws: u32,
}

impl Attack {
    /// Whether the measurement is consistent with the bound.
    pub(super) fn holds(&self) -> bool {
        self.interval[0] <= self.bound
    }

    pub(super) fn line(&self) -> String {
        let [low, high] = self.interval;
        format!(
            "{}  得手率 advantage {:.4}，99 % [{low:.4}, {high:.4}]；上限 bound {:.4}  ({})",
            self.guest, self.advantage, self.bound, self.layer
        )
    }
}

/// Runs `guest` with and without its target and measures its advantage.
pub(super) async fn measure(data: &Path, guest: &[u8], output: &Output) -> Result<Attack, Failure> {
    output.say(&text(
        "攻击 leaky：在两个一次性演示域中运行，一个有目标人、一个没有",
        "attack leaky: run in two throw-away demo domains, with its target and without",
    ));
    let folder = tempfile::tempdir().context("temporary folder")?;
    let target = biggest_spender(data)?;
    let without = folder.path().join("without.parquet");
    write_without(data, target, &without)?;
    let mut job = JobFile::parse(JOB)?;
    job.params.insert("target".to_owned(), target.to_string());
    let job = patient(&toml::to_string(&job).context("job")?)?;

    let with = run_apart(&folder.path().join("with"), data, &job, guest, output).await?;
    let without = run_apart(&folder.path().join("without"), &without, &job, guest, output).await?;
    let found = advantage::estimate(&with.demo, &with.answer, &without.answer, &with.table, DRAWS)?;
    Ok(Attack {
        guest: "leaky".to_owned(),
        layer: "sum-then-clamp, L0, discrete Gaussian".to_owned(),
        advantage: found.advantage,
        interval: [found.low, found.high],
        bound: found.bound,
        draws: DRAWS,
    })
}

/// What one throw-away domain computed before noise.
struct Apart {
    demo: DemoDomain,
    table: TableA,
    answer: PreNoise,
}

async fn run_apart(folder: &Path, data: &Path, job: &str, guest: &[u8], output: &Output) -> Result<Apart, Failure> {
    let city = City::found(folder, data, output).await?;
    let job = city.service.submit(&city.operator, password(), job, Some(guest)).await?;
    let (run, end) = city.service.run(&job).await?;
    if end != RunEnd::InReview {
        return Err(anyhow!("leaky: the run is void").into());
    }
    let state = city.service.snapshot().await?;
    let demo = state.demo().context("not a demo domain")?;
    let table = state.job(&job).and_then(|j| j.contract.table_a().cloned()).context("table")?;
    let answer = city.service.demo_answer(&demo, &run).await?;
    Ok(Apart { demo, table, answer })
}

fn batches(data: &Path) -> Result<Vec<RecordBatch>, Failure> {
    let file = std::fs::File::open(data).with_context(|| format!("{}", data.display()))?;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build());
    Ok(reader.context("parquet")?.collect::<Result<_, _>>().context("parquet")?)
}

/// The person with the largest spending in one year: the most exposed target.
fn biggest_spender(data: &Path) -> Result<i64, Failure> {
    let mut most = (f64::NEG_INFINITY, None);
    for batch in batches(data)? {
        let persons = batch.column_by_name("zper").and_then(|c| c.as_primitive_opt::<Int64Type>()).context("zper")?;
        let spending =
            batch.column_by_name("meddol").and_then(|c| c.as_primitive_opt::<Float64Type>()).context("meddol")?;
        for (person, spent) in persons.iter().zip(spending.iter()) {
            if let Some(spent) = spent.filter(|s| *s > most.0) {
                most = (spent, person);
            }
        }
    }
    Ok(most.1.context("no rows")?)
}

/// The same file without the target's rows: the neighbouring dataset.
fn write_without(data: &Path, target: i64, out: &Path) -> Result<(), Failure> {
    let file = std::fs::File::create_new(out).context("temporary file")?;
    let mut writer = None;
    for batch in batches(data)? {
        let persons = batch.column_by_name("zper").and_then(|c| c.as_primitive_opt::<Int64Type>()).context("zper")?;
        let keep: BooleanArray = persons.iter().map(|p| Some(p != Some(target))).collect();
        let kept = filter_record_batch(&batch, &keep).context("filter")?;
        if writer.is_none() {
            writer = Some(
                parquet::arrow::ArrowWriter::try_new(file.try_clone().context("file")?, kept.schema(), None)
                    .context("parquet")?,
            );
        }
        if let Some(writer) = &mut writer {
            writer.write(&kept).context("parquet")?;
        }
    }
    writer.context("no rows")?.close().context("parquet")?;
    Ok(())
}
