//! `POST /v1/embeddings`: unit vectors that follow from the input, the model and the seed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::Usage;
use super::super::ask::optional_count;
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Reply};
use super::super::text::{Dice, fingerprint, mix};
use super::super::tokens;

/// As OpenAI's small model.
const DIMENSIONS: u64 = 1536;
const MOST_DIMENSIONS: u64 = 8192;
/// As OpenAI's.
const MOST_INPUTS: usize = 2048;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let body = asked.body;
    let dimensions = match optional_count(body, "dimensions")?.unwrap_or(DIMENSIONS) {
        dimensions if dimensions <= MOST_DIMENSIONS => dimensions,
        _ => return Err(ApiError::field("dimensions", "at most 8192")),
    };
    let render: fn(&[f32]) -> Value = match body["encoding_format"].as_str() {
        None | Some("float") => |vector| json!(vector),
        Some("base64") => |vector| {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Value::String(base64(&bytes))
        },
        Some(_) => return Err(ApiError::field("encoding_format", "float or base64")),
    };
    let inputs = inputs(&body["input"])?;
    let model = mix(asked.voice.seed, fingerprint(asked.model.as_bytes()));
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = unit_vector(mix(model, input.fingerprint), dimensions);
            json!({"object": "embedding", "index": index, "embedding": render(&vector)})
        })
        .collect();
    let usage = Usage { input: inputs.iter().map(|input| input.tokens).sum(), ..Usage::default() };
    let whole = json!({
        "object": "list",
        "data": data,
        "model": asked.model,
        "usage": {"prompt_tokens": usage.input, "total_tokens": usage.input},
    });
    let form = Form::Whole(Bytes::from(whole.to_string()));
    Ok(Reply { usage, form })
}

struct Input {
    tokens: u64,
    fingerprint: u64,
}

fn inputs(input: &Value) -> Result<Vec<Input>, ApiError> {
    let wrong = || ApiError::field("input", "a string, tokens, or a list of at most 2048 of either");
    let single = || one(input).map(|input| vec![input]).ok_or_else(wrong);
    match input.as_array() {
        // A list of numbers is one input, given as tokens.
        None => single(),
        Some(items) if items.iter().all(Value::is_u64) && !items.is_empty() => single(),
        Some(items) if (1..=MOST_INPUTS).contains(&items.len()) => {
            items.iter().map(|item| one(item).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn one(input: &Value) -> Option<Input> {
    let tokens = match input {
        Value::String(text) => tokens::count(text),
        Value::Array(tokens) if tokens.iter().all(Value::is_u64) => tokens.len() as u64,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    let fingerprint = fingerprint(input.to_string().as_bytes());
    Some(Input { tokens, fingerprint })
}

fn unit_vector(seed: u64, dimensions: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    let mut vector: Vec<f32> = (0..dimensions)
        .map(|_| {
            let [low, high, ..] = dice.roll().to_le_bytes();
            // Never 0: a vector of zeros has no direction.
            f32::from(i16::from_le_bytes([low | 1, high]))
        })
        .collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    for number in &mut vector {
        *number /= length;
    }
    vector
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| group.get(index).copied().unwrap_or(0);
        let bits = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
        for index in 0..4 {
            if index > group.len() {
                out.push('=');
                continue;
            }
            let six = (bits >> (18 - 6 * index)) & 63;
            out.push(char::from(ALPHABET[six as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_base64() {
        #[rustfmt::skip]
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded); // RFC 4648, section 10
        }
    }

    #[test]
    fn vectors_have_length_one() {
        for dimensions in [1, 3, 1536] {
            let vector = unit_vector(7, dimensions);
            let length: f32 = vector.iter().map(|n| n * n).sum();
            assert!((length - 1.0).abs() < 1e-4, "{dimensions}: {length}");
        }
    }
}
