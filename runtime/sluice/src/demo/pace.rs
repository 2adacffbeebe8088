//! When a demo's contracts have their release tick.
//!
//! A run that misses its tick is void (`docs/gate.md`), on a busy machine as on any other.
//! So what is run here to show something else reserves more, by the limits that every
//! operator has: the more, the slower this machine is. The rule itself, and what a tick is
//! reckoned with, are as shipped.

use std::time::Duration;

use anyhow::Context;
use sluice_domain::{contract::JobFile, rulepack::RulePack};

use crate::commands::Failure;

/// What founding a city takes on a quiet machine of today, at most.
const QUIET: Duration = Duration::from_secs(4);

/// How many times slower than a quiet one this machine is just now; 1 at least.
#[derive(Debug, Clone, Copy)]
pub struct Pace(f64);

impl Pace {
    /// From what founding a city took.
    pub fn of_founding(took: Duration) -> Self {
        Self(took.div_duration_f64(QUIET).max(1.0))
    }

    /// The job with a tick that can be waited for and is kept: as it is where the machine
    /// is quiet. A tick of route C is the job's own, of the others it follows from its
    /// fuel, beside which the host's own seconds do not grow: hence three times as much.
    ///
    /// # Errors
    /// If it is not a job file.
    pub fn fits(self, job: &str) -> Result<String, Failure> {
        if self.0 <= 1.0 {
            return Ok(job.to_owned());
        }
        let file = JobFile::parse(job)?;
        let times = if file.job.guest.is_none() { self.0 } else { 3.0 * self.0 - 2.0 };
        reserve(file, times, times)
    }
}

/// The job with a tick that nobody waits for and no machine misses.
///
/// # Errors
/// If it is not a job file.
pub fn patient(job: &str) -> Result<String, Failure> {
    reserve(JobFile::parse(job)?, 20.0, f64::INFINITY)
}

/// So many times its fuel and its seconds, up to the rule pack's ceiling.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "limits are whole numbers far below 2^53, and never negative"
)]
fn reserve(mut file: JobFile, fuel: f64, seconds: f64) -> Result<String, Failure> {
    let (limits, rules) = (&mut file.limits, RulePack::shipped().context("rule pack")?.limits);
    limits.fuel = Some((limits.fuel.unwrap_or(rules.fuel) as f64 * fuel).ceil() as u64);
    let seconds = f64::from(limits.wall_seconds.unwrap_or(rules.wall_seconds)) * seconds;
    limits.wall_seconds = Some(seconds.ceil().min(rules.wall_seconds_max.into()) as u32);
    Ok(toml::to_string(&file).context("job")?)
}
