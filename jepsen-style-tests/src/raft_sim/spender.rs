//! A client that spends: the least wallet there can be. It opens a session and sends one batch after another; a batch that got
//! no answer is sent again as it was, and sometimes one that was answered comes once more.

use std::collections::BTreeMap;

use tollgate_cluster::raft::types::Member;
use tollgate_cluster::state::nodes::Registration;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_ratelimit::budget::{BucketName, BudgetId, Key};
use tollgate_ratelimit::ledger::command::{Batch, Command, Item, Keep, NodeId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, LeaseState, Outcome};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::{Row, RowKey};

use super::ask::propose;
use super::world::{World, pause};
use crate::properties::Violated;

/// The most that one request costs.
const MOST_TOKENS: u64 = 40;

/// One client.
pub(super) struct Spender {
    world: World,
    name: String,
    session: SessionId,
    sequence: u64,
    leases: BTreeMap<BudgetId, Held>,
    /// Since the last batch.
    row: Row,
    now: Timestamp,
}

/// What it has of one budget.
#[derive(Clone, Copy)]
struct Held {
    lease: LeaseState,
    settled: u64,
    returned: u64,
}

/// Lives until the run closes. Its last batch settles all and gives the rest back.
pub(super) async fn live(world: World, number: u8) {
    let Some(mut spender) = Spender::arrive(world, number).await else { return };
    while spender.world.is_open() {
        spender.spend();
        let batch = spender.batch(Keep::Open);
        if spender.send(batch).await.is_none() {
            return;
        }
        let idle_ms = spender.world.dice(|dice| dice.delay_ms(40));
        pause(idle_ms).await;
    }
    let batch = spender.batch(Keep::Close);
    spender.send(batch).await;
}

impl Spender {
    async fn arrive(world: World, number: u8) -> Option<Self> {
        let name = format!("client {number}");
        let member = Member { name: name.clone(), address: name.clone(), ..Member::default() };
        let asked = Registration { request: [number; 16], member };
        let (_, applied) = propose(&world, |_| Proposal::Register(Box::new(asked.clone()))).await?;
        let Applied::Registered { node } = applied else { return unexpected(&world, &applied) };
        let open = Command::OpenSession { node: NodeId(node), incarnation: 1 };
        let (_, applied) = propose(&world, |at| Proposal::Quota { at, commands: vec![open.clone()] }).await?;
        let Some(Outcome::SessionOpened { session, .. }) = only(&applied) else {
            return unexpected(&world, &applied);
        };
        let session = *session;
        let (leases, row, now) = (BTreeMap::new(), Row::default(), Timestamp(0));
        Some(Self { world, name, session, sequence: 0, leases, row, now })
    }

    /// Requests that its leases cover.
    fn spend(&mut self) {
        for (budget, held) in &mut self.leases {
            let left = held.lease.granted - held.settled - held.returned;
            let tokens = self.world.dice(|dice| dice.between(0, MOST_TOKENS.min(left)));
            if tokens == 0 || !held.lease.window.holds(self.now) {
                continue;
            }
            held.settled += tokens;
            self.row.requests += 1;
            self.row.usage.total += tokens;
            let bucket = (*budget, held.lease.window.start);
            self.world.expect(self.world.with(|world| {
                world.figures.requests += 1;
                world.books.spend(bucket, tokens)
            }));
        }
    }

    /// What it has to say, with the next number.
    fn batch(&mut self, keep: Keep) -> Batch {
        let budgets: Vec<BudgetId> = self.world.with(|world| world.books.limits.keys().copied().collect());
        let items = budgets.into_iter().filter_map(|budget| {
            let want = self.world.dice(|dice| dice.between(0, 3 * MOST_TOKENS));
            match self.leases.get_mut(&budget) {
                Some(held) => {
                    Some(held.say(want, if held.lease.window.holds(self.now) { keep } else { Keep::Close }))
                }
                None if keep == Keep::Open => {
                    Some(item(Target::Current(BucketName { budget, key: Key::default() }), want))
                }
                None => None,
            }
        });
        let items = items.collect();
        let row = std::mem::take(&mut self.row);
        self.world.with(|world| world.books.tell(&self.name, &row));
        let hour = self.world.clock(0).hour();
        let [consumer, model, backend] = [self.name.as_str(), "model", "backend"].map(str::to_owned);
        self.sequence += 1;
        let rows = vec![(RowKey { consumer, model, backend, hour }, row)];
        Batch { session: self.session, sequence: self.sequence, items, rows }
    }

    /// Sends it until it is answered, and hears the answer.
    async fn send(&mut self, batch: Batch) -> Option<()> {
        let answer = self.ask(&batch).await?;
        if self.world.dice(|dice| dice.chance(1, 12)) {
            // A copy that was on its way for longer: it says nothing new, and is told nothing else.
            let again = self.ask(&batch).await?;
            if (again.verdict, &again.items) != (answer.verdict, &answer.items) {
                let what = format!("{answer:?} and then {again:?}");
                self.world.fail(Violated::new("a batch that comes again gets the same answer", what));
            }
        }
        self.now = answer.at;
        for (item, answer) in batch.items.iter().zip(answer.items) {
            self.hear(item, &answer);
        }
        Some(())
    }

    async fn ask(&self, batch: &Batch) -> Option<Answer> {
        let commands = || vec![Command::Batches(vec![batch.clone()])];
        let (_, applied) = propose(&self.world, |at| Proposal::Quota { at, commands: commands() }).await?;
        let Some(Outcome::Answers(answers)) = only(&applied) else {
            return unexpected(&self.world, &applied);
        };
        match answers.as_slice() {
            [answer] if answer.sequence == batch.sequence && answer.verdict == BatchVerdict::Applied => {
                Some(answer.clone())
            }
            answers => {
                let what = format!("batch {} of {:?}: {answers:?}", batch.sequence, batch.session);
                self.world.fail(Violated::new("no batch is left out", what));
                None
            }
        }
    }

    fn hear(&mut self, item: &Item, answer: &ItemAnswer) {
        let budget = match &item.target {
            Target::Current(name) | Target::Next(name) => name.budget,
            Target::Lease(id) => {
                let known = self.leases.iter().find(|(_, held)| held.lease.lease == *id);
                *known.expect("it asked for a lease that it has").0
            }
        };
        match answer {
            ItemAnswer::Lease(lease) => {
                let new = Held { lease: *lease, settled: 0, returned: 0 };
                self.leases.entry(budget).or_insert(new).lease = *lease;
            }
            ItemAnswer::Closed => _ = self.leases.remove(&budget),
            ItemAnswer::Rejected(why) => {
                self.world.fail(Violated::new("what a client says is taken", format!("{item:?}: {why:?}")));
            }
        }
    }
}

impl Held {
    /// It gives back some of what it does not need where others wait, and all of it when it closes.
    fn say(&mut self, want: u64, keep: Keep) -> Item {
        let left = self.lease.granted - self.settled - self.returned;
        match keep {
            Keep::Close => self.returned += left,
            Keep::Open if self.lease.recalled => self.returned += left / 2,
            Keep::Open => {}
        }
        let (settled, returned) = (self.settled, self.returned);
        Item { settled, returned, keep, ..item(Target::Lease(self.lease.lease), want) }
    }
}

fn item(target: Target, want: u64) -> Item {
    Item { target, want, need: want.min(1), settled: 0, overrun: 0, returned: 0, idle: 0, keep: Keep::Open }
}

fn only(applied: &Applied) -> Option<&Outcome> {
    match applied {
        Applied::Quota(outcomes) => outcomes.first(),
        Applied::Nothing
        | Applied::Refused(_)
        | Applied::Founded
        | Applied::ClusterChanged { .. }
        | Applied::Registered { .. }
        | Applied::Arrived
        | Applied::Forgotten
        | Applied::ResourcesEdited { .. } => None,
    }
}

fn unexpected<T>(world: &World, applied: &Applied) -> Option<T> {
    world.fail(Violated::new("a proposal is answered in kind", format!("{applied:?}")));
    None
}
