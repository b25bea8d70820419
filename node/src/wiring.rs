//! How a node is put together, started and stopped.
//!
//! ```text
//! settings ─▶ telemetry ─▶ member of a cluster ─▶ configuration ─▶ gateway ─▶ admin (its own thread) ─▶ doors ─▶ SIGTERM ─▶ drain
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tollgate_ratelimit::Slots;

use crate::admin::{self, Admin};
use crate::config::{self, Config, Follower, Given, Store, environment};
use crate::gateway::{Gateway, Limits};
use crate::identity::key_sets::KeySets;
use crate::kubernetes;
use crate::listen::{self, Lobby};
use crate::member::Member;
use crate::request::accept::body_memory::BodyMemory;
use crate::settings::Run;
use crate::simulate;
use crate::stop::told_to_stop;
use crate::tasks::{Spawner, Tasks};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{AccessLog, Sink, Telemetry};
use crate::upstream::retry::RetryBudget;
use crate::upstream::{Upstreams, shared_health};
use crate::workers::Workers;

/// Runs a node until it is told to stop.
pub(crate) fn run(settings: &Run) -> Result<(), String> {
    // Only what is rare runs here: accepting, following the configuration. Requests run on the workers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let started = Instant::now();
    // Signals are heard before anything is served, so that a stop is never missed.
    let stop = runtime.block_on(async { told_to_stop() })?;
    let _a_failed_write_tells = runtime.block_on(async { signal(SignalKind::from_raw(FILE_TOO_LARGE)) });
    let doors = runtime.block_on(async { Doors::bind(settings) })?;
    let member = Arc::new(Member::start(settings, doors.admin_address()?)?);
    let outcome = runtime.block_on(async {
        let node = Node::start(settings, doors, Arc::clone(&member), started)?;
        tracing::info!(ready_ms = started.elapsed().as_millis(), "ready");
        tokio::select! {
            () = stop => {}
            () = member.told_to_leave() => {}
        }
        member.say_draining();
        node.drain(settings.drain_timeout()).await;
        Ok(())
    });
    runtime.shutdown_background();
    member.stop(STOP);
    outcome
}

/// SIGXFSZ: a limit to the size of files ends one write, with an error, and not the node.
const FILE_TOO_LARGE: i32 = 25;
/// After requests have ended, the cluster is told of them.
const STOP: Duration = Duration::from_secs(10);

/// The addresses of this node, taken before anything else is begun: a typing error is told at once.
struct Doors {
    clients: TcpListener,
    admin: std::net::TcpListener,
}

impl Doors {
    fn bind(settings: &Run) -> Result<Self, String> {
        admin::check(settings.admin, settings.admin_token.as_deref())?;
        let admin = std::net::TcpListener::bind(settings.admin)
            .map_err(|error| format!("--admin {}: {error}", settings.admin))?;
        Ok(Self { clients: bind("--listen", settings.listen())?, admin })
    }

    fn admin_address(&self) -> Result<SocketAddr, String> {
        self.admin.local_addr().map_err(|error| error.to_string())
    }
}

/// A node that serves.
struct Node {
    tasks: Tasks,
    workers: Workers,
    telemetry: Arc<Telemetry>,
    drain: watch::Sender<bool>,
    _follower: Follower,
    /// Nobody waits for these: they serve until the very end.
    _background: Tasks,
}

impl Node {
    fn start(settings: &Run, doors: Doors, member: Arc<Member>, started: Instant) -> Result<Self, String> {
        let Doors { clients: door, admin: admin_door } = doors;
        let metrics = Metrics::new()?;
        metrics.install()?;
        let (prometheus, gauges) = (metrics.handle(), metrics.gauges());
        let access_log = AccessLog::open(&sink(&settings.access_log), gauges.log_lines_dropped.clone())
            .map_err(|error| format!("--access-log {}: {error}", settings.access_log))?;
        let (tasks, background) = (Tasks::new(), Tasks::new());
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Workers::start(count).map_err(|error| format!("no workers: {error}"))?;
        let config = Config::default();
        let store = Arc::new(Store::new(Arc::clone(&member)));
        let upstreams = Upstreams::new(count, member.runtime().clone());
        let breakers = upstreams.breakers();
        let kubernetes = kubernetes::Setup {
            store: Arc::clone(&store),
            config: config.clone(),
            member: Arc::clone(&member),
        };
        let follows_kubernetes = kubernetes::start(settings, kubernetes, &metrics)?;
        let given = if follows_kubernetes {
            given_beside_kubernetes(settings)
        } else {
            given(settings, &background.spawner())?
        };
        let setup = config::Setup {
            given,
            store: Arc::clone(&store),
            config: config.clone(),
            gauges: gauges.clone(),
            upstreams,
        };
        member.runtime().spawn(config::budgets::keep(config.clone(), Arc::clone(&member)));
        let telemetry = Telemetry::new(metrics, access_log);
        let gateway = Arc::new(Gateway {
            config: config.clone(),
            member,
            slots: Slots::new(settings.max_running),
            telemetry: Arc::clone(&telemetry),
            retries: RetryBudget::default(),
            limits: limits(settings)?,
            key_sets: KeySets::default(),
            started,
        });
        gateway.member.runtime().spawn(shared_health::share(Arc::clone(&gateway), breakers));
        let (drain, draining) = watch::channel(false);
        let token = settings.admin_token.clone().filter(|_| !settings.admin.ip().is_loopback());
        let shown = Admin {
            gateway: Arc::clone(&gateway),
            prometheus,
            gauges,
            draining: draining.clone(),
            store,
            token,
        };
        // Who asks meanwhile is told that this node is not ready.
        open_admin(admin_door, shown)?;
        let follower = setup.start()?;
        refuse_nothing(settings, &config)?;
        open_doors(settings, door, Lobby::new(gateway, workers.clone(), tasks.spawner(), draining))?;
        Ok(Self { tasks, workers, telemetry, drain, _follower: follower, _background: background })
    }

    /// Running answers finish, up to `limit`; nothing new is accepted. What is cut off is settled all the same.
    async fn drain(self, limit: Duration) {
        tracing::info!(
            limit_s = limit.as_secs(),
            "draining: running answers finish, nothing new is accepted"
        );
        let _everybody_hears = self.drain.send(true);
        if tokio::time::timeout(limit, self.tasks.ended()).await.is_err() {
            tracing::warn!("the time for draining is over; what still runs is cut off");
        }
        self.workers.stop();
        self.telemetry.flush();
    }
}

fn open_admin(door: std::net::TcpListener, shown: Admin) -> Result<(), String> {
    let address = door.local_addr().map_err(|error| error.to_string())?;
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || admin::serve(door, shown))
        .map_err(|error| format!("no thread for the admin API: {error}"))?;
    tracing::info!("admin on http://{address}");
    Ok(())
}

fn open_doors(settings: &Run, door: TcpListener, lobby: Lobby) -> Result<(), String> {
    let address = door.local_addr().map_err(|error| error.to_string())?;
    let (_never, closed) = watch::channel(false);
    let spawner = lobby.spawner.clone();
    spawner.spawn("door", listen::serve(door, None, lobby.clone(), closed));
    let ports = if settings.opens_gateway_ports() { listen::Ports::Open } else { listen::Ports::Shut };
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
    if settings.files.is_empty() {
        return Ok(()); // What is in the store may be mended there.
    }
    let nothing = config.snapshot.backends.is_empty() && config.snapshot.listeners.is_empty();
    if nothing && !config.problems.is_empty() {
        let files: Vec<String> = settings.files.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("nothing in {} could be used; see the problems above", files.join(", ")));
    }
    Ok(())
}

/// What serves is said there, and until it is nothing does.
fn given_beside_kubernetes(settings: &Run) -> Given {
    if settings.files.is_empty() { Given::Made(String::new()) } else { Given::Files(settings.files.clone()) }
}

fn given(settings: &Run, background: &Spawner) -> Result<Given, String> {
    if !settings.files.is_empty() {
        return Ok(Given::Files(settings.files.clone()));
    }
    let demo = bind("demo model", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = demo.local_addr().map_err(|error| error.to_string())?;
    let served = simulate::serve(demo, simulate::Behaviour::demo(), std::future::pending());
    background.spawn("demo model", async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "the demo model stopped");
        }
    });
    let made = environment::manifests(&|name| std::env::var(name).ok(), address)?;
    let providers =
        if made.providers.is_empty() { "none (no key is set)".to_owned() } else { made.providers.join(", ") };
    tracing::info!(%providers, demo = environment::DEMO_MODEL, "routes made from the environment");
    Ok(Given::Made(made.manifest))
}

fn limits(settings: &Run) -> Result<Limits, String> {
    let Run { max_body, body_memory, .. } = *settings;
    if body_memory < max_body {
        return Err(format!(
            "--body-memory {body_memory} is less than --max-body {max_body}: a body of that size would never find room"
        ));
    }
    Ok(Limits {
        body_bytes: max_body,
        body_memory: BodyMemory::new(body_memory),
        client_timeout: settings.client_timeout(),
        admission_wait: settings.admission_wait(),
    })
}

fn sink(name: &str) -> Sink {
    match name {
        "off" => Sink::Off,
        "stdout" => Sink::Stdout,
        path => Sink::File(PathBuf::from(path)),
    }
}
