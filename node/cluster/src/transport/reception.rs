//! Where newcomers are received. They have no certificate, so there is one call, small and slow connections are cut soon,
//! and nothing of the cluster is told before the token was right.
//!
//! A newcomer shows its token's secret itself: it knows by the authority's fingerprint that it speaks to the cluster, and
//! the cluster keeps only a hash, so that who reads its state still can't join. That it holds the key to which its
//! certificate is made is not proven: a certificate to a key of somebody else is of no use to it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};

use super::codec::Raw;
use super::envelope::{pack, unpack};
use super::handlers::Later;
use super::incoming::Visitor;
use super::method::{JOIN, MOST_JOIN_BYTES};
use super::refusal::Refusal;
use super::tls::Keys;
use crate::identity::Admission;
use crate::identity::authority::Authority;
use crate::identity::secret::ClusterSecret;
use crate::identity::token::{Pass, TokenHash};
use crate::raft::types::Member;

/// How long the cluster may take to let a newcomer in.
const DEADLINE: Duration = Duration::from_secs(30);

/// Lets newcomers in.
#[derive(Clone)]
pub struct Reception {
    /// What it takes now. Refuses while this node can't, for it has not yet caught up.
    pub desk: Arc<dyn Fn() -> Result<Desk, Refusal> + Send + Sync>,
    /// Gives an applicant its id, by a proposal to the leader. Asked twice with the same request, the same id.
    pub register: Arc<dyn Fn(Applicant) -> Later<u64> + Send + Sync>,
}

/// What it takes to let somebody in.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Of the token in force.
    pub token: TokenHash,
    /// Signs certificates.
    pub authority: Arc<Authority>,
    /// What only nodes know.
    pub secret: ClusterSecret,
}

/// Somebody with a right token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Random; asked again, the same.
    pub request: [u8; 16],
    /// What it says of itself.
    pub member: Member,
}

/// What a newcomer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JoinRequest {
    pub(super) pass: Pass,
    pub(super) request: [u8; 16],
    pub(super) public_key: Vec<u8>,
    pub(super) member: Member,
}

/// The newcomers' service.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) keys: Keys,
    pub(super) reception: Option<Reception>,
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move {
            if request.uri().path() != JOIN {
                let path = request.uri().path().to_owned();
                return Ok(Refusal::NoSuchCall { path }.status().into_http());
            }
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(MOST_JOIN_BYTES);
            Ok(grpc.unary(door, request).await)
        })
    }
}

impl UnaryService<Bytes> for Door {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move {
            let address = request.extensions().get::<Visitor>().map(|visitor| visitor.address);
            let admitted = timeout(DEADLINE, door.admit(request.get_ref())).await;
            let admitted = admitted.unwrap_or_else(|_| {
                Err(Refusal::OutcomeUnknown { why: format!("no id within {DEADLINE:?}") })
            });
            match &admitted {
                Ok(admission) => tracing::info!(?address, "let node {} into the cluster", admission.node),
                Err(refusal) => tracing::warn!(?address, "did not let a newcomer in: {refusal}"),
            }
            admitted.map(|admission| Response::new(pack(&admission))).map_err(|refusal| refusal.status())
        })
    }
}

impl Door {
    async fn admit(&self, message: &[u8]) -> Result<Admission, Refusal> {
        let JoinRequest { pass, request, public_key, member } = unpack(message)?;
        let cluster = self.keys.current().name.cluster;
        let reception =
            self.reception.as_ref().ok_or_else(|| Refusal::failed("this node does not let anybody in"))?;
        let Desk { token, authority, secret } = (reception.desk)()?;
        token.admits(&pass, cluster, SystemTime::now()).map_err(Refusal::Barred)?;
        let node = (reception.register)(Applicant { request, member }).await?;
        let certificate =
            authority.issue(node, &public_key, SystemTime::now()).map_err(Refusal::malformed)?.to_vec();
        Ok(Admission { node, certificate, authority: authority.certificate().to_vec(), secret })
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reception(..)")
    }
}
