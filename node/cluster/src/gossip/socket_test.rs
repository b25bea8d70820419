//! chitchat over sealed sockets, below what the module makes of it.

use std::time::Duration;

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion, spawn_chitchat,
};
use tokio::time::timeout;

use super::super::seal::Key;
use super::*;

struct Node {
    chitchat: ChitchatHandle,
    address: SocketAddr,
    tally: Arc<Tally>,
}

async fn node(number: u64, seeds: &[SocketAddr], said: Vec<(String, String)>) -> Node {
    let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = outside.local_addr().unwrap();
    let tally = Arc::new(Tally::default());
    let key = Key::derive(&[5; 32], "cluster-a").unwrap();
    let (keys, kept) = watch::channel(Keyring::of(key));
    drop(keys);
    let transport = Sealed { outside, keys: kept, node: number, tally: Arc::clone(&tally) };
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(number.to_string(), 1, address),
        cluster_id: "cluster-a".into(),
        gossip_interval: Duration::from_millis(50),
        listen_addr: address,
        seed_nodes: seeds.iter().map(ToString::to_string).collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_mins(1),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    };
    let chitchat = spawn_chitchat(config, said, &transport).await.unwrap();
    Node { chitchat, address, tally }
}

/// A starter is told of everything in messages as long as UDP carries, and sealed they are longer.
#[tokio::test]
async fn state_that_fills_datagrams_arrives() {
    let incompressible = || (0..100).map(|_| rand::random_range('!'..='~')).collect::<String>();
    let said = (0..5_000).map(|n| (format!("key-{n}"), incompressible())).collect();
    let first = node(1, &[], said).await;
    let second = node(2, &[first.address], vec![]).await;
    let mut live = second.chitchat.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
    let all = live.wait_for(|live| live.values().any(|state| state.key_values().count() == 5_000));
    timeout(Duration::from_secs(10), all).await.expect("half a megabyte arrives").unwrap();
    assert_eq!(first.tally.unsent.load(Ordering::Relaxed), 0, "no datagram was too long");
}

/// The codec loses its place where chitchat's own bytes are not what it expects, and finds it again.
#[tokio::test]
async fn bytes_that_are_no_message_are_passed_over() {
    let mut codec = Codec::open().await.unwrap();
    for _ in 0..2 {
        codec.feed(b"sealed by a member, but no message").await.unwrap();
        assert!(codec.take().await.unwrap().is_none());
        let message = || ChitchatEnvelope {
            version: ProtocolVersion::V1,
            message: chitchat::ChitchatMessage::BadCluster,
        };
        let bytes = codec.encode(message()).await.unwrap().to_vec();
        codec.feed(&bytes).await.unwrap();
        assert_eq!(codec.take().await.unwrap(), Some(message()));
    }
}

/// What another process of this machine writes to the codec is no message of a peer.
#[tokio::test]
async fn the_codec_hears_only_its_own_socket() {
    let mut codec = Codec::open().await.unwrap();
    let message =
        ChitchatEnvelope { version: ProtocolVersion::V1, message: chitchat::ChitchatMessage::BadCluster };
    let bytes = codec.encode(message).await.unwrap().to_vec();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&bytes, codec.chitchats_at).await.unwrap();
    assert!(codec.take().await.unwrap().is_none());
}
