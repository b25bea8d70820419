//! The join token in a Secret: who founds the cluster writes it there, and everybody else takes it from there. A Secret with
//! a token in it says that the cluster exists, so that nobody founds another one, whatever became of a volume.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use tollgate_cluster::identity::token::JoinToken;

use super::client::{self, Pulses};
use crate::settings::Run;

/// Its key in the Secret.
const KEY: &str = "token";
/// Nodes that are started together find each other by then; who starts them tries again.
const WAIT: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Who serves is reached by then.
const REACH: Duration = Duration::from_secs(2);

/// See the file's purpose.
#[derive(Clone)]
pub(crate) struct JoinSecret {
    api: Api<Secret>,
    name: String,
}

/// What a node with an empty folder is to do.
pub(crate) enum Entry {
    Found,
    Join(JoinToken),
}

impl JoinSecret {
    /// The Secret of this name in the namespace of the pod, or of KUBECONFIG.
    pub(crate) async fn of(name: &str) -> Result<Self, String> {
        let client = client::connect(&Pulses::default()).await?;
        Ok(Self { api: Api::default_namespaced(client), name: name.to_owned() })
    }

    /// Waits until there is a token, or it is this node's part to found the cluster: it is its founder, there is no token, and
    /// nobody answers where the others would be.
    pub(crate) async fn entry(&self, run: &Run) -> Result<Entry, String> {
        let deadline = Instant::now() + WAIT;
        let founds = run.founder.as_ref().is_some_and(|founder| *founder == run.node());
        let mut last = String::new();
        loop {
            let why = match self.token().await {
                Ok(Some(token)) => return Ok(Entry::Join(token)),
                Ok(None) if founds => match answering(run).await {
                    None => return Ok(Entry::Found),
                    Some(address) => format!("no token in it, but {address} answers: it may be of a cluster"),
                },
                Ok(None) => "no token in it: the cluster's founder writes it".to_owned(),
                Err(why) => why,
            };
            if Instant::now() > deadline {
                return Err(self.said(&why));
            }
            if why != last {
                tracing::info!("waiting: {}", self.said(&why));
                last = why;
            }
            sleep(LOOK).await;
        }
    }

    /// Writes the token into it, unless there is one. It takes as long as it takes to reach the API server.
    pub(crate) async fn publish(self, token: JoinToken) {
        loop {
            let failed = match self.token().await {
                Ok(Some(there)) if there.cluster == token.cluster => return,
                Ok(Some(_)) => {
                    return tracing::error!(
                        "{}",
                        self.said("the token of another cluster than this node's: there are two")
                    );
                }
                Ok(None) => self.write(&token).await.err(),
                Err(why) => Some(why),
            };
            if let Some(why) = failed {
                tracing::info!("the join token is not written yet: {}", self.said(&why));
            }
            sleep(LOOK).await;
        }
    }

    /// Writes a token into it that replaces the cluster's one before. It takes as long as it takes to reach the API server.
    pub(crate) async fn replace(self, token: JoinToken) {
        loop {
            let why = match self.token().await {
                Ok(Some(there)) if there.cluster != token.cluster => {
                    return tracing::error!("{}", self.said("the token of another cluster: it stays"));
                }
                Ok(_) => match self.put(&token, None).await {
                    Ok(()) => return,
                    Err(why) => why,
                },
                Err(why) => why,
            };
            tracing::info!("the new join token is not written yet: {}", self.said(&why));
            sleep(LOOK).await;
        }
    }

    async fn token(&self) -> Result<Option<JoinToken>, String> {
        let secret = self.api.get(&self.name).await.map_err(|error| error.to_string())?;
        read(secret.data.as_ref())
    }

    async fn write(&self, token: &JoinToken) -> Result<(), String> {
        let secret = self.api.get(&self.name).await.map_err(|error| error.to_string())?;
        if read(secret.data.as_ref())?.is_some() {
            return Ok(());
        }
        // Of this version: what somebody else wrote meanwhile stays.
        self.put(token, secret.metadata.resource_version.as_deref()).await
    }

    async fn put(&self, token: &JoinToken, version: Option<&str>) -> Result<(), String> {
        let body = json!({"metadata": {"resourceVersion": version}, "stringData": {KEY: token.to_string()}});
        let written = self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(&body)).await;
        written.map(|_| ()).map_err(|error| error.to_string())
    }

    fn said(&self, why: &str) -> String {
        format!("--join-secret {}: {why}", self.name)
    }
}

fn read(data: Option<&BTreeMap<String, ByteString>>) -> Result<Option<JoinToken>, String> {
    let Some(ByteString(bytes)) = data.and_then(|data| data.get(KEY)) else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{KEY}: expected one line of ASCII"))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why: String| format!("{KEY}: {why}"))
}

/// Who else answers at the names where nodes are.
async fn answering(run: &Run) -> Option<String> {
    for name in &run.join {
        // No such name: no pod has an address yet.
        let Ok(addresses) = lookup_host(name).await else { continue };
        for address in addresses.filter(|address| Some(*address) != run.cluster) {
            if let Ok(Ok(_stream)) = timeout(REACH, TcpStream::connect(address)).await {
                return Some(address.to_string());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_secret() {
        let rows = [
            // data                  why
            (None, "made empty"),
            (Some(("other", "x")), "another key"),
            (Some((KEY, " \n")), "no token yet"),
        ];
        for (entry, why) in rows {
            let data = entry
                .map(|(key, text)| BTreeMap::from([(key.to_owned(), ByteString(text.as_bytes().to_vec()))]));
            assert_eq!(read(data.as_ref()), Ok(None), "{why}");
        }
        let broken = BTreeMap::from([(KEY.to_owned(), ByteString(b"tollgate-join-v1.x".to_vec()))]);
        assert!(
            read(Some(&broken)).unwrap_err().starts_with("token: expected a join token"),
            "never taken for none"
        );
    }
}
