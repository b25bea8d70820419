//! This node as a member of its cluster: started from the settings, on a runtime of its own, so that consensus is not held
//! up by requests.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tollgate_cluster::identity::token::JoinToken;
use tollgate_cluster::run::{Door, Node, Settings};
use tollgate_cluster::wallet::Till;

use crate::settings::{DEFAULT_CLUSTER, Run};

/// Consensus, gossip and the wallet's task share these.
const THREADS: usize = 2;

/// See the file's purpose.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) till: Till,
    runtime: Runtime,
}

impl Member {
    /// Starts it: as the node of its data folder, the first of a new cluster, or a newcomer to one. Blocks until it may spend.
    pub(crate) fn start(run: &Run, admin: SocketAddr) -> Result<Self, String> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(THREADS).thread_name("cluster").enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime for the cluster: {error}"))?;
        let data = run.data()?;
        let token = JoinToken::given(run.join_token.as_deref(), run.join_token_file.as_deref())?;
        let settings = Settings {
            data: data.clone(),
            door: door(run)?,
            join: run.join.clone(),
            token,
            voters: run.voters(),
            name: run.node(),
            region: run.region.clone(),
            zone: run.zone.clone(),
            admin: admin.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (node, till) = runtime.block_on(async {
            let node = Node::start(settings).await.map_err(|error| error.to_string())?;
            tracing::info!("cluster on {}, as node {}", node.member().address, node.id());
            let till = Till::start(&node, &data).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((node, till))
        })?;
        tracing::info!("data in {}", data.display());
        Ok(Self { node, till, runtime })
    }

    /// Where its tasks run.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Tells what is left to tell, hands over what it leads, and ends. Others may still hold it; they are not served any more.
    pub(crate) fn stop(&self, within: Duration) {
        self.runtime.block_on(async {
            if !self.till.drain(within).await {
                tracing::warn!("not everything was told to the cluster; the next start does it");
            }
            self.node.stop().await;
        });
    }
}

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
