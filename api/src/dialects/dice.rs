//! Seeded requests and replies for the round-trip tests: whatever a format can carry, in every mixture.

use serde_json::value::RawValue;

use crate::canonical::{
    Block, Content, Document, Effort, Json, JsonSchema, OutputFormat, Part, Place, Reasoning, ReasoningMode,
    Reply, Request, Role, Sampling, Source, Stop, StopReason, Tier, Tool, ToolChoice, Turn, Usage,
};

/// Which format must be able to carry what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Chat,
    Anthropic,
    Gemini,
    Converse,
}

/// A small linear congruential generator: the same seed, the same request, on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    fn some<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }

    pub(super) fn text(&mut self) -> String {
        let words = ["a", "\"quoted\"", "größe", "\n", "\\", "🦀", "</s>", "data: [DONE]", " ", "\u{1}"];
        let text: String = (0..=self.below(4)).map(|_| self.pick(&words)).collect();
        format!("t{text}")
    }

    fn json(&mut self) -> Json {
        let texts = [r#"{"type":"object"}"#, r#"{"z":1,"a":[true,null,"}"]}"#];
        Json(RawValue::from_string(self.pick(&texts).to_owned()).unwrap())
    }

    fn arguments(&mut self) -> String {
        self.pick(&["{}", r#"{"a":{"b":"}"}}"#, r#"{ "c" : [1, 2.50] }"#]).to_owned()
    }

    fn word(&mut self, start: &str) -> String {
        format!("{start}_{}", self.below(1000))
    }

    fn usage(&mut self) -> Usage {
        let (cached_input, cache_creation_input) = (self.below(9), self.below(9));
        let input = cached_input + cache_creation_input + self.below(99);
        let output = self.below(99);
        let reasoning = self.below(output + 1);
        let total = input + output;
        Usage { input, cached_input, cache_creation_input, output, reasoning, total }
    }
}

/// What both formats say in the same order: thinking, text, calls.
pub(super) fn reply(dice: &mut Dice) -> Reply {
    let mut blocks = dice.some(2, |dice| match dice.below(2) {
        0 => Block::RedactedThinking { data: dice.word("data") },
        _ => Block::Thinking { text: dice.text(), signature: Some(dice.word("sig")) },
    });
    if blocks.is_empty() {
        blocks.extend(dice.maybe(|dice| Block::Thinking { text: dice.text(), signature: None }));
    }
    blocks.extend(dice.maybe(|dice| Block::Text(dice.text())));
    let calls = dice.below(4);
    blocks.extend((0..calls).map(|index| Block::ToolCall {
        id: format!("call_{index}_{}", dice.below(99)),
        name: dice.word("tool"),
        arguments: dice.arguments(),
    }));
    let ends = [StopReason::EndTurn, StopReason::MaxTokens, StopReason::Refusal];
    let reason = if calls > 0 { StopReason::ToolUse } else { dice.pick(&ends) };
    Reply {
        id: dice.word("msg"),
        model: dice.word("model"),
        created_s: 0,
        blocks,
        stop: Stop { reason, sequence: None },
        usage: Some(dice.usage()),
    }
}

pub(super) fn request(dice: &mut Dice, carrier: Carrier) -> Request {
    let tools = dice.some(2, |dice| tool(dice, carrier));
    let (tool_choice, parallel_tool_calls) = tool_choice(dice, carrier, !tools.is_empty());
    let reasoning = reasoning(dice, carrier);
    let thinks = matches!(reasoning.mode, Some(ReasoningMode::Budget(_) | ReasoningMode::Adaptive));
    let max_output = dice.maybe(|dice| 9_000 + dice.below(9));
    let says_in_path = matches!(carrier, Carrier::Gemini | Carrier::Converse);
    let (model, stream) = if says_in_path { ("", false) } else { ("target", dice.coin()) };
    Request {
        model: model.to_owned(),
        stream,
        turns: turns(dice, carrier),
        max_output: max_output.or((carrier != Carrier::Chat).then_some(5_000)),
        sampling: if thinks { Sampling::default() } else { sampling(dice, carrier) },
        stop: dice.some(3, Dice::text),
        tools,
        tool_choice,
        parallel_tool_calls,
        reasoning,
        format: dice.maybe(|dice| format(dice, carrier)),
        user: dice.maybe(|dice| dice.word("user")).filter(|_| !says_in_path),
        tier: dice.maybe(|dice| dice.pick(&[Tier::Auto, Tier::Standard])).filter(|_| !says_in_path),
    }
}

fn tool(dice: &mut Dice, carrier: Carrier) -> Tool {
    let schemas =
        [r#"{"type":"object","properties":{}}"#, r#"{"properties":{"a":{}},"type":"object","x":"}"}"#];
    let schema = Json(RawValue::from_string(dice.pick(&schemas).to_owned()).unwrap());
    Tool {
        name: dice.word("tool"),
        description: dice.maybe(Dice::text),
        schema: Some(schema),
        strict: dice.maybe(Dice::coin).filter(|_| carrier != Carrier::Gemini),
        cache: cache(dice, carrier),
    }
}

/// Chat and Gemini have no cache marks of their own, and Converse's say one thing only: how long.
fn cache(dice: &mut Dice, carrier: Carrier) -> Option<Json> {
    let marks = [r#"{"type":"ephemeral"}"#, r#"{"type":"ephemeral","ttl":"1h"}"#];
    match carrier {
        Carrier::Chat | Carrier::Gemini => None,
        Carrier::Anthropic => dice.maybe(Dice::json),
        Carrier::Converse => {
            dice.maybe(|dice| Json(RawValue::from_string(dice.pick(&marks).to_owned()).unwrap()))
        }
    }
}

fn tool_choice(dice: &mut Dice, carrier: Carrier, has_tools: bool) -> (Option<ToolChoice>, Option<bool>) {
    let named = ToolChoice::Named(dice.word("tool"));
    let choice = dice.pick(&[ToolChoice::Auto, ToolChoice::Required, named]);
    match carrier {
        _ if !has_tools => (None, None),
        Carrier::Chat => (dice.maybe(|_| choice), dice.maybe(Dice::coin)),
        Carrier::Anthropic => (Some(choice), dice.maybe(|_| false)),
        Carrier::Gemini | Carrier::Converse => (dice.maybe(|_| choice), None),
    }
}

fn reasoning(dice: &mut Dice, carrier: Carrier) -> Reasoning {
    let efforts = [Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    let effort = dice.maybe(|dice| dice.pick(&efforts));
    let modes = [ReasoningMode::Budget(2_000), ReasoningMode::Adaptive, ReasoningMode::Off];
    let mode = dice.maybe(|dice| dice.pick(&modes));
    match carrier {
        Carrier::Chat if mode == Some(ReasoningMode::Off) => Reasoning { mode, ..Reasoning::default() },
        Carrier::Chat => Reasoning { effort, ..Reasoning::default() },
        Carrier::Converse => {
            let mode = mode.filter(|mode| *mode != ReasoningMode::Off);
            Reasoning {
                mode,
                effort: None,
                display: dice.maybe(|_| "omitted".to_owned()).filter(|_| mode.is_some()),
            }
        }
        Carrier::Anthropic => {
            let thinks = mode.is_some_and(|mode| mode != ReasoningMode::Off);
            let display = dice.maybe(|_| "omitted".to_owned()).filter(|_| thinks);
            Reasoning { mode, effort: effort.filter(|_| mode.is_some()), display }
        }
        // It has a word for one of both, and none above high.
        Carrier::Gemini => {
            let effort = effort.filter(|effort| mode.is_none() && !effort.is_above_high());
            Reasoning { mode, effort, display: None }
        }
    }
}

fn sampling(dice: &mut Dice, carrier: Carrier) -> Sampling {
    let sampling = Sampling {
        temperature: dice.maybe(|dice| dice.pick(&[0.0, 0.25, 1.0])),
        top_p: dice.maybe(|dice| dice.pick(&[0.5, 0.95])),
        ..Sampling::default()
    };
    match carrier {
        Carrier::Anthropic | Carrier::Converse => {
            Sampling { top_k: dice.maybe(|dice| dice.below(40)), ..sampling }
        }
        Carrier::Chat | Carrier::Gemini => Sampling {
            frequency_penalty: dice.maybe(|_| -0.5),
            presence_penalty: dice.maybe(|_| 1.5),
            seed: dice.maybe(|_| -7),
            top_k: dice.maybe(|dice| dice.below(40)).filter(|_| carrier == Carrier::Gemini),
            ..sampling
        },
    }
}

fn format(dice: &mut Dice, carrier: Carrier) -> OutputFormat {
    let schema = dice.json();
    match carrier {
        Carrier::Chat | Carrier::Gemini if dice.coin() => OutputFormat::JsonObject,
        Carrier::Chat => OutputFormat::JsonSchema(JsonSchema {
            name: Some(dice.word("name")),
            description: dice.maybe(Dice::text),
            schema,
            strict: dice.maybe(Dice::coin),
        }),
        Carrier::Converse => OutputFormat::JsonSchema(JsonSchema {
            name: dice.maybe(|dice| dice.word("name")),
            description: dice.maybe(Dice::text),
            schema,
            strict: Some(false),
        }),
        Carrier::Anthropic | Carrier::Gemini => {
            // Neither of the schemas is closed.
            OutputFormat::JsonSchema(JsonSchema {
                name: None,
                description: None,
                schema,
                strict: Some(false),
            })
        }
    }
}

fn turns(dice: &mut Dice, carrier: Carrier) -> Vec<Turn> {
    let mut turns = Vec::new();
    if dice.coin() {
        turns.push(Turn { role: Role::System, parts: vec![text(dice, carrier)] });
    }
    for _ in 0..dice.below(3) {
        turns.extend(user(dice, carrier));
        let turn = assistant(dice, carrier);
        let answers = if carrier == Carrier::Gemini { results(dice, &turn) } else { Vec::new() };
        turns.push(turn);
        turns.extend((!answers.is_empty()).then_some(Turn { role: Role::User, parts: answers }));
    }
    turns
}

/// An answer to each call of `turn`: a Gemini client must give as many.
fn results(dice: &mut Dice, turn: &Turn) -> Vec<Part> {
    let mut results = Vec::new();
    for call in &turn.parts {
        if let Content::ToolCall { id, .. } = &call.content {
            let parts = dice.some(1, |dice| text(dice, Carrier::Gemini));
            let content = Content::ToolResult { call_id: id.clone(), parts, is_error: dice.coin() };
            results.push(part(content, None));
        }
    }
    results
}

fn part(content: Content, cache: Option<Json>) -> Part {
    Part { content, cache, place: Place::default() }
}

fn text(dice: &mut Dice, carrier: Carrier) -> Part {
    let text = Content::Text(dice.text());
    part(text, cache(dice, carrier))
}

/// A user's turn: one for all results in one format, one for each in the other.
fn user(dice: &mut Dice, carrier: Carrier) -> Vec<Turn> {
    let results = dice.some(2, |dice| {
        let mut parts = dice.some(2, |dice| text(dice, carrier));
        if carrier == Carrier::Converse {
            // A mark inside a result would move to its end.
            for part in &mut parts {
                part.cache = None;
            }
        }
        let is_error = dice.coin() && carrier != Carrier::Chat;
        let content = Content::ToolResult { call_id: dice.word("call"), parts, is_error };
        part(content, cache(dice, carrier))
    });
    let mut said = dice.some(2, |dice| file(dice, carrier));
    said.push(text(dice, carrier));
    let turn = |parts| Turn { role: Role::User, parts };
    match carrier {
        Carrier::Anthropic | Carrier::Converse => vec![turn([results, said].concat())],
        Carrier::Gemini => vec![turn(said)],
        Carrier::Chat => results.into_iter().map(|result| turn(vec![result])).chain([turn(said)]).collect(),
    }
}

fn file(dice: &mut Dice, carrier: Carrier) -> Part {
    let data =
        |media_type: &str| Source::Base64 { media_type: media_type.to_owned(), data: "AAECAw==".to_owned() };
    let content = match dice.below(3) {
        0 => Content::Image(data("image/png")),
        1 if carrier == Carrier::Converse => Content::Image(data("image/jpeg")),
        1 => Content::Image(Source::Url("https://example.com/a.png?b=c,d".to_owned())),
        // Converse takes each name once, and not every letter.
        _ if carrier == Carrier::Converse => {
            let title = Some(format!("file-{}", dice.below(u64::MAX)));
            let source = if dice.coin() { data("application/pdf") } else { Source::Text(dice.text()) };
            Content::Document(Document { source, title })
        }
        _ => {
            let title = Some(dice.word("file")).filter(|_| carrier != Carrier::Gemini);
            Content::Document(Document { source: data("application/pdf"), title })
        }
    };
    part(content, cache(dice, carrier))
}

fn assistant(dice: &mut Dice, carrier: Carrier) -> Turn {
    let mut parts = match carrier {
        Carrier::Chat => Vec::new(),
        Carrier::Anthropic | Carrier::Converse => dice.some(2, |dice| {
            let signature = Some(dice.word("sig"));
            let content = match dice.below(2) {
                0 => Content::RedactedThinking { data: dice.word("data") },
                _ => Content::Thinking { text: dice.text(), signature },
            };
            part(content, None)
        }),
        Carrier::Gemini => dice.some(2, |dice| {
            let signature = Some(format!("google:{}", dice.word("sig")));
            part(Content::Thinking { text: dice.text(), signature }, None)
        }),
    };
    parts.push(text(dice, carrier));
    parts.extend(dice.some(3, |dice| {
        let (id, name) = (dice.word("call"), dice.word("tool"));
        let content = Content::ToolCall { id, name, arguments: dice.arguments() };
        part(content, cache(dice, carrier))
    }));
    Turn { role: Role::Assistant, parts }
}
