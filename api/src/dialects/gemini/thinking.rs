//! The wish to think in Google's words, and back.

use serde::Serialize;

use super::models::{self, Bounds, Medium, Thinking};
use crate::canonical::{Effort, Reasoning, ReasoningMode};
use crate::dialects::fields::Fields;
use crate::dialects::openai_chat::effort_of_budget;
use crate::error::Untranslatable;

/// `thinkingBudget` of a model that is to decide itself.
const DYNAMIC: i64 = -1;

/// What hides summaries of thoughts, as Anthropic's clients say it.
const OMITTED: &str = "omitted";

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// What `model` is told; None: nothing, since nothing was wished, or it does not think. Thoughts count towards
/// `max_output`, of which they get at most half unless the client chose their number itself.
pub(super) fn config(reasoning: &Reasoning, model: &str, max_output: Option<u64>) -> Option<Config> {
    let Reasoning { mode, effort, display } = reasoning;
    if mode.is_none() && effort.is_none() {
        return None;
    }
    let (thinking_budget, thinking_level) = match models::thinking(model) {
        Thinking::Never => return None,
        Thinking::Budget(bounds) => (Some(budget(*mode, *effort, (bounds, max_output))), None),
        Thinking::Level { medium } => (None, level(*mode, *effort, medium)),
        Thinking::Any => match (mode, effort) {
            (Some(ReasoningMode::Off), _) => (Some(0), None),
            (Some(ReasoningMode::Budget(tokens)), _) => (Some(signed(*tokens)), None),
            (_, Some(effort)) => (None, Some(word(*effort, Medium::Known))),
            (Some(ReasoningMode::Adaptive) | None, None) => (Some(DYNAMIC), None),
        },
    };
    let thinks = *mode != Some(ReasoningMode::Off);
    let include_thoughts = thinks && display.as_deref() != Some(OMITTED);
    Some(Config { include_thoughts, thinking_budget, thinking_level })
}

fn budget(
    mode: Option<ReasoningMode>,
    effort: Option<Effort>,
    (bounds, max_output): (Bounds, Option<u64>),
) -> i64 {
    let tokens = match (mode, effort) {
        (Some(ReasoningMode::Off), _) | (None, Some(Effort::None)) => return signed(bounds.off),
        (Some(ReasoningMode::Budget(tokens)), _) => tokens,
        (Some(ReasoningMode::Adaptive) | None, Some(effort)) => {
            let half = max_output.map_or(u64::MAX, |most| most / 2);
            budget_of_effort(effort).min(half)
        }
        (Some(ReasoningMode::Adaptive) | None, None) => return DYNAMIC,
    };
    signed(tokens.clamp(bounds.least, bounds.most))
}

/// None leaves it to the model, which thinks by itself.
fn level(mode: Option<ReasoningMode>, effort: Option<Effort>, medium: Medium) -> Option<&'static str> {
    match (mode, effort) {
        // None of them can be told not to think at all.
        (Some(ReasoningMode::Off), _) => Some(word(Effort::Low, medium)),
        (_, Some(effort)) => Some(word(effort, medium)),
        (Some(ReasoningMode::Budget(tokens)), None) => Some(word(effort_of_budget(tokens), medium)),
        (Some(ReasoningMode::Adaptive) | None, None) => None,
    }
}

/// `MINIMAL` is left out: newer models do not take it.
const fn word(effort: Effort, medium: Medium) -> &'static str {
    match (effort, medium) {
        (Effort::None | Effort::Minimal | Effort::Low, _) => "LOW",
        (Effort::Medium, Medium::Known) => "MEDIUM",
        (Effort::Medium, Medium::Unknown) | (Effort::High | Effort::Xhigh | Effort::Max, _) => "HIGH",
    }
}

/// As Google's own OpenAI-compatible endpoint reads an effort.
const fn budget_of_effort(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High | Effort::Xhigh | Effort::Max => 24_576,
    }
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// What a client of Gemini's API says. Whether it wants to see thoughts is no part of how much is thought.
pub(super) fn read(mut config: Fields<'_>) -> Result<Reasoning, Untranslatable> {
    let _shown: Option<bool> = config.optional("includeThoughts")?;
    let mode = match config.optional::<i64>("thinkingBudget")? {
        None => None,
        Some(0) => Some(ReasoningMode::Off),
        Some(tokens) => Some(u64::try_from(tokens).map_or(ReasoningMode::Adaptive, ReasoningMode::Budget)),
    };
    let effort =
        match config.optional::<String>("thinkingLevel")? {
            None => None,
            Some(level) if level == "THINKING_LEVEL_UNSPECIFIED" => None,
            Some(level) => {
                let effort = Effort::named(&level.to_ascii_lowercase());
                Some(effort.ok_or_else(|| {
                    config.refuse("thinkingLevel", &format!("`{level}` is not a known level."))
                })?)
            }
        };
    config.finish()?;
    Ok(Reasoning { mode, effort, display: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_said_in_the_models_words() {
        use Effort::{High, Low, Max, Medium, Minimal};
        use ReasoningMode::{Adaptive, Budget, Off};
        const NEVER: &str = "gemini-2.0-flash";
        const FLASH: &str = "gemini-2.5-flash";
        const PRO: &str = "gemini-2.5-pro";
        const THREE: &str = "gemini-3-pro-preview";
        const FOUR: &str = "gemini-4-argon";
        let budget = |tokens| (Some(tokens), None);
        let level = |word| (None, Some(word));
        #[rustfmt::skip]
        let cases = [
            // model  mode                effort         bound       told             thoughts shown
            (FLASH, None,                 Some(Minimal), None,       budget(1024),    true),
            (FLASH, None,                 Some(Medium),  None,       budget(8192),    true),
            (FLASH, None,                 Some(High),    Some(4000), budget(2000),    true),  // half for the answer
            (FLASH, None,                 Some(High),    Some(0),    budget(1),       true),  // its least
            (FLASH, Some(Off),            None,          None,       budget(0),       false),
            (PRO,   Some(Off),            None,          None,       budget(128),     false), // it always thinks
            (PRO,   Some(Budget(2000)),   Some(Low),     Some(900),  budget(2000),    true),  // the client's number
            (PRO,   Some(Budget(90_000)), None,          None,       budget(32_768),  true),  // its most
            (FLASH, Some(Adaptive),       None,          None,       budget(-1),      true),
            (FLASH, Some(Adaptive),       Some(Low),     None,       budget(1024),    true),
            (THREE, None,                 Some(Minimal), None,       level("LOW"),    true),
            (THREE, None,                 Some(Medium),  None,       level("HIGH"),   true),  // knows no medium
            (FOUR,  None,                 Some(Medium),  None,       level("MEDIUM"), true),
            (FOUR,  None,                 Some(Max),     None,       level("HIGH"),   true),
            (FOUR,  Some(Off),            Some(High),    None,       level("LOW"),    false),
            (FOUR,  Some(Budget(2000)),   None,          None,       level("LOW"),    true),
            (FOUR,  Some(Adaptive),       None,          None,       (None, None),    true),
            ("x",   Some(Budget(2000)),   None,          None,       budget(2000),    true),
            ("x",   Some(Off),            None,          None,       budget(0),       false),
            ("x",   None,                 Some(Low),     None,       level("LOW"),    true),
        ];
        for (model, mode, effort, max_output, (thinking_budget, thinking_level), include_thoughts) in cases {
            let reasoning = Reasoning { mode, effort, display: None };
            let expected = Config { include_thoughts, thinking_budget, thinking_level };
            assert_eq!(config(&reasoning, model, max_output), Some(expected), "{model} {reasoning:?}");
        }
        let wish = Reasoning { effort: Some(High), ..Reasoning::default() };
        assert_eq!(config(&wish, NEVER, None), None, "it would refuse");
        assert_eq!(config(&Reasoning::default(), PRO, None), None);
        let hidden = Reasoning { display: Some(OMITTED.to_owned()), ..wish };
        assert_eq!(config(&hidden, PRO, None).map(|config| config.include_thoughts), Some(false));
    }
}
