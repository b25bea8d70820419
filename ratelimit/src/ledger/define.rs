//! Budgets are made, changed and taken away, also while leases of them are out.

use super::bucket::most_at_once;
use super::command::SessionId;
use super::limits::MOST_BUDGETS;
use super::outcome::{Nudge, Outcome, Rejected};
use super::{Closed, Entry, Ledger};
use crate::budget::{Budget, BudgetId};
use crate::fault::{self, Fault};
use crate::time::Timestamp;
use crate::window::Window;

impl Ledger {
    /// Whether the budget of that name can become this one; anything can where there is none.
    pub fn can_become(&self, new: &Budget) -> Result<(), Rejected> {
        self.budget(&new.name).map_or(Ok(()), |(_, old)| can_become(old, new))
    }

    pub(super) fn set_budget(&mut self, budget: &Budget, nudges: &mut Vec<Nudge>) -> Outcome {
        if let Err(invalid) = budget.check() {
            return Outcome::Rejected(Rejected::invalid(invalid.field, invalid.expected));
        }
        match self.names.get(&budget.name) {
            Some(id) => self.change_budget(*id, budget, nudges),
            None => self.make_budget(budget),
        }
    }

    fn make_budget(&mut self, budget: &Budget) -> Outcome {
        self.forget_deleted();
        if self.budgets.len() >= MOST_BUDGETS || self.next_budget == u32::MAX {
            return Outcome::Rejected(Rejected::full("budgets", MOST_BUDGETS));
        }
        self.next_budget += 1;
        let id = BudgetId(self.next_budget);
        let entry = Entry {
            budget: budget.clone(),
            deleted: false,
            open_buckets: 0,
            lowered: false,
            overran: false,
            closed: std::collections::BTreeMap::new(),
            earlier: Closed::NOTHING,
        };
        self.budgets.insert(id, entry);
        self.names.insert(budget.name.clone(), id);
        Outcome::BudgetSet { budget: id }
    }

    /// Makes room for a budget where there is none: the history of the one that was deleted first, and is over, goes.
    fn forget_deleted(&mut self) {
        if self.budgets.len() < MOST_BUDGETS {
            return;
        }
        let over = self.budgets.iter().find(|(_, entry)| entry.deleted && entry.open_buckets == 0);
        if let Some(id) = over.map(|(id, _)| *id) {
            self.budgets.remove(&id);
        }
    }

    /// A limit can change at any time. What is spent and leased stays: under a limit that is lower than that, grants stop.
    fn change_budget(&mut self, id: BudgetId, new: &Budget, nudges: &mut Vec<Nudge>) -> Outcome {
        let Some(entry) = self.budgets.get(&id) else { return Outcome::Rejected(Rejected::UnknownBudget) };
        let old = &entry.budget;
        if let Err(rejected) = can_become(old, new) {
            return Outcome::Rejected(rejected);
        }
        let less_at_once = most_at_once(old).saturating_sub(most_at_once(new));
        let lowered = new.limit < old.limit || less_at_once > 0;
        let raised = new.limit > old.limit;
        let buckets = self.buckets_of(id);
        for slot in &buckets {
            self.mint(*slot); // What a rolling window owes up to now is owed at the old rate.
            self.owe(*slot, 0);
        }
        if let Some(entry) = self.budgets.get_mut(&id) {
            let window = joined(&entry.budget.window, &new.window);
            entry.budget = Budget { window, ..new.clone() };
            entry.lowered |= lowered;
        }
        for slot in buckets {
            if raised && fault::planted(Fault::RaiseGivesAll) {
                self.buckets[slot].adjusted += i64::try_from(self.buckets[slot].outstanding).unwrap_or(0);
            }
            if let Some(entry) = self.budgets.get(&id) {
                self.buckets[slot].shrink(&entry.budget, less_at_once);
            }
            self.limit_changed(slot, nudges);
            self.close_if_over(slot); // A rolling one that nobody holds is full at another time now.
        }
        Outcome::BudgetSet { budget: id }
    }

    /// Recalls what a bucket in debt has out; tells those who wait that there is more.
    pub(super) fn limit_changed(&mut self, slot: u32, nudges: &mut Vec<Nudge>) {
        let bucket = &self.buckets[slot];
        let Some(entry) = self.budgets.get(&bucket.budget) else { return };
        if bucket.free(&entry.budget) < 0 {
            self.recall(slot, None::<SessionId>, nudges);
        } else {
            self.tell_denied(slot, nudges);
        }
    }

    pub(super) fn delete_budget(&mut self, name: &str, nudges: &mut Vec<Nudge>) -> Outcome {
        let Some(id) = self.names.remove(name) else { return Outcome::Rejected(Rejected::UnknownBudget) };
        if let Some(entry) = self.budgets.get_mut(&id) {
            entry.deleted = true;
        }
        for slot in self.buckets_of(id) {
            self.recall(slot, None, nudges);
            self.close_if_over(slot);
        }
        Outcome::Done
    }

    pub(super) fn extend_calendar(&mut self, name: &str, boundaries: &[Timestamp]) -> Outcome {
        let id = self.names.get(name).copied();
        let Some((id, entry)) = id.and_then(|id| Some((id, self.budgets.get_mut(&id)?))) else {
            return Outcome::Rejected(Rejected::UnknownBudget);
        };
        match &mut entry.budget.window {
            Window::Fixed(fixed) => match fixed.extend(boundaries, self.now) {
                Ok(()) => {
                    for slot in self.buckets_of(id) {
                        self.find_end(slot);
                        self.close_if_over(slot); // A debt may have waited for a window that pays it.
                    }
                    Outcome::Done
                }
                Err(invalid) => Outcome::Rejected(Rejected::invalid(invalid.field, invalid.expected)),
            },
            Window::Rolling(_) | Window::Lifetime => {
                Outcome::Rejected(Rejected::invalid("window", "a calendar, which alone can run out"))
            }
        }
    }

    /// Walks through all buckets: budgets change seldom.
    fn buckets_of(&self, id: BudgetId) -> Vec<u32> {
        self.buckets.iter().filter(|(_, bucket)| bucket.budget == id).map(|(slot, _)| slot).collect()
    }
}

/// What is spent was counted in the old unit, by the old keys and in the old windows: those can't change.
fn can_become(old: &Budget, new: &Budget) -> Result<(), Rejected> {
    let another = "as it was: make a budget of another name for another one";
    if old.unit != new.unit {
        return Err(Rejected::invalid("unit", another));
    }
    if old.per != new.per {
        return Err(Rejected::invalid("per", another));
    }
    let same = match (&old.window, &new.window) {
        (Window::Fixed(old), Window::Fixed(new)) => old.every == new.every && old.zone == new.zone,
        (Window::Rolling(_), Window::Rolling(_)) | (Window::Lifetime, Window::Lifetime) => true,
        (Window::Fixed(_) | Window::Rolling(_) | Window::Lifetime, _) => false,
    };
    if same { Ok(()) } else { Err(Rejected::invalid("window", another)) }
}

/// Boundaries that are known stay as they are: windows are open between them.
fn joined(old: &Window, new: &Window) -> Window {
    match old {
        Window::Fixed(_) => old.clone(),
        Window::Rolling(_) | Window::Lifetime => new.clone(),
    }
}
