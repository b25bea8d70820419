//! What answers look like on the wire, whole and as a stream's chunks, which are whole answers each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::usage::{UsageRead, UsageWritten};
use crate::borrowed::{Count, Text};

/// An answer, or a chunk of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) response_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model_version: Text<'a>,
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub(super) prompt_feedback: Option<Feedback<'a>>,
    pub(super) usage_metadata: Option<UsageRead>,
    /// A stream that fails says so in place of a chunk.
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// Parts of other kinds come from tools that run at Google, which no translated request asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    pub(super) thought: Option<bool>,
    #[serde(borrow)]
    pub(super) thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

/// The prompt itself was declined, so that there is no candidate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback<'a> {
    #[serde(borrow)]
    pub(super) block_reason: Option<Text<'a>>,
}

/// An answer as it is written, whole or as a chunk.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnswerWritten<'a> {
    pub(crate) candidates: Vec<CandidateWritten<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage_metadata: Option<UsageWritten>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) model_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CandidateWritten<'a> {
    pub(crate) content: ContentWritten<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finish_reason: Option<&'static str>,
    pub(crate) index: u32,
}

#[derive(Serialize)]
pub(crate) struct ContentWritten<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    pub(crate) parts: Vec<PartWritten<'a>>,
}

impl<'a> ContentWritten<'a> {
    pub(crate) const fn of_model(parts: Vec<PartWritten<'a>>) -> Self {
        Self { role: Some("model"), parts }
    }
}

/// One part; exactly one of its first members is set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartWritten<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<CallWritten<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<ResponseWritten<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<Cow<'a, str>>,
}

impl<'a> PartWritten<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    pub(super) fn thought(text: &'a str) -> Self {
        Self { thought: true, ..Self::text(text) }
    }

    /// A signature that no part follows stands beside a text of nothing.
    pub(super) fn signature(signature: impl Into<Cow<'a, str>>) -> Self {
        Self { thought_signature: Some(signature.into()), ..Self::text("") }
    }

    pub(super) fn call(id: &'a str, name: &'a str, arguments: &'a str) -> Self {
        let call = CallWritten { id, name, args: Arguments::of(arguments) };
        Self { function_call: Some(call), ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineData<'a> {
    pub(super) mime_type: &'a str,
    pub(super) data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    pub(super) mime_type: &'static str,
    pub(super) file_uri: &'a str,
}

#[derive(Serialize)]
pub(super) struct CallWritten<'a> {
    id: &'a str,
    name: &'a str,
    args: Arguments<'a>,
}

#[derive(Serialize)]
pub(super) struct ResponseWritten<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) response: Outcome,
}

/// The two members that Google's API reads: what a function gave, or what went wrong.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Output(String),
    Error(String),
}

/// A call's arguments, which must be an object.
#[derive(Serialize)]
#[serde(untagged)]
enum Arguments<'a> {
    Given(&'a RawValue),
    Empty {},
    /// What a model wrote that is no object. Better kept than lost.
    Broken {
        raw_arguments: &'a str,
    },
}

impl<'a> Arguments<'a> {
    fn of(arguments: &'a str) -> Self {
        let arguments = arguments.trim();
        if arguments.is_empty() {
            return Self::Empty {};
        }
        match serde_json::from_str::<&RawValue>(arguments) {
            Ok(given) if arguments.starts_with('{') => Self::Given(given),
            Ok(_) | Err(_) => Self::Broken { raw_arguments: arguments },
        }
    }
}
