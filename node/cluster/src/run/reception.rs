//! Lets newcomers in, on any node: what it takes is in the store, and the id comes from the leader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::identity::ClusterId;
use crate::identity::authority::Authority;
use crate::identity::home::Home;
use crate::identity::token::TokenHash;
use crate::raft::forward::Forward;
use crate::raft::replica::Replica;
use crate::state::nodes::Registration;
use crate::state::{Applied, Proposal};
use crate::transport::{Applicant, Desk, Reception, Refusal};

/// A cluster without a leader gets one by then, or none soon.
const REGISTER: Duration = Duration::from_secs(20);

pub(super) fn reception(replica: Replica, forward: Forward, home: Arc<Mutex<Home>>) -> Reception {
    let desk = move || desk(&replica, &home);
    let register = move |applicant| {
        let forward = forward.clone();
        Box::pin(async move { register(&forward, applicant).await }) as _
    };
    Reception { desk: Arc::new(desk), register: Arc::new(register) }
}

fn desk(replica: &Replica, home: &Mutex<Home>) -> Result<Desk, Refusal> {
    let secret = home.lock().unwrap_or_else(PoisonError::into_inner).secret().clone();
    let authority = authority(replica, home)?;
    let token = replica.look(|state| state.cluster().and_then(|cluster| cluster.secrets.join_token));
    let token = token.ok_or_else(|| busy("this cluster takes no newcomers: it has no join token"))?;
    Ok(Desk { token: TokenHash(token), authority: Arc::new(authority), secret })
}

/// Who signs certificates. Every node can: its key lies in the store, sealed with what all nodes know.
pub(super) fn authority(replica: &Replica, home: &Mutex<Home>) -> Result<Authority, Refusal> {
    let cluster =
        replica.look(|state| state.cluster().map(|cluster| (cluster.id, cluster.secrets.authority.clone())));
    let (id, kept) = cluster.ok_or_else(|| busy("this node has not heard of its cluster yet"))?;
    let id = ClusterId::from_bytes(id).ok_or_else(|| Refusal::failed("the cluster's id is none"))?;
    let kept = kept.ok_or_else(|| busy("this cluster has no authority of its own"))?;
    let secret = home.lock().unwrap_or_else(PoisonError::into_inner).secret().clone();
    Authority::open(id, &kept.certificate, &kept.key.0, &secret).map_err(Refusal::failed)
}

async fn register(forward: &Forward, applicant: Applicant) -> Result<u64, Refusal> {
    let Applicant { request, member } = applicant;
    let named = member.to_string();
    let proposal = Proposal::Register(Box::new(Registration { request, member }));
    let written = forward.write_again(proposal, REGISTER).await.map_err(Refusal::failed)?;
    if let Applied::Registered { node } = written.applied {
        tracing::info!(node, "{named} was let in");
        return Ok(node);
    }
    Err(Refusal::failed(format!("expected a node's id, {:?} came", written.applied)))
}

fn busy(what: &str) -> Refusal {
    Refusal::Busy { what: what.to_owned() }
}
