//! The provider simulator as a child process, and what it saw and counted.

use serde_json::Value;

use super::{Ask, Client, Process};

/// A running simulator.
pub(crate) struct Simulator {
    _process: Process,
    pub(crate) client: Client,
}

impl Simulator {
    /// Starts one with further arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["simulate-provider", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut process = Process::start(&all, &[]);
        let url = process.announced("listening on ").await;
        Self { _process: process, client: Client::new(&url) }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.client.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.client.address.port()
    }

    /// What it counted, of all models.
    pub(crate) async fn total(&self) -> Value {
        self.stats().await["total"].take()
    }

    /// What it counted of one model.
    pub(crate) async fn model(&self, name: &str) -> Value {
        self.stats().await["models"][name].take()
    }

    /// How many requests for this model arrived.
    pub(crate) async fn asked(&self, model: &str) -> u64 {
        self.model(model).await["requests"].as_u64().unwrap_or(0)
    }

    /// The last request that arrived, as it came.
    pub(crate) async fn last_request(&self) -> Value {
        let answer = self.client.send(&Ask::get("/simulate/requests")).await;
        let requests = answer.expect(200).json()["requests"].take();
        requests.as_array().unwrap().last().unwrap().clone()
    }

    /// Forgets what it counted, and plays this script from now on.
    pub(crate) async fn play(&self, script: &str) {
        let path = format!("/simulate/reset?fail={script}");
        self.client.send(&Ask::post(&path, "")).await.expect(200);
    }

    async fn stats(&self) -> Value {
        let answer = self.client.send(&Ask::get("/simulate/stats")).await;
        answer.expect(200).json()
    }
}
