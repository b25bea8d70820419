//! The state machine without a Raft around it: applied, written, restored, installed, and what it does with snapshots that it
//! can't take.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use openraft::storage::RaftSnapshotBuilder;
use openraft::{EntryPayload, Membership};

use super::super::types::{LogEntry, Member, Types};
use super::*;
use crate::snapshots::folder::Disk;
use crate::state::Proposal;
use crate::state::cluster::{FORMAT, Founding, Secrets};
use crate::state::nodes::Registration;

type Committed = openraft::alias::CommittedLeaderIdOf<Types>;

struct Node {
    machine: StateMachine,
    damaged: Vec<Damaged>,
    heard: Arc<Mutex<Vec<Event>>>,
}

fn open(folder: &Path) -> io::Result<Node> {
    let shelf = Shelf::open(Arc::new(Disk::open(folder.to_owned())?))?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&heard);
    let listener = Arc::new(move |event| events.lock().expect("no panic").push(event));
    let setup = Setup { seed: 1, listener, offload: Offload::Threads };
    let (machine, damaged) = StateMachine::open(shelf, setup)?;
    Ok(Node { machine, damaged, heard })
}

fn member(name: &str) -> Member {
    Member { name: name.to_owned(), address: name.to_owned(), ..Member::default() }
}

fn position(index: u64) -> LogPosition {
    LogPosition::new(Committed { term: 3 }, index)
}

fn founding(cluster: u8) -> EntryPayload<Proposal, u64, Member> {
    let (first, secrets) = (member("n1"), Secrets::default());
    let founding = Founding { cluster: [cluster; 16], format: FORMAT, first, voters: 1, secrets };
    EntryPayload::Normal(Proposal::Found(Box::new(founding)))
}

fn registration(request: u8) -> EntryPayload<Proposal, u64, Member> {
    let asked = Registration { request: [request; 16], member: member("n2") };
    EntryPayload::Normal(Proposal::Register(Box::new(asked)))
}

impl Node {
    async fn apply(&mut self, index: u64, payload: EntryPayload<Proposal, u64, Member>) {
        let entry = LogEntry { log_id: position(index), payload };
        let entries = futures_util::stream::iter([Ok((entry, None))]);
        RaftStateMachine::<Types>::apply(&mut self.machine, entries).await.expect("known");
    }

    async fn snapshot(&mut self) -> SnapshotOfState {
        let mut builder = RaftStateMachine::<Types>::get_snapshot_builder(&mut self.machine).await;
        RaftSnapshotBuilder::<Types>::build_snapshot(&mut builder).await.expect("room")
    }

    async fn install(&mut self, head: &SnapshotHead, file: SnapshotFile) -> io::Result<()> {
        RaftStateMachine::<Types>::install_snapshot(&mut self.machine, head, file).await
    }

    async fn current(&mut self) -> Option<SnapshotOfState> {
        RaftStateMachine::<Types>::get_current_snapshot(&mut self.machine).await.expect("readable")
    }

    fn bytes(&self) -> Vec<u8> {
        self.machine.replica().look(|state| state.write(Vec::new(), Vec::new()).expect("memory"))
    }

    /// A copy of a snapshot, as if it had come over the network.
    fn received(&self, mut file: SnapshotFile, change: impl FnOnce(&mut Vec<u8>)) -> SnapshotFile {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes).expect("readable");
        change(&mut bytes);
        let mut part = self.machine.shelf().begin().expect("room");
        io::Write::write_all(&mut part, &bytes).expect("room");
        part.finish().expect("room")
    }
}

/// A node with a cluster of one and a snapshot of it.
async fn founded(folder: &Path, cluster: u8) -> Node {
    let mut node = open(folder).expect("a new one");
    let members = Membership::new(vec![[1].into()], BTreeMap::from([(1, member("n1"))])).expect("one of one");
    node.apply(0, EntryPayload::Membership(members)).await;
    node.apply(1, EntryPayload::Blank).await;
    node.apply(2, founding(cluster)).await;
    node
}

#[tokio::test]
async fn it_starts_with_its_newest_whole_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = founded(folder.path(), 7).await;
    assert!(node.current().await.is_none());
    let old = node.bytes();
    node.snapshot().await;
    node.apply(3, registration(2)).await;
    let new = node.bytes();
    node.snapshot().await;
    node.apply(4, registration(3)).await; // In the log alone.
    drop(node);

    let mut node = open(folder.path()).expect("as it was left");
    assert_eq!(node.bytes(), new);
    let (last, members) = RaftStateMachine::<Types>::applied_state(&mut node.machine).await.expect("known");
    assert_eq!((last, members.voter_ids().collect::<Vec<_>>()), (Some(position(3)), vec![1]));
    assert_eq!(node.current().await.expect("there").meta.last_log_id, Some(position(3)));
    drop(node);

    let newest = folder.path().join("snapshot-3-3");
    let mut bytes = std::fs::read(&newest).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).expect("room");
    let node = open(folder.path()).expect("there is an older one");
    assert_eq!(node.bytes(), old);
    assert_eq!(node.damaged.iter().map(|one| one.place.index).collect::<Vec<_>>(), [3]);
    assert!(folder.path().join("snapshot-3-3.damaged").exists(), "people may look at it");
}

#[tokio::test]
async fn a_newer_snapshot_is_no_reason_to_take_an_older_one() {
    let folder = tempfile::tempdir().expect("a folder");
    founded(folder.path(), 7).await.snapshot().await;
    let path = folder.path().join("snapshot-2-3");
    let mut bytes = std::fs::read(&path).expect("there");
    bytes[8] = 9; // The version of the stream.
    std::fs::write(folder.path().join("snapshot-5-3"), bytes).expect("room");
    let why = open(folder.path()).map(|_| ()).expect_err("newer");
    assert_eq!(why.to_string(), "snapshot-5-3: snapshot, byte 0: version 9 is not known; known is 1");
    assert!(path.exists() && folder.path().join("snapshot-5-3").exists(), "nothing was moved");
}

#[tokio::test]
async fn a_snapshot_is_installed_whole_or_not_at_all() {
    let folders = [0; 3].map(|_| tempfile::tempdir().expect("a folder"));
    let mut leader = founded(folders[0].path(), 7).await;
    leader.apply(3, registration(2)).await;
    let mut other = founded(folders[1].path(), 8).await;
    let mut node = founded(folders[2].path(), 7).await;
    let before = node.bytes();
    node.heard.lock().expect("no panic").clear();

    let snapshot = leader.snapshot().await;
    let head = snapshot.meta;
    let file = node.received(snapshot.snapshot, |bytes| bytes[100] ^= 1);
    let why = node.install(&head, file).await.expect_err("a bit was flipped");
    assert!(why.to_string().contains("checksum"), "{why}");
    let file = leader.current().await.expect("there").snapshot;
    let file = node.received(file, |_| ());
    let wrong = SnapshotHead { last_log_id: Some(position(9)), ..head.clone() };
    let why = node.install(&wrong, file).await.expect_err("it is not what it is said to be");
    assert!(why.to_string().starts_with("expected a snapshot of"), "{why}");
    let foreign = other.snapshot().await;
    let file = node.received(foreign.snapshot, |_| ());
    let why = node.install(&foreign.meta, file).await.expect_err("another cluster's");
    assert!(why.to_string().contains("expected a snapshot of cluster 0707"), "{why}");
    assert_eq!(node.bytes(), before);
    assert_eq!(
        std::fs::read_dir(folders[2].path()).expect("a folder").count(),
        0,
        "and nothing is left of them"
    );
    assert_eq!(*node.heard.lock().expect("no panic"), []);

    let file = leader.current().await.expect("there").snapshot;
    let file = node.received(file, |_| ());
    node.install(&head, file).await.expect("whole");
    assert_eq!(node.bytes(), leader.bytes());
    assert_eq!(*node.heard.lock().expect("no panic"), [Event::Replaced]);
    assert_eq!(node.current().await.expect("on the shelf").meta, head);
    drop(node);
    assert_eq!(open(folders[2].path()).expect("as it was left").bytes(), leader.bytes());
}

#[tokio::test]
async fn a_snapshot_is_of_the_moment_when_it_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = founded(folder.path(), 7).await;
    let mut builder = RaftStateMachine::<Types>::get_snapshot_builder(&mut node.machine).await;
    node.apply(3, registration(2)).await;
    let snapshot = RaftSnapshotBuilder::<Types>::build_snapshot(&mut builder).await.expect("room");
    assert_eq!(snapshot.meta.last_log_id, Some(position(2)));
    drop(node);
    let node = open(folder.path()).expect("as it was left");
    assert_eq!(node.machine.replica().look(|state| state.nodes().all().count()), 1);
}
