//! What a model's id tells about the parameters that Anthropic takes for it.
//!
//! | model | thinking | `temperature`, `top_p`, `top_k` |
//! | --- | --- | --- |
//! | up to Claude 4.0 | a budget | all |
//! | Claude 4.1 to 4.5 | a budget | `temperature` or `top_p`, not both |
//! | Claude 4.6 | adaptive, or a budget | `temperature` or `top_p`, not both |
//! | later ones | adaptive | none |
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

/// What every id of Anthropic's own holds. Another name may mean another vendor's model.
const CLAUDE: &str = "claude-";

/// Which sampling parameters a model takes while it does not think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samplers {
    All,
    /// `temperature` and `top_p` exclude each other.
    TemperatureOrTopP,
    None,
}

/// True for a model that thinks within a budget or not at all.
pub(super) fn knows_budgets_only(model: &str) -> bool {
    is_any(model, UP_TO_4_0) || is_any(model, UP_TO_4_5)
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

fn is_any(model: &str, names: &[&str]) -> bool {
    names.iter().any(|name| model.contains(name))
}

#[cfg(test)]
mod tests {
    use super::{Samplers, knows_budgets_only, samplers};

    #[test]
    fn models_are_told_apart() {
        use Samplers::{All, None, TemperatureOrTopP as One};
        #[rustfmt::skip]
        let cases = [
            // id                                          budgets  samplers
            ("claude-3-7-sonnet-20250219",                 true,    All),
            ("claude-opus-4-20250514",                     true,    All),
            ("claude-opus-4-1-20250805",                   true,    One),
            ("claude-sonnet-4@20250514",                   true,    All),
            ("claude-haiku-4-5",                           true,    One),
            ("eu.anthropic.claude-opus-4-5-20251101-v1:0", true,    One),
            ("claude-sonnet-4-6",                          false,   One),  // takes both ways to think, adaptive is recommended
            ("claude-opus-4-8",                            false,   None),
            ("claude-sonnet-5-5",                          false,   None),
            ("my-own-alias",                               false,   All),  // the future is likelier than the past, but whose?
        ];
        for (model, budgets, expected) in cases {
            assert_eq!(knows_budgets_only(model), budgets, "{model}");
            assert_eq!(samplers(model), expected, "{model}");
        }
    }
}
