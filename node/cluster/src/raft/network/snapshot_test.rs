//! Snapshots over real connections: whole, or not at all, and nothing left on the shelf.

use std::path::Path;
use std::time::Duration;

use openraft::Vote;
use openraft::alias::SnapshotMetaOf;
use tokio::sync::mpsc;

use super::*;
use crate::snapshots::folder::Disk;
use crate::transport::envelope::pack;
use crate::transport::testing::{Cluster, target};
use crate::transport::{Handlers, Peers, Server, Target};

/// A node that receives snapshots and says what came.
struct Receiver {
    data: tempfile::TempDir,
    server: Server,
    received: mpsc::Receiver<Result<Vec<u8>, Refusal>>,
    cluster: Cluster,
}

impl Receiver {
    async fn start() -> Self {
        let (data, cluster) = (tempfile::tempdir().unwrap(), Cluster::new());
        let (tell, received) = mpsc::channel(4);
        let shelf = shelf(data.path());
        let mut handlers = Handlers::default();
        handlers.streamed(Method::Snapshot, move |_, messages| {
            let (shelf, tell) = (shelf.clone(), tell.clone());
            async move {
                let received = receive(messages, &shelf).await;
                let told = received.map(|(head, mut file)| {
                    let mut content = Vec::new();
                    file.read_to_end(&mut content).unwrap();
                    (head.vote, content)
                });
                tell.send(told.as_ref().map(|(_, content)| content.clone()).map_err(Clone::clone))
                    .await
                    .unwrap();
                let answer = pack(&SnapshotResponse::<Types>::new(told?.0));
                Ok(Box::pin(stream::once(std::future::ready(Ok(answer)))) as Messages)
            }
        });
        let server = cluster.serve(1, handlers).await;
        Self { data, server, received, cluster }
    }

    fn way(&self) -> Way {
        Way { peers: self.cluster.peers(2), target: target(1, self.server.address()) }
    }

    /// What is left behind once a snapshot was received and not kept.
    fn left(&self) -> usize {
        std::fs::read_dir(self.data.path()).unwrap().count()
    }
}

fn shelf(folder: &Path) -> Shelf {
    Shelf::open(Arc::new(Disk::open(folder.to_owned()).unwrap())).unwrap()
}

fn vote() -> VoteOf<Types> {
    Vote::new_committed(7, 2)
}

/// A snapshot of so many bytes, no two parts of it alike.
fn snapshot(shelf: &Shelf, bytes: usize) -> (Vec<u8>, SnapshotFile) {
    let mut state = 88_172_645_463_325_252_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let content: Vec<u8> = words.take(bytes.div_ceil(8)).flatten().take(bytes).collect();
    let mut part = shelf.begin().unwrap();
    part.write_all(&content).unwrap();
    (content, part.finish().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_goes_over_whole() {
    let sender = tempfile::tempdir().unwrap();
    let shelf = shelf(sender.path());
    for bytes in [0, 1, 1 << 20, (1 << 20) + 1, 50_000_000] {
        let mut receiver = Receiver::start().await;
        let (content, file) = snapshot(&shelf, bytes);
        let snapshot = SnapshotOf::<Types, _> { meta: SnapshotMetaOf::<Types>::default(), snapshot: file };
        let sent = send(&receiver.way(), vote(), snapshot, RPCOption::new(Duration::from_mins(2))).await;
        assert_eq!(sent.unwrap().vote, vote());
        assert!(receiver.received.recv().await.unwrap().unwrap() == content, "{bytes} bytes came changed");
        assert_eq!(receiver.left(), 0, "what is not kept takes itself away");
    }
}

#[tokio::test]
async fn what_is_changed_cut_or_out_of_order_is_refused() {
    let head = |bytes| parts::head(&Head { vote: vote(), meta: SnapshotMetaOf::<Types>::default(), bytes });
    let (one, two) = (vec![1_u8; 1000], vec![2_u8; 500]);
    let checksum = crc32fast::hash(&[&one[..], &two].concat());
    let (first, second, end) = (parts::part(&one), parts::part(&two), parts::end(1500, checksum));
    let flipped = {
        let mut flipped = first.to_vec();
        flipped[500] ^= 1;
        Bytes::from(flipped)
    };
    #[rustfmt::skip]
    let cases = [
        // messages                                                        expected
        (vec![head(1500), first.clone(), second.clone(), end.clone()],     None),
        (vec![head(1500), flipped, second.clone(), end.clone()],           Some("was expected")),    // a flipped byte
        (vec![head(1500), second.clone(), first.clone(), end.clone()],     Some("with the checksum")), // parts changed places
        (vec![head(1500), first.clone(), end.clone()],                     Some("1000 with")),       // a part is missing
        (vec![head(1500), first.clone(), second.clone()],                  Some("cut off")),         // the end is missing
        (vec![head(1000), first.clone(), second.clone(), end.clone()],     Some("1500 came already")), // more than it said
        (vec![first.clone(), second.clone(), end.clone()],                 Some("head first")),      // no head
        (vec![head(1500), first.clone(), head(1500), end.clone()],         Some("came twice")),
        (vec![head(1500), first.clone(), Bytes::from_static(b"?")],        Some("can't be read")),
        (vec![head(1500), first.clone(), end.slice(..5)],                  Some("can't be read")),
        (vec![],                                                           Some("cut off")),
    ];
    for (messages, expected) in cases {
        let mut receiver = Receiver::start().await;
        let (peers, one): (Peers, Target) = (receiver.way().peers, receiver.way().target);
        let within = Duration::from_secs(10);
        let messages = stream::iter(messages);
        let answer = async {
            let mut answers = peers.stream(&one, Method::Snapshot, messages, within).await?;
            answers.next().await.expect("an answer")
        };
        let answer = answer.await;
        let came = receiver.received.recv().await.unwrap();
        match expected {
            None => assert!(answer.is_ok() && came.is_ok(), "{answer:?}"),
            Some(expected) => {
                let error = answer.unwrap_err().to_string();
                assert!(error.contains(expected), "expected `{expected}`: {error}");
            }
        }
        assert_eq!(receiver.left(), 0, "a part was left behind");
    }
}

#[tokio::test]
async fn a_node_that_takes_no_snapshot_is_given_up() {
    let cluster = Cluster::new();
    let mut handlers = Handlers::default();
    handlers.streamed(Method::Snapshot, async |_, _: Messages| std::future::pending().await);
    let server = cluster.serve(1, handlers).await;
    let way = Way { peers: cluster.peers(2), target: target(1, server.address()) };
    let folder = tempfile::tempdir().unwrap();
    let (_content, file) = snapshot(&shelf(folder.path()), 10_000_000);
    let snapshot = SnapshotOf::<Types, _> { meta: SnapshotMetaOf::<Types>::default(), snapshot: file };
    let sent = send(&way, vote(), snapshot, RPCOption::new(Duration::from_millis(400))).await;
    assert!(matches!(sent, Err(StreamingError::Timeout(_))), "{sent:?}");
}
