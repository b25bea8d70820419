//! Writes a chat-completions stream: chunks, a chunk with the finish reason, usage if asked for, `[DONE]`.

use http::StatusCode;
use serde::{Serialize, Serializer};

use super::finish_reason;
use super::wire::{ThinkingWritten, UsageWritten};
use crate::canonical::{Event, Stop, Usage};
use crate::dialects::{EncoderOptions, EventEncoder};
use crate::endpoint::Dialect;
use crate::error::{ApiError, ErrorKind};

pub(super) struct Encoder {
    options: EncoderOptions,
    id: String,
    model: String,
    created_s: u64,
    usage: Option<Usage>,
    started: bool,
    stopped: bool,
    /// Thinking since the last signature: a signed block is sent whole.
    thinking: String,
    /// How many thinking blocks were sent.
    blocks: usize,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "ShownUsage::is_hidden")]
    usage: ShownUsage,
}

/// A client that asks for usage gets `null` in all chunks but the last.
#[derive(Clone, Copy)]
enum ShownUsage {
    Hidden,
    NotYet,
    Final(Usage),
}

impl ShownUsage {
    const fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden)
    }
}

impl Serialize for ShownUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hidden | Self::NotYet => serializer.serialize_none(),
            Self::Final(usage) => UsageWritten::from(*usage).serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[ThinkingWritten<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> Call<'a> {
    const fn begun(index: usize, id: &'a str, name: &'a str) -> Self {
        let function = Function { name: Some(name), arguments: "" };
        Self { index, id: Some(id), r#type: Some("function"), function }
    }

    const fn continued(index: usize, arguments: &'a str) -> Self {
        let function = Function { name: None, arguments };
        Self { index, id: None, r#type: None, function }
    }
}

impl<'a> Delta<'a> {
    fn text(text: &'a str) -> Self {
        Self { content: Some(text), ..Self::default() }
    }

    fn reasoning(text: &'a str) -> Self {
        Self { reasoning_content: Some(text), ..Self::default() }
    }

    fn block(block: ThinkingWritten<'a>) -> Self {
        Self { thinking_blocks: Some([block]), ..Self::default() }
    }

    fn call(call: Call<'a>) -> Self {
        Self { tool_calls: Some([call]), ..Self::default() }
    }
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { id, model, created_s, usage } => {
                id.clone_into(&mut self.id);
                model.clone_into(&mut self.model);
                if *created_s > 0 {
                    self.created_s = *created_s;
                }
                self.usage = *usage;
                self.start(out);
            }
            Event::Text(text) => {
                // The answer has begun, so the thinking before it will not be signed any more.
                self.thinking.clear();
                self.delta(Delta::text(text), out);
            }
            Event::Thinking(text) => {
                self.thinking.push_str(text);
                self.delta(Delta::reasoning(text), out);
            }
            Event::Signature(signature) => self.sign(signature, out),
            Event::RedactedThinking { data } => {
                let index = Some(self.next_block());
                let block = ThinkingWritten::RedactedThinking { index, data };
                self.delta(Delta::block(block), out);
            }
            Event::ToolCallStarted { index, id, name } => {
                self.delta(Delta::call(Call::begun(*index, id, name)), out);
            }
            Event::ToolCallArguments { index, text } => {
                self.delta(Delta::call(Call::continued(*index, text)), out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Stopped(stop) => self.stop(stop, out),
            Event::Ended => self.end(out),
            Event::Failed { message, kind } => fail(message, *kind, out),
        }
    }
}

impl Encoder {
    pub(super) fn new(options: EncoderOptions) -> Self {
        Self {
            id: String::new(),
            model: String::new(),
            created_s: options.created_s,
            options,
            usage: None,
            started: false,
            stopped: false,
            thinking: String::new(),
            blocks: 0,
        }
    }

    /// The first chunk names the role.
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            self.delta(delta, out);
        }
    }

    fn next_block(&mut self) -> usize {
        self.blocks += 1;
        self.blocks - 1
    }

    fn sign(&mut self, signature: &str, out: &mut Vec<u8>) {
        let thinking = std::mem::take(&mut self.thinking);
        let block =
            ThinkingWritten::Thinking { index: Some(self.next_block()), thinking: &thinking, signature };
        self.delta(Delta::block(block), out);
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let choices = [Choice { index: 0, delta, finish_reason: None }];
        self.chunk(&choices, self.not_yet(), out);
    }

    fn stop(&mut self, stop: &Stop, out: &mut Vec<u8>) {
        if self.stopped {
            return;
        }
        self.start(out);
        self.stopped = true;
        let finish_reason = Some(finish_reason(stop.reason));
        let choices = [Choice { index: 0, delta: Delta::default(), finish_reason }];
        self.chunk(&choices, self.not_yet(), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.stop(&Stop::default(), out);
        if let Some(usage) = self.usage
            && self.options.show_usage
        {
            self.chunk(&[], ShownUsage::Final(usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    const fn not_yet(&self) -> ShownUsage {
        if self.options.show_usage { ShownUsage::NotYet } else { ShownUsage::Hidden }
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: ShownUsage, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created_s,
            model: &self.model,
            choices,
            usage,
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk).expect("writing to memory cannot fail");
        out.extend_from_slice(b"\n\n");
    }
}

/// No `[DONE]` follows: clients take it for success.
fn fail(message: &str, kind: ErrorKind, out: &mut Vec<u8>) {
    let error = ApiError {
        status: StatusCode::BAD_GATEWAY,
        kind,
        message: message.to_owned(),
        code: None,
        param: None,
    };
    out.extend_from_slice(b"data: ");
    // The body in this dialect names no request.
    out.extend_from_slice(&error.render(Dialect::OpenAi, ""));
    out.extend_from_slice(b"\n\n");
}
