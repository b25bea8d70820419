//! The socket side: accepts connections, serves HTTP/1.1 and HTTP/2 on them, and holds what all
//! requests share.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::canned::Canned;
use super::options::{Behaviour, Dialects, Options, StartError, Work};
use super::respond::respond;
use super::script::{Schedule, Script};
use super::stats::Stats;
use super::tokens::PrefixCache;
use super::wire::{Fate, Wire};

/// After a failed accept (no file descriptors left, most likely), instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Above what any load test opens on one connection.
const MOST_H2_STREAMS: u32 = 10_000;

/// What all requests share.
pub(crate) struct Server {
    pub(crate) behaviour: Behaviour,
    pub(crate) canned: Option<Canned>,
    pub(crate) stats: Stats,
    pub(crate) cache: Mutex<PrefixCache>,
    schedule: RwLock<Arc<Schedule>>,
    pub(crate) numbers: AtomicU64,
    pub(crate) started: Instant,
    pub(crate) started_unix_s: u64,
}

/// The command: listens, says so in one line, and serves until it is interrupted.
pub(crate) async fn run(options: Options) -> Result<(), StartError> {
    let failed = |what: &str, error: io::Error| StartError(format!("simulate-provider: {what}: {error}"));
    let listener = TcpListener::bind(&options.listen)
        .await
        .map_err(|error| failed(&format!("can't listen on {}", options.listen), error))?;
    let address = listener.local_addr().map_err(|error| failed("no local address", error))?;
    let stop = interrupted().map_err(|error| failed("can't wait for signals", error))?;
    let server = Server::new(Behaviour::from(&options)).map_err(|error| failed("can't start", error))?;
    let spoken = match options.dialect {
        Dialects::Openai => "openai",
        Dialects::Anthropic => "anthropic",
        Dialects::Gemini => "gemini",
        Dialects::Bedrock => "bedrock",
        Dialects::All => "openai, anthropic, gemini, bedrock",
    };
    println!(
        "simulate-provider listening on http://{address} ({spoken}; {} tokens an answer; seed {})",
        options.tokens, options.seed
    );
    let server = Arc::new(server);
    accept(listener, server.clone(), stop).await;
    if options.stats {
        println!("{:#}", server.stats.to_json());
    }
    Ok(())
}

/// Serves until `stop`, then closes all connections at once.
pub(crate) async fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = Server::new(behaviour)?;
    accept(listener, Arc::new(server), stop).await;
    Ok(())
}

impl Server {
    fn new(behaviour: Behaviour) -> io::Result<Self> {
        let canned = match behaviour.work {
            Work::Read => None,
            Work::Canned => {
                Some(Canned::new(&behaviour.voice).map_err(|error| io::Error::other(error.message))?)
            }
        };
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            canned,
            stats: Stats::default(),
            cache: Mutex::default(),
            schedule: RwLock::new(Arc::new(Schedule::new(behaviour.script.clone()))),
            numbers: AtomicU64::new(1),
            started: Instant::now(),
            // A clock before 1970 makes answers look old, which hurts nobody.
            started_unix_s: since_epoch.map_or(0, |since| since.as_secs()),
            behaviour,
        })
    }

    pub(crate) fn schedule(&self) -> Arc<Schedule> {
        self.schedule.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn script(&self) -> Script {
        self.schedule().script().clone()
    }

    /// Forgets everything and plays `schedule` from its beginning.
    pub(crate) fn restart(&self, schedule: Schedule) {
        *self.schedule.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schedule);
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = PrefixCache::default();
        self.stats.reset();
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    // Dropped at the end, which closes what is open: hung requests would never end by themselves.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, server.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// One connection, from its first request to its last.
async fn converse(stream: TcpStream, server: Arc<Server>) {
    // Fails only on a socket that is closed already.
    let _ = stream.set_nodelay(true);
    let fate = Fate::default();
    let service = service_fn({
        let fate = fate.clone();
        move |request| respond(server.clone(), fate.clone(), request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(MOST_H2_STREAMS);
    // Errors are clients that left and failures that the script asked for: both are counted elsewhere.
    let _ = builder.serve_connection(Wire::new(stream, fate), service).await;
}

/// Ends at the first interrupt or request to terminate.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
