//! Placeholder until the console lands.
use std::{future::Future, net::SocketAddr, sync::Arc};

use sluice_service::Service;

/// Placeholder.
pub struct ConsoleConfig;

impl ConsoleConfig {
    /// Placeholder.
    pub fn on(_listen: SocketAddr) -> Self {
        Self
    }
}

/// Placeholder.
///
/// # Errors
/// None.
pub async fn serve(_service: Arc<Service>, _config: ConsoleConfig, stop: impl Future<Output = ()>) -> Result<(), std::io::Error> {
    stop.await;
    Ok(())
}
