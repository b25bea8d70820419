//! A request as the simulator sees it, whichever endpoint it came through.

use serde_json::Value;

use super::error::ApiError;
use super::tokens::Prompt;

/// What is asked, and within which bounds.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) prompt: Prompt,
    /// The last thing the user said.
    pub(crate) question: String,
    /// The conversation ends with a tool's result.
    pub(crate) after_tool: bool,
    pub(crate) output_cap: Option<u64>,
    pub(crate) stops: Vec<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: ToolChoice,
    pub(crate) parallel: Parallel,
    /// The answer must be JSON of this schema.
    pub(crate) schema: Option<Value>,
    /// Tokens of thought before the answer.
    pub(crate) reasoning: u64,
}

/// A function that the model may call.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    Never,
    Any,
    Named(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Parallel {
    #[default]
    Allowed,
    Forbidden,
}

impl Ask {
    pub(crate) fn new(model: &str) -> Self {
        Self {
            prompt: Prompt::new(model),
            question: String::new(),
            after_tool: false,
            output_cap: None,
            stops: Vec::new(),
            tools: Vec::new(),
            choice: ToolChoice::Auto,
            parallel: Parallel::Allowed,
            schema: None,
            reasoning: 0,
        }
    }
}

/// A field that may be absent or null, and otherwise is a number of tokens.
pub(crate) fn optional_count(body: &Value, param: &'static str) -> Result<Option<u64>, ApiError> {
    let value = &body[param];
    match value.as_u64() {
        Some(count) if count > 0 => Ok(Some(count)),
        None if value.is_null() => Ok(None),
        Some(_) | None => Err(ApiError::field(param, "a whole number above 0")),
    }
}

/// A field that may be absent or null, and otherwise is a boolean.
pub(crate) fn flag(body: &Value, param: &'static str) -> Result<bool, ApiError> {
    let value = &body[param];
    match value.as_bool() {
        Some(flag) => Ok(flag),
        None if value.is_null() => Ok(false),
        None => Err(ApiError::field(param, "true or false")),
    }
}

/// A string, a list of strings, or nothing.
pub(crate) fn strings(body: &Value, param: &'static str) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::field(param, "a string or a list of strings");
    match &body[param] {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(many) => {
            many.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
    }
}

/// A list that must be there and must not be empty.
pub(crate) fn list<'a>(body: &'a Value, param: &'static str) -> Result<&'a [Value], ApiError> {
    match body[param].as_array() {
        Some(items) if !items.is_empty() => Ok(items),
        Some(_) | None => Err(ApiError::field(param, "a list with at least one item")),
    }
}

/// How many tokens the simulator thinks for a stated effort.
pub(crate) fn effort_tokens(effort: &Value) -> u64 {
    match effort.as_str() {
        None | Some("none") => 0,
        Some("minimal") => 4,
        Some("low") => 8,
        Some("medium") => 16,
        Some(_) => 32,
    }
}
