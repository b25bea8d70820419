//! How a node is put together, started and stopped.
//!
//! ```text
//! settings ─▶ telemetry ─▶ configuration ─▶ gateway ─▶ admin (its own thread) ─▶ doors ─▶ SIGTERM ─▶ drain
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tollgate_ratelimit::Wallet;

use crate::admin::{self, Admin};
use crate::config::{Config, Keeper, Source, Watcher, environment};
use crate::gateway::Gateway;
use crate::listen::{self, Certificates, Lobby};
use crate::quota::Books;
use crate::request::accept::Limits;
use crate::settings::Run;
use crate::simulate;
use crate::tasks::{Spawner, Tasks};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{AccessLog, Sink, Telemetry};
use crate::upstream::retry::RetryBudget;

/// Runs a node until it is told to stop.
pub(crate) fn run(settings: &Run) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tollgate")
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let outcome = runtime.block_on(run_node(settings));
    runtime.shutdown_background(); // What outlived the drain is cut off.
    outcome
}

async fn run_node(settings: &Run) -> Result<(), String> {
    let started = Instant::now();
    let tasks = Tasks::new();
    let (drain, draining) = watch::channel(false);
    // Signals are heard before anything is served, so that a stop is never missed.
    let stop = stop_signal()?;

    let metrics = Metrics::new()?;
    let prometheus = metrics.handle();
    let gauges = metrics.gauges();
    let sink = sink(&settings.access_log);
    let access_log = AccessLog::open(&sink, gauges.log_lines_dropped.clone())
        .map_err(|error| format!("--access-log {}: {error}", settings.access_log))?;
    let telemetry = Telemetry::new(metrics, access_log);

    admin::check(settings.admin, settings.admin_token.as_deref())?;
    let door = bind("--listen", settings.listen())?;
    let admin_door = std::net::TcpListener::bind(settings.admin)
        .map_err(|error| format!("--admin {}: {error}", settings.admin))?;

    let config = Config::default();
    let source = source(settings, &tasks.spawner(), draining.clone())?;
    let mut keeper = Keeper::new(source, config.clone(), gauges.clone());
    keeper.load();
    refuse_nothing(settings, &config)?;
    let watcher = Watcher::start(keeper);

    let gateway = Arc::new(Gateway {
        config,
        wallet: Wallet::new(settings.max_running),
        books: Arc::new(Books::default()),
        telemetry: Arc::clone(&telemetry),
        retries: RetryBudget::default(),
        limits: Limits {
            body_bytes: settings.max_body,
        },
        started,
    });
    let token = settings
        .admin_token
        .clone()
        .filter(|_| !settings.admin.ip().is_loopback());
    let shown = Admin {
        gateway: Arc::clone(&gateway),
        prometheus,
        gauges,
        draining: draining.clone(),
        token,
    };
    let admin_address = admin_door.local_addr().map_err(|error| error.to_string())?;
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || admin::serve(admin_door, shown))
        .map_err(|error| format!("no thread for the admin API: {error}"))?;

    open_doors(settings, door, gateway, &tasks.spawner(), draining)?;
    tracing::info!("admin on http://{admin_address}");
    tracing::info!(ready_ms = started.elapsed().as_millis(), "ready");

    stop.await;
    tracing::info!(
        limit_s = settings.drain_timeout().as_secs(),
        "draining: running answers finish, nothing new is accepted"
    );
    drop(watcher);
    let _everybody_hears = drain.send(true);
    if tokio::time::timeout(settings.drain_timeout(), tasks.ended())
        .await
        .is_err()
    {
        tracing::warn!("the time for draining is over; what still runs is cut off");
    }
    telemetry.flush();
    Ok(())
}

fn open_doors(
    settings: &Run,
    door: TcpListener,
    gateway: Arc<Gateway>,
    spawner: &Spawner,
    draining: watch::Receiver<bool>,
) -> Result<(), String> {
    let address = door.local_addr().map_err(|error| error.to_string())?;
    let certificates = Certificates::default();
    certificates.load(&gateway.config.latest().snapshot);
    let lobby = Lobby::new(gateway, certificates, spawner.clone(), draining);
    let (_never, closed) = watch::channel(false);
    spawner.spawn("door", listen::serve(door, None, lobby.clone(), closed));
    let ports = if settings.opens_gateway_ports() {
        listen::Ports::Open
    } else {
        listen::Ports::Shut
    };
    spawner.spawn("gateways", listen::follow_gateways(address, ports, lobby));
    tracing::info!("clients on http://{address}");
    Ok(())
}

fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    listen::bind(address).map_err(|error| format!("{flag} {address}: {error}"))
}

/// A start on which nothing at all loaded is a mistake that is better seen at once.
fn refuse_nothing(settings: &Run, config: &Config) -> Result<(), String> {
    let config = config.latest();
    let nothing = config.snapshot.backends.is_empty() && config.snapshot.listeners.is_empty();
    if nothing && !config.problems.is_empty() {
        let files: Vec<String> = settings
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(format!(
            "nothing in {} could be used; see the problems above",
            files.join(", ")
        ));
    }
    Ok(())
}

fn source(
    settings: &Run,
    spawner: &Spawner,
    mut draining: watch::Receiver<bool>,
) -> Result<Source, String> {
    if !settings.files.is_empty() {
        return Ok(Source::Files(settings.files.clone()));
    }
    let demo = bind("demo model", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = demo.local_addr().map_err(|error| error.to_string())?;
    let until_drained = async move {
        let _stopped = draining.wait_for(|draining| *draining).await;
    };
    spawner.spawn("demo model", async move {
        if let Err(error) = simulate::serve(demo, simulate::Behaviour::demo(), until_drained).await
        {
            tracing::error!(%error, "the demo model stopped");
        }
    });
    let made = environment::manifests(&|name| std::env::var(name).ok(), address)?;
    let providers = if made.providers.is_empty() {
        "none (no key is set)".to_owned()
    } else {
        made.providers.join(", ")
    };
    tracing::info!(%providers, demo = environment::DEMO_MODEL, "routes made from the environment");
    Ok(Source::Made(made.manifest))
}

fn sink(name: &str) -> Sink {
    match name {
        "off" => Sink::Off,
        "stdout" => Sink::Stdout,
        path => Sink::File(PathBuf::from(path)),
    }
}

fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals can't be heard: {error}"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
