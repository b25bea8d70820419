//! What the ledger should be told of budgets: the leader keeps them equal to what operators wrote.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_cluster::raft::forward::Written;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::wallet::clock;
use tollgate_crds::KeptBudget;
use tollgate_ratelimit::budget::{Budget, BudgetId};
use tollgate_ratelimit::ledger::outcome::Outcome;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::window::Window;
use tollgate_ratelimit::{Command, Ledger};

use super::{Active, Config};
use crate::member::Member;

/// Boundaries of a calendar that are worked out ahead: a year of days.
const BOUNDARIES: usize = 400;
/// A calendar that ends sooner is made longer.
const AHEAD_MS: u64 = 7 * 24 * 3_600_000;
/// Between two looks whether something has changed.
const LOOK: Duration = Duration::from_millis(200);
/// Looked at this often all the same: calendars run out.
const EVEN_IF_QUIET: Duration = Duration::from_mins(1);
/// One try to be heard.
const TRY: Duration = Duration::from_secs(5);
/// Commands in one entry.
const MOST_COMMANDS: usize = 1_000;

/// The commands that make the ledger's budgets those that are wanted.
pub(crate) fn commands(wanted: &[KeptBudget], ledger: &Ledger, now: Timestamp) -> Vec<Command> {
    let now = now.max(ledger.now());
    let mut known: BTreeMap<&str, (BudgetId, &Budget)> =
        ledger.budgets().map(|(id, budget)| (budget.name.as_str(), (id, budget))).collect();
    let mut commands = Vec::new();
    for kept in wanted {
        // `compile` has told of a time zone that nobody knows.
        let Ok(definition) = kept.definition(now, BOUNDARIES) else { continue };
        match known.remove(kept.budget.name.as_str()) {
            Some((_, budget)) if same(budget, &definition) => {
                if budget.window.runs_out_before(now.plus(AHEAD_MS))
                    && let (Window::Fixed(fixed), name) = (definition.window, definition.name)
                {
                    commands.push(Command::ExtendCalendar { name, boundaries: fixed.boundaries });
                }
            }
            Some(_) | None => commands.push(Command::SetBudget(Box::new(definition))),
        }
    }
    commands.extend(known.into_keys().map(|name| Command::DeleteBudget { name: name.to_owned() }));
    commands
}

/// Whether two definitions promise the same: boundaries of a calendar aside, which are the same one looked at from elsewhere.
fn same(known: &Budget, wanted: &Budget) -> bool {
    let without_boundaries = |budget: &Budget| {
        let mut budget = budget.clone();
        if let Window::Fixed(fixed) = &mut budget.window {
            fixed.boundaries.clear();
        }
        budget
    };
    without_boundaries(known) == without_boundaries(wanted)
}

/// Tells the ledger, whenever this node leads and something has changed.
pub(crate) async fn keep(config: Config, member: Arc<Member>) {
    let mut last: Option<(u64, Instant)> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let active = config.latest();
        if active.revision == 0 || !member.node.leads() {
            last = None; // Whoever led meanwhile may have known other ones.
            continue;
        }
        let is_known =
            last.is_some_and(|(revision, at)| revision == active.revision && at.elapsed() < EVEN_IF_QUIET);
        if is_known {
            continue;
        }
        let told = tell(&active, &member).await;
        last = told.then(|| (active.revision, Instant::now()));
    }
}

async fn tell(active: &Active, member: &Member) -> bool {
    // A leader that has just begun may not have applied what the one before it did.
    if let Err(error) = member.node.forward().catch_up(TRY).await {
        tracing::info!("budgets are looked at again: {error}");
        return false;
    }
    // Nor may its configuration be older than the ledger that it is compared with: what it lacks would be taken away.
    let Active { snapshot, standing, .. } = active;
    let due = member.node.replica().look(|state| {
        let is_newest = state.resources().revision() == standing.revision && standing.unread.is_empty();
        is_newest.then(|| commands(snapshot.quota.budgets.all(), state.quota(), clock::stamp()))
    });
    let Some(due) = due else { return false };
    for some in due.chunks(MOST_COMMANDS) {
        let proposal = Proposal::Quota { at: clock::stamp(), commands: some.to_vec() };
        match member.node.forward().write(proposal, TRY).await {
            Ok(Written { applied: Applied::Quota(outcomes), .. }) => some.iter().zip(&outcomes).for_each(log),
            Ok(written) => {
                tracing::error!("budgets were not taken: {:?}", written.applied);
                return false;
            }
            Err(error) => {
                tracing::info!("budgets are told again: {error}");
                return false;
            }
        }
    }
    true
}

fn log((command, outcome): (&Command, &Outcome)) {
    let name = match command {
        Command::SetBudget(budget) => &budget.name,
        Command::DeleteBudget { name } | Command::ExtendCalendar { name, .. } => name,
        Command::OpenSession { .. }
        | Command::Batches(_)
        | Command::CloseSession { .. }
        | Command::ForgetNode { .. }
        | Command::Adjust(_)
        | Command::Tick => return,
    };
    match outcome {
        Outcome::Rejected(why) => tracing::error!(budget = name, "the ledger does not take it: {why:?}"),
        Outcome::Done | Outcome::BudgetSet { .. } | Outcome::SessionOpened { .. } | Outcome::Answers(_) => {
            tracing::info!(budget = name, "told to the ledger");
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_ratelimit::budget::{Enforcement, OnExhausted};
    use tollgate_ratelimit::window::Period;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn manifest(limit: u64, window: &str) -> String {
        format!(
            "apiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: all}}\nspec:\n  unit: totalTokens\n  \
             limit: {limit}\n  window: {window}\n"
        )
    }

    fn kept(text: &str) -> Vec<KeptBudget> {
        let (loaded, problems) = tollgate_crds::parse("test", text, &|_| None);
        assert!(problems.is_empty(), "{problems:?}");
        let loaded: Vec<_> = loaded.into_iter().map(Arc::new).collect();
        let (snapshot, _) = tollgate_crds::compile(&loaded);
        snapshot.quota.budgets.all().to_vec()
    }

    fn apply(ledger: &mut Ledger, commands: &[Command]) {
        for command in commands {
            let applied = ledger.apply(command, NOW);
            assert!(!matches!(applied.outcome, Outcome::Rejected(_)), "{command:?}: {applied:?}");
        }
    }

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        let mut ledger = Ledger::new(1);
        let day = "{every: day, timeZone: Europe/Berlin}";
        let first = kept(&manifest(1_000, day));
        let told = commands(&first, &ledger, NOW);
        assert!(matches!(&told[..], [Command::SetBudget(_)]), "{told:?}");
        apply(&mut ledger, &told);
        assert_eq!(commands(&first, &ledger, NOW), [], "it is known");

        let later = NOW.plus(396 * 24 * 3_600_000);
        let told = commands(&first, &ledger, later);
        assert!(matches!(&told[..], [Command::ExtendCalendar { .. }]), "{told:?}");

        let raised = kept(&manifest(2_000, day));
        let told = commands(&raised, &ledger, NOW);
        assert!(matches!(&told[..], [Command::SetBudget(budget)] if budget.limit == 2_000), "{told:?}");

        let told = commands(&[], &ledger, NOW);
        assert!(matches!(&told[..], [Command::DeleteBudget { .. }]), "{told:?}");
        apply(&mut ledger, &told);
        assert_eq!(commands(&[], &ledger, NOW), [], "it is gone");
    }

    #[test]
    fn budgets_are_the_same_wherever_their_calendar_begins() {
        let text = manifest(1_000, "{every: month, timeZone: UTC}");
        let kept = kept(&text);
        let early = kept[0].definition(NOW, 10).unwrap();
        let late = kept[0].definition(NOW.plus(100 * 24 * 3_600_000), 10).unwrap();
        assert_ne!(early, late);
        assert!(same(&early, &late));
        let Window::Fixed(fixed) = &early.window else { panic!("{early:?}") };
        assert_eq!(fixed.every, Period::Month);
        assert!(!same(&early, &Budget { enforcement: Enforcement::Shadow, ..late.clone() }));
        assert!(!same(&early, &Budget { on_exhausted: OnExhausted::NextPriority, ..late }));
    }
}
