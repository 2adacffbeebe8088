//! What an operator sees before the tick depends on the contract and the clock alone:
//! two domains with different data and one contract show the same bytes.

use std::{path::Path, sync::Arc};

use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use sluice::demo::city::password;
use sluice_rows::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest, randhie};

/// The same persons and years, every visit and every sum of money zero: whatever is
/// published of it differs, and most of it is withheld.
fn zeroed(out: &Path) {
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

/// Everything that the job list holds, times counted from acceptance.
async fn seen(town: &Town) -> Vec<String> {
    let jobs = town.city.service.inbox(&town.city.operator).await.unwrap().jobs;
    let state = town.city.service.snapshot().await.unwrap();
    let line = |j: &sluice_service::pages::OperatorJob| {
        let at = state.job(&j.job).unwrap().at;
        format!(
            "{} {} {} {} {} since {} tick {} {:?} {:?}",
            j.job,
            j.name,
            j.operator,
            j.status.text().en,
            j.holder.en,
            j.since.duration_since(at).as_millis(),
            j.tick.duration_since(at).as_millis(),
            j.comments,
            j.product,
        )
    };
    jobs.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn different_data_look_the_same_until_the_tick() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("zeroed.parquet");
    zeroed(&other);
    let wasm = guest("spending_change.wasm");
    let mut all = Vec::new();
    for data in [randhie(), other] {
        let town = Town::over(&data).await;
        let (service, operator) = (&town.city.service, &town.city.operator);
        let mut stages = Vec::new();
        for (job, guest) in [(SPENDING_CHANGE, Some(wasm.as_slice())), (VISITS_REPORT, None)] {
            let job = job.replace("wall_seconds = 30", "wall_seconds = 120");
            let job = service.submit(operator, password(), &job, guest).await.unwrap();
            stages.push(seen(&town).await);
            service.run(&job).await.unwrap();
            // The run is over and its candidate waits; the operator learns nothing of it.
            stages.push(seen(&town).await);
        }
        assert!(stages[1][0].contains("Running"), "{:?}", stages[1]);
        all.push(stages);
    }
    assert_eq!(all[0], all[1]);
}
