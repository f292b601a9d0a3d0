//! One server of an origin: where it is, and how to connect to it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use forebay_config::{Origin, OriginServer};
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use tokio::net::lookup_host;

/// How long a resolved name is believed.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// What the settings name could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file of certificates cannot be read.
    #[error("cannot read certificates from {path}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A file of certificates holds none.
    #[error("no certificate in {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    settings: OriginServer,
    template: HttpPeer,
    resolved: Mutex<Option<(Instant, SocketAddr)>>,
}

impl Server {
    pub(super) fn new(
        server: &OriginServer,
        origin: &Origin,
        trusted: Option<Arc<CaType>>,
    ) -> Self {
        // The address is filled in when it is known; this one is never connected to.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut template = HttpPeer::new(nowhere, server.tls, server.host.clone());
        let options = &mut template.options;
        options.connection_timeout = Some(origin.timeouts.connect);
        options.total_connection_timeout = Some(origin.timeouts.connect * 2);
        options.read_timeout = Some(origin.timeouts.first_byte.max(origin.timeouts.read));
        options.write_timeout = Some(origin.timeouts.read);
        options.idle_timeout = Some(origin.idle);
        options.ca = trusted;
        if server.tls {
            options.alpn = ALPN::H2H1;
        }
        Self { settings: server.clone(), template, resolved: Mutex::new(None) }
    }

    /// Its host and port, as written.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    /// Where to connect to.
    pub(super) async fn peer(&self) -> io::Result<HttpPeer> {
        let address = match self.known() {
            Some(address) => address,
            None => self.resolve().await?,
        };
        let mut peer = self.template.clone();
        peer._address = pingora::protocols::l4::socket::SocketAddr::Inet(address);
        Ok(peer)
    }

    fn known(&self) -> Option<SocketAddr> {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.filter(|(since, _)| since.elapsed() < RESOLVED_FOR).map(|(_, address)| address)
    }

    async fn resolve(&self) -> io::Result<SocketAddr> {
        let mut found = lookup_host((self.settings.host.as_str(), self.settings.port)).await?;
        let address = found.next().ok_or_else(|| io::Error::other("the name has no address"))?;
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), address));
        Ok(address)
    }
}

/// Reads a file of certificates.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, SetupError> {
    let unreadable = |source| SetupError::Certificates { path: path.to_owned(), source };
    std::fs::read(path).map_err(|error| unreadable(pem::Error::Io(error)))
}

/// The certificates that are to be trusted, out of the file at `path`, which holds `pem`.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Arc<CaType>, SetupError> {
    let unreadable = |source| SetupError::Certificates { path: path.to_owned(), source };
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(unreadable)?;
    if read.is_empty() {
        return Err(SetupError::NoCertificate { path: path.to_owned() });
    }
    let wrap = |one: CertificateDer<'_>| WrappedX509::new(one.to_vec(), parse_x509);
    Ok(read.into_iter().map(wrap).collect())
}
