//! What is carried in another form or left out because the upstream would refuse it: one member at a time.

use serde_json::{Value, json};

use super::{Codec, EncodeTarget, anthropic_messages, openai_chat};

/// What leaves for the upstream's `model` when the client sends `body`.
fn sent(pair: [&Codec; 2], model: &str, body: &Value) -> Value {
    let [client, upstream] = pair;
    let request = (client.decode_request)(body.to_string().as_bytes()).unwrap();
    let target = EncodeTarget { model, output_cap: None };
    serde_json::from_slice(&(upstream.encode_request)(&request, &target).unwrap()).unwrap()
}

const TO_ANTHROPIC: [&Codec; 2] = [&openai_chat::CODEC, &anthropic_messages::CODEC];

const TO_OPENAI: [&Codec; 2] = [&anthropic_messages::CODEC, &openai_chat::CODEC];

const OLD: &str = "claude-sonnet-4-5";
const NEW: &str = "claude-opus-4-8";

#[test]
fn an_effort_never_makes_a_request_that_is_refused() {
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    let mut thought = call.clone();
    thought["thinking_blocks"] = json!([{"type": "thinking", "thinking": "t", "signature": "s"}]);
    let mut redacted = call.clone();
    redacted["thinking_blocks"] = json!([{"type": "redacted_thinking", "data": "d"}]);
    let mut unsigned = call.clone();
    unsigned["reasoning_content"] = json!("t");
    let user = json!({"role": "user", "content": "x"});
    let system = json!({"role": "system", "content": "x"});
    let said = json!({"role": "assistant", "content": "x"});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "r"});
    let named = json!({"type": "function", "function": {"name": "f"}});
    #[rustfmt::skip]
    let cases = [
        // model  messages                                        tool_choice        thinks  why
        (OLD, json!([user]),                                      Value::Null,       true),  // nothing speaks against it
        (OLD, json!([user, said, user]),                          Value::Null,       true),
        (OLD, json!([user, call, result]),                        Value::Null,       false), // the call was not thought about
        (OLD, json!([user, unsigned, result]),                    Value::Null,       false), // unsigned thinking is not sent
        (OLD, json!([user, call, result, system]),                Value::Null,       false), // a system text is no turn
        (OLD, json!([user, call, result, user]),                  Value::Null,       false), // said beside the result
        (OLD, json!([user, thought, result]),                     Value::Null,       true),
        (OLD, json!([user, redacted, result]),                    Value::Null,       true),
        (OLD, json!([user, thought, result, call, result]),       Value::Null,       false), // the last one counts
        (OLD, json!([user, call, result, said, user]),            Value::Null,       true),  // long ago
        (OLD, json!([user]),                                      json!("auto"),     true),
        (OLD, json!([user]),                                      json!("required"), false),
        (OLD, json!([user]),                                      named,             false),
        (NEW, json!([user, call, result]),                        Value::Null,       true),  // adaptive thinking may come or not
    ];
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (model, messages, choice, thinks) in cases {
        let mut body = json!({"model": "m", "messages": messages, "tools": tools, "temperature": 0.5,
            "reasoning_effort": "low", "tool_choice": choice});
        let made = sent(TO_ANTHROPIC, model, &body);
        assert_eq!(made.get("thinking").is_some(), thinks, "{made:#}");
        assert_eq!(made.get("temperature").is_some(), !thinks, "{made:#}");
        // What the client says itself is not second-guessed.
        if model == OLD {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
            assert_eq!(sent(TO_ANTHROPIC, model, &body)["thinking"]["budget_tokens"], 2000);
        }
    }
}

/// Forced, a model may not think, and some think unless they are told not to.
#[test]
fn a_forced_tool_is_not_thought_about() {
    let off = json!({"type": "disabled"});
    #[rustfmt::skip]
    let cases = [
        // model             effort           thinking     effort          why
        (OLD,                json!("high"),   Value::Null, Value::Null),    // absence means off
        ("claude-opus-4-6",  json!("high"),   Value::Null, Value::Null),
        (NEW,                json!("high"),   off.clone(), Value::Null),
        (NEW,                Value::Null,     off.clone(), Value::Null),
        ("claude-opus-5",    Value::Null,     off,         Value::Null),    // thinks unasked
        ("claude-opus-5-5",  Value::Null,     Value::Null, Value::Null),    // it can't be told, and says so itself
        ("claude-opus-5-5",  json!("low"),    json!({"type": "adaptive"}), json!("low")),
    ];
    for (model, effort, thinking, said) in cases {
        let body = json!({"model": "m", "messages": [], "reasoning_effort": effort, "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}]});
        let made = sent(TO_ANTHROPIC, model, &body);
        assert_eq!(made.get("thinking").unwrap_or(&Value::Null), &thinking, "{made:#}");
        assert_eq!(made["output_config"]["effort"], said, "{made:#}");
        assert_eq!(made["tool_choice"]["type"], "any");
    }
}

/// From gpt-5.4 on chat completions takes functions only from those who do not reason, and reasoning is the default.
#[test]
fn functions_and_reasoning_are_not_asked_of_those_who_refuse_both() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 20_000});
    #[rustfmt::skip]
    let cases = [
        // model               tools           thinking            effort
        ("gpt-5.6",            tools.clone(),  thinking.clone(),   json!("none")),
        ("gpt-5.6-terra",      tools.clone(),  Value::Null,        json!("none")), // it would reason unasked
        ("gpt-5.4-mini",       tools.clone(),  thinking.clone(),   json!("none")),
        ("gpt-6",              tools.clone(),  thinking.clone(),   json!("none")),
        ("gpt-5.6",            json!([]),      thinking.clone(),   json!("high")),
        ("gpt-5.6",            json!([]),      Value::Null,        Value::Null),
        ("gpt-5.2-2025-12-11", tools.clone(),  thinking.clone(),   json!("high")),
        ("gpt-5",              tools.clone(),  thinking.clone(),   json!("high")),
        ("gpt-5-mini",         tools.clone(),  thinking.clone(),   json!("high")),
        ("gpt-4o",             tools.clone(),  Value::Null,        Value::Null),
        ("o3",                 tools.clone(),  thinking.clone(),   json!("high")),
        ("gpt-oss-120b",       tools.clone(),  thinking.clone(),   json!("high")),
        ("openai/gpt-5.6",     tools,          thinking,           json!("high")), // another vendor's gateway sees to it
    ];
    for (model, tools, thinking, effort) in cases {
        let body = json!({"model": "m", "messages": [], "tools": tools, "thinking": thinking});
        let made = sent(TO_OPENAI, model, &body);
        assert_eq!(made.get("reasoning_effort").unwrap_or(&Value::Null), &effort, "{made:#}");
    }
}

#[test]
fn a_tools_schema_is_made_complete() {
    let function = json!({"name": "f", "parameters": {"properties": {"a": {}}}});
    let chat = json!({"model": "m", "messages": [], "tools": [{"type": "function", "function": function}]});
    let expected = json!({"type": "object", "properties": {"a": {}}});
    assert_eq!(sent(TO_ANTHROPIC, OLD, &chat)["tools"][0]["input_schema"], expected);

    let tool = json!({"name": "f", "input_schema": {"type": "object"}});
    let messages = json!({"model": "m", "messages": [], "tools": [tool]});
    let expected = json!({"type": "object", "properties": {}});
    assert_eq!(sent(TO_OPENAI, "gpt", &messages)["tools"][0]["function"]["parameters"], expected);
}

/// OpenAI refuses a strict schema that leaves something open.
#[test]
fn only_a_closed_schema_is_strict() {
    for closed in [true, false] {
        let schema = json!({"type": "object", "properties": {}, "additionalProperties": !closed});
        let format = json!({"type": "json_schema", "schema": schema});
        let body = json!({"model": "m", "messages": [], "output_config": {"format": format}});
        let made = sent(TO_OPENAI, "gpt", &body);
        assert_eq!(made["response_format"]["json_schema"]["strict"], closed, "{made:#}");
    }
}

#[test]
fn hints_beyond_the_upstreams_range_do_not_refuse_a_request() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "Be brief."}], "temperature": 1.7,
        "presence_penalty": 0.5, "frequency_penalty": -1, "response_format": {"type": "json_object"}});
    let said = |text: &str| json!({"type": "text", "text": text});
    let expected = json!({"model": OLD, "max_tokens": 4096, "messages": [], "temperature": 1.0,
        "system": [said("Be brief."), said("Answer with one JSON object and nothing else.")]});
    assert_eq!(sent(TO_ANTHROPIC, OLD, &body), expected);

    let body = json!({"model": "m", "messages": [], "top_k": 5, "top_p": 0.5, "mcp_servers": []});
    let expected = json!({"model": "gpt", "messages": [], "top_p": 0.5});
    assert_eq!(sent(TO_OPENAI, "gpt", &body), expected);
}

#[test]
fn messages_that_anthropic_would_refuse_are_mended() {
    let call = |arguments: &str| json!({"id": "c", "function": {"name": "f", "arguments": arguments}});
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/jpg;base64,eA=="}});
    let tool_use = |input: Value| json!({"type": "tool_use", "id": "c", "name": "f", "input": input});
    #[rustfmt::skip]
    let cases = [
        // message                                                  content of the one message that leaves                   why
        (json!({"role": "user", "content": [image]}),               json!([{"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "eA=="}}])),
        (json!({"role": "user", "content": " \n"}),                 Value::Null),                                           // blank
        (json!({"role": "assistant", "content": "\t"}),             Value::Null),
        (json!({"role": "system", "content": " "}),                 Value::Null),
        (json!({"role": "user", "content": " x "}),                 json!([{"type": "text", "text": " x "}])),               // kept as it is
        (json!({"role": "assistant", "content": "\n", "tool_calls": [call("{}")]}), json!([tool_use(json!({}))])),           // the call stays
        (json!({"role": "assistant", "tool_calls": [call("[1]")]}),  json!([tool_use(json!({"raw_arguments": "[1]"}))])),    // no object
        (json!({"role": "assistant", "tool_calls": [call("{\"a")]}), json!([tool_use(json!({"raw_arguments": "{\"a"}))])),   // cut off
    ];
    for (message, content) in cases {
        let body = json!({"model": "m", "messages": [message]});
        let made = sent(TO_ANTHROPIC, OLD, &body);
        assert_eq!(made["messages"][0]["content"], content, "{made:#}");
        assert_eq!(made.get("system"), None, "{made:#}");
    }
}

#[test]
fn a_documents_title_stays_with_it() {
    let text = json!({"type": "text", "media_type": "text/plain", "data": "All is well."});
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "eA=="});
    let file = |name: &str| json!([{"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,eA=="}}]);
    #[rustfmt::skip]
    let cases = [
        // source        title            content                              why
        (&text,          json!("Report"), json!("Report\n\nAll is well.")),      // a text has no other place for it
        (&text,          json!(""),       json!("All is well.")),
        (&text,          Value::Null,     json!("All is well.")),
        (&pdf,           json!("Report"), file("Report")),
        (&pdf,           Value::Null,     file("document.pdf")),
        (&pdf,           json!(""),       file("document.pdf")),                 // a file must have a name
    ];
    for (source, title, content) in cases {
        let document = json!({"type": "document", "title": title, "source": source});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [document]}]});
        let made = sent(TO_OPENAI, "gpt", &body);
        assert_eq!(made["messages"][0]["content"], content, "{made:#}");
        let result =
            json!({"type": "tool_result", "tool_use_id": "c", "is_error": true, "content": [document]});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [result]}]});
        let said = sent(TO_OPENAI, "gpt", &body)["messages"][0]["content"].to_string();
        assert!(said.contains("Error: "), "{said}");
    }
}

#[test]
fn a_choice_needs_tools() {
    let body = json!({"model": "m", "messages": [], "tool_choice": "required"});
    assert_eq!(sent(TO_ANTHROPIC, OLD, &body).get("tool_choice"), None);
    let body = json!({"model": "m", "messages": [], "tool_choice": {"type": "any"}});
    assert_eq!(sent(TO_OPENAI, "gpt", &body).get("tool_choice"), None);
}

#[test]
fn sampling_is_what_the_model_takes() {
    let all = json!({"temperature": 0.5, "top_p": 0.9, "top_k": 5});
    #[rustfmt::skip]
    let cases = [
        // model                      client's                  upstream's
        ("claude-3-5-haiku-20241022", all.clone(),              all.clone()),
        (OLD,                         all.clone(),              json!({"temperature": 0.5, "top_k": 5})), // refuses both together
        (OLD,                         json!({"top_p": 0.9}),    json!({"top_p": 0.9})),
        ("claude-sonnet-4-6",         all.clone(),              json!({"temperature": 0.5, "top_k": 5})),
        (NEW,                         all.clone(),              json!({})),                              // refuses all
        ("another-vendors-model",     all.clone(),              all),
    ];
    for (model, wished, taken) in cases {
        let mut body = json!({"model": "m", "messages": []});
        body.as_object_mut().unwrap().extend(wished.as_object().unwrap().clone());
        let mut expected = json!({"model": model, "messages": [], "max_tokens": 4096});
        expected.as_object_mut().unwrap().extend(taken.as_object().unwrap().clone());
        assert_eq!(sent(TO_ANTHROPIC, model, &body), expected);
    }
}
