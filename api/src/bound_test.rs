//! What requests may take at most, over the endpoints and what stands in their bodies.

use super::*;

#[test]
fn texts_are_bounded_by_their_bytes_and_not_by_what_stands_around_them() {
    use Endpoint::{
        ChatCompletions as Chat, Completions, CountTokens, Embeddings, GenerateContent as Gemini,
        ImageGenerations, Messages, Responses,
    };
    let tokens = REQUEST_TOKENS + MESSAGE_TOKENS;
    #[rustfmt::skip]
    let rows = [
        (Chat, r#"{"model":"a-long-name","messages":[{"role":"user","content":"12345"}],"temperature":0.5}"#, tokens + 5, 1, "one text"),
        (Chat, r#"{"messages":[{"role":"system","content":"123"},{"role":"user","content":[{"type":"text","text":"45"}]}]}"#, tokens + MESSAGE_TOKENS + 3 + 2 + 2, 1, "two, one in parts"),
        (Chat, r#"{"messages":[{"role":"user","name":"bob","content":"1"}]}"#, tokens + 1 + 5, 1, "other fields count as they are"),
        (Chat, r#"{"messages":[{"role":"user","content":"\u00e4"}]}"#, tokens + 2, 1, "escapes count as what they stand for"),
        (Chat, r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[1]}]}"#, tokens + 3, 1, "no text"),
        (Chat, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:…"}}]}]}"#, tokens + 2 + IMAGE_TOKENS, 1, "an image, whatever its bytes"),
        (Chat, r#"{"messages":[],"tools":[{"a":1}]}"#, REQUEST_TOKENS + TOOLS_TOKENS + 9, 1, "tools, with what is said of them"),
        (Chat, r#"{"messages":[],"response_format":{"a":1},"stop":"end","unknown":["text"]}"#, REQUEST_TOKENS + 7 + 5 + 8, 1, "whatever is no plain setting"),
        (Chat, r#"{"messages":[],"n":3}"#, REQUEST_TOKENS, 3, "several answers"),
        (Chat, r#"{"messages":[],"n":0}"#, REQUEST_TOKENS, 1, "never none"),
        (Chat, r#"{"messages":[{"role":"user","content":"1"},7,-7,0.5,true,null]}"#, tokens + 1 + 5 * MESSAGE_TOKENS + 1 + 1 + 20 + 5, 1, "what is no message"),
        (Chat, r#"{"messages":{"role":"user","content":"1"}}"#, tokens + 1, 1, "one alone"),
        (Chat, r#"{"messages":[{"role":"user","content":"\ud800"}]}"#, REQUEST_TOKENS + 49, 1, "half a character: all of its bytes"),
        (Chat, r#"{"messages":"text"}"#, tokens + 4, 1, "not as it should be: for the upstream to refuse"),
        (Completions, r#"{"prompt":"123","n":2,"best_of":4}"#, tokens + 3, 4, "all that are made, not those that are shown"),
        (Completions, r#"{"prompt":["1","22"],"n":2}"#, tokens + MESSAGE_TOKENS + 3, 4, "for each prompt"),
        (Completions, r#"{"prompt":[1,22]}"#, tokens + MESSAGE_TOKENS + 3, 1, "one prompt, in tokens"),
        (Completions, r#"{"prompt":[[1,22],[3]]}"#, tokens + MESSAGE_TOKENS + 6 + 3, 2, "two of them"),
        (ImageGenerations, r#"{"prompt":"1234","n":2}"#, tokens + 4 + 2 * MADE_IMAGE_TOKENS, 1, "images"),
        (CountTokens, r#"{"messages":[]}"#, 0, 1, "nothing is spent"),
        (Embeddings, r#"{"input":["1","22"]}"#, tokens + MESSAGE_TOKENS + 3, 1, "texts to embed"),
        (Responses, r#"{"instructions":"1","input":[{"role":"user","content":[{"type":"input_text","text":"22"}]}]}"#, tokens + MESSAGE_TOKENS + 1 + 2 + 2, 1, "instructions, and a message"),
        (Messages, r#"{"system":"1","messages":[{"role":"user","content":"22"}]}"#, tokens + MESSAGE_TOKENS + 3, 1, "as Anthropic has it"),
        (Gemini, r#"{"system_instruction":{"parts":[{"text":"1"}]},"contents":[{"role":"user","parts":[{"text":"22"},{"text":"3"}]}]}"#, tokens + MESSAGE_TOKENS + 2 + 1 + 4 + 3, 1, "as Google has it"),
        (Gemini, r#"{"contents":{"parts":{"text":"22"}}}"#, tokens + 2 + 2, 1, "one alone"),
        (Gemini, r#"{"contents":[{"parts":[{"inline_data":{"mimeType":"image/png","data":"…"}}]}]}"#, tokens + 2 + IMAGE_TOKENS, 1, "an image, whatever its bytes"),
        (Gemini, r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf"}}]}]}"#, tokens + 2 + 30, 1, "other data"),
        (Gemini, r#"{"generation_config":{"candidate_count":3}}"#, REQUEST_TOKENS + 21, 3, "several answers"),
        (Messages, "no JSON", REQUEST_TOKENS + 7, 1, "all of its bytes"),
    ];
    for (endpoint, body, input, answers, why) in rows {
        assert_eq!(bound(endpoint, body.as_bytes()), Bound { input, answers }, "{why}: {body}");
    }
}
