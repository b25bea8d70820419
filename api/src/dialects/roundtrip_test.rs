//! What a format can carry comes back as it was: requests, whole replies, streams, and streams through both formats.

use super::dice::{self, Carrier, Dice};
use super::{Codec, EncodeTarget, EncoderOptions, anthropic_messages, bedrock_converse, gemini, openai_chat};
use crate::canonical::{Block, Event, Reply, Usage};

const SEEDS: u64 = 400;

const TARGET: EncodeTarget<'_> = EncodeTarget { model: "target", output_cap: None };

const CODECS: [(Carrier, &Codec); 4] = [
    (Carrier::Chat, &openai_chat::CODEC),
    (Carrier::Anthropic, &anthropic_messages::CODEC),
    (Carrier::Gemini, &gemini::CODEC),
    (Carrier::Converse, &bedrock_converse::CODEC),
];

/// Converse's answers name neither themselves nor the model, and do not count reasoning.
fn carried(carrier: Carrier, mut reply: Reply) -> Reply {
    if carrier == Carrier::Converse {
        (reply.id, reply.model) = (String::new(), String::new());
        reply.usage = reply.usage.map(|usage| Usage { reasoning: 0, ..usage });
    }
    reply
}

#[test]
fn requests_come_back() {
    for (carrier, codec) in CODECS {
        for seed in 0..SEEDS {
            let request = dice::request(&mut Dice::new(seed), carrier);
            let body = (codec.encode_request)(&request, &TARGET).unwrap();
            let text = String::from_utf8_lossy(&body);
            let read = (codec.decode_request)(&body)
                .unwrap_or_else(|error| panic!("{carrier:?} {seed}: {error} in {text}"));
            assert_eq!(read, request, "{carrier:?} {seed}: {text}");
        }
    }
}

#[test]
fn replies_come_back() {
    for (carrier, codec) in CODECS {
        for seed in 0..SEEDS {
            let reply = reply(&mut Dice::new(seed), &[carrier]);
            let body = (codec.encode_reply)(&reply);
            let read = (codec.decode_reply)(&body).unwrap();
            let text = String::from_utf8_lossy(&body);
            assert_eq!(read, carried(carrier, reply), "{carrier:?} {seed}: {text}");
        }
    }
}

/// One format, then two in a row, each way round.
#[test]
fn streams_come_back() {
    for first in CODECS {
        for second in CODECS {
            stream_comes_back(&[first, second]);
        }
        stream_comes_back(&[first]);
    }
}

fn stream_comes_back(path: &[(Carrier, &Codec)]) {
    let carriers: Vec<_> = path.iter().map(|(carrier, _)| *carrier).collect();
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let reply = reply(&mut dice, &carriers);
        let events = path.iter().fold(events(&reply, &mut dice), |events, hop| through(*hop, &events));
        let reply = carriers.iter().fold(reply, |reply, carrier| carried(*carrier, reply));
        assert_eq!(collected(&events), reply, "{carriers:?} {seed}: {events:#?}");
        assert_eq!(events.last(), Some(&Event::Ended), "{carriers:?} {seed}");
    }
}

/// What all of the carriers can carry: Gemini's has no word for what went into a cache.
fn reply(dice: &mut Dice, carriers: &[Carrier]) -> Reply {
    let mut reply = dice::reply(dice);
    if let (Some(usage), true) = (&mut reply.usage, carriers.contains(&Carrier::Gemini)) {
        usage.cache_creation_input = 0;
    }
    reply
}

/// Writes the events as one format's stream and reads that again.
fn through((carrier, codec): (Carrier, &Codec), events: &[Event]) -> Vec<Event> {
    let mut encoder = (codec.encoder)(&EncoderOptions { show_usage: true, created_s: 0 });
    let mut text = Vec::new();
    for event in events {
        encoder.encode(event, &mut text);
    }
    let mut decoder = (codec.decoder)();
    let mut read = Vec::new();
    for event in String::from_utf8(text).unwrap().split_terminator("\n\n") {
        let (name, data) = match event.strip_prefix("event: ") {
            Some(event) => event.split_once('\n').map(|(name, data)| (Some(name), data)).unwrap(),
            None => (None, event),
        };
        let data = data.strip_prefix("data: ").unwrap();
        decoder.decode(name, data.as_bytes(), &mut read).unwrap();
    }
    if carrier == Carrier::Gemini && read.iter().any(|event| matches!(event, Event::Stopped(_))) {
        // The end of the connection says it.
        read.push(Event::Ended);
    }
    read
}

/// A reply as an upstream would stream it, cut anywhere, calls sometimes interleaved.
fn events(reply: &Reply, dice: &mut Dice) -> Vec<Event> {
    let (id, model) = (reply.id.clone(), reply.model.clone());
    let mut events = vec![Event::Started { id, model, created_s: 0, usage: None }];
    let mut calls: Vec<Vec<Event>> = Vec::new();
    for block in &reply.blocks {
        match block {
            Block::Text(text) => events.extend(cut(text, dice).map(Event::Text)),
            Block::Thinking { text, signature } => {
                events.extend(cut(text, dice).map(Event::Thinking));
                events.extend(signature.clone().map(Event::Signature));
            }
            Block::RedactedThinking { data } => {
                events.push(Event::RedactedThinking { data: data.clone() });
            }
            Block::ToolCall { id, name, arguments } => {
                let index = calls.len();
                let started = Event::ToolCallStarted { index, id: id.clone(), name: name.clone() };
                let arguments = cut(arguments, dice).map(|text| Event::ToolCallArguments { index, text });
                calls.push([started].into_iter().chain(arguments).collect());
            }
        }
    }
    events.extend(if dice.below(2) == 0 { calls.concat() } else { interleaved(calls) });
    events.push(Event::Stopped(reply.stop.clone()));
    events.extend(reply.usage.map(Event::Usage));
    events.push(Event::Ended);
    events
}

fn cut(text: &str, dice: &mut Dice) -> impl Iterator<Item = String> + use<> {
    let mut pieces = vec![String::new()];
    for letter in text.chars() {
        if dice.below(3) == 0 && pieces.last().is_some_and(|piece| !piece.is_empty()) {
            pieces.push(String::new());
        }
        pieces.last_mut().unwrap().push(letter);
    }
    pieces.into_iter()
}

/// Round robin; a call begins only after those before it have.
fn interleaved(calls: Vec<Vec<Event>>) -> Vec<Event> {
    let mut calls: Vec<_> = calls.into_iter().map(Vec::into_iter).collect();
    let mut events = Vec::new();
    loop {
        let before = events.len();
        events.extend(calls.iter_mut().filter_map(Iterator::next));
        if events.len() == before {
            return events;
        }
    }
}

/// What a client makes of the events.
fn collected(events: &[Event]) -> Reply {
    let mut reply = Reply::default();
    let mut calls: Vec<Block> = Vec::new();
    let mut open = false;
    for event in events {
        match event {
            Event::Started { id, model, usage, .. } => {
                (reply.id, reply.model, reply.usage) = (id.clone(), model.clone(), *usage);
            }
            Event::Text(more) => match reply.blocks.last_mut() {
                Some(Block::Text(text)) => text.push_str(more),
                _ => reply.blocks.push(Block::Text(more.clone())),
            },
            Event::Thinking(more) => match reply.blocks.last_mut() {
                Some(Block::Thinking { text, .. }) if open => text.push_str(more),
                _ => {
                    open = true;
                    reply.blocks.push(Block::Thinking { text: more.clone(), signature: None });
                }
            },
            Event::Signature(signed) => {
                open = false;
                let Some(Block::Thinking { signature, .. }) = reply.blocks.last_mut() else {
                    panic!("a signature of nothing")
                };
                *signature = Some(signed.clone());
            }
            Event::RedactedThinking { data } => {
                reply.blocks.push(Block::RedactedThinking { data: data.clone() });
            }
            Event::ToolCallStarted { index, id, name } => {
                assert_eq!(*index, calls.len());
                let (id, name) = (id.clone(), name.clone());
                calls.push(Block::ToolCall { id, name, arguments: String::new() });
            }
            Event::ToolCallArguments { index, text } => {
                let Block::ToolCall { arguments, .. } = &mut calls[*index] else { unreachable!() };
                arguments.push_str(text);
            }
            Event::Usage(usage) => reply.usage = Some(*usage),
            Event::Stopped(stop) => reply.stop = stop.clone(),
            Event::Ended => {}
            Event::Failed { message, .. } => panic!("{message}"),
        }
    }
    reply.blocks.extend(calls);
    reply
}
