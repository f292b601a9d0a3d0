//! Speaks to origins: which server, over which connection, and what came back.

mod exchange;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use log::debug;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

pub use exchange::Exchange;
use server::Server;
pub use server::SetupError;

use crate::event::Failure;

/// How often a request is sent again because a kept connection turned out to be closed.
const MOST_RECONNECTS: usize = 3;

/// An origin: the servers that answer for it.
#[derive(Debug)]
pub struct Origin {
    settings: Arc<forebay_config::Origin>,
    /// The file of the authorities to trust, as it was read.
    authorities: Option<Vec<u8>>,
    servers: Box<[Server]>,
    turn: AtomicUsize,
}

impl Origin {
    /// Reads what the settings name, such as certificates. If all is as it was in `former`, that
    /// stays.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a file cannot be read, or holds no certificate.
    pub fn renewed(
        former: Option<&Arc<Self>>,
        settings: &Arc<forebay_config::Origin>,
    ) -> Result<Arc<Self>, SetupError> {
        let authorities = settings.ca.as_deref().map(server::read).transpose()?;
        let same = |former: &&Arc<Self>| {
            *former.settings == **settings && former.authorities == authorities
        };
        if let Some(former) = former.filter(same) {
            return Ok(Arc::clone(former));
        }
        let trusted = settings.ca.as_deref().zip(authorities.as_deref());
        let trusted = trusted.map(|(path, pem)| server::certificates(path, pem)).transpose()?;
        let servers = settings
            .servers
            .iter()
            .map(|one| Server::new(one, settings, trusted.clone()))
            .collect();
        let settings = Arc::clone(settings);
        Ok(Arc::new(Self { settings, authorities, servers, turn: AtomicUsize::new(0) }))
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &forebay_config::Origin {
        &self.settings
    }

    /// The servers, beginning with the one whose turn it is.
    fn in_turn(&self) -> impl Iterator<Item = &Server> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1);
        self.servers.iter().cycle().skip(first).take(self.servers.len())
    }

    /// Where to connect to next, for the passing of requests that no cache is concerned with.
    ///
    /// # Errors
    ///
    /// [`Failure::Unreachable`] if no server's name can be resolved.
    pub async fn peer(&self) -> Result<HttpPeer, Failure> {
        for server in self.in_turn() {
            match server.peer().await {
                Ok(peer) => return Ok(peer),
                Err(error) => debug!("{}: {error}", server.name()),
            }
        }
        Err(Failure::Unreachable)
    }
}

/// Connections to all origins.
pub struct Connections {
    connector: Connector,
}

impl Default for Connections {
    fn default() -> Self {
        Self { connector: Connector::new(None) }
    }
}

impl Connections {
    /// Sends a request without content and waits for the head of its answer, which may be an
    /// interim one. Servers that cannot be reached are passed over.
    ///
    /// # Errors
    ///
    /// How the last server failed.
    pub async fn ask(
        self: &Arc<Self>,
        origin: &Origin,
        request: &RequestHeader,
    ) -> Result<(Exchange, ResponseHeader), Failure> {
        let mut failure = Failure::Unreachable;
        for server in origin.in_turn() {
            let peer = match server.peer().await {
                Ok(peer) => peer,
                Err(error) => {
                    debug!("{}: {error}", server.name());
                    continue;
                }
            };
            match self.ask_server(origin, peer, request).await {
                Err(Failure::Unreachable) => failure = Failure::Unreachable,
                answer => return answer,
            }
        }
        Err(failure)
    }

    async fn ask_server(
        self: &Arc<Self>,
        origin: &Origin,
        peer: HttpPeer,
        request: &RequestHeader,
    ) -> Result<(Exchange, ResponseHeader), Failure> {
        for _ in 0..MOST_RECONNECTS {
            let (session, kept) =
                self.connector.get_http_session(&peer).await.map_err(|error| {
                    debug!("{peer}: {error}");
                    let untrusted = matches!(
                        error.etype(),
                        ErrorType::InvalidCert
                            | ErrorType::TLSHandshakeFailure
                            | ErrorType::HandshakeError
                    );
                    if untrusted { Failure::Invalid } else { Failure::Unreachable }
                })?;
            let mut exchange = Exchange::new(session, peer.clone(), Arc::clone(self));
            match exchange.begin(request, &origin.settings.timeouts).await {
                Ok(head) => return Ok((exchange, head)),
                Err(error) if kept && may_have_been_closed(&error) => {
                    debug!("{peer}: a kept connection was closed, trying another: {error}");
                }
                Err(error) => {
                    debug!("{peer}: {error}");
                    return Err(failure(&error));
                }
            }
        }
        Err(Failure::Closed)
    }

    async fn put_back(&self, session: HttpSession, peer: &HttpPeer, idle: Option<Duration>) {
        self.connector.release_http_session(session, peer, idle).await;
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// Whether an error looks like that of a kept connection which the server had closed before the
/// request reached it.
fn may_have_been_closed(error: &Error) -> bool {
    let mut retry = error.retry;
    retry.decide_reuse(true);
    retry.retry()
}

/// What an error of pingora means to us.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever pingora adds is no answer either")]
pub fn failure(error: &Error) -> Failure {
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::ConnectProxyFailure
        | ErrorType::SocketError
        | ErrorType::BindError => Failure::Unreachable,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::TLSHandshakeTimedout => {
            Failure::Timeout
        }
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            Failure::Closed
        }
        _ => Failure::Invalid,
    }
}
