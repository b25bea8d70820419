//! What operators enter: credits to buckets, corrections of rows, and calendars that are made longer before they run out.

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::ledger::command::{Adjustment, BucketAdjustment, Command};
use tollgate_ratelimit::ledger::rows::Change;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::window::{Window, upcoming};

use super::cost::PRICE;
use super::world::World;

/// Calendars that end within this time are made longer…
const AHEAD_MS: u64 = 20_000;
/// …by so many windows.
const LONGER_BY: usize = 3;

/// Which window an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The current one.
    Now,
    /// The one before.
    Late,
}

impl World {
    pub(super) fn credit(&mut self, number: usize, user: u64, percent: i64, when: When) {
        let planned = &self.plan.shape.budgets[number];
        let Some((id, budget)) = self.cluster.ledger.budget(&planned.name) else { return };
        let current = budget.window.span_at(self.cluster.ledger.now());
        let window = match when {
            When::Now => None,
            When::Late => {
                let before = current.and_then(|span| span.start.0.checked_sub(1)).map(Timestamp);
                let Some(span) = before.and_then(|at| budget.window.span_at(at)) else { return };
                Some(span.start)
            }
        };
        let amount = i64::try_from(planned.limit).expect("limits are small here") * percent / 100;
        let change = BucketAdjustment { bucket: self.bucket(number, id, user), window, amount };
        self.enter(vec![change], Vec::new());
    }

    pub(super) fn correct(&mut self, user: u64, tokens: i64) {
        let price = i64::try_from(PRICE).expect("a small price");
        let key = RowKey {
            consumer: format!("u{user}"),
            model: format!("m{}", user % 3),
            backend: "default/one".to_owned(),
            hour: self.plan.shape.start.plus(self.now_ms).hour(),
        };
        let change =
            Change { output: tokens, total: tokens, cost_nano_usd: tokens * price, ..Change::default() };
        self.enter(Vec::new(), vec![(key, change)]);
    }

    /// What an id stands for was booked, if it was: this is another entry under it.
    pub(super) fn repeat(&mut self) {
        let Some(mut entry) = self.last_entry.clone() else { return };
        entry.buckets.iter_mut().for_each(|change| change.amount += 1);
        entry.rows.iter_mut().for_each(|(_, change)| change.total += 1);
        self.operate(Command::Adjust(Box::new(entry)));
    }

    fn enter(&mut self, buckets: Vec<BucketAdjustment>, rows: Vec<(RowKey, Change)>) {
        let entry = Adjustment {
            id: format!("entry-{}-{}", self.now_ms, self.queue.pushed()),
            by: "operator".to_owned(),
            reason: "to see what happens".to_owned(),
            buckets,
            rows,
        };
        self.last_entry = Some(entry.clone());
        self.operate(Command::Adjust(Box::new(entry)));
    }

    /// The leader looks after calendars, not at once: they may run out.
    pub(super) fn extend_calendars(&mut self) {
        if !self.dice.chance(1, 8) {
            return;
        }
        let by = self.cluster.ledger.now().plus(AHEAD_MS);
        let ending: Vec<_> = self.cluster.ledger.running_out(by).cloned().collect();
        for budget in ending {
            let Window::Fixed(fixed) = &budget.window else { continue };
            let Some(last) = fixed.boundaries.last() else { continue };
            let boundaries = upcoming(fixed.every, &fixed.zone, *last, LONGER_BY);
            let boundaries = boundaries.expect("zones that every database has");
            self.operate(Command::ExtendCalendar { name: budget.name, boundaries });
        }
    }
}
