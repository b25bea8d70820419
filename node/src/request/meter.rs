//! meter: what did the answer cost, and how fast did it come? Watches the bytes pass; holds none of them up.

use std::time::{Duration, Instant};

use tollgate_api::exchange::Seen;
use tollgate_ratelimit::{Certainty, Usage};

use super::forward::Reply;
use super::route::Plan;

/// Bytes of text that one token stands for where the provider gave no count: the usual figure for English prose.
const BYTES_PER_TOKEN: u64 = 4;

/// An answer that is being watched.
pub(crate) struct Metered {
    pub(crate) reply: Reply,
    pub(crate) plan: Plan,
    pub(crate) pace: Pace,
}

/// When output came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    first: Option<Instant>,
    last: Option<Instant>,
}

/// Begins to watch.
pub(crate) fn observe(reply: Reply, plan: Plan) -> Metered {
    let mut metered = Metered { reply, plan, pace: Pace::default() };
    metered.tick(Instant::now());
    metered
}

impl Metered {
    /// To be called after each chunk, with the time: notes it if output came.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.reply.reading.seen().output_events > 0 {
            self.pace.first.get_or_insert(now);
            self.pace.last = Some(now);
        }
    }
}

impl Pace {
    /// From `started` to the first output.
    pub(crate) fn to_first(self, started: Instant) -> Option<Duration> {
        self.first.map(|first| first.saturating_duration_since(started))
    }

    /// Per output token after the first.
    pub(crate) fn per_token(self, output_tokens: u64) -> Option<Duration> {
        let span = self.last?.saturating_duration_since(self.first?);
        let rest = u32::try_from(output_tokens.checked_sub(1)?).ok().filter(|rest| *rest > 0)?;
        Some(span / rest)
    }
}

/// What passed, in tokens: the provider's figures, or a count of what passed where it gave none.
///
/// `request_bytes` bounds the input; a chunk that carried output was at least one token.
pub(crate) fn usage(seen: &Seen, request_bytes: usize) -> (Usage, Certainty) {
    let passed = seen.output_events.max(seen.output_bytes.div_ceil(BYTES_PER_TOKEN));
    let input = (request_bytes as u64).div_ceil(BYTES_PER_TOKEN);
    match seen.usage {
        _ if seen.free => (Usage::default(), Certainty::Reported),
        Some(reported) if seen.complete && reported.input > 0 => (converted(reported), Certainty::Reported),
        Some(reported) => {
            let mut usage = converted(reported);
            // No request is without input: a provider that says so left it out.
            usage.input = if usage.input == 0 { input } else { usage.input };
            // Anthropic tells the input at the start; the output so far is at least what passed.
            usage.output = if seen.complete { usage.output } else { usage.output.max(passed) };
            usage.total = usage.input.saturating_add(usage.output);
            (usage, Certainty::Estimated)
        }
        None => {
            let usage =
                Usage { input, output: passed, total: input.saturating_add(passed), ..Usage::default() };
            (usage, Certainty::Estimated)
        }
    }
}

fn converted(reported: tollgate_api::canonical::Usage) -> Usage {
    let tollgate_api::canonical::Usage {
        input,
        cached_input,
        cache_creation_input,
        output,
        reasoning,
        total,
    } = reported;
    Usage { input, cached_input, cache_creation_input, output, reasoning, total }
}

/// The same figures for whoever reads answers.
pub(crate) fn reported(usage: Usage) -> tollgate_api::canonical::Usage {
    let Usage { input, cached_input, cache_creation_input, output, reasoning, total } = usage;
    tollgate_api::canonical::Usage { input, cached_input, cache_creation_input, output, reasoning, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_figures_first_then_a_count_of_what_passed() {
        let reported =
            tollgate_api::canonical::Usage { input: 10, output: 3, total: 13, ..Default::default() };
        let no_input = tollgate_api::canonical::Usage { input: 0, ..reported };
        let seen = |usage, complete, output_bytes, output_events| Seen {
            usage,
            complete,
            output_bytes,
            output_events,
            ..Seen::default()
        };
        #[rustfmt::skip]
        let cases = [
            // seen                              input output certainty              why
            (seen(Some(reported), true, 999, 99), 10,  3, Certainty::Reported,  "the provider counts, not we"),
            (seen(Some(reported), false, 40, 5),  10, 10, Certainty::Estimated, "input is known, output passed on"),
            (seen(Some(reported), false, 0, 0),   10,  3, Certainty::Estimated, "it said three already"),
            (seen(Some(no_input), true, 999, 9),  25,  3, Certainty::Estimated, "input is never nothing"),
            (seen(None, true, 40, 5),             25, 10, Certainty::Estimated, "a provider that never says"),
            (seen(None, false, 5, 5),             25,  5, Certainty::Estimated, "a chunk is a token at least"),
        ];
        for (seen, input, output, certainty, why) in cases {
            let (usage, got) = usage(&seen, 100);
            assert_eq!((usage.input, usage.output, got), (input, output, certainty), "{why}");
        }
    }

    #[test]
    fn pace_is_measured_between_tokens() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let pace = Pace { first: at(100), last: at(500) };
        assert_eq!(pace.to_first(start), Some(Duration::from_millis(100)));
        assert_eq!(pace.per_token(5), Some(Duration::from_millis(100)), "four gaps in 400 ms");
        assert_eq!(pace.per_token(1), None, "one token has no gap");
        assert_eq!(Pace::default().per_token(5), None);
    }
}
