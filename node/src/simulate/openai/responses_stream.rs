//! The events of a streamed response: numbered, nested (response, item, part, delta), with the usage in
//! the last one and no `[DONE]`.

use serde_json::{Value, json};

use super::super::answer::{Answer, Call, Finish, Part, Usage};
use super::super::reply::{Asked, Events, Frames, Weight, chunks, event};
use super::responses::{begun, item, response, status, text_part};

pub(super) fn events(asked: &Asked<'_>, answer: &Answer, usage: &Usage) -> Events {
    let mut out = Numbered::default();
    out.push("response.created", json!({"response": begun(asked)}), Weight::Nothing);
    out.push("response.in_progress", json!({"response": begun(asked)}), Weight::Nothing);
    for (index, part) in answer.parts.iter().enumerate() {
        let stream = Item { asked, index, part, status: status(answer) };
        stream.write(&mut out);
    }
    let end = match answer.finish {
        Finish::Length => "response.incomplete",
        Finish::Stop | Finish::StopSequence(_) | Finish::Tools => "response.completed",
    };
    let last = json!({"response": response(asked, answer, usage)});
    out.push(end, last, Weight::Nothing);
    // Where the error comes, and so its number, is for the script to say; clients don't check it.
    let error = json!({
        "type": "error",
        "code": "server_error",
        "message": "simulated failure in the stream",
        "param": null,
        "sequence_number": out.next,
    });
    out.frames.finish(event("error", &error.to_string()))
}

#[derive(Default)]
struct Numbered {
    frames: Frames,
    next: u64,
}

impl Numbered {
    fn push(&mut self, name: &str, mut event: Value, weight: Weight) {
        event["type"] = name.into();
        event["sequence_number"] = self.next.into();
        self.next += 1;
        self.frames.event(name, &event.to_string(), weight);
    }
}

struct Item<'a> {
    asked: &'a Asked<'a>,
    index: usize,
    part: &'a Part,
    status: &'static str,
}

impl Item<'_> {
    fn write(&self, out: &mut Numbered) {
        let done = item(self.asked, self.index, self.part, self.status);
        let id = done["id"].clone();
        match self.part {
            Part::Reasoning(tokens) => self.added(out, &done, Weight::Hidden(tokens.len() as u64)),
            Part::Text(tokens) => {
                let mut begun = done.clone();
                begun["status"] = "in_progress".into();
                begun["content"] = json!([]);
                self.added(out, &begun, Weight::Nothing);
                self.text(out, &id, tokens);
            }
            Part::Call(call) => {
                let mut begun = done.clone();
                begun["status"] = "in_progress".into();
                begun["arguments"] = "".into();
                self.added(out, &begun, Weight::Output(call.name_tokens));
                self.arguments(out, &id, call);
            }
        }
        let event = json!({"output_index": self.index, "item": done});
        out.push("response.output_item.done", event, Weight::Nothing);
    }

    fn added(&self, out: &mut Numbered, item: &Value, weight: Weight) {
        let event = json!({"output_index": self.index, "item": item});
        out.push("response.output_item.added", event, weight);
    }

    fn text(&self, out: &mut Numbered, id: &Value, tokens: &[String]) {
        let within = |mut event: Value| {
            event["item_id"] = id.clone();
            event["output_index"] = self.index.into();
            event["content_index"] = 0.into();
            event
        };
        let added = within(json!({"part": text_part("")}));
        out.push("response.content_part.added", added, Weight::Nothing);
        for (text, count) in chunks(tokens, self.asked.voice.chunk_tokens) {
            let delta = within(json!({"delta": text, "logprobs": []}));
            out.push("response.output_text.delta", delta, Weight::Output(count));
        }
        let text = tokens.concat();
        let done = within(json!({"text": text, "logprobs": []}));
        out.push("response.output_text.done", done, Weight::Nothing);
        let done = within(json!({"part": text_part(&text)}));
        out.push("response.content_part.done", done, Weight::Nothing);
    }

    fn arguments(&self, out: &mut Numbered, id: &Value, call: &Call) {
        for (text, count) in chunks(&call.arguments, self.asked.voice.chunk_tokens) {
            let event = json!({"item_id": id, "output_index": self.index, "delta": text});
            out.push("response.function_call_arguments.delta", event, Weight::Output(count));
        }
        let event = json!({
            "item_id": id,
            "output_index": self.index,
            "name": call.name,
            "arguments": call.arguments.concat(),
        });
        out.push("response.function_call_arguments.done", event, Weight::Nothing);
    }
}
