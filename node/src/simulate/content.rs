//! Reads message content into the prompt. One reader for all dialects: their content blocks differ in
//! names, but no name means two things.

use serde_json::Value;

use super::error::ApiError;
use super::tokens::Prompt;

/// Deeper than any dialect nests content (a tool's result inside a message).
const DEEPEST: u32 = 4;

/// What was in a message's content.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) text: String,
    /// A tool's result was in it.
    pub(crate) tool_result: bool,
}

/// Counts `content` (a string, a list of blocks, or null) into the prompt.
pub(crate) fn read(prompt: &mut Prompt, content: &Value) -> Result<Content, ApiError> {
    let mut found = Content::default();
    read_into(prompt, content, &mut found, 0)?;
    Ok(found)
}

fn read_into(prompt: &mut Prompt, content: &Value, found: &mut Content, depth: u32) -> Result<(), ApiError> {
    match content {
        Value::Null => {}
        Value::String(text) => add(prompt, text, found),
        Value::Array(blocks) if depth < DEEPEST => {
            for block in blocks {
                read_block(prompt, block, found, depth)?;
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(ApiError::field("content", "a string or a list of content blocks"));
        }
    }
    Ok(())
}

fn read_block(prompt: &mut Prompt, block: &Value, found: &mut Content, depth: u32) -> Result<(), ApiError> {
    let kind = block["type"].as_str().ok_or_else(|| ApiError::field("content.type", "a string"))?;
    match kind {
        "text" | "input_text" | "output_text" => match block["text"].as_str() {
            Some(text) => add(prompt, text, found),
            None => return Err(ApiError::field("content.text", "a string")),
        },
        "refusal" => prompt.text(block["refusal"].as_str().unwrap_or_default()),
        // Thought of earlier turns is not billed again.
        "thinking" | "redacted_thinking" | "reasoning" => {}
        "tool_use" => {
            prompt.text(block["name"].as_str().unwrap_or_default());
            prompt.text(&block["input"].to_string());
        }
        "tool_result" => {
            found.tool_result = true;
            read_into(prompt, &block["content"], &mut Content::default(), depth + 1)?;
        }
        // Images, documents, sound: a fixed cost each.
        _ => prompt.image(&block.to_string()),
    }
    if block.get("cache_control").is_some_and(|mark| !mark.is_null()) {
        prompt.mark();
    }
    Ok(())
}

fn add(prompt: &mut Prompt, text: &str, found: &mut Content) {
    prompt.text(text);
    if !found.text.is_empty() {
        found.text.push(' ');
    }
    found.text.push_str(text);
}
