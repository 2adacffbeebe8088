//! `sluice serve`: the console, and the clock that runs what was accepted and
//! releases what is due.

use std::{sync::Arc, time::Duration};

use sluice_console::ConsoleConfig;
use sluice_domain::{Refusal, text};
use sluice_service::Service;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};

use super::{Failure, open};
use crate::{args::ServeArgs, output::Output};

pub(super) async fn serve(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let service = open(&args.domain).await?;
    let config = ConsoleConfig { reached_as: args.reached_as, ..ConsoleConfig::on(args.listen) };
    serve_until_interrupted(Arc::new(service), config, output).await
}

/// Serves the console until the process is told to stop.
pub(crate) async fn serve_until_interrupted(
    service: Arc<Service>,
    config: ConsoleConfig,
    output: &Output,
) -> Result<(), Failure> {
    let listen = config.listen;
    output.say(&text(
        format!("运营台：http://{listen}/（按 Ctrl-C 结束）"),
        format!("console: http://{listen}/ (Ctrl-C ends)"),
    ));
    let clock = [
        every_second(&service, |s| async move { s.run_accepted().await }),
        every_second(&service, |s| async move { s.release_due().await.map(drop) }),
    ];
    let mut terminated = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    };
    let served = sluice_console::serve(service, config, stop).await;
    clock.iter().for_each(JoinHandle::abort);
    served.map_err(anyhow::Error::from)?;
    Ok(())
}

/// Does `what` once a second until it is aborted. A fault is logged and tried again.
fn every_second<F>(service: &Arc<Service>, what: impl Fn(Arc<Service>) -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = Result<(), Refusal>> + Send,
{
    let service = Arc::clone(service);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Err(refusal) = what(Arc::clone(&service)).await {
                tracing::error!(code = refusal.code, "what is due could not be done");
            }
        }
    })
}
