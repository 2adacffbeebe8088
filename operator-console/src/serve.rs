//! Listens. TLS is the business of the proxy in front; a demo domain, whose
//! passwords are public, is not served beyond loopback.

use std::{future::Future, sync::Arc};

use sluice_service::Service;
use tokio::net::TcpListener;
use tracing::info;

use crate::{
    config::{ConsoleConfig, ConsoleError},
    router::router,
};

/// Serves the console on `config.listen` until `shutdown` resolves; requests under
/// way are finished.
///
/// # Errors
/// A demo domain on a non-loopback address; an address that cannot be listened on.
pub async fn serve(
    service: Arc<Service>,
    config: ConsoleConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ConsoleError> {
    refuse_open_demo(&service, &config).await?;
    let listener =
        TcpListener::bind(config.listen).await.map_err(|error| ConsoleError::Listen(config.listen, error))?;
    serve_on(listener, service, config, shutdown).await
}

/// Serves the console on a listener that is already bound (port 0 in tests).
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    listener: TcpListener,
    service: Arc<Service>,
    mut config: ConsoleConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ConsoleError> {
    // The listener says where it really listens, whatever the configuration says.
    config.listen = listener.local_addr().map_err(ConsoleError::Serve)?;
    refuse_open_demo(&service, &config).await?;
    info!(listen = %config.listen, "the console listens on {}", config.listen);
    axum::serve(listener, router(service, config)).with_graceful_shutdown(shutdown).await.map_err(ConsoleError::Serve)
}

async fn refuse_open_demo(service: &Service, config: &ConsoleConfig) -> Result<(), ConsoleError> {
    if config.listen.ip().is_loopback() {
        return Ok(());
    }
    // A domain whose kind cannot be told is taken for a demo.
    match service.snapshot().await {
        Ok(state) if state.demo().is_none() => Ok(()),
        _ => Err(ConsoleError::DemoNotLoopback(config.listen)),
    }
}
