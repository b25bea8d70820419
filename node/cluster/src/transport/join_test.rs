//! Who is let in, and what newcomers can do before they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::SystemTime;

use bytes::Bytes;
use rustls::client::WebPkiServerVerifier;
use tokio::io::AsyncReadExt;

use super::super::handlers::Handlers;
use super::super::reception::{Applicant, Desk, Reception};
use super::super::testing::{Cluster, serve, target};
use super::super::{Caller, Credentials, Keys, Method, Peers, Server};
use super::*;
use crate::identity::folder::Folder;
use crate::identity::home::Home;
use crate::identity::secret::ClusterSecret;
use crate::identity::token::TokenHash;

/// A cluster that lets nodes in.
struct Open {
    cluster: Cluster,
    secret: ClusterSecret,
    token: Arc<Mutex<TokenHash>>,
    registered: Arc<Mutex<BTreeMap<[u8; 16], u64>>>,
    server: Server,
}

impl Open {
    async fn with(expires: Option<SystemTime>) -> (Self, JoinToken) {
        let cluster = Cluster::new();
        let token = JoinToken::new(cluster.id, cluster.authority.fingerprint(), expires);
        let (hash, registered) = (Arc::new(Mutex::new(token.hash())), Arc::default());
        let secret = ClusterSecret::random();
        let desk =
            Desk { token: token.hash(), authority: Arc::clone(&cluster.authority), secret: secret.clone() };
        let reception = Reception {
            desk: {
                let hash = Arc::clone(&hash);
                Arc::new(move || Ok(Desk { token: *hash.lock().unwrap(), ..desk.clone() }))
            },
            register: {
                let registered: Arc<Mutex<BTreeMap<_, _>>> = Arc::clone(&registered);
                Arc::new(move |Applicant { request, member: _ }| {
                    let mut registered = registered.lock().unwrap();
                    let next = 10 + registered.len() as u64;
                    let node = *registered.entry(request).or_insert(next);
                    Box::pin(async move { Ok(node) })
                })
            },
        };
        let mut handlers = Handlers::default();
        handlers.once(Method::ReadIndex, async |Caller { node }: Caller, _: Bytes| {
            Ok(Bytes::from(format!("{node}")))
        });
        let server = serve(cluster.keys(1), handlers, Some(reception)).await;
        (Self { cluster, secret, token: hash, registered, server }, token)
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.server.address().to_string()]
    }
}

fn member() -> Member {
    Member { name: "n2".to_owned(), address: "127.0.0.1:1".to_owned(), ..Member::default() }
}

fn empty() -> (tempfile::TempDir, Folder) {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::open(data.path()).unwrap();
    (data, folder)
}

#[tokio::test]
async fn who_has_the_token_becomes_a_node() {
    let (open, token) = Open::with(None).await;
    let (_data, folder) = empty();
    let newcomer = Newcomer::of(&folder).unwrap();
    let admitted = join(&open.addresses(), &token, newcomer, member()).await.unwrap();
    // The answer was lost, says the newcomer: it is the same one.
    let again = join(&open.addresses(), &token, Newcomer::of(&folder).unwrap(), member()).await.unwrap();
    assert_eq!(again.name(), admitted.name());
    assert_eq!(open.registered.lock().unwrap().len(), 1);

    let home = Home::joined(folder, admitted, SystemTime::now()).unwrap();
    assert_eq!((home.name().node, home.secret()), (10, &open.secret));
    let peers = Peers::new(Keys::new(&Credentials::of(&home)).unwrap());
    let answer = peers
        .call(&target(1, open.server.address()), Method::ReadIndex, Bytes::new(), Duration::from_secs(10))
        .await;
    assert_eq!(answer.unwrap(), "10");
}

#[tokio::test]
async fn who_has_not_is_refused_with_a_reason() {
    let (open, token) = Open::with(None).await;
    let yesterday = SystemTime::now() - Duration::from_hours(24);
    let (past, expired) = Open::with(Some(yesterday)).await;
    let (other, foreign) = Open::with(None).await;
    let guessed = JoinToken::new(token.cluster, token.fingerprint, None);
    let misled = JoinToken { fingerprint: foreign.fingerprint, ..token.clone() };
    let another = format!("another cluster, {}", open.cluster.id);
    #[rustfmt::skip]
    let cases = [
        // whom    token      expected                      why
        (&open, &guessed,  "not the cluster's"),          // another secret
        (&past, &expired,  "expired"),                    // right, but too late
        (&open, &foreign,  another.as_str()),             // the token of another cluster
        (&open, &misled,   "it says that it is node 1"),  // an authority that the token does not name
        (&other, &token,   "another cluster"),            // another cluster at that address
    ];
    for (whom, token, expected) in cases {
        let (_data, folder) = empty();
        let error =
            join(&whom.addresses(), token, Newcomer::of(&folder).unwrap(), member()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "expected `{expected}`: {error}");
        assert!(whom.registered.lock().unwrap().is_empty(), "an id was given to {error}");
    }
}

#[tokio::test]
async fn a_replaced_token_opens_nothing() {
    let (open, old) = Open::with(None).await;
    let new = JoinToken::new(old.cluster, old.fingerprint, None);
    *open.token.lock().unwrap() = new.hash();
    for (token, let_in) in [(&old, false), (&new, true)] {
        let (_data, folder) = empty();
        let joined = join(&open.addresses(), token, Newcomer::of(&folder).unwrap(), member()).await;
        assert_eq!(joined.is_ok(), let_in, "{joined:?}");
    }
}

#[tokio::test]
async fn the_next_address_is_asked_when_one_does_not_answer() {
    let (open, token) = Open::with(None).await;
    let gone: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Cluster::new().serve(1, Handlers::default()).await;
    let addresses = [gone.to_string(), plain.address().to_string()];
    let (_data, folder) = empty();
    let error = join(&addresses, &token, Newcomer::of(&folder).unwrap(), member()).await.unwrap_err();
    assert!(matches!(&error, JoinError::Nobody { tried } if tried.len() == 2), "{error}");
    let with_one_more = [&addresses[..], &open.addresses()].concat();
    join(&with_one_more, &token, Newcomer::of(&folder).unwrap(), member()).await.unwrap();
}

#[tokio::test]
async fn a_newcomer_can_do_nothing_but_join() {
    let (open, token) = Open::with(None).await;
    let stream =
        connect(&open.addresses()[0], reception(token.cluster), Arc::new(config(&token))).await.unwrap();
    let channel = Endpoint::from_static("http://join").connect_with_connector_lazy(Made(Some(stream)));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(Method::ReadIndex.path());
    let status = grpc.unary(Request::new(Bytes::new()), path, Raw).await.unwrap_err();
    let expected = Refusal::NoSuchCall { path: Method::ReadIndex.path().to_owned() };
    assert_eq!(Refusal::from_status(&status), Some(expected));

    // Without the word that it comes to join, it needs a certificate.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(open.cluster.authority.certificate().clone()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    let name = crate::identity::NodeName { node: 1, cluster: token.cluster };
    for protocols in [vec![], vec![b"tollgate/1".to_vec()]] {
        config.alpn_protocols = protocols;
        let stream = connect(&open.addresses()[0], name.server_name(), Arc::new(config.clone())).await;
        // TLS 1.3 tells a client so only after its own part of the handshake.
        let mut stream = stream.unwrap();
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    }
}

#[tokio::test]
async fn who_takes_connections_and_says_nothing_is_passed_over() {
    let (open, token) = Open::with(None).await;
    // Another newcomer: its door is open, and nobody serves there yet.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut addresses = vec![silent.local_addr().unwrap().to_string()];
    addresses.extend(open.addresses());
    let (_data, folder) = empty();
    let began = std::time::Instant::now();
    let admitted = join(&addresses, &token, Newcomer::of(&folder).unwrap(), member()).await.unwrap();
    assert_eq!(admitted.name().node, 10);
    assert!(began.elapsed() < ATTEMPT, "the whole time of an attempt is for who is of the cluster");
}

#[tokio::test]
async fn every_address_is_asked_once_but_ones_own() {
    let names = ["127.0.0.1:7", "localhost:7", "127.0.0.1:8", "no-such-name.invalid:7"].map(str::to_owned);
    let found = places(&names, "127.0.0.1:8").await;
    let four: Vec<&str> = found.iter().map(String::as_str).filter(|place| !place.starts_with('[')).collect();
    // A name without addresses is asked all the same, which says why not.
    assert_eq!(four, ["127.0.0.1:7", "no-such-name.invalid:7"]);
}
