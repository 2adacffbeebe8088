//! What handlers share: the service and the configuration. No cache, no state of
//! its own.

use std::{future::Future, sync::Arc};

use sluice_service::Service;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::{config::ConsoleConfig, problem::Problem};

/// How many passwords are checked at once. Each check is slow and memory-hungry
/// on purpose (argon2), so a flood of guesses queues here instead of filling memory.
const PASSWORD_CHECKS: usize = 2;
/// How many verdicts on synthetic people are made at once: each is a small domain.
const REHEARSALS: usize = 1;

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) config: Arc<ConsoleConfig>,
    doors: Arc<Semaphore>,
    stage: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(service: Arc<Service>, config: ConsoleConfig) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { service, config: Arc::new(config), doors: places(PASSWORD_CHECKS), stage: places(REHEARSALS) }
    }

    /// Waits for a turn to have a password checked.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.doors.acquire().await.map_err(|_| Problem::broken())
    }

    /// Waits for a turn to have a contract tried on synthetic people. Whoever tries it holds
    /// the turn until it is done, whether or not the browser waits.
    pub(crate) async fn rehearsal(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.stage.clone().acquire_owned().await.map_err(|_| Problem::broken())
    }
}

/// Runs an act to its end even if the browser goes away or the request times out:
/// a dropped connection must not stop the service between recording and acting.
pub(crate) async fn undisturbed<T: Send + 'static>(
    act: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(act).await.map_err(|_| Problem::broken())
}
