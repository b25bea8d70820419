//! What a model's id tells about the parameters that Anthropic takes for it.
//!
//! | model | thinking | `temperature`, `top_p`, `top_k` |
//! | --- | --- | --- |
//! | up to Claude 4.0 | a budget, or off | all |
//! | Claude 4.1 to 4.5 | a budget, or off | `temperature` or `top_p`, not both |
//! | Claude 4.6 | adaptive, a budget, or off | `temperature` or `top_p`, not both |
//! | Opus 4.7, Opus 4.8, Opus 5, Sonnet 5 | adaptive, or off; the last two think unless told not to | none |
//! | later ones | adaptive, always | none |
//!
//! The lists name what is old, so that a model of tomorrow needs no change here. Their entries are parts of ids, because
//! snapshots, regions and vendors stand around them.

/// Models up to Claude 4.0.
const UP_TO_4_0: &[&str] = &[
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-2",
    "claude-opus-4@",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2",
    "claude-sonnet-4@",
];

/// Models of Claude 4.1 to 4.5.
const UP_TO_4_5: &[&str] = &["claude-opus-4-1", "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"];

/// Models of Claude 4.6.
const UP_TO_4_6: &[&str] = &["claude-opus-4-6", "claude-sonnet-4-6"];

/// Models of Claude 4.7 to 5.
const UP_TO_5: &[&str] = &["claude-opus-4-7", "claude-opus-4-8"];

/// The same, but `claude-opus-5-5` is another generation: what follows must be a date or nothing.
const OF_5: &[&str] = &["claude-opus-5", "claude-sonnet-5"];

/// What every id of Anthropic's own holds. Another name may mean another vendor's model.
const CLAUDE: &str = "claude-";

/// Which sampling parameters a model takes while it does not think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialects) enum Samplers {
    All,
    /// `temperature` and `top_p` exclude each other.
    TemperatureOrTopP,
    None,
}

/// The ways to think that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Within a budget, or not at all.
    Budget,
    /// Either way or not at all; and names that do not tell.
    Any,
    /// As much as it finds right, or not at all.
    Adaptive,
    /// As much as it finds right, and it can't be told not to.
    Always,
}

/// How `model` thinks.
pub(super) fn thinking(model: &str) -> Thinking {
    if is_any(model, UP_TO_4_0) || is_any(model, UP_TO_4_5) {
        Thinking::Budget
    } else if is_any(model, UP_TO_4_6) || !model.contains(CLAUDE) {
        Thinking::Any
    } else if is_any(model, UP_TO_5) || OF_5.iter().any(|name| is_exactly(model, name)) {
        Thinking::Adaptive
    } else {
        Thinking::Always
    }
}

/// What `model` takes.
pub(super) fn samplers(model: &str) -> Samplers {
    if !model.contains(CLAUDE) || is_any(model, UP_TO_4_0) {
        Samplers::All
    } else if is_any(model, UP_TO_4_5) || is_any(model, UP_TO_4_6) {
        Samplers::TemperatureOrTopP
    } else {
        Samplers::None
    }
}

/// Whether `model` is `name` with at most a date and what clouds append.
fn is_exactly(model: &str, name: &str) -> bool {
    let after = model.split_once(name).map(|(_, after)| after);
    after.is_some_and(|after| after.is_empty() || after.starts_with("-20") || after.starts_with(['@', ':']))
}

fn is_any(model: &str, names: &[&str]) -> bool {
    names.iter().any(|name| model.contains(name))
}

#[cfg(test)]
mod tests {
    use super::{Samplers, Thinking, samplers, thinking};

    #[test]
    fn models_are_told_apart() {
        use Samplers::{All, None, TemperatureOrTopP as One};
        use Thinking::{Adaptive, Always, Any, Budget};
        #[rustfmt::skip]
        let cases = [
            // id                                          thinking  samplers
            ("claude-3-7-sonnet-20250219",                 Budget,   All),
            ("claude-opus-4-20250514",                     Budget,   All),
            ("claude-opus-4-1-20250805",                   Budget,   One),
            ("claude-sonnet-4@20250514",                   Budget,   All),
            ("claude-haiku-4-5",                           Budget,   One),
            ("eu.anthropic.claude-opus-4-5-20251101-v1:0", Budget,   One),
            ("claude-sonnet-4-6",                          Any,      One),  // adaptive is recommended
            ("claude-opus-4-8",                            Adaptive, None),
            ("global.anthropic.claude-opus-5",             Adaptive, None),
            ("claude-opus-5-20260724",                     Adaptive, None),
            ("claude-sonnet-5@20260630",                   Adaptive, None),
            ("claude-opus-5-5",                            Always,   None),
            ("claude-sonnet-5-5",                          Always,   None),
            ("claude-fable-5-1",                           Always,   None),
            ("my-own-alias",                               Any,      All),  // whose?
        ];
        for (model, thinks, expected) in cases {
            assert_eq!(thinking(model), thinks, "{model}");
            assert_eq!(samplers(model), expected, "{model}");
        }
    }
}
