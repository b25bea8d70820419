//! The command line: as typed here, as needed in the commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::simulate;

/// Port 1975 and 1064 are those of Envoy AI Gateway's stand-alone mode: what points there works here.
const DEFAULT_LISTEN: &str = "127.0.0.1:1975";
const DEFAULT_ADMIN: &str = "127.0.0.1:1064";
/// Beside the clients' port.
pub(crate) const DEFAULT_CLUSTER: &str = "127.0.0.1:1976";

/// Classes of this one are ours.
const DEFAULT_CONTROLLER: &str = "tollgate.dev/gateway";

/// An AI gateway: one endpoint for all models, with failover, metering and true limits.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a node
    ///
    /// With nothing given: clients on 127.0.0.1:1975, admin on 127.0.0.1:1064, routes made from OPENAI_API_KEY,
    /// ANTHROPIC_API_KEY and AZURE_OPENAI_API_KEY where set, and a built-in demo model, tollgate-demo.
    Run(Box<Run>),
    /// Checks manifests and prints every problem; exits 1 if there is one.
    Validate(Validate),
    /// Puts the resources of manifests into the cluster: all of them, or none if one is rejected.
    Apply(Apply),
    /// Shows resources, and what is wrong with them.
    Get(Get),
    /// Takes resources away that were applied.
    Delete(Delete),
    /// Shows the cluster as one of its nodes sees it.
    Status(Look),
    /// Shows the cluster at work, anew each second: nodes, who spends how fast, what is left of budgets.
    Top(Top),
    /// Budgets and what is left of them.
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Who spent what.
    Ledger(LedgerLook),
    /// The cluster's nodes.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Replaces a secret of the cluster while it runs.
    #[command(subcommand)]
    Rotate(RotateCommand),
    /// Has a node write all that it has applied to a snapshot in its data folder, from which it starts the next time.
    Snapshot(Ask),
    /// Prints the custom resource definitions as YAML.
    Crds,
    /// Runs a provider to try things against: true token counts, streaming, scripted failures.
    SimulateProvider(Box<simulate::Options>),
}

/// Arguments of `tollgate run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Manifests: files, or folders of .yaml, .yml and .json files; several after one -f, or each with its own. Watched:
    /// an edit takes effect by itself.
    #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,

    /// Where clients connect [default: 127.0.0.1:1975]. Serves all Gateways' listeners, clear text and TLS; the ports
    /// that Gateways name are opened too, on the same address, unless this is given.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Where health, metrics and the admin API are. Off loopback, TOLLGATE_ADMIN_TOKEN must be set and is asked for.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADMIN)]
    pub(crate) admin: SocketAddr,

    /// The token that the admin API asks for.
    #[arg(long, env = "TOLLGATE_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) admin_token: Option<String>,

    /// Access log: `stdout`, `off`, or a file to append to.
    #[arg(long, value_name = "SINK", default_value = "stdout")]
    pub(crate) access_log: String,

    /// Where this node keeps what it must not lose: its identity, the log, its journal [default: tollgate in the user's
    /// data folder].
    #[arg(long, env = "TOLLGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where the other nodes reach this one, TCP and UDP [default: 127.0.0.1:1976, or a free port where that is taken].
    #[arg(long, value_name = "ADDR")]
    pub(crate) cluster: Option<SocketAddr>,

    /// The address that other nodes are told, if it is not the one of --cluster.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,

    /// Joins the cluster of these nodes; several after one --join, or each with its own. A name may have many addresses: all
    /// of them are asked, again and again. Without meaning for a node that
    /// belongs to one already, but that it finds the others there.
    #[arg(long, value_name = "HOST:PORT", num_args = 1..)]
    pub(crate) join: Vec<String>,

    /// The file with the cluster's join token: the first node wrote it to join-token in its data folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) join_token_file: Option<PathBuf>,

    /// The cluster's join token, if it is not in a file.
    #[arg(long, env = "TOLLGATE_JOIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) join_token: Option<String>,

    /// The Secret with the cluster's join token under the key `token`, in the namespace of this pod or of KUBECONFIG. It has
    /// to be there, perhaps empty: the founder writes the token into it, all others wait for it.
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["join_token_file", "join_token"], requires = "join")]
    pub(crate) join_secret: Option<String>,

    /// The node of this name founds the cluster, if there is no token in --join-secret and nobody answers at --join.
    #[arg(long, value_name = "NODE", requires = "join_secret")]
    pub(crate) founder: Option<String>,

    /// How many nodes should vote: 1, 3 or 5 [default: 3 for a new cluster, otherwise as it is].
    #[arg(long, value_name = "N", value_parser = ["1", "3", "5"])]
    voters: Option<String>,

    /// Serves, holds everything, and never votes, however few nodes there are: for nodes that come and go with the load.
    #[arg(long, requires = "join")]
    pub(crate) learner: bool,

    /// What people call this node [default: the machine's name].
    #[arg(long, value_name = "NAME")]
    node: Option<String>,

    /// The region that it stands in: voters are spread over regions, …
    #[arg(long, value_name = "REGION", default_value = "")]
    pub(crate) region: String,

    /// … and over the zones of one.
    #[arg(long, value_name = "ZONE", default_value = "")]
    pub(crate) zone: String,

    /// Whether the resources of Kubernetes are mirrored, from the API server of KUBECONFIG or of the pod [default: on in a
    /// pod, off elsewhere].
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, default_missing_value = "on")]
    kubernetes: Option<Switch>,

    /// GatewayClasses of this controller are served, in Kubernetes; those of others are left alone.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CONTROLLER)]
    pub(crate) controller_name: String,

    /// The largest request body, in bytes, where no ClientTrafficPolicy says otherwise.
    #[arg(long, value_name = "BYTES", default_value_t = 32 * 1024 * 1024)]
    pub(crate) max_body: usize,

    /// Request bodies that are held at once, in bytes; what finds no room is refused with 503. A body is held until its
    /// answer begins.
    #[arg(long, value_name = "BYTES", default_value_t = 512 * 1024 * 1024)]
    pub(crate) body_memory: usize,

    /// A client that sends no request, or takes nothing of its answer, for this long is disconnected, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    client_timeout: u64,

    /// Requests that may run at once; more are refused with 503.
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_running: u64,

    /// How long a request may wait for what its budgets give, in milliseconds, before it is refused.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    admission_wait: u64,

    /// After SIGTERM, running answers get this long to finish, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_timeout: u64,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// Arguments of `tollgate validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Manifests: files, or folders of .yaml, .yml and .json files; several after one -f, or each with its own.
    #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR", num_args = 1.., required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Which node is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Ask {
    /// The admin API of a node.
    #[arg(long, env = "TOLLGATE_ADMIN", value_name = "URL", default_value = "http://127.0.0.1:1064")]
    pub(crate) admin: String,

    /// The token that it asks for, off loopback.
    #[arg(long, env = "TOLLGATE_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) admin_token: Option<String>,
}

/// Arguments of `tollgate apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Manifests: files, or folders of .yaml, .yml and .json files. ${VARIABLES} are put in here, from this environment.
    #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR", num_args = 1.., required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Only says what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Arguments of `tollgate get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Such as budget, budgets or AIGatewayRoute.
    pub(crate) kind: String,
    /// NAME or NAMESPACE/NAME; all of the kind without one.
    pub(crate) name: Option<String>,
    /// The resource as it was applied, without its secrets.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// How resources are printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Output {
    Yaml,
    Json,
    Name,
}

/// Arguments of `tollgate delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Such as budget or AIGatewayRoute.
    #[arg(requires = "name", required_unless_present = "files", conflicts_with = "files")]
    kind: Option<String>,
    /// NAME or NAMESPACE/NAME.
    name: Option<String>,
    /// The resources of these manifests.
    #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

impl Delete {
    /// The kind and the name, where no files are given.
    pub(crate) fn named(&self) -> Option<(&str, &str)> {
        Some((self.kind.as_deref()?, self.name.as_deref()?))
    }
}

/// Arguments of commands that print data.
#[derive(Debug, Args)]
pub(crate) struct Look {
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Prints what the admin API answers.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `tollgate top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) interval: u64,
    /// Looks for one interval, prints what was seen, and ends.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// All budgets.
    List(Look),
    /// One budget with its buckets.
    Show {
        /// Its name, as the list has it.
        name: String,
        #[command(flatten)]
        look: Look,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// All nodes.
    List(Look),
    /// The node that is asked finishes its requests, gives back its leases and its vote, and stops for good.
    Leave(Ask),
    /// Lets a node vote, instead of one that nobody named so if there are as many voters as are wanted. It stays so.
    Promote {
        /// Its id.
        id: u64,
        #[command(flatten)]
        ask: Ask,
    },
    /// A node that is gone never comes back: what it held counts as spent.
    Forget {
        /// Its id.
        id: u64,
        #[command(flatten)]
        ask: Ask,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RotateCommand {
    /// Makes another join token and prints it; the one before lets nobody in any more. Nodes that are in stay in.
    JoinToken {
        /// It lets nodes in for so many hours only.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
        valid_hours: Option<u32>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Makes another key for gossip; nodes understand each other all the while.
    GossipKey(Ask),
}

/// Arguments of `tollgate ledger`.
#[derive(Debug, Args)]
pub(crate) struct LedgerLook {
    #[command(flatten)]
    pub(crate) look: Look,
    /// Only this consumer, as namespace/name.
    #[arg(long)]
    pub(crate) consumer: Option<String>,
    /// Only this model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Only this backend, as namespace/name.
    #[arg(long)]
    pub(crate) backend: Option<String>,
    /// From this day or hour of UTC on, as 2026-11-23 or 2026-11-23T14:00Z.
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Up to this day or hour, which is not counted any more.
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// What lines are told apart by: consumer, team, organization, model, backend, hour, day, month; several with commas.
    #[arg(long, value_name = "BY", default_value = "consumer,model,backend,day")]
    pub(crate) group_by: String,
    /// Comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// What the node that is asked has at once, without asking the leader.
    #[arg(long)]
    pub(crate) replica: bool,
}

impl Run {
    /// The address for clients.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| DEFAULT_LISTEN.parse().expect("the default is an address"))
    }

    /// Whether the ports of Gateway listeners are opened beside it.
    pub(crate) fn opens_gateway_ports(&self) -> bool {
        self.listen.is_none()
    }

    /// Where it is kept.
    pub(crate) fn data(&self) -> Result<PathBuf, String> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let shared = || variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
        let folder = self.data.clone().or_else(|| Some(shared()?.join("tollgate")));
        folder.ok_or_else(|| "there is no HOME to keep data in: say where with --data".to_owned())
    }

    /// Whether Kubernetes was asked for. None: wherever this is a pod.
    pub(crate) fn kubernetes(&self) -> Option<Switch> {
        self.kubernetes
    }

    /// How many nodes should vote, if that is said.
    pub(crate) fn voters(&self) -> Option<u8> {
        self.voters.as_deref().map(|voters| voters.parse().expect("one of three numbers"))
    }

    /// What people call the node.
    pub(crate) fn node(&self) -> String {
        let machine = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = self.node.clone().or_else(machine).map(|name| name.trim().to_owned());
        named.filter(|name| !name.is_empty()).unwrap_or_else(|| "node".to_owned())
    }

    pub(crate) fn client_timeout(&self) -> Duration {
        Duration::from_secs(self.client_timeout)
    }

    pub(crate) fn admission_wait(&self) -> Duration {
        Duration::from_millis(self.admission_wait)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_secs(self.drain_timeout)
    }
}
