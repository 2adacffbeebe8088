//! A city for one test: the demo's people and data in a folder of its own.

use std::path::{Path, PathBuf};

use sluice::{
    Output,
    demo::city::{City, password},
};
use sluice_domain::{
    contract::JobFile,
    id::{JobId, ProductId, RunId},
};
use sluice_service::RunEnd;
use tempfile::TempDir;

pub(crate) const SPENDING_CHANGE: &str = include_str!("../../../guest-examples/spending-change/job.toml");
pub(crate) const VISITS_REPORT: &str = include_str!("../../../guest-examples/visits-report/job.toml");

/// A city and the folder it lies in, which goes away with it.
pub(crate) struct Town {
    pub(crate) city: City,
    pub(crate) folder: TempDir,
}

impl Town {
    /// A city over the real data.
    pub(crate) async fn start() -> Self {
        Self::over(&randhie()).await
    }

    /// A city over another file with the same columns.
    pub(crate) async fn over(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let city = City::found(&folder.path().join("domain"), data, &Output::silent()).await.unwrap();
        Self { city, folder }
    }

    /// Submits and runs a job; its candidate waits for review.
    pub(crate) async fn run(&self, job: &str, guest: Option<&[u8]>) -> (JobId, RunId) {
        let job = self.city.service.submit(&self.city.operator, password(), job, guest).await.unwrap();
        let (run, end) = self.city.service.run(&job).await.unwrap();
        assert_eq!(end, RunEnd::InReview);
        (job, run)
    }

    /// All the way to a released product.
    pub(crate) async fn product(&self, job: &str, guest: Option<&[u8]>) -> ProductId {
        let (job, run) = self.run(&quick(job), guest).await;
        self.city.approve(&run).await.unwrap();
        self.city.released(&job, &run).await.unwrap()
    }
}

/// The same job with a release tick soon enough for a test.
pub(crate) fn quick(job: &str) -> String {
    let mut file = JobFile::parse(job).unwrap();
    file.limits.wall_seconds = Some(20);
    toml::to_string(&file).unwrap()
}

pub(crate) fn randhie() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/randhie.parquet")
}

/// A built guest.
pub(crate) fn guest(file: &str) -> Vec<u8> {
    // Tests run from `deps` of the profile's folder, beside which the guests are.
    let exe = std::env::current_exe().unwrap();
    let path = exe.ancestors().nth(3).unwrap().join("guests").join(file);
    std::fs::read(&path).unwrap_or_else(|_| panic!("{}: run scripts/guests first", path.display()))
}

/// Everything the ledger holds.
pub(crate) async fn entries(town: &Town) -> Vec<sluice_domain::event::Entry> {
    let mut export = Vec::new();
    town.city.service.export_ledger(&town.city.auditor, &mut export).await.unwrap();
    let lines = String::from_utf8(export).unwrap();
    let entry = |line: &str| -> Option<sluice_domain::event::Entry> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        serde_json::from_str(line["entry"].as_str()?).ok()
    };
    lines.lines().filter_map(entry).collect()
}
