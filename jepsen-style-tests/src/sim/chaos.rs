//! What is done to the cluster from outside.

use tollgate_ratelimit::budget::Budget;
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::window::Window;

use super::entries::When;
use super::lives::Death;
use super::node::Life;
use super::plan::What;
use super::world::{Event, World};
use crate::properties::Violated;

impl World {
    /// Does it.
    pub(super) fn act(&mut self, what: What) -> Result<(), Violated> {
        if !matches!(what, What::Request(_)) {
            self.note(|| format!("{what:?}"));
        }
        match what {
            What::Request(request) => self.request(request),
            What::Kill(node, down) => self.die(node, Death::Killed, down),
            What::PowerLoss(node, down) => self.die(node, Death::PowerLost, down),
            What::Suspend(node, for_ms) => self.nodes[node].sleeps_until = self.now_ms + for_ms,
            What::CutOff(node, for_ms) => self.nodes[node].cut_off_until = self.now_ms + for_ms,
            What::Drain(node) => self.drain(node),
            What::Forget(node) => self.forget(node),
            What::GiveUp(node, for_ms) => {
                self.nodes[node].cut_off_until = self.now_ms + for_ms;
                self.forget(node);
            }
            What::NewLeader(gap_ms, skew_ms) => return self.depose(gap_ms, skew_ms),
            What::SetLimit(number, percent) => self.set_limit(number, percent),
            What::Remake(number, gap_ms) => {
                let budget = self.plan.shape.budgets[number].clone();
                self.operate(Command::DeleteBudget { name: budget.name.clone() });
                let again = Event::Operate(Command::SetBudget(Box::new(budget)));
                self.queue.push(self.now_ms + gap_ms, again);
            }
            What::Credit(number, user, percent) => self.credit(number, user, percent, When::Now),
            What::LateCredit(number, user, percent) => self.credit(number, user, percent, When::Late),
            What::Correct(user, tokens) => self.correct(user, tokens),
            What::Repeat => self.repeat(),
            What::Restore => return self.cluster.restore_follower(),
        }
        Ok(())
    }

    /// An operator's command: without a leader it is refused, and the operator lets it be.
    pub(super) fn operate(&mut self, command: Command) {
        if self.cluster.has_leader {
            self.propose(command, Vec::new());
        }
    }

    pub(super) fn drain(&mut self, node: usize) {
        let now = self.nodes[node].clock(self.now_ms);
        let Life::Serving(serving) = &mut self.nodes[node].life else { return };
        serving.leaving = true;
        let woken = serving.wallet.clone().drain(now);
        for one in woken {
            if let Some(request) = self.nodes[node].waiting.remove(&one.ticket) {
                self.decided(node, request, one.result);
            }
        }
    }

    /// Only a node that nobody hears of is given up.
    fn forget(&mut self, node: usize) {
        let one = &self.nodes[node];
        if matches!(one.life, Life::Down) || one.cut_off_until > self.now_ms {
            let node = one.id;
            self.operate(Command::ForgetNode { node });
        }
    }

    fn set_limit(&mut self, number: usize, percent: u64) {
        let planned = &self.plan.shape.budgets[number];
        let change = |amount: u64| (amount * percent / 100).max(1);
        let mut budget = Budget { limit: change(planned.limit), ..planned.clone() };
        if let Window::Rolling(rolling) = &mut budget.window {
            rolling.burst = change(rolling.burst);
        }
        self.operate(Command::SetBudget(Box::new(budget)));
    }

    /// All faults are over: everything is reachable, and every node that may come back does.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.note(|| "all faults are over".to_owned());
        for node in 0..self.nodes.len() {
            let one = &mut self.nodes[node];
            one.sleeps_until = one.sleeps_until.min(self.now_ms);
            one.cut_off_until = one.cut_off_until.min(self.now_ms);
            if matches!(one.life, Life::Down) {
                self.queue.push(self.now_ms + 1, Event::Start(node));
            }
        }
    }
}
