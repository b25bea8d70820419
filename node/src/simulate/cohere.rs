//! `POST /v2/rerank`, as Cohere has it: documents by how many words they share with the query.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::Usage;
use super::ask::{list, optional_count};
use super::error::ApiError;
use super::reply::{Asked, Form, Reply};
use super::tokens::Prompt;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let body = asked.body;
    let Some(query) = body["query"].as_str() else {
        return Err(ApiError::field("query", "a text"));
    };
    let mut read = Prompt::new(asked.model);
    let mut scored = Vec::new();
    for (index, document) in list(body, "documents")?.iter().enumerate() {
        let text = document.as_str().or_else(|| document["text"].as_str());
        let text = text.ok_or_else(|| ApiError::field("documents", "texts"))?;
        read.text(query);
        read.text(text);
        let shared = query.split_whitespace().filter(|word| text.contains(word)).count();
        scored.push((shared, index));
    }
    scored.sort_by_key(|(shared, index)| (std::cmp::Reverse(*shared), *index));
    let most = optional_count(body, "top_n")?.and_then(|most| usize::try_from(most).ok());
    let words = query.split_whitespace().count().max(1);
    let results: Vec<Value> = scored
        .into_iter()
        .take(most.unwrap_or(usize::MAX))
        .map(|(shared, index)| json!({"index": index, "relevance_score": shared * 1_000 / words}))
        .map(|mut result| {
            let thousandths = result["relevance_score"].as_f64().unwrap_or_default();
            result["relevance_score"] = (thousandths / 1_000.0).into();
            result
        })
        .collect();
    let usage = Usage { input: read.tokens(), ..Usage::default() };
    let whole = json!({
        "id": asked.stamp.id(""),
        "results": results,
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": usage.input, "output_tokens": 0},
        },
    });
    Ok(Reply { usage, form: Form::Whole(Bytes::from(whole.to_string())) })
}
