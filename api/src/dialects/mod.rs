//! The wire formats that can be translated into each other, each as one struct of functions around the canonical model.
//!
//! ```text
//! client body ─ decode_request ─▶ canonical::Request ─ encode_request ─▶ upstream body
//! client body ◀─ encode_reply ─── canonical::Reply ◀─── decode_reply ─── upstream body
//! client SSE  ◀─ EventEncoder ─── canonical::Event ◀─── EventDecoder ─── upstream SSE
//! ```
//!
//! There is one folder a format and never one a pair, so a new format costs one codec. No I/O, no clock.
//!
//! # What a chat client gets from an Anthropic upstream
//!
//! | the client sends | becomes |
//! | --- | --- |
//! | `system` and `developer` messages, anywhere | `system`, in their order |
//! | neighbouring messages of one role; `tool` messages and the user's next | one turn, results of tools first |
//! | images as data or http(s) URL; files as PDF data | `image`, `document`; `detail` is dropped, `image/jpg` is called `image/jpeg` |
//! | tools, `tool_choice`, `parallel_tool_calls: false`, `strict` | the same; a tool without parameters gets an empty schema, one without a type becomes an object's |
//! | empty arguments of a call, arguments that are no JSON object | `{}`, `{"raw_arguments": "…"}` |
//! | text of white space only, and a turn that holds nothing else; `tool_choice` without tools | dropped: Anthropic refuses them |
//! | `max_tokens`, `max_completion_tokens` (the larger) | `max_tokens`; without one the gateway's cap, else 4,096 and room to think |
//! | `reasoning_effort` | up to Claude 4.5: a thinking budget (1,024 minimal, 4,096 low, 8,192 medium, 16,384 high, 24,576 above), at most half of `max_tokens`; later models: `adaptive` and `output_config.effort`. Dropped beside a forced tool, where those after Claude 4.6 that can be are told not to think |
//! | `thinking` of a kind that the model refuses | the effort that comes nearest; what can't be told not to think gets `low` |
//! | other `thinking`, `top_k`, `cache_control`, `thinking_blocks`, `is_error` | the same: they are Anthropic's own |
//! | `temperature`, `top_k`, `top_p` below 0.95 while thinking; all three for models after Claude 4.6; `top_p` beside `temperature` from Claude 4.1 on | dropped: Anthropic refuses them there |
//! | `temperature` above 1; penalties | 1; dropped (as Anthropic's own OpenAI-compatible endpoint does) |
//! | `response_format`: `json_schema`, `text`, `json_object` | `output_config.format`, nothing, a last sentence of `system` that asks for one JSON object |
//! | `stop`, `user` or `safety_identifier`, `service_tier: auto, default` | `stop_sequences`, `metadata.user_id`, `service_tier: auto, standard_only`; other tiers are refused |
//! | thinking without a signature (`reasoning_content` alone) | dropped: Anthropic takes back signed thinking only |
//! | `seed`, `metadata`, `store`, `prediction`, `verbosity`, `stream_options`, `prompt_cache_*`, names of participants | dropped: hints by the API's own words |
//! | `n` above 1, `logprobs`, `logit_bias`, audio, `functions`, custom tools, `allowed_tools`, file ids, any other field | refused, with the field's path |
//!
//! # What a messages client gets from a chat upstream
//!
//! | the client sends | becomes |
//! | --- | --- |
//! | `system`, and system turns | `system` messages where they stood |
//! | results of tools | a `tool` message each; images in them go into the user message that follows; a failed one begins with `Error: ` |
//! | images, PDF data, text documents | `image_url`, `file` with the title as its name, text below its title; documents by URL, file ids and citations are refused |
//! | a tool's `input_schema` | `parameters`; an object's without `properties` gets empty ones |
//! | `tool_choice` without tools | dropped: OpenAI refuses it |
//! | `max_tokens` | `max_completion_tokens` |
//! | `thinking` with a budget | `reasoning_effort`: low up to 4,096, medium up to 16,384, high above; `disabled` is `none`, `adaptive` leaves it to the model; `none` always for gpt-5.4 and later with tools, since chat completions refuses them beside reasoning |
//! | `output_config.effort`, `output_config.format` (or `output_format`) | `reasoning_effort`, a `json_schema` named `response`, strict if each of its objects requires all its properties and forbids others |
//! | thinking blocks of earlier turns, cache marks, `context_management`, `diagnostics`, hints on tools | dropped: they mean something to Anthropic's servers only |
//! | `metadata.user_id` | `user`, unless it is longer than the 64 bytes that OpenAI takes |
//! | `top_k`, an empty `mcp_servers` | dropped: a hint on how to draw, and nothing |
//! | `container`, other `mcp_servers`, tools that run at Anthropic, `speed: fast`, any other field | refused, with the field's path |
//!
//! # What chat and messages clients get from a Gemini upstream
//!
//! | the client sends | becomes |
//! | --- | --- |
//! | system text, anywhere | `systemInstruction` |
//! | results of tools | `functionResponse` with `output` or `error`, all of a turn in one content; the function's name is that of the call; images in them follow in a content of their own |
//! | images and PDFs as data | `inlineData`; by http(s) URL `fileData`, if the URL's ending tells the type, else refused; text documents become text below their title |
//! | tools, `tool_choice` | `functionDeclarations` with the schema as written, `functionCallingConfig` (one named function is `ANY` with its name) |
//! | `max_tokens` and its like, `stop`, `seed` (to 32 bits), `temperature`, `top_p`, `top_k`, penalties | `generationConfig` |
//! | `response_format`, `output_config.format` | `responseMimeType`, `responseJsonSchema` |
//! | `reasoning_effort`, `thinking` | Gemini 2.5: `thinkingBudget` (1,024 up to low, 8,192 medium, 24,576 above; at most half of the bound on output), within what the model takes; Gemini 3 and later: `thinkingLevel` (`LOW` for what asks for less or none); nothing for those before 2.5, which do not think. Summaries of thoughts are asked for with it |
//! | thinking signed by Google (`google:…`) | `thought`, and `thoughtSignature` on the part that follows; thinking that others signed is dropped, and Google's is dropped elsewhere |
//! | calls without a signature, Gemini 3 and later | Google's word that lets the first of them pass |
//! | `parallel_tool_calls: false`, `strict`, cache marks, `user`, `service_tier`, titles of PDFs | dropped: there is no field for them, and Google's own OpenAI-compatible endpoint ignores the first two |
//!
//! # What a Gemini client gets from chat and Anthropic upstreams
//!
//! | the client sends | becomes |
//! | --- | --- |
//! | `responseSchema`, `parameters` (OpenAPI's) | JSON Schema: small letters, `nullable` as a type |
//! | a `functionResponse` without an id | the result of the first call of that function that has none |
//! | `thinkingBudget`, `thinkingLevel` | a budget (0 is off, -1 adaptive), an effort |
//! | `inlineData` of images, PDFs and plain text; `fileData` by http(s) URL | the same; other types, `gs://` and files at Google are refused |
//! | `safetySettings`, `labels`, `mediaResolution` | dropped: they are for Google's filters, bills and models |
//! | `cachedContent`, tools that run at Google, several allowed names, `candidateCount` above 1, other modalities, any other field | refused, with the field's path |
//!
//! Thinking that others signed reaches it as a `thoughtSignature` of ours, which is taken back as what it was.
//!
//! # Answers, both ways
//!
//! | Gemini | chat, Anthropic |
//! | --- | --- |
//! | `STOP` | `stop`, `end_turn`; beside calls `tool_calls`, `tool_use` |
//! | `MAX_TOKENS` | `length`, `max_tokens` |
//! | `SAFETY` and the other filters, a blocked prompt | `content_filter`, `refusal`; written as `SAFETY` |
//! | `promptTokenCount` + `toolUsePromptTokenCount`; `candidatesTokenCount` + `thoughtsTokenCount` | input and output tokens, thoughts as reasoning |
//! | generated images, citations, safety ratings | dropped |
//!
//! | Anthropic | chat |
//! | --- | --- |
//! | `end_turn`, `stop_sequence`, `pause_turn` | `stop` (read as `end_turn`, or `tool_use` beside calls, or `refusal` beside a refusal's text) |
//! | `max_tokens`, `model_context_window_exceeded` | `length` (read as `max_tokens`) |
//! | `tool_use` | `tool_calls`, `function_call` |
//! | `refusal` | `content_filter`; a refusal's text is text |
//! | thinking and its signature, redacted thinking | `reasoning_content`, `thinking_blocks` |
//! | `input_tokens` + cache reads + cache writes | `prompt_tokens` |
//! | a call's `input`, an object | a call's `arguments`; what is no object is kept as `{"raw_arguments": "…"}` |
//! | a call's `id` | the same; one that is missing or repeats is made of the answer's id and a number |

mod balance;
mod call_ids;
mod fields;
mod schema;

pub(crate) mod anthropic_messages;
pub(crate) mod bedrock_converse;
pub(crate) mod gemini;
pub(crate) mod openai_chat;

use crate::borrowed::Text;
use crate::canonical::{Event, Reply, Request};
use crate::error::{Malformed, Untranslatable};

/// How one wire format is read and written.
pub(crate) struct Codec {
    /// Reads a client's request; what no other format could carry is refused here.
    pub(crate) decode_request: fn(&[u8]) -> Result<Request, Untranslatable>,
    /// Writes a request for an upstream; what this format cannot carry is refused here.
    pub(crate) encode_request: fn(&Request, &EncodeTarget<'_>) -> Result<Vec<u8>, Untranslatable>,
    /// Reads a whole answer.
    pub(crate) decode_reply: fn(&[u8]) -> Result<Reply, Malformed>,
    /// Writes a whole answer.
    pub(crate) encode_reply: fn(&Reply) -> Vec<u8>,
    /// Begins to read a streamed answer.
    pub(crate) decoder: fn() -> Box<dyn EventDecoder + Send>,
    /// Begins to write a streamed answer.
    pub(crate) encoder: fn(&EncoderOptions) -> Box<dyn EventEncoder + Send>,
}

/// What the upstream is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeTarget<'a> {
    /// The upstream's name of the model.
    pub(crate) model: &'a str,
    /// Bounds the output below what the client allows; never raises the client's own bound.
    pub(crate) output_cap: Option<u64>,
}

/// How a client wants its stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderOptions {
    /// The client asked for the usage chunk. Formats that always show usage ignore it.
    pub(crate) show_usage: bool,
    /// When the answer is made, for dialects that say so, unless the upstream's own time is known.
    pub(crate) created_s: u64,
}

/// Reads an upstream's stream.
pub(crate) trait EventDecoder {
    /// Reads one server-sent event: its name, if it has one, and its data.
    fn decode(&mut self, event: Option<&str>, data: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed>;
}

/// Writes a client's stream.
pub(crate) trait EventEncoder {
    /// Appends whole server-sent events, or nothing yet.
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>);
}

/// The text, unless there is none to speak of: many servers send `""` where they mean nothing.
fn said(text: Option<Text<'_>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| text.0.into_owned())
}

#[cfg(test)]
mod carried_test;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod refusal_test;
#[cfg(test)]
mod roundtrip_test;
