//! How the console listens and how long a session lasts. What may be seen by
//! whom is no configuration.

use std::{net::SocketAddr, time::Duration};

/// Where the console listens, and its limits.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The host name people use, when a proxy that speaks TLS stands in front.
    /// Then cookies are `Secure` even on loopback, and no other host is answered.
    pub reached_as: Option<String>,
    /// A session ends after this long without a click.
    pub idle: Duration,
    /// A session ends this long after sign-in, whatever happens.
    pub longest: Duration,
    /// A request is given up after this long. What it set off is not.
    pub request: Duration,
    /// Largest request body, bytes.
    pub body_bytes_max: usize,
    /// Most sessions at one time; the one idle longest makes room.
    pub sessions_max: usize,
}

impl ConsoleConfig {
    /// The usual limits: 30 minutes idle, 10 hours in all, 30 s and 64 KiB per request.
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            reached_as: None,
            idle: Duration::from_secs(30 * 60),
            longest: Duration::from_secs(10 * 60 * 60),
            request: Duration::from_secs(30),
            body_bytes_max: 64 * 1024,
            sessions_max: 10_000,
        }
    }

    /// Whether cookies travel over TLS only.
    pub(crate) fn transport(&self) -> Transport {
        if self.listen.ip().is_loopback() && self.reached_as.is_none() { Transport::Loopback } else { Transport::Tls }
    }
}

/// How requests reach the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Over TLS: cookies are `Secure` and carry the `__Host-` prefix.
    Tls,
    /// From this machine only, in the clear.
    Loopback,
}

/// Why the console does not run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A demo domain's passwords are public.
    #[error("console.demo-not-loopback: a demo domain listens on a loopback address only, not on `{0}`")]
    DemoNotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("console.listen: cannot listen on `{0}`: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The listener broke.
    #[error("console.serve: the listener broke: {0}")]
    Serve(std::io::Error),
}
