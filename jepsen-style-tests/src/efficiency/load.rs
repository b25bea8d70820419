//! Who asks, when, and what it costs. Nodes are met evenly; users by Zipf's law; costs have the shape of a public trace of
//! conversations: long prompts, short answers, some long ones.

use super::Setting;
use crate::sim::dice::Dice;

/// Zipf's exponent.
const EXPONENT: f64 = 1.1;
/// Prompts, in tokens: anything between.
const PROMPT: (u64, u64) = (200, 2_000);
/// No answer is longer: clients say so, and that much is held.
const MOST_OUTPUT: u64 = 1_000;
/// The length of answers by fortieths: lognormal, half of them up to 129 tokens, a sigma of 0.94, cut off.
const OUTPUT: [u64; 41] = [
    1,
    20,
    27,
    33,
    39,
    44,
    49,
    54,
    58,
    63,
    68,
    74,
    79,
    84,
    90,
    96,
    102,
    108,
    115,
    122,
    129,
    137,
    145,
    154,
    164,
    174,
    185,
    198,
    211,
    226,
    243,
    262,
    285,
    311,
    342,
    380,
    430,
    499,
    605,
    814,
    MOST_OUTPUT,
];
/// What a request costs on average.
pub(super) const MEAN_TOKENS: u64 = PROMPT.0.midpoint(PROMPT.1) + 193;
/// Until the first token comes, and for each token.
const FIRST_TOKEN_MS: u64 = 300;
const TOKEN_MS: u64 = 20;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) node: usize,
    pub(super) user: u32,
    /// The most that it may cost: what is held.
    pub(super) bound: u64,
    /// What it will cost.
    pub(super) actual: u64,
    pub(super) runs_ms: u64,
}

/// All requests of a run.
pub(super) struct Load {
    nodes: usize,
    /// For each user, how often it and all before it ask.
    cumulative: Vec<f64>,
    /// When somebody asks, the last first.
    moments: Vec<u64>,
    dice: Dice,
}

impl Load {
    pub(super) fn new(setting: &Setting, length_ms: u64) -> Self {
        let mut dice = Dice::new(setting.seed, 4);
        let mut moments: Vec<u64> =
            (0..setting.rate * length_ms / 1_000).map(|_| dice.below(length_ms)).collect();
        moments.sort_unstable_by(|one, other| other.cmp(one));
        let mut sum = 0.0;
        let cumulative = (1..=setting.users).map(|rank| {
            sum += f64::from(rank).powf(-EXPONENT);
            sum
        });
        Self { nodes: setting.nodes, cumulative: cumulative.collect(), moments, dice }
    }

    /// When the next one comes.
    pub(super) fn next_moment(&mut self) -> Option<u64> {
        self.moments.pop()
    }

    pub(super) fn request(&mut self) -> Request {
        let prompt = self.dice.between(PROMPT.0, PROMPT.1);
        let output = self.output();
        Request {
            node: self.dice.index(self.nodes),
            user: self.user(),
            bound: prompt + MOST_OUTPUT,
            actual: prompt + output,
            runs_ms: FIRST_TOKEN_MS + TOKEN_MS * output,
        }
    }

    fn user(&mut self) -> u32 {
        let fine = u32::try_from(self.dice.below(1 << 32)).expect("below 2^32");
        let all = self.cumulative.last().copied().unwrap_or_default();
        let thrown = f64::from(fine) / f64::from(u32::MAX) * all;
        let rank = self.cumulative.partition_point(|upto| *upto < thrown).min(self.cumulative.len() - 1);
        u32::try_from(rank).expect("there are as many users as a u32 counts")
    }

    fn output(&mut self) -> u64 {
        let at = self.dice.index(OUTPUT.len() - 1);
        OUTPUT[at] + self.dice.below(OUTPUT[at + 1] - OUTPUT[at] + 1)
    }
}
