//! Who may call whom, what a call that fails says of itself, and that nothing waits for ever.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::Refusal;
use super::super::handlers::{Caller, Handlers, Messages};
use super::super::testing::{Cluster, Logged, serve, target};
use super::super::tls::Credentials;
use super::*;
use crate::identity::files::{Leaf, OwnCertificates};
use crate::identity::{ClusterId, NodeName};

const SOON: Duration = Duration::from_secs(10);

/// Says who called, echoes streams, and never answers proposals.
fn handlers() -> Handlers {
    let mut handlers = Handlers::default();
    handlers.once(Method::ReadIndex, async |Caller { node }: Caller, _: Bytes| {
        Ok(Bytes::from(format!("{node}")))
    });
    handlers.once(Method::Write, async |_: Caller, _: Bytes| std::future::pending().await);
    handlers.streamed(Method::Wallet, async |_: Caller, messages: Messages| Ok(messages));
    handlers
}

async fn hello(peers: &Peers, target: &Target) -> Result<Bytes, CallError> {
    peers.call(target, Method::ReadIndex, Bytes::from_static(b"hello"), SOON).await
}

#[tokio::test]
async fn a_call_is_answered() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let (peers, one) = (cluster.peers(2), target(1, server.address()));
    assert_eq!(hello(&peers, &one).await.unwrap(), "2");

    let messages = stream::iter((0..100_u8).map(|number| Bytes::from(vec![number; 1000])));
    let answers = peers.stream(&one, Method::Wallet, messages, SOON).await.unwrap();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()[0]).collect().await;
    assert_eq!(answers, (0..100).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_call_says_who_it_is_from_and_for() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let other = ClusterId::random();
    let call = Call { cluster: cluster.id, from: 2, to: 1 };
    #[rustfmt::skip]
    let cases = [
        // certificate  call                        expected
        (2,  Some(call),                            None),
        (2,  Some(Call { from: 3, ..call }),        Some(Refusal::NotYourName { certificate: 2, claimed: 3 })),
        (2,  Some(Call { to: 4, ..call }),          Some(Refusal::OtherNode { here: 1, asked: 4 })),
        (2,  Some(Call { cluster: other, ..call }), Some(Refusal::OtherCluster { here: cluster.id, asked: other })),
        (13, Some(Call { from: 13, ..call }),       Some(Refusal::Forgotten { node: 13 })),
        (2,  None, Some(Refusal::Malformed { why: "no header `tollgate-call-bin` came".to_owned() })),
    ];
    for (certificate, call, expected) in cases {
        let peers = cluster.peers(certificate);
        let mut request = Request::new(Bytes::new());
        if let Some(call) = call {
            call.write(request.metadata_mut());
        }
        let mut grpc = peers.grpc(&target(1, server.address()), Method::ReadIndex);
        grpc.ready().await.unwrap();
        let answer = grpc.unary(request, PathAndQuery::from_static(Method::ReadIndex.path()), Raw).await;
        let refusal = answer.err().map(|status| Refusal::from_status(&status).expect("one of ours"));
        assert_eq!(refusal, expected, "certificate of {certificate}, {call:?}");
    }
}

#[tokio::test]
async fn what_there_is_not_is_refused() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let (peers, one) = (cluster.peers(2), target(1, server.address()));
    let unhandled = peers.call(&one, Method::Vote, Bytes::new(), SOON).await.unwrap_err();
    assert_eq!(unhandled, CallError::Refused(Refusal::NoSuchCall { path: "/tollgate.Raft/Vote".to_owned() }));
    for path in ["/tollgate.Join/Join", "/", "/x/y"] {
        let mut grpc = peers.grpc(&one, Method::ReadIndex);
        grpc.ready().await.unwrap();
        let answer =
            grpc.unary(peers.addressed(&one, Bytes::new()), PathAndQuery::from_static(path), Raw).await;
        let refusal = CallError::of(&answer.unwrap_err());
        assert_eq!(refusal, CallError::Refused(Refusal::NoSuchCall { path: path.to_owned() }));
    }
}

#[tokio::test]
async fn a_node_with_anothers_certificate_is_not_that_node() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    // Node 2 says that it is node 3, with all that it has.
    let lying = Credentials { name: NodeName { node: 3, cluster: cluster.id }, ..cluster.credentials(2) };
    let peers = Peers::new(Keys::new(&lying).unwrap());
    let refused = hello(&peers, &target(1, server.address())).await.unwrap_err();
    assert_eq!(refused, CallError::Refused(Refusal::NotYourName { certificate: 2, claimed: 3 }));
    assert!(refused.is_certain());
}

#[tokio::test]
async fn a_node_of_another_cluster_is_told_so_and_both_sides_log_it() {
    let (logged, _listening) = Logged::listen();
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let server = ours.serve(1, handlers()).await;
    let refused = hello(&theirs.peers(2), &target(1, server.address())).await.unwrap_err();
    assert!(refused.is_certain(), "{refused}");
    let text = refused.to_string();
    assert!(text.contains(&format!("another cluster, {}", ours.id)), "{text}");
    assert!(text.contains(&format!("belongs to cluster {}", theirs.id)), "{text}");

    let of_caller = format!(
        "no connection: wrong certificate: it says that it is node 1 of another cluster, {}",
        ours.id
    );
    let of_server = format!("somebody looks for cluster {} here; this is node-1.{}", theirs.id, ours.id);
    for expected in [of_caller, of_server, "it may be of another cluster".to_owned()] {
        until(|| logged.text().contains(&expected)).await;
    }
}

#[tokio::test]
async fn a_forged_certificate_opens_nothing() {
    let (logged, _listening) = Logged::listen();
    let (ours, rogue) = (Cluster::new(), Cluster::new());
    let server = ours.serve(1, handlers()).await;
    // It knows the cluster's id and its authority's certificate, which are no secrets, but not the authority's key.
    let key = rcgen::KeyPair::generate().unwrap();
    let impostor = crate::identity::authority::Authority::create(ours.id, std::time::SystemTime::now());
    let forged = impostor.issue(2, key.public_key_raw(), std::time::SystemTime::now()).unwrap();
    let pkcs8 = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let leaves = [
        (Leaf { chain: vec![forged], key: pkcs8.into() }, "node 2 of this cluster"),
        (rogue.leaf(2), "of another cluster"),
    ];
    for (issued, said) in leaves {
        let name = NodeName { node: 2, cluster: ours.id };
        let authority = ours.authority.certificate().clone();
        let keys = Keys::new(&Credentials { name, issued, authority, own: None }).unwrap();
        let refused = hello(&Peers::new(keys), &target(1, server.address())).await.unwrap_err();
        assert!(!matches!(refused, CallError::Refused(_)), "it came as far as the gate: {refused}");
        until(|| logged.text().contains(said)).await;
    }
}

#[tokio::test]
async fn a_root_that_two_clusters_trust_does_not_make_them_one() {
    let (logged, _listening) = Logged::listen();
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let own = OwnCertificates { leaf: ours.leaf(1), roots: vec![theirs.authority.certificate().clone()] };
    let credentials = Credentials { own: Some(Arc::new(own)), ..ours.credentials(1) };
    let server = serve(Keys::new(&credentials).unwrap(), handlers(), None).await;
    // Node 2 of the other cluster knows our name and trusts our authority.
    let name = NodeName { node: 2, cluster: ours.id };
    let authority = ours.authority.certificate().clone();
    let keys = Keys::new(&Credentials { name, issued: theirs.leaf(2), authority, own: None }).unwrap();
    let refused = hello(&Peers::new(keys), &target(1, server.address())).await;
    assert!(refused.is_err(), "it was let in");
    until(|| logged.text().contains(&format!("node 2 of another cluster, {}", theirs.id))).await;
}

#[tokio::test]
async fn an_address_that_is_another_nodes_now_is_noticed() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let refused = hello(&cluster.peers(2), &target(5, server.address())).await.unwrap_err();
    assert!(refused.to_string().contains("it says that it is node 1 of this cluster"), "{refused}");
}

#[tokio::test]
async fn noise_does_no_harm() {
    let (logged, _listening) = Logged::listen();
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let noises: [&[u8]; 4] =
        [b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[22, 3, 1, 255]];
    for noise in noises {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(noise).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _cut = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(answer.len() < 100, "it was told {} bytes", answer.len());
    }
    until(|| logged.text().matches("was not taken").count() == noises.len()).await;
    assert_eq!(hello(&cluster.peers(2), &target(1, server.address())).await.unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let cluster = Cluster::new();
    let (peers, within) = (cluster.peers(2), Duration::from_millis(300));
    // It takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // It shakes hands, takes the call, and says nothing.
    let slow = cluster.serve(1, handlers()).await;
    for address in [mute.local_addr().unwrap(), slow.address()] {
        let began = Instant::now();
        let error = peers.call(&target(1, address), Method::Write, Bytes::new(), within).await.unwrap_err();
        assert!(!error.is_certain(), "{error}");
        assert!(began.elapsed() < 5 * within, "{error} after {:?}", began.elapsed());
    }
    // Nobody is there.
    let address = mute.local_addr().unwrap();
    drop(mute);
    let error = hello(&peers, &target(9, address)).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_partition_ends_a_stream_and_calls_go_again_afterwards() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let (frozen, thaw) = watch::channel(false);
    let between = proxy(server.address(), thaw).await;
    let (peers, one) = (cluster.peers(2), target(1, between));
    let messages = stream::once(async { Bytes::from_static(b"x") }).chain(stream::pending());
    let mut answers = peers.stream(&one, Method::Wallet, messages, SOON).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), "x");

    frozen.send_replace(true);
    let ended = timeout(2 * (PING_EVERY + PING_WAIT), answers.next()).await.expect("pings notice it");
    assert!(!ended.unwrap().unwrap_err().is_certain());
    frozen.send_replace(false);
    assert_eq!(hello(&peers, &one).await.unwrap(), "2");
}

/// Passes bytes on, or holds them back without closing anything.
async fn proxy(to: std::net::SocketAddr, frozen: watch::Receiver<bool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(to).await.unwrap();
            let mut frozen = frozen.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ended = copy_bidirectional(&mut near, &mut far) => {}
                    () = async { drop(frozen.wait_for(|frozen| *frozen).await) } => std::future::pending().await,
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let (peers, one) = (cluster.peers(2), target(1, server.address()));
    let (most, message) = (Method::ReadIndex.most_bytes(), Bytes::from(vec![0; 5000]));
    let error = peers.call(&one, Method::ReadIndex, message.clone(), SOON).await.unwrap_err();
    assert_eq!(error, CallError::TooLarge { bytes: 5000, most });
    // A sender that does not mind is refused by the other side.
    let mut grpc = Grpc::new(peers.channel(&one));
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(Method::ReadIndex.path());
    let refused = grpc.unary(peers.addressed(&one, message), path, Raw).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
}

#[tokio::test]
async fn certificates_are_replaced_without_a_restart() {
    let (cluster, operator) = (Cluster::new(), Cluster::new());
    let keys = cluster.keys(1);
    let server = serve(keys.clone(), handlers(), None).await;
    let one = target(1, server.address());
    // The operator's authority signs for a node of this cluster.
    let signed = crate::identity::authority::Authority::create(cluster.id, std::time::SystemTime::now());
    let own = Arc::new({
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = signed.issue(1, key.public_key_raw(), std::time::SystemTime::now()).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        OwnCertificates {
            leaf: Leaf { chain: vec![certificate], key },
            roots: vec![signed.certificate().clone()],
        }
    });
    let stranger = cluster.peers(2);
    assert_eq!(hello(&stranger, &one).await.unwrap(), "2");

    keys.replace(&Credentials { own: Some(Arc::clone(&own)), ..cluster.credentials(1) }).unwrap();
    assert_eq!(hello(&stranger, &one).await.unwrap(), "2", "an open connection stays");
    stranger.forget(1);
    let error = hello(&stranger, &one).await.unwrap_err();
    assert!(error.to_string().contains("it says that it is node 1 of this cluster"), "{error}");

    // Who trusts the operator's root, too, is served; the server still takes certificates of the cluster's authority.
    let roots = OwnCertificates { leaf: cluster.leaf(2), roots: own.roots.clone() };
    let trusting = Credentials { own: Some(Arc::new(roots)), ..cluster.credentials(2) };
    assert_eq!(hello(&Peers::new(Keys::new(&trusting).unwrap()), &one).await.unwrap(), "2");

    // What can't be used changes nothing: certificate and key are of different pairs.
    let mixed = Leaf { chain: cluster.leaf(1).chain, key: operator.leaf(1).key };
    assert!(keys.replace(&Credentials { issued: mixed, ..cluster.credentials(1) }).is_err());
    assert_eq!(hello(&Peers::new(Keys::new(&trusting).unwrap()), &one).await.unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_stops_cuts_its_connections() {
    let cluster = Cluster::new();
    let server = cluster.serve(1, handlers()).await;
    let (peers, one) = (cluster.peers(2), target(1, server.address()));
    let mut answers = peers.stream(&one, Method::Wallet, stream::pending(), SOON).await.unwrap();
    server.stop().await;
    let cut = timeout(SOON, answers.next()).await.expect("at once").unwrap();
    assert!(cut.is_err());
    assert!(matches!(
        hello(&peers, &one).await.unwrap_err(),
        CallError::Unreachable { .. } | CallError::Broken { .. }
    ));
}

/// Waits for what has to happen.
async fn until(happened: impl Fn() -> bool) {
    let waited = timeout(SOON, async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it should have happened by now");
}
