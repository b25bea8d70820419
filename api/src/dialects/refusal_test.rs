//! What is refused, in whose words, and what is dropped in silence although it was asked for.

use super::{Codec, EncodeTarget, anthropic_messages, bedrock_converse, gemini, openai_chat};

const TARGET: EncodeTarget<'_> = EncodeTarget { model: "claude-sonnet-4-5", output_cap: None };

/// The path that is refused, or `-` if the request goes through.
fn refused(client: &Codec, upstream: &Codec, body: &str) -> (String, String) {
    let request = (client.decode_request)(body.as_bytes());
    match request.and_then(|request| (upstream.encode_request)(&request, &TARGET)) {
        Ok(_) => ("-".to_owned(), String::new()),
        Err(error) => (error.param.unwrap_or_default(), error.message),
    }
}

/// Each row: a member added to a sound request, the path refused, and a word of the reason.
fn check(client: &Codec, upstream: &Codec, sound: &str, rows: &[(&str, &str, &str)]) {
    assert_eq!(refused(client, upstream, &format!("{{{sound}}}")).0, "-");
    for (member, path, word) in rows {
        let body = format!("{{{sound},{member}}}");
        let (refused_path, message) = refused(client, upstream, &body);
        assert_eq!(refused_path, *path, "{member}: {message}");
        assert!(message.contains(word), "{member}: {message}");
        assert!(message.is_empty() || message.contains(path), "{member}: {message}");
    }
}

#[test]
#[rustfmt::skip]
fn a_chat_client_and_an_anthropic_upstream() {
    check(&openai_chat::CODEC, &anthropic_messages::CODEC, r#""model":"m","messages":[]"#, &[
        // member                                                path                 reason
        (r#""n":2"#,                                             "n",                 "one answer"),
        (r#""n":1"#,                                             "-",                 ""),           // what is so anyway
        (r#""logprobs":true"#,                                   "logprobs",          "log prob"),
        (r#""top_logprobs":3"#,                                  "top_logprobs",      "log prob"),
        (r#""logit_bias":{"50256":-100}"#,                       "logit_bias",        "biased"),
        (r#""frequency_penalty":0.5,"presence_penalty":-0.5"#,   "-",                 ""),           // Anthropic's own chat endpoint ignores them
        (r#""frequency_penalty":"x""#,                           "frequency_penalty", "expected f64"),
        (r#""temperature":1.2"#,                                 "-",                 ""),           // capped
        (r#""temperature":"hot""#,                               "temperature",       "expected f64"),
        (r#""modalities":["text","audio"]"#,                     "modalities",        "only text"),
        (r#""modalities":["text"]"#,                             "-",                 ""),
        (r#""audio":{"voice":"alloy","format":"wav"}"#,          "audio",             "no such field"),
        (r#""web_search_options":{}"#,                           "web_search_options","no such field"),
        (r#""moderation":{"model":"m"}"#,                        "moderation",        "no such field"),
        (r#""functions":[{"name":"f"}]"#,                        "functions",         "tools"),
        (r#""response_format":{"type":"json_object"}"#,          "-",                 ""),           // asked for in words
        (r#""response_format":{"type":"grammar"}"#,              "response_format.type", "grammar"),
        (r#""service_tier":"flex""#,                             "service_tier",      "flex"),       // has a price of its own
        (r#""reasoning_effort":"huge""#,                         "reasoning_effort",  "huge"),
        (r#""tool_choice":{"type":"allowed_tools","allowed_tools":{}}"#, "tool_choice.type", "allowed_tools"),
        (r#""tool_choice":"sometimes""#,                         "tool_choice",       "sometimes"),
        (r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#, "tools[0].type",     "custom"),
        (r#""tools":[{"type":"function","function":{"name":"f","x":1}}]"#, "tools[0].function.x", "no such field"),
        (r#""chat_template_kwargs":{}"#,                         "chat_template_kwargs", "no such field"),
        (r#""seed":1,"store":true,"metadata":{},"prediction":{},"verbosity":"low","prompt_cache_key":"k","safety_identifier":"s","stream_options":{}"#, "-", ""),
        (r#""unheard_of":null"#,                                 "-",                 ""),           // null says nothing
        (r#""model":"twice""#,                                   "model",             ""),           // which one?
    ]);
}

#[test]
#[rustfmt::skip]
fn a_chat_clients_messages() {
    check(&openai_chat::CODEC, &anthropic_messages::CODEC, r#""model":"m""#, &[
        (r#""messages":"hi""#,                                                                  "messages", "expected a sequence"),
        (r#""messages":[{"role":"user","content":7}]"#,                                         "messages[0].content", "expected a string"),
        (r#""messages":[{"role":"function","name":"f","content":"x"}]"#,                        "messages[0].role", "function"),
        (r#""messages":[{"content":"x"}]"#,                                                     "messages[0].role", "missing"),
        (r#""messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"input_audio","input_audio":{}}]}]"#, "messages[1].content[1].input_audio", "audio"),
        (r#""messages":[{"role":"user","content":[{"type":"video","video":{}}]}]"#,             "messages[0].content[0].type", "video"),
        (r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f1"}}]}]"#, "messages[0].content[0].file.file_id", "file_data"),
        (r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,eA=="}}]}]"#, "messages[0].content[0].file.file_data", "application/pdf"),
        (r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]"#, "messages[0].content[0].image_url.url", "data URL"),
        (r#""messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]"#, "messages[0].content[0]", "text only"),
        (r#""messages":[{"role":"assistant","audio":{"id":"a"}}]"#,                             "messages[0].audio", "audio"),
        (r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}]"#, "-", ""),
        (r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}]"#, "-", ""),
        (r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{}}]}]"#, "messages[0].tool_calls[0].type", "custom"),
        (r#""messages":[{"role":"tool","content":"x"}]"#,                                       "messages[0].tool_call_id", "missing"),
        (r#""messages":[{"role":"assistant","content":"x","thinking_blocks":[{"index":0,"type":"thinking","thinking":"t","signature":"s"}],"annotations":[],"audio":null,"function_call":null,"name":"a"}]"#, "-", ""),  // an echoed answer
    ]);
}

#[test]
#[rustfmt::skip]
fn a_messages_client_and_a_chat_upstream() {
    check(&anthropic_messages::CODEC, &openai_chat::CODEC, r#""model":"m","max_tokens":9,"messages":[]"#, &[
        (r#""top_k":5"#,                                                "-",                  ""),               // a hint
        (r#""container":"c1""#,                                         "container",          "no such field"),
        (r#""mcp_servers":[]"#,                                         "-",                  ""),               // nothing
        (r#""mcp_servers":[{"type":"url","url":"https://x"}]"#,         "mcp_servers",        "Anthropic only"),
        (r#""inference_geo":"eu""#,                                     "inference_geo",      "no such field"),  // a promise about where
        (r#""speed":"fast""#,                                           "speed",              "standard"),
        (r#""speed":"standard""#,                                       "-",                  ""),
        (r#""service_tier":"priority""#,                                "service_tier",       "priority"),
        (r#""thinking":{"type":"between_tools"}"#,                      "thinking.type",      "between_tools"),
        (r#""thinking":{"type":"enabled"}"#,                            "thinking.budget_tokens", "missing"),
        (r#""output_config":{"effort":"huge"}"#,                        "output_config.effort", "huge"),
        (r#""output_config":{"task_budget":{}}"#,                       "output_config.task_budget", "no such field"),
        (r#""output_config":{"format":{"type":"regex"}}"#,              "output_config.format.type", "regex"),
        (r#""output_format":{"type":"json_schema","schema":{}}"#,       "-",                  ""),               // the beta's spelling
        (r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, "tools[0].type",  "web_search"),
        (r#""tools":[{"name":"f","input_schema":{},"defer_loading":true}]"#, "tools[0].defer_loading", "later"),
        (r#""tool_choice":{"type":"some"}"#,                            "tool_choice.type",   "some"),
        (r#""system":[{"type":"image","source":{"type":"file","file_id":"f"}}]"#, "system[0].source.type", "file"),
        (r#""context_management":{"edits":[]},"cache_control":{"type":"ephemeral"},"diagnostics":{}"#, "-", ""),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_messages_clients_blocks() {
    let cases: &[(&str, &str, &str)] = &[
        // block                                                                                        path below messages[0].content[0]   reason
        (r#"{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}"#,                      "",                "by URL"),
        (r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#,                               ".source.type",    "file"),
        (r#"{"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"x"}}"#,     ".citations.enabled", "cite"),
        (r#"{"type":"document","context":"c","source":{"type":"text","data":"x"}}"#,                    ".context",        "context"),
        (r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#,                                  ".source.type",    "file"),
        (r#"{"type":"search_result","source":"s","title":"t","content":[]}"#,                           ".type",           "search_result"),
        (r#"{"type":"server_tool_use","id":"i","name":"n","input":{}}"#,                                ".type",           "server_tool_use"),
        (r#"{"type":"tool_use","id":"i","name":"n","input":[]}"#,                                       ".input",          "JSON object"),
        (r#"{"type":"tool_result","tool_use_id":"i","content":[{"type":"tool_use","id":"i"}]}"#,        ".content[0].type", "tool_use"),
        (r#"{"type":"text","text":"x","colour":"red"}"#,                                                ".colour",         "no such field"),
    ];
    for (block, below, word) in cases {
        let messages = format!(r#""messages":[{{"role":"user","content":[{block}]}}]"#);
        let path = format!("messages[0].content[0]{below}");
        check(&anthropic_messages::CODEC, &openai_chat::CODEC, r#""model":"m""#, &[(&messages, &path, word)]);
    }
}

#[test]
#[rustfmt::skip]
fn clients_and_a_gemini_upstream() {
    check(&openai_chat::CODEC, &gemini::CODEC, r#""model":"m""#, &[
        (r#""messages":[{"role":"tool","tool_call_id":"x","content":"1"}]"#,                    "messages[0]", "no message calls"),
        (r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/picture"}}]}]"#, "messages[0].content[0]", "send its data"),
        (r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/a.pdf"}}]}]"#, "messages[0].content[0]", "send its data"),
        (r#""messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]"#, "messages[0].content[0]", "text only"),
        (r#""messages":[],"parallel_tool_calls":false,"service_tier":"default","user":"u""#,   "-", ""),  // as Google's own chat endpoint does
    ]);
    check(&anthropic_messages::CODEC, &gemini::CODEC, r#""model":"m","max_tokens":9"#, &[
        (r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://x/y"}}]}]"#, "messages[0].content[0]", "send its data"),
        (r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]"#, "messages[0].content[0]", "no message calls"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_gemini_client() {
    check(&gemini::CODEC, &openai_chat::CODEC, r#""contents":[]"#, &[
        // member                                                                       path                                     reason
        (r#""cachedContent":"projects/p/cachedContents/c""#,                            "cachedContent",                         "Google"),
        (r#""safety_settings":[],"labels":{},"model":"models/m""#,                      "-",                                     ""),
        (r#""tools":[{"googleSearch":{}}]"#,                                            "tools[0].googleSearch",                 "no such field"),
        (r#""tools":[{"function_declarations":[{"name":"f","behavior":"NON_BLOCKING"}]}]"#, "tools[0].functionDeclarations[0].behavior", "waited for"),
        (r#""toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}"#, "toolConfig.functionCallingConfig.allowedFunctionNames", "one function"),
        (r#""toolConfig":{"functionCallingConfig":{"mode":"SOMETIMES"}}"#,              "toolConfig.functionCallingConfig.mode", "SOMETIMES"),
        (r#""toolConfig":{"retrievalConfig":{}}"#,                                      "toolConfig.retrievalConfig",            "no such field"),
        (r#""generationConfig":{"candidateCount":2}"#,                                  "generationConfig.candidateCount",       "one answer"),
        (r#""generationConfig":{"candidateCount":1,"responseModalities":["TEXT"]}"#,    "-",                                     ""),
        (r#""generationConfig":{"responseModalities":["IMAGE"]}"#,                      "generationConfig.responseModalities",   "only text"),
        (r#""generation_config":{"response_logprobs":true}"#,                           "generationConfig.responseLogprobs",     "log prob"),
        (r#""generationConfig":{"speechConfig":{}}"#,                                   "generationConfig.speechConfig",         "no such field"),
        (r#""generationConfig":{"topK":1.5}"#,                                          "generationConfig.topK",                 "whole number"),
        (r#""generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{}}"#, "generationConfig.responseMimeType",    "text/x.enum"),
        (r#""generationConfig":{"responseSchema":{}}"#,                                 "generationConfig.responseMimeType",     "application/json"),
        (r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"SOME"}}"#,           "generationConfig.thinkingConfig.thinkingLevel", "SOME"),
        (r#""generationConfig":{"maxOutputTokens":-1}"#,                                "generationConfig.maxOutputTokens",      "expected u64"),
        (r#""generationConfig":{"topP":0.5,"top_p":0.7}"#,                              "generationConfig.topP",                 ""),  // which one?
    ]);
    let parts: &[(&str, &str, &str)] = &[
        (r#"{"inlineData":{"mimeType":"audio/wav","data":""}}"#,                        ".inlineData.mimeType",       "audio/wav"),
        (r#"{"inline_data":{"data":""}}"#,                                              ".inlineData.mimeType",       "missing"),
        (r#"{"fileData":{"mimeType":"image/png","fileUri":"gs://b/o.png"}}"#,           ".fileData.fileUri",          "http"),
        (r#"{"executableCode":{"code":"x"}}"#,                                          ".executableCode",            "no such field"),
        (r#"{"text":"x","videoMetadata":{}}"#,                                          ".videoMetadata",             "no such field"),
        (r#"{"functionCall":{"name":"f","args":[1]}}"#,                                 ".functionCall.args",         "JSON object"),
        (r#"{"functionResponse":{"name":"f","response":{}}}"#,                          ".functionResponse.name",     "no call"),
        (r#"{"functionResponse":{"id":"i","name":"f","parts":[{"inlineData":{}}]}}"#,   ".functionResponse.parts",    "JSON only"),
    ];
    for (part, below, word) in parts {
        let contents = format!(r#""contents":[{{"role":"user","parts":[{part}]}}]"#);
        let path = format!("contents[0].parts[0]{below}");
        check_body(&contents, (&path, word));
    }
    check_body(r#""labels":{}"#, ("contents", "missing"));
}

/// The whole body of a Gemini client.
fn check_body(members: &str, (path, word): (&str, &str)) {
    let (refused_path, message) = refused(&gemini::CODEC, &openai_chat::CODEC, &format!("{{{members}}}"));
    assert_eq!(refused_path, path, "{members}: {message}");
    assert!(message.contains(word), "{members}: {message}");
}

#[test]
#[rustfmt::skip]
fn a_converse_upstream() {
    check(&openai_chat::CODEC, &bedrock_converse::CODEC, r#""model":"m""#, &[
        (r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]"#, "messages[0].content[0]", "send the data"),
        (r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/tiff;base64,eA=="}}]}]"#, "messages[0].content[0]", "image/tiff"),
        (r#""messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,eA=="}}]}]"#, "messages[0].content[0]", "text only"),
        (r#""messages":[],"service_tier":"flex""#,                                              "service_tier",      "flex"),
        (r#""messages":[],"frequency_penalty":1,"seed":7,"user":"u","service_tier":"auto""#,     "-",                 ""),  // as with Anthropic
    ]);
    check(&anthropic_messages::CODEC, &bedrock_converse::CODEC, r#""model":"m","max_tokens":9"#, &[
        (r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}]}]"#, "messages[0].content[0]", "send the data"),
        (r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"image/png","data":"eA=="}}]}]"#, "messages[0].content[0]", "image/png"),
        (r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]}]"#, "messages[0].content[0].content[0]", "send the data"),
    ]);
}

/// Converse has no word for some choices; where the vendor has none either, they are refused.
#[test]
fn choices_that_only_some_vendors_know() {
    let call = r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}"#;
    let (claude, profile, llama) = ("anthropic.claude-x", "arn:aws:bedrock:r:1:p/x", "meta.llama3");
    #[rustfmt::skip]
    let cases = [
        // model   messages  member                            refused
        (claude,   call,     r#""tool_choice":"none""#,        None),
        (profile,  call,     r#""tool_choice":"none""#,        None),
        (llama,    call,     r#""tool_choice":"none""#,        Some("tool_choice")),
        (llama,    "",       r#""tool_choice":"none""#,        None),  // the tools are left out
        (claude,   "",       r#""parallel_tool_calls":false"#, None),
        (llama,    "",       r#""parallel_tool_calls":false"#, Some("parallel_tool_calls")),
        (llama,    "",       r#""parallel_tool_calls":true"#,  None),
    ];
    for (model, messages, member, refused) in cases {
        let tools = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
        let body = format!(r#"{{"model":"m","messages":[{messages}],{tools},{member}}}"#);
        let request = (openai_chat::CODEC.decode_request)(body.as_bytes()).unwrap();
        let target = EncodeTarget { model, output_cap: None };
        let sent = (bedrock_converse::CODEC.encode_request)(&request, &target);
        let path = sent.err().map(|error| error.param.unwrap_or_default());
        assert_eq!(path.as_deref(), refused, "{model} {member}");
    }
}

/// Bodies that nobody should send end in a refusal, never in a panic or a deep stack.
#[test]
fn nonsense_is_refused() {
    let nested = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":{}"x"{}}}]}}"#,
        r#"[{"type":"tool_result","tool_use_id":"i","content":"#.repeat(20_000),
        "}]".repeat(20_000),
    );
    let open = "[".repeat(100_000);
    for codec in [&openai_chat::CODEC, &anthropic_messages::CODEC, &gemini::CODEC, &bedrock_converse::CODEC] {
        for body in ["", "null", "[]", "{", r#""x""#, "{}", &nested, &open] {
            assert!((codec.decode_request)(body.as_bytes()).is_err(), "{body:.40}");
        }
        for body in ["", "null", "[]", "{", "{}", &open] {
            assert!((codec.decode_reply)(body.as_bytes()).is_err(), "{body:.40}");
        }
        for data in ["", "[]x", "{", "7", &open] {
            let decoded = (codec.decoder)().decode(None, data.as_bytes(), &mut Vec::new());
            assert!(decoded.is_err(), "{data:.40}");
        }
    }
}
