//! The ledger and its leader: what nodes say within one tick becomes one entry, which a quorum has a round trip later.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ratelimit::Ledger;
use tollgate_ratelimit::budget::{Budget, BudgetId, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension};
use tollgate_ratelimit::ledger::command::{Batch, Command, Item, Keep, LeaseId, NodeId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, Applied, ItemAnswer, Nudge, Outcome};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::{Fixed, Period, Window};

use super::Setting;
use super::figures::Items;

/// A minute begins here.
pub(super) const START: Timestamp = Timestamp(20_700 * 24 * 3_600_000);

/// An entry on its way into the log.
#[derive(Debug)]
pub(super) struct Entry {
    stamp: Timestamp,
    batches: Vec<Batch>,
}

/// See the file's purpose.
pub(super) struct Cluster {
    ledger: Ledger,
    pub(super) organisation: BudgetId,
    pub(super) user: BudgetId,
    pub(super) inbox: Vec<Batch>,
    pub(super) holders: BTreeMap<SessionId, usize>,
    /// The leases of the organisation's buckets.
    organisations: BTreeSet<LeaseId>,
}

/// What an entry led to.
pub(super) struct Committed {
    pub(super) answers: Vec<Answer>,
    pub(super) nudges: Vec<Nudge>,
    pub(super) items: Items,
}

impl Cluster {
    pub(super) fn new(setting: &Setting) -> Self {
        let mut ledger = Ledger::new(1);
        let organisation = set(&mut ledger, budget("organisation", vec![], setting.limit()));
        let user = set(&mut ledger, budget("user", vec![Dimension::User], setting.user_limit()));
        let mut holders = BTreeMap::new();
        for node in 0..setting.nodes {
            let command = Command::OpenSession { node: NodeId(node as u64), incarnation: 1 };
            if let Outcome::SessionOpened { session, .. } = ledger.apply(&command, START).outcome {
                holders.insert(session, node);
            }
        }
        Self { ledger, organisation, user, inbox: Vec::new(), holders, organisations: BTreeSet::new() }
    }

    /// Makes one entry of what came.
    pub(super) fn propose(&mut self, now_ms: u64) -> Entry {
        Entry { stamp: START.plus(now_ms), batches: std::mem::take(&mut self.inbox) }
    }

    pub(super) fn tick(&mut self, now_ms: u64) -> Vec<Nudge> {
        self.ledger.apply(&Command::Tick, START.plus(now_ms)).nudges
    }

    /// A quorum has it.
    pub(super) fn commit(&mut self, entry: Entry) -> Committed {
        let command = Command::Batches(entry.batches);
        let Applied { outcome, nudges } = self.ledger.apply(&command, entry.stamp);
        let mut items = Items::default();
        let (Command::Batches(batches), Outcome::Answers(answers)) = (command, outcome) else {
            return Committed { answers: Vec::new(), nudges, items };
        };
        for (batch, answer) in batches.iter().zip(&answers) {
            for (item, told) in batch.items.iter().zip(&answer.items) {
                items.count(item);
                items.organisation += u64::from(self.is_organisations(item, told));
            }
        }
        Committed { answers, nudges, items }
    }

    fn is_organisations(&mut self, item: &Item, told: &ItemAnswer) -> bool {
        match &item.target {
            Target::Lease(id) => self.organisations.contains(id),
            Target::Current(name) | Target::Next(name) => {
                let is_one = name.budget == self.organisation;
                if let (true, ItemAnswer::Lease(state)) = (is_one, told) {
                    self.organisations.insert(state.lease);
                }
                is_one
            }
        }
    }
}

impl Items {
    fn count(&mut self, item: &Item) {
        let kind = match (item.keep, item.need, item.want) {
            (Keep::Close, _, _) => &mut self.closes,
            (Keep::Open, 0, 0) => &mut self.reports,
            (Keep::Open, 0, _) => &mut self.wants,
            (Keep::Open, _, _) => &mut self.needs,
        };
        *kind += 1;
    }

    pub(super) fn add(&mut self, more: Self) {
        self.needs += more.needs;
        self.wants += more.wants;
        self.reports += more.reports;
        self.closes += more.closes;
        self.organisation += more.organisation;
    }
}

fn set(ledger: &mut Ledger, budget: Budget) -> BudgetId {
    let name = budget.name.clone();
    ledger.apply(&Command::SetBudget(Box::new(budget)), START);
    ledger.budget(&name).expect("an empty ledger takes a budget").0
}

fn budget(name: &str, per: Vec<Dimension>, limit: u64) -> Budget {
    Budget {
        name: name.to_owned(),
        covers: Cover::default(),
        per,
        unit: Unit::TotalTokens,
        limit,
        window: Window::Fixed(Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: vec![] }),
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    }
}
