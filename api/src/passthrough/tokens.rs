//! Usage as providers report it, read without copying, and written where the gateway ends a stream itself.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::borrowed::Count;
use crate::canonical::Usage;

/// Usage of OpenAI's endpoints: `prompt_tokens` and `completion_tokens`, or in the Responses API `input_tokens` and
/// `output_tokens`. Imitators put the cached part in places of their own.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OpenAiTokens {
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// DeepSeek
    prompt_cache_hit_tokens: Count,
    /// Moonshot
    cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
}

impl OpenAiTokens {
    pub(super) fn usage(&self) -> Usage {
        let read = self.prompt_tokens_details.or(self.input_tokens_details).unwrap_or_default();
        let written = self.completion_tokens_details.or(self.output_tokens_details).unwrap_or_default();
        let input = first([self.prompt_tokens, self.input_tokens]);
        let reported = first([self.completion_tokens, self.output_tokens]);
        let reasoning = first([written.reasoning_tokens]);
        let total = self.total_tokens.0;
        // Some report reasoning beside the completion, not as a part of it; the total tells.
        let beside = reasoning > 0 && total == Some(input.saturating_add(reported).saturating_add(reasoning));
        let output = if beside { reported.saturating_add(reasoning) } else { reported };
        Usage {
            input,
            cached_input: first([read.cached_tokens, self.prompt_cache_hit_tokens, self.cached_tokens]),
            cache_creation_input: first([read.cache_write_tokens]),
            output,
            reasoning,
            total: total.unwrap_or(input.saturating_add(output)),
        }
    }
}

/// Usage of Anthropic's Messages. `input_tokens` excludes what was read from or written to a cache. A stream reports
/// it more than once: each figure replaces the earlier one, a figure that is left out stays.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicTokens {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    output_tokens_details: Option<ThinkingDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ThinkingDetails {
    thinking_tokens: Count,
}

impl AnthropicTokens {
    pub(super) fn update(&mut self, newer: &Self) {
        for (old, new) in [
            (&mut self.input_tokens, newer.input_tokens),
            (&mut self.output_tokens, newer.output_tokens),
            (&mut self.cache_read_input_tokens, newer.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, newer.cache_creation_input_tokens),
        ] {
            old.0 = new.0.or(old.0);
        }
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }

    pub(super) fn usage(&self) -> Usage {
        let cached_input = first([self.cache_read_input_tokens]);
        let cache_creation_input = first([self.cache_creation_input_tokens]);
        let input =
            first([self.input_tokens]).saturating_add(cached_input).saturating_add(cache_creation_input);
        let output = first([self.output_tokens]);
        let reasoning = first([self.output_tokens_details.unwrap_or_default().thinking_tokens]);
        Usage {
            input,
            cached_input,
            cache_creation_input,
            output,
            reasoning,
            total: input.saturating_add(output),
        }
    }
}

/// As chat and legacy completions write it.
pub(super) fn of_choices(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_creation_input,
        },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}

/// As the Responses API writes it.
pub(super) fn of_response(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_creation_input,
        },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total,
    })
}

/// As Anthropic's `message_delta` writes it.
pub(super) fn of_message(usage: &Usage) -> Value {
    let uncached = usage.input.saturating_sub(usage.cached_input).saturating_sub(usage.cache_creation_input);
    json!({
        "input_tokens": uncached,
        "cache_creation_input_tokens": usage.cache_creation_input,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output,
    })
}

/// The first figure that was given.
fn first<const N: usize>(counts: [Count; N]) -> u64 {
    counts.iter().find_map(|count| count.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{AnthropicTokens, OpenAiTokens};
    use crate::canonical::Usage;

    const fn usage(counts: [u64; 6]) -> Usage {
        let [input, cached_input, cache_creation_input, output, reasoning, total] = counts;
        Usage { input, cached_input, cache_creation_input, output, reasoning, total }
    }

    #[test]
    fn openai_figures() {
        #[rustfmt::skip]
        let cases = [
            // reported                                                                         input cached written output reasoning total
            (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}"#,                              [9, 0, 0, 4, 0, 13]),
            (r#"{"prompt_tokens":9,"total_tokens":9}"#,                                                     [9, 0, 0, 0, 0, 9]),   // embeddings
            (r#"{"prompt_tokens":9,"completion_tokens":4}"#,                                                [9, 0, 0, 4, 0, 13]),  // no total
            (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#, [9, 5, 2, 4, 3, 13]),
            (r#"{"input_tokens":9,"output_tokens":4,"total_tokens":13,"input_tokens_details":{"cached_tokens":5},"output_tokens_details":{"reasoning_tokens":3}}"#, [9, 5, 0, 4, 3, 13]),
            (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":16,"completion_tokens_details":{"reasoning_tokens":3}}"#, [9, 0, 0, 7, 3, 16]), // reasoning beside
            (r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_cache_hit_tokens":6,"prompt_tokens_details":null}"#, [9, 6, 0, 4, 0, 13]),
            (r#"{"prompt_tokens":9,"completion_tokens":4,"cached_tokens":6}"#,                              [9, 6, 0, 4, 0, 13]),
            ("{}",                                                                                          [0, 0, 0, 0, 0, 0]),
        ];
        for (json, expected) in cases {
            assert_eq!(
                serde_json::from_str::<OpenAiTokens>(json).unwrap().usage(),
                usage(expected),
                "{json}"
            );
        }
    }

    #[test]
    fn anthropic_figures_are_replaced_and_never_added() {
        #[rustfmt::skip]
        let steps = [
            // reported                                                                              input cached written output reasoning total
            (r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}"#, [130, 100, 20, 1, 0, 131]),
            (r#"{"output_tokens":7}"#,                                                                       [130, 100, 20, 7, 0, 137]), // the rest stays
            (r#"{"input_tokens":12,"cache_read_input_tokens":null,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}"#, [132, 100, 20, 9, 4, 141]),
            (r#"{"cache_read_input_tokens":0}"#,                                                             [32, 0, 20, 9, 4, 41]),    // zero is a figure
        ];
        let mut tokens = AnthropicTokens::default();
        for (json, expected) in steps {
            tokens.update(&serde_json::from_str(json).unwrap());
            assert_eq!(tokens.usage(), usage(expected), "{json}");
        }
    }
}
