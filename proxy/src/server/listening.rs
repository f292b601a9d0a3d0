//! A service on sockets that were bound before it starts, so that an address that cannot be had is
//! an error and not a panic, and port 0 is known.

use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service as Serve;
use pingora::services::listening::Service;

use super::Bound;
use super::stop::Stop;

/// A service and its sockets.
pub(super) struct Listening<A> {
    service: Service<A>,
    sockets: Vec<Bound>,
    stop: Option<Arc<Stop>>,
}

impl<A> Listening<A> {
    /// Serves on `sockets`, whose addresses `service` knows. With `stop`, it stops when that says.
    pub(super) const fn new(
        service: Service<A>,
        sockets: Vec<Bound>,
        stop: Option<Arc<Stop>>,
    ) -> Self {
        Self { service, sockets, stop }
    }

    /// The names and URLs of its listeners.
    pub(super) fn urls(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.sockets
            .iter()
            .map(|bound| (bound.name.clone(), format!("{}://{}", bound.scheme, bound.address)))
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Serve for Listening<A> {
    async fn start_service(
        &mut self,
        table: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        if let Some(table) = &table {
            let mut table = table.lock();
            for bound in &mut self.sockets {
                let address = bound.address.to_string();
                if let (None, Some(socket)) = (table.get(&address), bound.socket.take()) {
                    table.add(address, socket.into_raw_fd());
                }
            }
        }
        let shutdown = match &self.stop {
            Some(stop) => stop.watch_too(shutdown),
            None => shutdown,
        };
        Serve::start_service(&mut self.service, table, shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        Serve::name(&self.service)
    }

    fn threads(&self) -> Option<usize> {
        Serve::threads(&self.service)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        Serve::listen_addresses(&self.service)
    }
}
