//! Wires everything and runs it: listeners, services, stop and upgrade.

mod admin;
mod front;
mod listening;
mod origin;
mod stop;
mod watch;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;

use forebay_config::Settings;
use pingora::apps::HttpServerOptions;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use tokio::runtime::Runtime;

use crate::admin::Admin;
use crate::admin::reload::{Reader, Reloader};
use crate::edge::{Edge, Loaded, NoShared, Shared};
use crate::observe::{DeclareError, Observer};
use front::Front;
use listening::Listening;
use stop::Stop;
use watch::Watch;

/// How long a start waits for the log of purges.
const LOG_WAIT: Duration = Duration::from_secs(1);

/// What to run.
pub struct Plan {
    /// The settings to begin with.
    pub loaded: Loaded,
    /// Reads them again, if they can be.
    pub reader: Option<Reader>,
    /// Where the sample platform listens, if it is to run.
    pub demo: Option<Bound>,
    /// Take the listening sockets over from the edge that runs.
    pub upgrade: bool,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for `{name}`")]
    Bind {
        /// The listener's name.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or its key cannot be used.
    #[error("listeners.{name}.tls: cannot use {cert} with {key}")]
    Tls {
        /// The listener's name.
        name: String,
        /// The file of the certificate.
        cert: String,
        /// The file of the key.
        key: String,
        /// Why.
        #[source]
        source: Option<pingora::BError>,
    },
    /// What the settings say of an origin or of a tier cannot be set up.
    #[error(transparent)]
    Setup(#[from] NoShared),
    /// There are no threads left for the store.
    #[error("cannot start the threads of the store")]
    Runtime(#[source] io::Error),
    /// The metrics contradict each other.
    #[error(transparent)]
    Declare(#[from] DeclareError),
}

/// A socket that listens, and what for.
#[derive(Debug)]
pub struct Bound {
    name: String,
    scheme: &'static str,
    address: SocketAddr,
    /// `None` if it is to be taken over from another process.
    socket: Option<TcpListener>,
}

impl Bound {
    /// The address, with the port that it really has.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Listens on `address`; connections wait until somebody serves them.
///
/// # Errors
///
/// [`StartError::Bind`] if that is not possible.
pub fn bind(name: &str, address: SocketAddr) -> Result<Bound, StartError> {
    let bind = || {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Bound {
            name: name.to_owned(),
            scheme: "http",
            address: socket.local_addr()?,
            socket: Some(socket),
        })
    };
    bind().map_err(|source| StartError::Bind { name: name.to_owned(), address, source })
}

/// Where a server listens, as it is told to whoever started it.
#[derive(Clone, Debug)]
pub struct Addresses {
    listeners: Vec<(String, String)>,
}

impl Addresses {
    /// The URL of the first of the edge's listeners.
    #[must_use]
    pub fn edge(&self) -> Option<&str> {
        self.listeners.first().map(|(_, url)| url.as_str())
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, url) in &self.listeners {
            writeln!(f, "listening {name} {url}")?;
        }
        writeln!(f, "ready")
    }
}

/// Runs what `plan` says until it is told to stop. `started` learns where it listens.
///
/// # Errors
///
/// [`StartError`]; nothing is served then.
pub fn run(plan: Plan, started: &dyn Fn(&Addresses)) -> Result<(), StartError> {
    let hangups = watch::hangups();
    // What is set up once is set up as these say.
    let settings = &plan.loaded.settings.clone();
    let observer = Arc::new(Observer::new()?);
    let behind = behind()?;
    let shared = {
        let _within = behind.enter();
        Arc::new(Shared::new(plan.loaded, &observer)?)
    };
    behind.spawn(Arc::clone(&shared).follow_log());
    // So that the first requests find what is below memory.
    if !behind.block_on(shared.store.log().caught_up(LOG_WAIT)) {
        log::warn!("the log of purges is not read yet; until then only memory is looked into");
    }
    let reloader = Reloader::new(Arc::clone(&shared), Arc::clone(&observer), plan.reader);
    let reloader = Arc::new(reloader);
    let conf = || configuration(settings);
    let ready = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(Stop::new(settings.server.grace, Arc::clone(&ready)));

    let edge = edge_service(settings, conf(), &shared, &stop, plan.upgrade)?;
    let admin =
        Admin::new(Arc::clone(&shared), observer, Arc::clone(&reloader), Arc::clone(&ready));
    let admin = admin_service(settings, admin, plan.upgrade)?;
    let addresses = Addresses { listeners: edge.urls().chain(admin.urls()).collect() };

    let options = Opt { upgrade: plan.upgrade, ..Opt::default() };
    let mut server = Server::new_with_opt_and_conf(options, conf());
    server.bootstrap();
    server.add_service(edge);
    server.add_service(admin);
    server.add_service(background_service("settings", Watch::new(reloader, hangups)));
    if let Some(bound) = plan.demo {
        let mut service = Service::new("origin".to_owned(), origin::SamplePlatform::default());
        service.add_tcp(&bound.address.to_string());
        server.add_service(Listening::new(service, vec![bound], None));
    }
    ready.store(true, std::sync::atomic::Ordering::Relaxed);
    started(&addresses);
    let signals = stop::Signals::new(stop, settings.server.upgrade_socket.is_some());
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    behind.block_on(shared.store.settle());
    Ok(())
}

/// The runtime in which the store does what nobody waits for.
fn behind() -> Result<Runtime, StartError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("store").enable_all();
    builder.build().map_err(StartError::Runtime)
}

fn configuration(settings: &Settings) -> ServerConf {
    let mut conf = ServerConf {
        threads: settings
            .server
            .threads
            .unwrap_or_else(|| available_parallelism().map_or(1, std::num::NonZero::get)),
        // After the sockets have been handed over, what runs is drained for this long.
        grace_period_seconds: Some(settings.server.grace.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    if let Some(path) = &settings.server.upgrade_socket {
        conf.upgrade_sock = path.display().to_string();
    }
    conf
}

fn edge_service(
    settings: &Settings,
    conf: ServerConf,
    shared: &Arc<Shared>,
    stop: &Arc<Stop>,
    upgrade: bool,
) -> Result<Listening<Front>, StartError> {
    let mut proxy = HttpProxy::new(Edge::new(Arc::clone(shared)), Arc::new(conf));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    let mut service = Service::new("edge".to_owned(), Front::new(proxy, Arc::clone(stop)));
    let mut sockets = Vec::new();
    for listener in &settings.listeners {
        let mut bound = listen(&listener.name, listener.address, upgrade)?;
        let address = bound.address.to_string();
        match &listener.tls {
            None => service.add_tcp(&address),
            Some(tls) => {
                bound.scheme = "https";
                service.add_tls_with_settings(&address, None, tls_settings(&listener.name, tls)?);
            }
        }
        sockets.push(bound);
    }
    Ok(Listening::new(service, sockets, Some(Arc::clone(stop))))
}

fn admin_service(
    settings: &Settings,
    admin: Admin,
    upgrade: bool,
) -> Result<Listening<admin::AdminListener>, StartError> {
    let mut service = Service::new("admin".to_owned(), admin::AdminListener::new(admin));
    service.threads = Some(1);
    let bound = listen("admin", settings.admin.address, upgrade)?;
    service.add_tcp(&bound.address.to_string());
    Ok(Listening::new(service, vec![bound], None))
}

/// Listens on `address`, or leaves it to be taken over.
fn listen(name: &str, address: SocketAddr, upgrade: bool) -> Result<Bound, StartError> {
    if upgrade {
        return Ok(Bound { name: name.to_owned(), scheme: "http", address, socket: None });
    }
    bind(name, address)
}

fn tls_settings(name: &str, tls: &forebay_config::Tls) -> Result<TlsSettings, StartError> {
    let (cert, key) = (tls.cert.display().to_string(), tls.key.display().to_string());
    let refuse = |source| StartError::Tls {
        name: name.to_owned(),
        cert: cert.clone(),
        key: key.clone(),
        source,
    };
    // Pingora panics where these do not fit, so they are tried first.
    match pingora::tls::load_certs_and_key_files(&cert, &key) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(refuse(None)),
        Err(error) => return Err(refuse(Some(error))),
    }
    let mut settings =
        TlsSettings::intermediate(&cert, &key).map_err(|error| refuse(Some(error)))?;
    settings.enable_h2();
    Ok(settings)
}
