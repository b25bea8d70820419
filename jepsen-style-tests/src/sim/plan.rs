//! What a run will try, worked out before it begins: a list of actions from which a failing run can leave things out and try
//! again.

use super::dice::Dice;
use super::shape::{Load, Shape};

/// A run to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all of it is made from.
    pub seed: u64,
    /// After so many events everything is healed and counted.
    pub events: u64,
    /// What does not change while it runs.
    pub shape: Shape,
    /// What happens from outside, in order.
    pub actions: Vec<Action>,
}

/// Something that is done to the cluster.
#[derive(Clone, Debug)]
pub struct Action {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// Something that is done.
#[derive(Clone, Debug)]
pub enum What {
    /// A client sends a request to a node.
    Request(Request),
    /// A process is killed: memory gone, files as they are.
    Kill(usize, Down),
    /// A machine loses power: what was not flushed is gone.
    PowerLoss(usize, Down),
    /// A machine sleeps, or a process hangs: nothing happens there for so long, and its clock goes on.
    Suspend(usize, u64),
    /// A node can't reach anybody for so long.
    CutOff(usize, u64),
    /// A node leaves in order, and comes back.
    Drain(usize),
    /// The operator says that a node never comes back.
    Forget(usize),
    /// The operator says so of a node that only can't reach anybody for so long.
    GiveUp(usize, u64),
    /// The leader is gone: this long without one, and the next one's clock is off by so much.
    NewLeader(u64, i64),
    /// Budget number so and so has another limit, in percent of its first one.
    SetLimit(usize, u64),
    /// The budget is deleted, and another one of the same name is made so long after.
    Remake(usize, u64),
    /// A credit, or a debit, to the bucket that a user pays from, in percent of the limit.
    Credit(usize, u64, i64),
    /// The same to the bucket of the window before, if that is open still.
    LateCredit(usize, u64, i64),
    /// A user's row is corrected by so many tokens.
    Correct(u64, i64),
    /// The operator's last entry is entered again, and says something else.
    Repeat,
    /// The second member starts again from a snapshot.
    Restore,
}

/// How long something stays down.
#[derive(Clone, Copy, Debug)]
pub enum Down {
    /// For so many milliseconds.
    For(u64),
    /// For ever, unless the operator starts it again at the end.
    UntilHealed,
}

/// A request and its fate.
#[derive(Clone, Debug)]
pub struct Request {
    /// The node that it is sent to.
    pub node: usize,
    /// Who sends it.
    pub user: u64,
    /// The most tokens that it may cost.
    pub bound: u64,
    /// What it will cost.
    pub actual: u64,
    /// How long it runs.
    pub runs_ms: u64,
    /// How long it waits for a lease.
    pub patience_ms: u64,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It holds all that it may cost and settles.
    Settles,
    /// It holds half of it first, and asks for more on its way.
    Extends,
    /// It never reaches a provider, or its client is gone before: nothing is spent.
    Vanishes,
    /// It costs so much more than was held: a provider that did not keep to the cap.
    Passes(u64),
}

/// Credits and debits, in percent of a limit.
const PERCENTS: [i64; 5] = [-40, -10, 10, 50, 100];

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, events: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut shape = Shape::new(&mut dice, events);
        let load = Load::new(&mut dice);
        let requests = events / 8;
        let mut actions: Vec<Action> = (0..requests).map(|_| request(&mut dice, &shape, &load)).collect();
        shape.fit_limits(&mut dice, &load, requests);
        let faults = dice.between(0, 30);
        actions.extend((0..faults).map(|_| fault(&mut dice, &shape, &load)));
        actions.sort_by_key(|action| action.at_ms);
        Self { seed, events, shape, actions }
    }
}

fn request(dice: &mut Dice, shape: &Shape, load: &Load) -> Action {
    let at_ms = load.moment(dice, shape.length_ms);
    let bound = dice.between(20, 200);
    let fate = match dice.below(100) {
        0..70 => Fate::Settles,
        70..88 => Fate::Extends,
        88..98 => Fate::Vanishes,
        _ => Fate::Passes(dice.between(1, 50)),
    };
    let fate = if shape.bounds_are_kept && matches!(fate, Fate::Passes(_)) { Fate::Settles } else { fate };
    let request = Request {
        node: dice.index(shape.nodes),
        user: load.user(dice),
        bound,
        actual: dice.between(1, bound),
        runs_ms: if dice.chance(1, 30) { dice.between(5_000, 40_000) } else { dice.delay_ms(600) },
        patience_ms: dice.between(100, 3_000),
        fate,
    };
    Action { at_ms, what: What::Request(request) }
}

fn fault(dice: &mut Dice, shape: &Shape, load: &Load) -> Action {
    let node = dice.index(shape.nodes);
    let budget = dice.index(shape.budgets.len());
    let down = |dice: &mut Dice| {
        if dice.chance(1, 6) { Down::UntilHealed } else { Down::For(dice.between(50, 20_000)) }
    };
    let what = match dice.below(26) {
        0..4 => What::Kill(node, down(dice)),
        4..6 if shape.power_fails => What::PowerLoss(node, down(dice)),
        4..7 => What::Suspend(node, dice.between(100, 45_000)),
        7..10 => What::CutOff(node, dice.between(500, 60_000)),
        10 => What::Drain(node),
        11 if shape.power_fails => What::Forget(node),
        12 if shape.power_fails => What::GiveUp(node, dice.between(100, 60_000)),
        11..15 => What::NewLeader(dice.between(50, 6_000), skew(dice)),
        15..17 => What::SetLimit(budget, dice.between(10, 300)),
        17 if dice.chance(1, 2) => What::Remake(budget, dice.pick(&[0, 0, 500, 20_000])),
        17..20 => What::Credit(budget, load.user(dice), dice.pick(&PERCENTS)),
        20 => What::LateCredit(budget, load.user(dice), dice.pick(&PERCENTS)),
        21..23 => What::Correct(load.user(dice), dice.pick(&[-70, -1, 30])),
        23 => What::Repeat,
        _ => What::Restore,
    };
    Action { at_ms: dice.below(shape.length_ms), what }
}

fn skew(dice: &mut Dice) -> i64 {
    dice.pick(&[-4_000, -1_000, -100, 0, 0, 0, 100, 900, 3_000])
}
