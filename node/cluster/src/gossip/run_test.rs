//! chitchat ends for good when its socket fails; the node does not.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket};

use super::super::health::BELIEVED_MOST_MS;
use super::super::seal::{Key, Keyring};
use super::super::socket::Sealed;
use super::super::view::{About, NodeId};
use super::super::{Gossip, start, start_over};
use super::*;

/// Opens a socket that breaks when it is told to; the next one is whole.
struct Brittle {
    sealed: Sealed,
    broken: Arc<AtomicBool>,
}

struct BrittleSocket {
    socket: Box<dyn Socket>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Transport for Brittle {
    async fn open(&self, listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.sealed.open(listen).await?;
        Ok(Box::new(BrittleSocket { socket, broken: Arc::clone(&self.broken) }))
    }
}

#[async_trait]
impl Socket for BrittleSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr()
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        self.socket.send(to, envelope).await
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        anyhow::ensure!(!self.broken.swap(false, Ordering::Relaxed), "it broke");
        self.socket.recv().await
    }
}

fn config(node: NodeId, seeds: &[SocketAddr]) -> Config {
    Config {
        cluster: "cluster-a".into(),
        node,
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        seeds: seeds.iter().map(ToString::to_string).collect(),
        keys: Keyring::of(Key::derive(&[5; 32], "cluster-a").unwrap()),
        about: About::default(),
        interval: Duration::from_millis(50),
    }
}

async fn until(what: &str, gossip: &Gossip, condition: impl FnMut(&View) -> bool) {
    let mut peers = gossip.peers();
    let reached = timeout(Duration::from_secs(20), peers.wait_for(condition)).await;
    reached.unwrap_or_else(|_elapsed| panic!("not in time: {what}")).unwrap();
}

#[tokio::test]
async fn gossip_goes_on_after_its_socket_failed() {
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let first =
        start_over(config(1, &[]), |sealed| Box::new(Brittle { sealed, broken: breaks })).await.unwrap();
    let second = start(config(2, &[first.address()])).await.unwrap();
    until("both", &second, |view| view.len() == 2).await;
    first.say_unhealthy("b", SystemTime::now() + Duration::from_millis(BELIEVED_MOST_MS));
    until("what it says", &second, |view| view[&1].news.unhealthy.contains_key("b")).await;
    let generation = second.peers().borrow()[&1].generation;

    broken.store(true, Ordering::Relaxed);
    let anew = |view: &View| view.get(&1).is_some_and(|peer| peer.generation > generation);
    until("its next start", &second, anew).await;
    assert!(!broken.load(Ordering::Relaxed));
    let said = |view: &View| view.get(&1).is_some_and(|peer| peer.news.unhealthy.contains_key("b"));
    until("what it said before", &second, said).await;
    until("the other one, seen by it", &first, |view| view.contains_key(&2)).await;
}
