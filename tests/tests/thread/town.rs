//! A city for one test: the demo's people and data in a folder of its own.

use std::path::{Path, PathBuf};

use sluice::{
    Output,
    demo::{
        city::{AGREEMENT, CATALOGUE, City, password},
        pace,
    },
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
        Self::with(data, CATALOGUE, AGREEMENT).await
    }

    /// The same with another catalogue and agreement.
    pub(crate) async fn with(data: &Path, catalogue: &str, agreement: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("domain");
        let city = City::found_with(&home, data, catalogue, agreement, &Output::silent()).await.unwrap();
        Self { city, folder }
    }

    /// Submits and runs a job whose tick nobody waits for; its candidate waits for review.
    pub(crate) async fn run(&self, job: &str, guest: Option<&[u8]>) -> (JobId, RunId) {
        self.run_as_it_is(&patient(job), guest).await
    }

    /// The same with a tick that a test can wait for.
    pub(crate) async fn run_soon(&self, job: &str, guest: Option<&[u8]>) -> (JobId, RunId) {
        self.run_as_it_is(&self.soon(job), guest).await
    }

    /// The job with a tick that a test can wait for.
    pub(crate) fn soon(&self, job: &str) -> String {
        self.city.pace.fits(&within(job, 20)).unwrap()
    }

    async fn run_as_it_is(&self, job: &str, guest: Option<&[u8]>) -> (JobId, RunId) {
        let job = self.city.service.submit(&self.city.operator, password(), job, guest).await.unwrap();
        let (run, end) = self.city.service.run(&job).await.unwrap();
        assert_eq!(end, RunEnd::InReview);
        (job, run)
    }

    /// All the way to a released product.
    pub(crate) async fn product(&self, job: &str, guest: Option<&[u8]>) -> ProductId {
        let (job, run) = self.run_soon(job, guest).await;
        self.city.approve(&run).await.unwrap();
        self.city.released(&job, &run).await.unwrap()
    }
}

/// The same job with so many seconds to its tick, if it is one of route C alone.
pub(crate) fn within(job: &str, seconds: u32) -> String {
    let mut file = JobFile::parse(job).unwrap();
    if file.job.guest.is_none() {
        file.limits.wall_seconds = Some(seconds);
    }
    toml::to_string(&file).unwrap()
}

/// The same job with a tick that nobody waits for.
pub(crate) fn patient(job: &str) -> String {
    pace::patient(job).unwrap()
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
