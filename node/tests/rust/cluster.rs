//! Several nodes that are one gateway: real processes, with data that outlives them.

use tempfile::TempDir;

use super::gateway::Settings;
use super::{Gateway, until};

/// Nodes of one cluster. The first has the manifests; the others know them from the cluster.
pub(crate) struct Cluster {
    /// Those that run, by their place.
    pub(crate) nodes: Vec<Option<Gateway>>,
    data: Vec<TempDir>,
    door: String,
    manifest: String,
    /// How many should vote.
    wanted: usize,
    /// The API server that they follow, if any.
    kubeconfig: Option<String>,
    /// The places of those that never vote.
    learners: Vec<usize>,
}

impl Cluster {
    /// Starts so many, and waits until they vote as they should and serve.
    pub(crate) async fn start(count: usize, manifest: &str) -> Self {
        Self::voting(count, 3, manifest).await
    }

    /// Three nodes that follow an API server.
    pub(crate) async fn following(kubeconfig: &str) -> Self {
        let mut cluster = Self::empty(3, "");
        cluster.kubeconfig = Some(kubeconfig.to_owned());
        cluster.grow(3).await;
        cluster
    }

    /// The same with another number of voters than three.
    pub(crate) async fn voting(count: usize, wanted: usize, manifest: &str) -> Self {
        let mut cluster = Self::empty(wanted, manifest);
        cluster.grow(count).await;
        cluster
    }

    fn empty(wanted: usize, manifest: &str) -> Self {
        let (manifest, door) = (manifest.to_owned(), String::new());
        Self {
            nodes: Vec::new(),
            data: Vec::new(),
            door,
            manifest,
            wanted,
            kubeconfig: None,
            learners: Vec::new(),
        }
    }

    async fn grow(&mut self, count: usize) {
        for _ in 0..count {
            self.add().await;
        }
        self.voters(if count < self.wanted { 1 } else { self.wanted }).await;
    }

    /// One more, which never votes.
    pub(crate) async fn add_learner(&mut self) {
        self.learners.push(self.nodes.len());
        self.add().await;
    }

    /// One more, with a data folder of its own.
    pub(crate) async fn add(&mut self) {
        self.data.push(tempfile::tempdir().unwrap());
        let node = self.node(self.nodes.len()).await;
        self.nodes.push(Some(node));
    }

    /// Starts the node of that place: a new one, or again with the data that it had.
    async fn node(&mut self, place: usize) -> Gateway {
        let first = self.door.is_empty();
        let folder = self.data[place].path().to_str().unwrap().to_owned();
        let name = format!("node-{place}");
        let token = self.data[0].path().join("join-token").to_str().unwrap().to_owned();
        let voters = self.wanted.to_string();
        let mut arguments =
            vec!["--cluster", "127.0.0.1:0", "--data", &folder, "--node", &name, "--admission-wait", "3000"];
        arguments.extend(["--voters", &voters]);
        let door = self.door.clone();
        if !first {
            arguments.extend(["--join", &door, "--join-token-file", &token]);
        }
        if self.learners.contains(&place) {
            arguments.push("--learner");
        }
        let manifest = if first { self.manifest.as_str() } else { "" };
        let mut variables = Vec::new();
        if let Some(kubeconfig) = &self.kubeconfig {
            arguments.push("--kubernetes");
            variables.push(("KUBECONFIG", kubeconfig.as_str()));
        }
        let settings = Settings { manifest, arguments: &arguments, variables: &variables };
        let mut node = Gateway::with(settings).await;
        if first {
            node.process.announced("cluster on ").await.trim_end_matches(',').clone_into(&mut self.door);
        }
        node
    }

    /// Where nodes are reached by nodes.
    pub(crate) fn door(&self) -> &str {
        &self.door
    }

    /// Where the node of that place keeps what it knows.
    pub(crate) fn data(&self, place: usize) -> &std::path::Path {
        self.data[place].path()
    }

    /// Kills the node of that place as `kill -9` does.
    pub(crate) fn kill(&mut self, place: usize) {
        drop(self.nodes[place].take());
    }

    /// Tells the node of that place to stop, and waits until it has, as whoever replaces it does.
    pub(crate) async fn stop(&mut self, place: usize) {
        let mut node = self.nodes[place].take().unwrap();
        node.process.terminate();
        let status = node.process.ended().await;
        assert!(status.success(), "{status}: {}", node.process.output());
    }

    /// Starts it again, with the data that it had.
    pub(crate) async fn restart(&mut self, place: usize) {
        // Any that runs lets it find the others.
        self.door = {
            let runs = self.nodes.iter_mut().flatten().next().unwrap();
            runs.process.announced("cluster on ").await.trim_end_matches(',').to_owned()
        };
        let node = self.node(place).await;
        self.nodes[place] = Some(node);
    }

    /// Those that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Gateway> {
        self.nodes.iter().flatten()
    }

    /// The place of the leader, as soon as one that runs is known to all that run.
    pub(crate) async fn leader(&self) -> usize {
        until("a leader", async || {
            let mut leaders = Vec::new();
            for node in self.running() {
                let cluster = node.shown("/v1/status").await["cluster"].take();
                leaders.push((cluster["leader"].as_u64()?, cluster["node"].as_u64()?));
            }
            let leader = leaders[0].0;
            let agreed = leaders.iter().all(|(one, _)| *one == leader);
            let runs = leaders.iter().any(|(_, id)| *id == leader);
            if !(agreed && runs) {
                return None;
            }
            for (place, node) in self.nodes.iter().enumerate() {
                let Some(node) = node else { continue };
                if node.shown("/v1/status").await["cluster"]["node"] == leader {
                    return Some(place);
                }
            }
            None
        })
        .await
    }

    /// Waits until so many vote.
    pub(crate) async fn voters(&self, wanted: usize) {
        until("voters", async || (self.voting_now().await.len() == wanted).then_some(())).await;
    }

    /// The ids of those that vote.
    pub(crate) async fn voting_now(&self) -> Vec<u64> {
        let nodes = self.running().next().unwrap().shown("/v1/nodes").await;
        let voters = nodes.as_array().unwrap().iter().filter(|node| node["role"] == "voter");
        voters.map(|node| node["id"].as_u64().unwrap()).collect()
    }
}
