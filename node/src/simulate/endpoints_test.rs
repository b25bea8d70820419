//! Every endpoint over a real socket, streamed and whole: both forms say the same and count the same.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use super::options::{Behaviour, Keys, Work};
use super::test_client::{ANTHROPIC, Headers, OPENAI, Simulator};

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn streamed(body: &Value) -> Value {
    with(body.clone(), &json!({"stream": true, "stream_options": {"include_usage": true}}))
}

#[tokio::test]
async fn chat_says_the_same_whole_and_streamed() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"required": ["a"]}}}]);
    let hello = json!({"model": "m", "messages": [{"role": "user", "content": "hello, world"}]});
    #[rustfmt::skip]
    let cases = [
        // more in the request                                     prompt output thought finish
        (json!({}),                                                10,    20,    0,      "stop"),
        (json!({"max_tokens": 5}),                                 10,    5,     0,      "length"),
        (json!({"max_completion_tokens": 5, "max_tokens": 9}),     10,    5,     0,      "length"),
        (json!({"reasoning_effort": "low"}),                       10,    28,    8,      "stop"),
        (json!({"n": 2}),                                          10,    40,    0,      "stop"),
        (json!({"tools": tools, "tool_choice": "required"}),       51,    8,     0,      "tool_calls"),
        (json!({"response_format": {"type": "json_object"}}),      10,    2,     0,      "stop"),
    ];
    for (more, prompt, output, thought, finish) in cases {
        let body = with(hello.clone(), &more);
        let path = "/v1/chat/completions";
        let whole = simulator.post(path, OPENAI, &body).await;
        assert!(whole.header("x-request-id").is_some());
        let whole = whole.json();
        let stream = simulator.post(path, OPENAI, &streamed(&body)).await;
        assert!(stream.body.ends_with("data: [DONE]\n\n"), "{more}");
        let events = stream.events();
        let last = events.last().unwrap();
        assert_eq!(last["choices"], json!([]));
        for usage in [&whole["usage"], &last["usage"]] {
            assert_eq!(usage["prompt_tokens"], prompt, "{more}");
            assert_eq!(usage["completion_tokens"], output, "{more}");
            assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], thought, "{more}");
        }
        assert_eq!(whole["choices"][0]["finish_reason"], finish, "{more}");
        assert_eq!(stream.text_at("/choices/0/finish_reason").replace(finish, ""), "");
        let again = simulator.post(path, OPENAI, &body).await.json();
        assert_eq!(again["choices"][0]["message"], whole["choices"][0]["message"], "{more}");
    }
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let answer = simulator.post("/v1/chat/completions", OPENAI, &body).await;
    assert!(!answer.body.contains("usage"), "{}", answer.body);
    // And the legacy protocol.
    let body = json!({"model": "m", "stream": true, "prompt": "hi", "max_tokens": 4});
    let without = simulator.post("/v1/completions", OPENAI, &body).await;
    assert!(!without.body.contains("usage"));
    let counted = simulator.post("/v1/completions", OPENAI, &streamed(&body)).await;
    assert_eq!(counted.events().last().unwrap()["usage"]["completion_tokens"], 4);
    let whole =
        simulator.post("/v1/completions", OPENAI, &json!({"model": "m", "prompt": ["a b", "c"]})).await;
    assert_eq!(whole.json()["choices"].as_array().unwrap().len(), 2);
    assert_eq!(whole.json()["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn responses_nest_and_number_their_events() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let tools = json!([{"type": "function", "name": "f", "parameters": {"required": ["a"]}}]);
    #[rustfmt::skip]
    let cases = [
        // request                                                       input output last event             items
        (json!({"input": "hello"}),                                      8,    20,   "response.completed",  vec!["message"]),
        (json!({"input": "hello", "max_output_tokens": 3}),              8,    3,    "response.incomplete", vec!["message"]),
        (json!({"input": "hello", "reasoning": {"effort": "low"}}),      8,    28,   "response.completed",  vec!["reasoning", "message"]),
        (json!({"input": "f twice", "tools": tools}),                    44,   16,   "response.completed",  vec!["function_call", "function_call"]),
    ];
    for (request, input, output, last, items) in cases {
        let body = with(request, &json!({"model": "m"}));
        let whole = simulator.post("/v1/responses", OPENAI, &body).await.json();
        let stream =
            simulator.post("/v1/responses", OPENAI, &with(body.clone(), &json!({"stream": true}))).await;
        let events = stream.events();
        let end = events.last().unwrap();
        assert_eq!(end["type"], last, "{body}");
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{body}");
        }
        for response in [&whole, &end["response"]] {
            assert_eq!(response["usage"]["input_tokens"], input, "{body}");
            assert_eq!(response["usage"]["output_tokens"], output, "{body}");
            let kinds: Vec<&Value> =
                response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
            assert_eq!(kinds, items, "{body}");
        }
        let said = end["response"].pointer("/output/0/content/0/text").and_then(Value::as_str);
        if let Some(said) = said {
            assert_eq!(stream.text_at("/delta"), said);
        }
    }
}

#[tokio::test]
async fn messages_say_the_same_whole_and_streamed() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let tools = json!([{"name": "f", "input_schema": {"type": "object", "required": ["a"]}}]);
    let hello = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]});
    #[rustfmt::skip]
    let cases = [
        (json!({}),                                                        8,  20, "end_turn",   vec!["text"]),
        (json!({"max_tokens": 5}),                                         8,  5,  "max_tokens", vec!["text"]),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 10}}),    8,  30, "end_turn",   vec!["thinking", "text"]),
        (json!({"tools": tools, "tool_choice": {"type": "any"}}),          41, 8,  "tool_use",   vec!["tool_use"]),
    ];
    for (more, input, output, stop, kinds) in cases {
        let body = with(hello.clone(), &more);
        let whole = simulator.post("/v1/messages", ANTHROPIC, &body).await;
        assert!(whole.header("request-id").is_some());
        let whole = whole.json();
        assert_eq!(whole["usage"]["input_tokens"], input, "{more}");
        assert_eq!(whole["usage"]["output_tokens"], output, "{more}");
        assert_eq!(whole["stop_reason"], stop, "{more}");
        let blocks = whole["content"].as_array().unwrap();
        let got: Vec<&Value> = blocks.iter().map(|block| &block["type"]).collect();
        assert_eq!(got, kinds, "{more}");
        let stream = simulator.post("/v1/messages", ANTHROPIC, &with(body, &json!({"stream": true}))).await;
        let events = stream.events();
        assert_eq!(events[0]["message"]["usage"]["input_tokens"], input);
        let delta = &events[events.len() - 2];
        assert_eq!(delta["usage"]["output_tokens"], output, "{more}");
        assert_eq!(delta["delta"]["stop_reason"], stop, "{more}");
        assert_eq!(events.last().unwrap()["type"], "message_stop");
        let counted =
            simulator.post("/v1/messages/count_tokens", ANTHROPIC, &with(hello.clone(), &more)).await;
        assert_eq!(counted.json()["input_tokens"], input, "{more}");
    }
}

#[tokio::test]
async fn caches_prefixes_as_each_dialect_says() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let long = "word ".repeat(40);
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": long}]});
    for cached in [0, 32] {
        let answer = simulator.post("/v1/chat/completions", OPENAI, &chat).await.json();
        assert_eq!(answer["usage"]["prompt_tokens"], 47);
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    }
    let block = json!({"type": "text", "text": long, "cache_control": {"type": "ephemeral"}});
    let messages = json!({"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]});
    for (read, written) in [(0, 32), (32, 0)] {
        let usage = &simulator.post("/v1/messages", ANTHROPIC, &messages).await.json()["usage"];
        assert_eq!(usage["input_tokens"], 15, "{usage}");
        assert_eq!(usage["cache_read_input_tokens"], read, "{usage}");
        assert_eq!(usage["cache_creation_input_tokens"], written, "{usage}");
    }
    assert_eq!(simulator.total("input_tokens").await, 4 * 47);
    assert_eq!(simulator.total("cached_tokens").await, 64);
}

#[tokio::test]
async fn embeddings_are_the_same_vectors_in_both_encodings() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let body = json!({"model": "e", "input": ["a b", "c"], "dimensions": 3});
    let floats = simulator.post("/v1/embeddings", OPENAI, &body).await.json();
    assert_eq!(floats["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 3);
    let coded = with(body, &json!({"encoding_format": "base64"}));
    let coded = simulator.post("/v1/embeddings", OPENAI, &coded).await.json();
    assert_eq!(coded["data"][0]["embedding"].as_str().unwrap().len(), 16, "12 bytes in base64");
}

#[tokio::test]
async fn lists_models_in_each_dialect_and_knows_only_those() {
    let models = Some(vec!["one".to_owned(), "two".to_owned()]);
    let simulator = Simulator::start(Behaviour { models, ..Behaviour::default() }).await;
    assert_eq!(simulator.get("/v1/models", OPENAI).await["data"][1]["object"], "model");
    assert_eq!(simulator.get("/v1/models", ANTHROPIC).await["last_id"], "two");
    assert_eq!(simulator.get("/v1/models/one", OPENAI).await["id"], "one");
    let body = json!({"model": "three", "messages": [{"role": "user", "content": "hi"}]});
    let answer = simulator.post("/v1/chat/completions", OPENAI, &body).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
}

#[tokio::test]
async fn refuses_bad_requests_in_the_dialect() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let new: Headers = &[("x-api-key", "k"), ("anthropic-version", "2026-10-21")];
    let chat = "/v1/chat/completions";
    let (user, messages) = (r#"[{"role":"user","content":"x"}]"#, "/v1/messages");
    #[rustfmt::skip]
    let cases: Vec<(&str, Headers, String, u16)> = vec![
        (chat,     OPENAI,    "{".into(),                                                          400), // no JSON
        (chat,     OPENAI,    "[]".into(),                                                         400), // no object
        (chat,     OPENAI,    format!(r#"{{"messages":{user}}}"#),                                 400), // no model
        (chat,     OPENAI,    r#"{"model":"m","messages":[]}"#.into(),                             400), // no message
        (chat,     OPENAI,    format!(r#"{{"model":"m","messages":{user},"max_tokens":0}}"#),      400),
        (chat,     OPENAI,    format!(r#"{{"model":"m","messages":{user},"stream":"yes"}}"#),      400),
        (chat,     &[],       format!(r#"{{"model":"m","messages":{user}}}"#),                     401),
        ("/v1/x",  OPENAI,    "{}".into(),                                                         404),
        (messages, ANTHROPIC, format!(r#"{{"model":"m","messages":{user}}}"#),                     400), // no max_tokens
        (messages, ANTHROPIC, format!(r#"{{"model":"m","messages":{user},"max_tokens":5,"top_p":1}}"#), 200),
        (messages, new,       format!(r#"{{"model":"m","messages":{user},"max_tokens":5,"top_p":1}}"#), 400), // gone
        (messages, new,       format!(r#"{{"model":"m","messages":{user},"max_tokens":5}}"#),      200),
    ];
    for (path, headers, body, status) in cases {
        let answer = simulator.send("POST", path, headers, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        if status != 200 {
            assert!(answer.json()["error"]["message"].is_string(), "{path} {body}");
            assert_eq!(answer.json()["type"] == "error", path == messages, "{path} {body}");
        }
    }
}

#[tokio::test]
async fn azure_names_the_model_in_the_path() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    let path = "/openai/deployments/dep/chat/completions?api-version=2024-10-21";
    let answer = simulator.post(path, &[("api-key", "k")], &body).await.json();
    assert_eq!(answer["model"], "dep");
}

#[tokio::test]
async fn remembers_requests_until_it_is_reset() {
    let simulator = Simulator::start(Behaviour::default()).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    simulator.post("/v1/chat/completions?a=b", OPENAI, &body).await;
    let seen = &simulator.get("/simulate/requests", &[]).await["requests"][0];
    assert_eq!(seen["path"], "/v1/chat/completions");
    assert_eq!(seen["query"], "a=b");
    assert_eq!(seen["headers"]["authorization"], "Bearer k");
    assert_eq!(seen["body"], body.to_string());
    let bad = simulator.send("POST", "/simulate/reset?fail=teapot", &[], "").await;
    assert_eq!(bad.status, 400);
    simulator.send("POST", "/simulate/reset?fail=418%2A1", &[], "").await;
    assert_eq!(simulator.total("requests").await, 0);
    let statuses = [418, 200];
    for status in statuses {
        let answer = simulator.post("/v1/chat/completions", OPENAI, &body).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn canned_answers_are_ordinary_ones() {
    let work = Work::Canned;
    let simulator = Simulator::start(Behaviour { work, ..Behaviour::default() }).await;
    for (path, headers) in
        [("/v1/chat/completions", OPENAI), ("/v1/responses", OPENAI), ("/v1/messages", ANTHROPIC)]
    {
        let whole = simulator.post(path, headers, &json!({})).await.json();
        assert_eq!(whole["model"], "canned", "{path}");
        let stream = simulator.post(path, headers, &streamed(&json!({}))).await;
        assert!(stream.events().len() > 20, "{path}");
        assert!(stream.body.contains("usage"), "{path}");
    }
    assert_eq!(simulator.total("output_tokens").await, 6 * 20);
}

#[tokio::test]
async fn speaks_http2_by_prior_knowledge() {
    let keys = Keys::Ignored;
    let simulator = Simulator::start(Behaviour { keys, ..Behaviour::default() }).await;
    let stream = tokio::net::TcpStream::connect(simulator.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = streamed(&json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    let request = http::Request::post("http://simulator/v1/chat/completions")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn the_demo_model_needs_no_key() {
    let simulator = Simulator::start(Behaviour::demo()).await;
    let body = json!({"model": "tollgate-demo", "messages": [{"role": "user", "content": "Are you there?"}]});
    let answer = simulator.post("/v1/chat/completions", &[], &body).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.contains("tollgate-demo") && text.contains("Are you there?"), "{text}");
}
