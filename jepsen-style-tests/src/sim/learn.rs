//! What the truth learns from what was applied: which lease is of which bucket, which limits hold, who may speak.

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId};
use tollgate_ratelimit::ledger::command::{Adjustment, Batch, BucketAdjustment, Command, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, Outcome};
use tollgate_ratelimit::wallet::Terms;
use tollgate_ratelimit::window::Window;

use super::truth::Home;
use super::world::World;

impl World {
    pub(super) fn learn(&mut self, command: &Command, outcome: &Outcome) {
        match (command, outcome) {
            (Command::Batches(batches), Outcome::Answers(answers)) => {
                for (batch, answer) in batches.iter().zip(answers) {
                    self.learn_leases(batch, answer);
                }
            }
            (Command::SetBudget(budget), Outcome::BudgetSet { budget: id }) => self.learn_budget(*id, budget),
            (Command::OpenSession { node, .. }, Outcome::SessionOpened { session, .. }) => {
                let node =
                    self.nodes.iter().position(|one| one.id == *node).expect("only nodes open sessions");
                self.holders.insert(*session, node);
            }
            (Command::ForgetNode { node }, Outcome::Done) => {
                let of_node = self.holders.iter().filter(|(_, holder)| self.nodes[**holder].id == *node);
                let sessions: Vec<_> = of_node.map(|(session, _)| *session).collect();
                self.truth.lost.extend(sessions.iter().copied());
                self.truth.silenced.extend(sessions);
            }
            (Command::DeleteBudget { .. }, Outcome::Done) => {
                let kept: std::collections::BTreeSet<_> =
                    self.cluster.ledger.budgets().map(|(id, _)| id).collect();
                let gone = self.truth.budgets.keys().filter(|id| !kept.contains(id)).copied();
                self.truth.deleted.extend(gone);
            }
            (Command::Adjust(entry), Outcome::Done) => self.learn_entry(entry),
            _ => {}
        }
    }

    fn learn_entry(&mut self, entry: &Adjustment) {
        if !self.truth.entries.insert(entry.id.clone()) {
            return;
        }
        let ledger = &self.cluster.ledger;
        for BucketAdjustment { bucket, window, amount } in &entry.buckets {
            let budget = ledger.budgets().find(|(id, _)| *id == bucket.budget);
            let current = budget.and_then(|(_, budget)| budget.window.span_at(ledger.now()));
            let Some(start) = window.or(current.map(|span| span.start)) else { continue };
            let bucket = (bucket.clone(), start);
            *self.truth.credits.entry(bucket.clone()).or_default() += u64::try_from(*amount).unwrap_or(0);
            *self.truth.adjusted.entry(bucket).or_default() += amount;
        }
        for (key, change) in &entry.rows {
            let sum = self.truth.corrections.entry(RowKey { hour: 0, ..key.clone() }).or_default();
            sum.output += change.output;
            sum.total += change.total;
            sum.cost_nano_usd += change.cost_nano_usd;
        }
    }

    fn learn_leases(&mut self, batch: &Batch, answer: &Answer) {
        self.figures.batches += 1;
        self.figures.items += batch.items.len() as u64;
        if answer.verdict == BatchVerdict::Applied {
            self.truth.applied.insert(batch.session, batch.sequence);
        }
        for (item, told) in batch.items.iter().zip(&answer.items) {
            let (Target::Current(bucket) | Target::Next(bucket), ItemAnswer::Lease(state)) =
                (&item.target, told)
            else {
                continue;
            };
            let home = Home { bucket: bucket.clone(), window: state.window, session: batch.session };
            self.truth.leases.entry(state.lease).or_insert(home);
        }
    }

    fn learn_budget(&mut self, id: BudgetId, budget: &Budget) {
        let now = self.cluster.ledger.now();
        let burst = match &budget.window {
            Window::Rolling(rolling) => rolling.burst,
            Window::Fixed(_) | Window::Lifetime => 0,
        };
        self.truth.budgets.entry(id).or_insert_with(|| budget.clone());
        self.truth.limits.entry(id).or_default().push((now, budget.limit, burst));
    }

    /// What a node may know of the budgets, in the plan's order.
    pub(super) fn terms(&self) -> Vec<Option<(BudgetId, Terms)>> {
        let known = self.plan.shape.budgets.iter().map(|planned| {
            let (id, budget) = self.cluster.ledger.budget(&planned.name)?;
            let terms =
                Terms { unit: budget.unit.clone(), enforcement: budget.enforcement, limit: budget.limit };
            Some((id, terms))
        });
        known.collect()
    }

    /// The bucket of a user, of the plan's budget of that number.
    pub(super) fn bucket(&self, number: usize, id: BudgetId, user: u64) -> BucketName {
        BucketName { budget: id, key: super::shape::Shape::key(&self.plan.shape.budgets[number], user) }
    }
}
