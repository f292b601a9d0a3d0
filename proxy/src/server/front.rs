//! What a connection meets first: it is counted, wrapped, and handed to pingora.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;

use super::stop::Stop;
use crate::edge::{Downstream, Edge};

/// The edge's end of every connection.
pub(super) struct Front {
    proxy: Arc<HttpProxy<Edge>>,
    stop: Arc<Stop>,
}

impl Front {
    pub(super) fn new(proxy: HttpProxy<Edge>, stop: Arc<Stop>) -> Self {
        Self { proxy: Arc::new(proxy), stop }
    }
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _running = self.stop.running();
        self.proxy.process_new(Box::new(Downstream::new(stream, shutdown.clone())), shutdown).await
    }

    async fn cleanup(&self) {
        self.proxy.cleanup().await;
    }
}
