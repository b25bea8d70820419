//! This node as a member of its cluster: started from the settings, on a runtime of its own, so that consensus is not held
//! up by requests.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tollgate_cluster::gossip::view::Duty;
use tollgate_cluster::identity::home::Home;
use tollgate_cluster::identity::token::JoinToken;
use tollgate_cluster::run::{Door, Node, Settings};
use tollgate_cluster::state::Proposal;
use tollgate_cluster::state::nodes::Farewell;
use tollgate_cluster::wallet::{Till, clock};

use crate::kubernetes::{Entry, JoinSecret};
use crate::settings::{DEFAULT_CLUSTER, Run};
use crate::stop::told_to_stop;

/// Consensus, gossip and the wallet's task share these.
const THREADS: usize = 2;

/// See the file's purpose.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) till: Till,
    /// Where new nodes of Kubernetes find the join token.
    pub(crate) join_secret: Option<JoinSecret>,
    runtime: Runtime,
    /// It was told to leave for good.
    leaves: watch::Sender<bool>,
}

impl Member {
    /// Starts it: as the node of its data folder, the first of a new cluster, or a newcomer to one. Blocks until it may spend.
    pub(crate) fn start(run: &Run, admin: SocketAddr) -> Result<Self, String> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(THREADS).thread_name("cluster").enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime for the cluster: {error}"))?;
        let data = run.data()?;
        let mut token = JoinToken::given(run.join_token.as_deref(), run.join_token_file.as_deref())?;
        let mut join = run.join.clone();
        let secret =
            run.join_secret.as_deref().map(|name| runtime.block_on(JoinSecret::of(name))).transpose()?;
        // A node that belongs to a cluster starts without asking: the API server may be away. And before the door is open:
        // who only waits must not look like one who serves.
        if let Some(secret) = secret.as_ref().filter(|_| !Home::is_in(&data)) {
            match runtime.block_on(unless_stopped(secret.entry(run)))? {
                Entry::Found => join.clear(),
                Entry::Join(found) => token = Some(found),
            }
        }
        let settings = Settings {
            data: data.clone(),
            door: door(run)?,
            join,
            token,
            voters: run.voters(),
            stays_learner: run.learner,
            name: run.node(),
            region: run.region.clone(),
            zone: run.zone.clone(),
            admin: admin.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (node, till) = runtime.block_on(unless_stopped(async {
            let node = Node::start(settings).await.map_err(|error| error.to_string())?;
            tracing::info!("cluster on {}, as node {}", node.member().address, node.id());
            let till = Till::start(&node, &data).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((node, till))
        }))?;
        let founders = node.home().token().map_err(|error| error.to_string())?;
        if let (Some(secret), Some(token)) = (&secret, founders) {
            runtime.spawn(secret.clone().publish(token));
        }
        tracing::info!("data in {}", data.display());
        Ok(Self { node, till, join_secret: secret, runtime, leaves: watch::Sender::new(false) })
    }

    /// Where its tasks run.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Why this node can't admit, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.till.failure().or_else(|| self.node.failure().map(|why| format!("the log fails: {why}")))
    }

    /// Has the node stop and never come back.
    pub(crate) fn ask_to_leave(&self) -> Result<(), String> {
        let metrics = self.node.metrics();
        let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
        if voters == [self.node.id()] {
            return Err(
                "this node alone holds what the cluster knows: another one has to vote first".to_owned()
            );
        }
        let _nobody_waits_any_more = self.leaves.send(true);
        Ok(())
    }

    /// Returns once the node was told to leave.
    pub(crate) async fn told_to_leave(&self) {
        let mut leaves = self.leaves.subscribe();
        let _the_sender_is_ours = leaves.wait_for(|leaves| *leaves).await;
    }

    /// Says to the others that it takes no more requests.
    pub(crate) fn say_draining(&self) {
        let duty = if *self.leaves.borrow() { Duty::Leaving } else { Duty::Draining };
        self.node.gossip().say_duty(duty);
    }

    /// Tells what is left to tell, hands over what it leads, and ends. Others may still hold it; they are not served any more.
    pub(crate) fn stop(&self, within: Duration) {
        self.runtime.block_on(async {
            if !self.till.drain(within).await {
                tracing::warn!("not everything was told to the cluster; the next start does it");
            }
            if *self.leaves.borrow() {
                self.leave().await;
            }
            self.node.stop().await;
        });
    }

    /// Waits until it does not vote any more, and has itself forgotten.
    async fn leave(&self) {
        self.node.gossip().say_duty(Duty::Leaving);
        self.node.hand_over().await;
        let deadline = Instant::now() + LEAVE;
        let votes = || {
            let metrics = self.node.metrics();
            metrics.membership_config.membership().voter_ids().any(|voter| voter == self.node.id())
        };
        while votes() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        if votes() {
            tracing::error!(
                "this node still votes, and stays a member: forget it once others can replace it"
            );
            return;
        }
        let farewell = Farewell { node: self.node.id(), at: clock::stamp() };
        match self.node.forward().write_again(Proposal::Forget(farewell), LEAVE).await {
            Ok(_) => tracing::info!("left the cluster for good: its data folder is of no more use"),
            Err(error) => tracing::error!("the cluster was not told that this node left: {error}"),
        }
    }
}

/// Others may be long in coming.
async fn unless_stopped<T>(starting: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let stop = told_to_stop()?;
    tokio::select! {
        started = starting => started,
        () = stop => Err("stopped before it was part of a cluster".to_owned()),
    }
}

/// A node that leaves is no voter by then.
const LEAVE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// The default port may be another node's: this one takes any other then, and says so. A port that was asked for is
/// insisted on.
fn door(run: &Run) -> Result<Door, String> {
    let failed = |address: SocketAddr| move |error: io::Error| format!("--cluster {address}: {error}");
    if let Some(address) = run.cluster {
        return Door::open(address, run.advertise.clone()).map_err(failed(address));
    }
    let usual: SocketAddr = DEFAULT_CLUSTER.parse().expect("the default is an address");
    Door::open(usual, run.advertise.clone())
        .or_else(|_taken| Door::open(SocketAddr::new(usual.ip(), 0), run.advertise.clone()))
        .map_err(failed(usual))
}
