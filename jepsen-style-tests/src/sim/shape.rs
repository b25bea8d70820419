//! What does not change while a run lasts: how many nodes and users, which budgets, how bad the network is, who asks for
//! what.

use tollgate_ratelimit::budget::{Budget, Enforcement, Key, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::{Fixed, Period, Rolling, Window, upcoming};

use super::cost::{EXPRESSION, amount};
use super::dice::Dice;

/// So long into each run windows of calendars begin.
const LEAD_MS: u64 = 40_000;
/// Moments at which they do, whose calendar it is, and what begins then.
#[rustfmt::skip]
const EDGES: [(u64, &str, &[Period]); 5] = [
    (1_788_480_000_000, "UTC",              &[Period::Hour, Period::Day]),
    (1_798_761_600_000, "UTC",              &[Period::Day, Period::Month, Period::Year]),
    (1_801_440_000_000, "UTC",              &[Period::Day, Period::Week, Period::Month]),
    (1_788_667_200_000, "America/Santiago", &[Period::Hour, Period::Day]), // Clocks skip midnight.
    (1_792_890_000_000, "Europe/Berlin",    &[Period::Hour]),              // They repeat an hour.
];
/// When, whose calendar, and what begins.
type Edge = (u64, &'static str, &'static [Period]);

/// Tokens of a request, on average.
const MEAN_TOKENS: u64 = 80;
const TEAM_USERS: u64 = 5;

/// See the file's purpose.
#[derive(Clone, Debug)]
pub struct Shape {
    /// When it begins.
    pub start: Timestamp,
    /// How many nodes.
    pub nodes: usize,
    /// How long clients ask.
    pub length_ms: u64,
    /// The budgets, the outermost first.
    pub budgets: Vec<Budget>,
    /// A message's way, on average.
    pub delay_ms: u64,
    /// So many of a thousand messages get lost.
    pub lost: u64,
    /// And so many come twice.
    pub doubled: u64,
    /// How often a node looks after its wallet.
    pub beat_ms: u64,
    /// How long a commit takes, on average.
    pub commit_ms: u64,
    /// Whether anything is lost for good: machines that lose power, nodes that are given up. Where nothing is, books must
    /// agree to the last token.
    pub power_fails: bool,
    /// Whether every provider keeps to the cap that it was told.
    pub bounds_are_kept: bool,
}

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Load {
    users: u64,
    pattern: Pattern,
    bursts: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pattern {
    Uniform,
    /// The second user asks half as often as the first, the third a third as often.
    Zipf,
    OneHot,
}

impl Shape {
    /// A shape. Its limits are made to fit later.
    pub(super) fn new(dice: &mut Dice, events: u64) -> Self {
        let nodes = dice.between(2, 8);
        let beat_ms = dice.pick(&[50, 100, 200]);
        // A third of all events are beats.
        let length_ms = (events * beat_ms / (3 * nodes)).clamp(2_000, 400_000);
        let lossy = dice.chance(2, 3);
        let count = dice.between(1, 4);
        let edge = dice.pick(&EDGES);
        let start = Timestamp(edge.0 - LEAD_MS);
        Self {
            start,
            nodes: usize::try_from(nodes).expect("a few"),
            length_ms,
            budgets: (0..count).map(|place| budget(dice, place, edge)).collect(),
            delay_ms: dice.pick(&[1, 5, 30]),
            lost: if lossy { dice.pick(&[5, 30, 150]) } else { 0 },
            doubled: if lossy { dice.pick(&[0, 30, 150]) } else { 0 },
            beat_ms,
            commit_ms: dice.pick(&[2, 10, 60]),
            power_fails: dice.chance(1, 3),
            bounds_are_kept: dice.chance(2, 3),
        }
    }

    /// Limits near what will be asked for: some are never reached, some always.
    pub(super) fn fit_limits(&mut self, dice: &mut Dice, load: &Load, requests: u64) {
        let length_ms = self.length_ms;
        for budget in &mut self.budgets {
            let window_ms = match &budget.window {
                Window::Fixed(fixed) if fixed.every == Period::Second => 1_000,
                Window::Fixed(fixed) if fixed.every == Period::Minute => 60_000.min(length_ms),
                Window::Rolling(rolling) => rolling.period_ms,
                Window::Fixed(_) | Window::Lifetime => length_ms,
            };
            let keys = match budget.per.first() {
                Some(Dimension::User) => load.users,
                Some(_) => load.users.div_ceil(TEAM_USERS),
                None => 1,
            };
            let each = amount(&budget.unit, MEAN_TOKENS);
            let asked = requests * each * window_ms / length_ms / keys;
            budget.limit = (asked * dice.between(10, 150) / 100).max(each * dice.between(3, 8));
            if let Enforcement::Bounded { per_node } = &mut budget.enforcement {
                *per_node = each * dice.between(1, 4);
            }
            if let Window::Rolling(rolling) = &mut budget.window {
                rolling.burst = budget.limit.max(each * 4) * dice.between(1, 2);
            }
        }
    }

    /// The key of a user's bucket.
    pub fn key(budget: &Budget, user: u64) -> Key {
        match budget.per.first() {
            Some(Dimension::User) => Key(format!("u{user}").into()),
            Some(_) => Key(format!("t{}", user / TEAM_USERS).into()),
            None => Key::default(),
        }
    }
}

fn budget(dice: &mut Dice, place: u64, edge: Edge) -> Budget {
    let per = match place {
        0 => vec![],
        1 => vec![Dimension::Team],
        _ => vec![Dimension::User],
    };
    let enforcement = match dice.below(10) {
        0 => Enforcement::Shadow,
        1..4 => Enforcement::Bounded { per_node: 1 },
        _ => Enforcement::Strict,
    };
    Budget {
        name: format!("b{place}"),
        covers: Cover::default(),
        per,
        unit: unit(dice),
        limit: 1,
        window: window(dice, edge),
        enforcement,
        on_exhausted: OnExhausted::Refuse,
    }
}

fn unit(dice: &mut Dice) -> Unit {
    match dice.below(20) {
        0..5 => Unit::TotalTokens,
        5..9 => Unit::Cost,
        9..12 => Unit::Requests,
        12..15 => Unit::Expression(EXPRESSION.to_owned()),
        15..17 => Unit::OutputTokens,
        17 => Unit::InputTokens,
        18 => Unit::CachedInputTokens,
        _ => Unit::ReasoningTokens,
    }
}

fn window(dice: &mut Dice, (at, zone, begin): Edge) -> Window {
    let fixed = |every, boundaries| Window::Fixed(Fixed { every, zone: zone.to_owned(), boundaries });
    match dice.below(20) {
        0..3 => fixed(Period::Second, vec![]),
        3..7 => fixed(Period::Minute, vec![]),
        7..12 => {
            let every = dice.pick(begin);
            // Some calendars run out while the run lasts.
            let known = dice.pick(&[2, 3, 12]);
            let boundaries = upcoming(every, zone, Timestamp(at - LEAD_MS), known);
            fixed(every, boundaries.expect("zones that every database has"))
        }
        12..16 => Window::Rolling(Rolling { period_ms: dice.pick(&[1_000, 10_000, 60_000]), burst: 1 }),
        _ => Window::Lifetime,
    }
}

impl Load {
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            users: dice.pick(&[1, 3, 20, 200, 3_000]),
            pattern: dice.pick(&[Pattern::Uniform, Pattern::Zipf, Pattern::OneHot]),
            bursts: dice.chance(1, 3),
        }
    }

    /// Who asks.
    pub(super) fn user(&self, dice: &mut Dice) -> u64 {
        match self.pattern {
            Pattern::Uniform => dice.below(self.users),
            // Between 2^n and 2^(n+1) there are as many requests for each n.
            Pattern::Zipf => {
                let octaves = u64::from(u64::BITS - self.users.leading_zeros());
                let low = 1 << dice.below(octaves);
                (low - 1 + dice.below(low)).min(self.users - 1)
            }
            Pattern::OneHot => {
                if dice.chance(9, 10) {
                    0
                } else {
                    dice.below(self.users)
                }
            }
        }
    }

    /// When: at any time, or around the starts of windows.
    pub(super) fn moment(&self, dice: &mut Dice, length_ms: u64) -> u64 {
        let at_ms = dice.below(length_ms);
        if !self.bursts || dice.chance(1, 2) {
            return at_ms;
        }
        let edge_ms = dice.pick(&[1_000, 10_000]);
        let edge = at_ms / edge_ms * edge_ms;
        (edge + dice.below(60)).saturating_sub(30).min(length_ms)
    }
}
