//! Answers that are not streamed: they pass as they are, and are read when they are whole.

use bytes::Bytes;

use super::{Mode, Replies, Seen};
use crate::canonical::Usage;
use crate::wire::Wire;

/// What left, what was seen, and whether the end was good.
fn pass(wire: Wire, body: &str, cut: usize) -> (String, Seen, bool) {
    let mut reply = Replies::new(wire, wire, false).begin(false);
    assert_eq!(reply.mode(), Mode::Pass);
    let mut out = Vec::new();
    for chunk in [&body[..cut], &body[cut..]] {
        reply.feed(Bytes::copy_from_slice(chunk.as_bytes()), &mut out).unwrap();
    }
    let ended = reply.finish(&mut out).is_ok();
    (String::from_utf8(out.concat()).unwrap(), reply.seen().clone(), ended)
}

#[test]
fn whole_bodies_are_metered() {
    #[rustfmt::skip]
    let cases = [
        // wire                 input output bytes  body
        (Wire::ChatCompletions, 9,    4,     10,    r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning":"hm","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{1}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#),
        (Wire::Completions,     9,    4,     3,     r#"{"model":"m","choices":[{"text":"abc"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#),
        (Wire::Embeddings,      9,    0,     0,     r#"{"model":"m","data":[{"embedding":[0.1,-2e-3]},{"embedding":"AAAA"}],"usage":{"prompt_tokens":9,"total_tokens":9}}"#),
        (Wire::Responses,       9,    4,     10,    r#"{"model":"m","error":null,"output":[{"type":"reasoning","summary":[{"text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"Hello"}]},{"arguments":"{1}"}],"usage":{"input_tokens":9,"output_tokens":4}}"#),
        (Wire::Messages,        9,    4,     8,     r#"{"model":"m","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Hello"},{"type":"tool_use","input":{"k":"v"}}],"usage":{"input_tokens":7,"cache_read_input_tokens":2,"output_tokens":4}}"#),
    ];
    for (wire, input, output, bytes, body) in cases {
        let whole = pass(wire, body, 0);
        let usage = whole.1.usage.unwrap_or_default();
        assert_eq!((&*whole.0, whole.2, whole.1.complete), (body, true, true));
        assert_eq!((usage.input, usage.output, whole.1.output_bytes), (input, output, bytes), "{body}");
        assert_eq!(whole.1.response_model.as_deref(), Some("m"), "{body}");
        for cut in 0..body.len() {
            assert_eq!(pass(wire, body, cut), whole, "cut at {cut}");
        }
    }
}

#[test]
fn what_is_no_answer_passes_but_what_is_cut_short_is_told() {
    #[rustfmt::skip]
    let cases = [
        // body                         whole  why
        ("{}",                          true),
        ("[]",                          true),  // not ours to judge
        ("hello",                       true),
        (r#"{"usage":{"prompt_tok"#,    false), // ends early
        ("",                            false),
    ];
    for (body, whole) in cases {
        let (out, seen, ended) = pass(Wire::ChatCompletions, body, 0);
        assert_eq!((&*out, ended, seen.complete), (body, whole, whole), "{body}");
        assert_eq!(seen.usage, None::<Usage>);
    }
}

#[test]
fn a_null_content_does_not_hide_the_usage() {
    let body = r#"{"content":null,"usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert_eq!(pass(Wire::Messages, body, 0).1.usage.map(|usage| usage.total), Some(3));
}

#[test]
fn a_reply_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Replies::new(Wire::Messages, Wire::ChatCompletions, true).begin(true));
}
