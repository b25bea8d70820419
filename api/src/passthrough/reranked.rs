//! Answers of Cohere's rerank: what was read is told beside what is billed, which is searches.

use serde::Deserialize;

use crate::canonical::Usage;
use crate::seen::Seen;

#[derive(Deserialize)]
pub(super) struct Ranking {
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    tokens: Option<Tokens>,
    billed_units: Option<Tokens>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
}

impl Ranking {
    pub(super) fn note(&self, seen: &mut Seen) {
        let Some(meta) = &self.meta else { return };
        let said = [&meta.tokens, &meta.billed_units].into_iter().flatten();
        let Some(tokens) = said.into_iter().find(|tokens| tokens.input_tokens.is_some()) else { return };
        let (input, output) = (whole(tokens.input_tokens), whole(tokens.output_tokens));
        seen.usage = Some(Usage { input, output, total: input.saturating_add(output), ..Usage::default() });
    }
}

/// Its schema says that counts may have fractions; they never do.
fn whole(count: Option<f64>) -> u64 {
    let count = count.unwrap_or(0.0).ceil();
    // What is negative, or no number, is 0; what is too large is the largest.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    let whole = count as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_where_they_are() {
        let rows = [
            (r#"{"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":12}}}"#, Some(12)),
            (r#"{"meta":{"billed_units":{"input_tokens":5.0},"tokens":{}}}"#, Some(5)),
            (r#"{"meta":{"billed_units":{"search_units":1}}}"#, None),
            (r#"{"results":[]}"#, None),
        ];
        for (body, input) in rows {
            let mut seen = Seen::default();
            serde_json::from_str::<Ranking>(body).unwrap().note(&mut seen);
            assert_eq!(seen.usage.map(|usage| usage.input), input, "{body}");
        }
    }
}
