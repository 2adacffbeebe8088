//! `sluice serve`: the console, and the clock that releases what is due.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sluice_console::ConsoleConfig;
use sluice_domain::text;
use sluice_service::Service;

use super::{Failure, open};
use crate::{args::ServeArgs, output::Output};

pub(super) async fn serve(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let service = open(&args.domain).await?;
    serve_until_interrupted(Arc::new(service), args.listen, output).await
}

/// Serves the console until the process is told to stop.
pub(crate) async fn serve_until_interrupted(service: Arc<Service>, listen: SocketAddr, output: &Output) -> Result<(), Failure> {
    output.say(&text(format!("运营台：http://{listen}/（按 Ctrl-C 结束）"), format!("console: http://{listen}/ (Ctrl-C ends)")));
    let ticking = Arc::clone(&service);
    let clock = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Err(refusal) = ticking.release_due().await {
                tracing::error!(code = refusal.code, "what was due could not be released");
            }
        }
    });
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let served = sluice_console::serve(service, ConsoleConfig::on(listen), stop).await;
    clock.abort();
    served.map_err(anyhow::Error::from)?;
    Ok(())
}
