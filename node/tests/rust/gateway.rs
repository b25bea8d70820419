//! The gateway as a child process, with a file of manifests that the test may edit.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{Ask, Client, Process, until};

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    /// Where clients connect.
    pub(crate) client: Client,
    /// Where the admin API is.
    pub(crate) admin: Client,
    /// Holds `manifest.yaml`, which is watched, and `access.log`.
    pub(crate) folder: TempDir,
}

/// How it is started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    /// Of `manifest.yaml`. Empty: no file is named.
    pub(crate) manifest: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

impl Gateway {
    /// Starts one with this manifest.
    pub(crate) async fn start(manifest: &str) -> Self {
        Self::with(Settings { manifest, ..Settings::default() }).await
    }

    /// Starts one.
    pub(crate) async fn with(settings: Settings<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("manifest.yaml");
        let log = folder.path().join("access.log");
        let mut arguments = vec!["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        if !settings.arguments.contains(&"--access-log") {
            arguments.extend(["--access-log", log.to_str().unwrap()]);
        }
        if !settings.manifest.is_empty() {
            fs::write(&file, settings.manifest).unwrap();
            arguments.extend(["-f", file.to_str().unwrap()]);
        }
        arguments.extend(settings.arguments);
        let mut process = Process::start(&arguments, settings.variables);
        let client = Client::new(&process.announced("clients on ").await);
        let admin = Client::new(&process.announced("admin on ").await);
        Self { process, client, admin, folder }
    }

    /// The file of manifests.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("manifest.yaml")
    }

    pub(crate) async fn send(&self, ask: &Ask) -> super::Answer {
        self.client.send(ask).await
    }

    /// The answer of an admin path that answers JSON.
    pub(crate) async fn shown(&self, path: &str) -> Value {
        self.admin.send(&Ask::get(path)).await.expect(200).json()
    }

    pub(crate) async fn metrics(&self) -> String {
        let answer = self.admin.send(&Ask::get("/metrics")).await;
        answer.expect(200).text().to_owned()
    }

    /// The ledger's row of a model, as soon as it holds this many requests.
    pub(crate) async fn booked(&self, model: &str, requests: u64) -> Value {
        until(&format!("{requests} of {model} in the ledger"), async || {
            let rows = self.shown("/v1/ledger").await["rows"].take();
            let mut rows = rows.as_array().unwrap().iter();
            let row = rows.find(|row| row["model"] == model)?;
            (row["requests"].as_u64()? >= requests).then(|| row.clone())
        })
        .await
    }

    /// The access-log line of the request that was answered with this id, as soon as it is there.
    pub(crate) async fn logged(&self, answer: &super::Answer) -> Value {
        let id = answer.header("x-tollgate-request-id").unwrap().to_owned();
        self.logged_where(|line| line["request_id"] == id.as_str()).await
    }

    /// The first access-log line of this kind, as soon as it is there.
    pub(crate) async fn logged_where(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        until("a line in the access log", async || self.log().into_iter().find(&is_it)).await
    }

    /// All whole lines of the access log.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        lines.collect()
    }
}
