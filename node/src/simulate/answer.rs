//! What the simulator answers: thought, text or tool calls, token by token, within the request's bounds.

use serde_json::{Map, Value};

use super::ask::{Ask, Parallel, Tool, ToolChoice};
use super::schema;
use super::text::{greeting, mix, prose};
use super::tokens;

/// How the simulator speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) seed: u64,
    /// Tokens of an answer in prose.
    pub(crate) tokens: u64,
    pub(crate) chunk_tokens: usize,
    pub(crate) persona: Persona,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persona {
    /// Prose without meaning, of a stated length.
    Filler,
    /// The built-in demo model: says what it is and echoes the question.
    Demo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: Finish,
}

/// A part's tokens; together they are its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Reasoning(Vec<String>),
    Text(Vec<String>),
    Call(Call),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Unique in the answer; each dialect puts its own prefix before it.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) name_tokens: u64,
    pub(crate) arguments: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Tools,
}

/// Tokens by kind. `input` includes cached and cache-written tokens, `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_written: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Answer {
    pub(crate) fn output(&self) -> u64 {
        self.parts.iter().map(Part::tokens).sum()
    }

    pub(crate) fn reasoning(&self) -> u64 {
        let thought = |part: &Part| match part {
            Part::Reasoning(tokens) => tokens.len() as u64,
            Part::Text(_) | Part::Call(_) => 0,
        };
        self.parts.iter().map(thought).sum()
    }

    pub(crate) fn text(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(tokens) => tokens.concat(),
            Part::Reasoning(_) | Part::Call(_) => String::new(),
        };
        self.parts.iter().map(text).collect()
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            Part::Reasoning(_) | Part::Text(_) => None,
        })
    }
}

impl Part {
    fn tokens(&self) -> u64 {
        match self {
            Self::Reasoning(tokens) | Self::Text(tokens) => tokens.len() as u64,
            Self::Call(call) => call.name_tokens + call.arguments.len() as u64,
        }
    }
}

/// The answer that belongs to this request, this seed, and no other.
pub(crate) fn answer(ask: &Ask, voice: &Voice, fingerprint: u64) -> Answer {
    let seed = mix(voice.seed, fingerprint);
    let mut parts = Vec::new();
    if ask.reasoning > 0 {
        parts.push(Part::Reasoning(prose(mix(seed, 1), ask.reasoning)));
    }
    let tools = chosen_tools(ask);
    let mut finish = if tools.is_empty() { Finish::Stop } else { Finish::Tools };
    if tools.is_empty() {
        let (text, stop) = stopped(spoken(ask, voice, seed), &ask.stops);
        parts.push(Part::Text(text));
        finish = stop.map_or(finish, Finish::StopSequence);
    }
    for (index, tool) in tools.into_iter().enumerate() {
        parts.push(Part::Call(call(tool, mix(seed, 100 + index as u64))));
    }
    match ask.output_cap {
        Some(cap) => capped(parts, finish, cap),
        None => Answer { parts, finish },
    }
}

/// The tools to call: forced ones, or those that the user asks for.
fn chosen_tools(ask: &Ask) -> Vec<&Tool> {
    if ask.after_tool || ask.tools.is_empty() {
        return Vec::new();
    }
    let asked = ask.question.to_lowercase();
    let said =
        |word: &str| asked.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|w| w == word);
    let named: Vec<&Tool> = ask.tools.iter().filter(|tool| said(&tool.name.to_lowercase())).collect();
    let first = match &ask.choice {
        ToolChoice::Never => return Vec::new(),
        ToolChoice::Named(name) => match ask.tools.iter().find(|tool| tool.name == *name) {
            Some(tool) => tool,
            None => return Vec::new(),
        },
        ToolChoice::Auto if named.is_empty() && !said("tool") && !said("tools") => {
            return Vec::new();
        }
        ToolChoice::Auto | ToolChoice::Any => named.first().copied().unwrap_or(&ask.tools[0]),
    };
    if !said("twice") || ask.parallel == Parallel::Forbidden {
        return vec![first];
    }
    let second = match &ask.choice {
        ToolChoice::Named(_) => first,
        ToolChoice::Auto | ToolChoice::Any | ToolChoice::Never => named.get(1).copied().unwrap_or(first),
    };
    vec![first, second]
}

fn call(tool: &Tool, seed: u64) -> Call {
    let example = schema::example(&tool.schema);
    let arguments = if example.is_object() { example } else { Value::Object(Map::new()) };
    Call {
        id: format!("{seed:016x}"),
        name: tool.name.clone(),
        name_tokens: tokens::count(&tool.name),
        arguments: tokens::pieces(&arguments.to_string()),
    }
}

fn spoken(ask: &Ask, voice: &Voice, seed: u64) -> Vec<String> {
    if let Some(schema) = &ask.schema {
        return tokens::pieces(&schema::example(schema).to_string());
    }
    match voice.persona {
        Persona::Demo => tokens::pieces(&greeting(&ask.question)),
        Persona::Filler => {
            // No more than the cap lets through, or a large --tokens would cost every small request.
            let most = ask.output_cap.unwrap_or(voice.tokens).saturating_add(1);
            prose(mix(seed, 2), voice.tokens.min(most))
        }
    }
}

/// The text up to the first stop sequence in it, and which one that was.
fn stopped(text: Vec<String>, stops: &[String]) -> (Vec<String>, Option<String>) {
    if stops.is_empty() {
        return (text, None);
    }
    let whole = text.concat();
    let found = stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| whole.find(stop.as_str()).map(|at| (at, stop)))
        .min_by_key(|(at, _)| *at);
    match found {
        None => (text, None),
        Some((at, stop)) => (tokens::pieces(&whole[..at]), Some(stop.clone())),
    }
}

/// Ends the answer at the cap, in the middle of whatever it is in.
fn capped(parts: Vec<Part>, finish: Finish, cap: u64) -> Answer {
    let mut left = cap;
    let mut kept = Vec::new();
    let whole: u64 = parts.iter().map(Part::tokens).sum();
    for mut part in parts {
        if left == 0 {
            break;
        }
        match &mut part {
            Part::Reasoning(tokens) | Part::Text(tokens) => truncate(tokens, left),
            Part::Call(call) => {
                call.name_tokens = call.name_tokens.min(left);
                truncate(&mut call.arguments, left - call.name_tokens);
            }
        }
        left -= part.tokens();
        kept.push(part);
    }
    let finish = if whole > cap { Finish::Length } else { finish };
    Answer { parts: kept, finish }
}

fn truncate(tokens: &mut Vec<String>, length: u64) {
    tokens.truncate(usize::try_from(length).unwrap_or(usize::MAX));
}

#[cfg(test)]
#[path = "answer_test.rs"]
mod tests;
