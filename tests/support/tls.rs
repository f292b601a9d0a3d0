//! Certificates made for one test, and TLS on both of its ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::{Connection, Edge, soon};

/// A certificate for `localhost` and 127.0.0.1, signed by itself.
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
    pem: String,
    key_pem: String,
}

impl Certificate {
    pub(crate) fn made() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "edge.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
        let folder = tempfile::tempdir().expect("a folder for the certificate");
        let (pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(folder.path().join("tls.crt"), &pem).expect("the certificate can be written");
        fs::write(folder.path().join("tls.key"), &key_pem).expect("the key can be written");
        Self { folder, pem, key_pem }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    /// The option `tls` of a listener.
    pub(crate) fn option(&self) -> String {
        let file = |name| Path::display(&self.folder.path().join(name)).to_string();
        format!("tls = {{ cert = \"{}\", key = \"{}\" }}", file("tls.crt"), file("tls.key"))
    }

    pub(super) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der()], key)
            .expect("the key is that of the certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Connects with TLS, trusting this certificate only.
    pub(super) async fn connect(
        &self,
        address: &str,
        protocols: &[&str],
    ) -> client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a certificate to trust");
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
        soon("a TLS handshake", shaken).await.expect("a TLS handshake")
    }

    /// An HTTP/1.1 connection to a listener, within TLS.
    pub(crate) async fn open(&self, edge: &Edge, listener: &str, protocols: &[&str]) -> Connection {
        Connection::over(self.connect(edge.address(listener), protocols).await)
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
