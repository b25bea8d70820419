//! What is checked in every state that can be reached. The model knows what was truly spent; the ledger does not.

use stateright::Property;
use tollgate_ratelimit::Ledger;
use tollgate_ratelimit::budget::BudgetId;
use tollgate_ratelimit::ledger::LeaseView;
use tollgate_ratelimit::unit::Amount;

use super::node::{Held, Node, Run, Tally, Totals};
use super::world::{WINDOW_MS, WINDOWS, World, Wrong};
use super::{Quota, State};

/// The promise that the others serve.
pub const LIMITS_HOLD: &str = "no window is spent beyond its limit";

/// The promises, and some proofs that they were put to a test.
pub(super) fn properties() -> Vec<Property<Quota>> {
    vec![
        Property::always(LIMITS_HOLD, |_, state: &State| within_limits(&state.world)),
        Property::always("the ledger keeps its own promises", |_, state: &State| {
            state.world.wrong != Some(Wrong::Stopped) && state.world.ledger.check().is_ok()
        }),
        Property::always("value is conserved", |_, state: &State| conserved(&state.world)),
        Property::always("the ledger knows no more than what happened", |_, state: &State| {
            no_more(&state.world)
        }),
        Property::always("a batch counts once", |_, state: &State| {
            state.world.wrong != Some(Wrong::Reapplied)
        }),
        Property::always("honest nodes are believed", |_, state: &State| {
            state.world.wrong != Some(Wrong::Disbelieved)
        }),
        Property::always("a lease is of the window that is current", |_, state: &State| {
            state.world.wrong != Some(Wrong::Window)
        }),
        Property::always("cluster time never runs backwards", |_, state: &State| {
            state.world.wrong != Some(Wrong::Backwards)
        }),
        Property::always("once all is told, ledger and truth are equal", |_, state: &State| {
            !quiet(&state.world) || equal(&state.world)
        }),
        Property::always("once all is told, only live leases hold anything", |_, state: &State| {
            !quiet(&state.world) || nothing_stranded(&state.world)
        }),
        Property::sometimes("a whole limit is spent and told", |_, state: &State| {
            let truth = &state.world.truth;
            quiet(&state.world) && truth.spent.iter().zip(&truth.highest).any(|(spent, limit)| spent >= limit)
        }),
        Property::sometimes("all that the scope allows has happened", |quota: &Quota, state: &State| {
            let (scope, world) = (&quota.scope, &state.world);
            let spare = &world.spare;
            let truth = &world.truth;
            world.clock + 1 == scope.moments_ms.len()
                && (spare.crashes, spare.forgotten) == (scope.crashes, scope.forgotten)
                && spare.limits == scope.limits.len()
                && (quiet(world) || scope.forgotten > 0)
                && (world.window() == 0 || truth.spent.iter().all(|spent| *spent > 0))
        }),
    ]
}

fn runs(world: &World) -> impl Iterator<Item = &Run> {
    world.nodes.iter().filter_map(|node| node.run.as_ref())
}

/// What runs reserve counts, too: nothing can stop it from being spent.
fn within_limits(world: &World) -> bool {
    let mut used = world.truth.spent;
    for (window, held) in runs(world).flat_map(Run::unknown) {
        used[window.min(WINDOWS - 1)] += held;
    }
    let bounds = world.truth.highest.iter().zip(&world.truth.overran).map(|(limit, overran)| limit + overran);
    used.iter().zip(bounds).all(|(used, bound)| *used <= bound)
}

fn outstanding(lease: &LeaseView) -> i128 {
    i128::from(lease.record.granted) - i128::from(lease.record.settled) - i128::from(lease.record.returned)
}

fn conserved(world: &World) -> bool {
    world.ledger.buckets().all(|bucket| {
        let out: i128 = world.ledger.leases(&bucket.name, bucket.window.start).iter().map(outstanding).sum();
        let overran: Amount = world.truth.overran.iter().sum();
        let carried = bucket.adjusted <= 0 && bucket.adjusted.unsigned_abs() <= overran;
        let allowed = i128::from(world.truth.limit) + i128::from(bucket.adjusted);
        carried && i128::from(bucket.spent) + out + bucket.free == allowed
    })
}

fn all_leases(ledger: &Ledger) -> impl Iterator<Item = LeaseView> {
    ledger.buckets().flat_map(|bucket| ledger.leases(&bucket.name, bucket.window.start))
}

fn holder<'a>(world: &'a World, lease: &LeaseView) -> Option<&'a Held> {
    let run = runs(world).find(|run| run.session == lease.session)?;
    run.leases.iter().find(|held| held.id == lease.record.lease)
}

/// Nothing is booked that was not spent or given back before, and no node holds a grant that was not made.
fn no_more(world: &World) -> bool {
    let buckets = world.ledger.buckets().all(|bucket| {
        let window = usize::try_from(bucket.window.start.0 / WINDOW_MS).unwrap_or(usize::MAX);
        let spent = world.truth.spent.get(window).copied().unwrap_or_default();
        bucket.spent - bucket.forfeited <= spent
    });
    let leases = all_leases(&world.ledger).all(|lease| {
        holder(world, &lease).is_none_or(|held| {
            lease.record.settled <= held.totals.settled
                && lease.record.returned <= held.totals.returned
                && held.granted <= lease.record.granted
        })
    });
    let (booked, truth) = (booked(world), world.truth.finished);
    buckets && leases && booked.requests <= truth.requests && booked.cost <= truth.cost
}

fn booked(world: &World) -> Tally {
    let mut sum = Tally::default();
    for (_, row) in world.ledger.rows().rows() {
        sum.add(Tally { requests: row.requests, cost: row.usage.total });
    }
    sum
}

/// Every node runs, has told everything and was answered, and has no earlier run to settle.
pub(super) fn quiet(world: &World) -> bool {
    let told = |node: &Node| node.journal.is_none() && node.run.as_ref().is_some_and(Run::quiet);
    world.nodes.iter().all(told)
}

fn equal(world: &World) -> bool {
    let spent: Amount = world.truth.spent.iter().sum();
    let counted = world.ledger.spent_ever(BudgetId(1));
    if world.truth.forfeited {
        counted >= spent
    } else {
        counted == spent && booked(world) == world.truth.finished
    }
}

fn nothing_stranded(world: &World) -> bool {
    all_leases(&world.ledger).all(|lease| {
        let told = Totals {
            settled: lease.record.settled,
            overrun: lease.record.overrun,
            returned: lease.record.returned,
        };
        holder(world, &lease).is_some_and(|held| held.granted == lease.record.granted && held.totals == told)
    })
}
