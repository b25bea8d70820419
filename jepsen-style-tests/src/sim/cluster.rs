//! The ledger behind a Raft that is only as much of one as the ledger can see: a log that all members apply in the same
//! order, at most one leader, and proposals of a leader that was replaced, of which the first few are committed and the
//! others are not.

use std::collections::VecDeque;

use tollgate_ratelimit::Ledger;
use tollgate_ratelimit::ledger::command::{Batch, Command};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::wire::snapshot::{Reader, Writer};

use super::dice::Dice;
use crate::properties::Violated;

const NAME: [u8; 16] = *b"simulated-cluste";

/// Who is to be answered: a node, and which run of it.
pub type Asker = (usize, u64);

/// A command on its way into the log.
#[derive(Debug)]
pub struct Proposal {
    /// Its number.
    pub number: u64,
    /// What.
    pub command: Command,
    /// The leader's clock when it was proposed.
    pub stamp: Timestamp,
    /// Who is to be answered, one a batch.
    pub askers: Vec<Asker>,
}

/// See the file's purpose.
pub struct Cluster {
    /// When the run begins.
    start: Timestamp,
    /// The member that answers.
    pub ledger: Ledger,
    /// Another member, and what it has still to apply.
    follower: Ledger,
    behind: VecDeque<(Command, Timestamp)>,
    /// Whether there is a leader.
    pub has_leader: bool,
    /// How far the leader's clock is off.
    pub skew_ms: i64,
    /// Batches that go into the next proposal.
    pub inbox: Vec<(Asker, Batch)>,
    /// Proposed and not committed, in order.
    pub under_way: VecDeque<Proposal>,
    next_proposal: u64,
    last_commit_at: u64,
    /// Commands applied.
    pub applied: u64,
}

impl Cluster {
    /// A cluster with a leader and an empty log.
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            ledger: Ledger::new(1),
            follower: Ledger::new(2),
            behind: VecDeque::new(),
            has_leader: true,
            skew_ms: 0,
            inbox: Vec::new(),
            under_way: VecDeque::new(),
            next_proposal: 0,
            last_commit_at: 0,
            applied: 0,
        }
    }

    /// Proposes a command. Says its number, and when it will be committed: never before one that was proposed earlier.
    pub fn propose(&mut self, command: Command, askers: Vec<Asker>, time: Time) -> (u64, u64) {
        self.next_proposal += 1;
        let wall = self.start.0.saturating_add(time.now_ms).saturating_add_signed(self.skew_ms);
        let number = self.next_proposal;
        self.under_way.push_back(Proposal { number, command, stamp: Timestamp(wall), askers });
        self.last_commit_at = self.last_commit_at.max(time.now_ms + time.takes_ms);
        (number, self.last_commit_at)
    }

    /// The proposal of that number, if its leader has not been replaced.
    pub fn committed(&mut self, number: u64) -> Option<Proposal> {
        if self.under_way.front()?.number == number { self.under_way.pop_front() } else { None }
    }

    /// The leader is gone. Gives the proposals that the next one finds in its log.
    pub fn depose(&mut self, dice: &mut Dice) -> Vec<Proposal> {
        self.has_leader = false;
        self.inbox.clear();
        let kept = dice.index(self.under_way.len() + 1);
        let all: Vec<Proposal> = self.under_way.drain(..).collect();
        all.into_iter().take(kept).collect()
    }

    /// Notes that this was applied: the other member will.
    pub fn follow(&mut self, command: Command, stamp: Timestamp) {
        self.applied += 1;
        self.behind.push_back((command, stamp));
    }

    /// The other member applies up to `most` commands.
    pub fn catch_up(&mut self, most: usize) {
        for _ in 0..most {
            let Some((command, stamp)) = self.behind.pop_front() else { return };
            self.follower.apply(&command, stamp);
        }
    }

    /// The other member starts again from its own snapshot.
    pub fn restore_follower(&mut self) -> Result<(), Violated> {
        let bytes = bytes(&self.follower);
        self.follower = restored(&bytes)?;
        Ok(())
    }

    /// The other member answers from now on, with all that was committed.
    pub fn change_places(&mut self) {
        self.catch_up(usize::MAX);
        std::mem::swap(&mut self.ledger, &mut self.follower);
    }

    /// Both members' states as bytes, once the other one has caught up.
    pub fn states(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.catch_up(usize::MAX);
        (bytes(&self.ledger), bytes(&self.follower))
    }
}

/// When something is proposed, and how long it takes.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Now.
    pub now_ms: u64,
    /// From the proposal to the commit.
    pub takes_ms: u64,
}

fn bytes(ledger: &Ledger) -> Vec<u8> {
    let mut writer = Writer::begin(NAME, Vec::new()).expect("memory takes all that is written");
    ledger.write(&mut writer).expect("memory takes all that is written");
    writer.finish().expect("memory takes all that is written")
}

fn restored(bytes: &[u8]) -> Result<Ledger, Violated> {
    let mut reader = Reader::begin(bytes).expect("a header that was just written");
    Ledger::read(&mut reader, 3).map_err(|why| Violated::new("restored", format!("{why:?}")))
}
