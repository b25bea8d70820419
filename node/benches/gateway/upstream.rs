//! The provider at the far end, a role of the benchmark's own binary: answers chat completions from memory as the
//! model's name asks. Written by hand on sockets, so that it takes as little of the machine as can be.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::chat::{self, Model};
use crate::wire::{Wire, find};

/// More than the proxies add in front of the model's name, which is at the start of the body.
const OPENING_BYTES: usize = 512;

/// Answers made once.
struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), String> {
    let answers = Arc::new(Answers { small: chat::answer(Model::Small), large: chat::answer(Model::Large) });
    loop {
        let (stream, _peer) = listener.accept().await.map_err(|error| format!("accepting: {error}"))?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // A client that goes away in the middle is how a measurement ends, and nothing to tell of.
            let _ended = converse(stream, &answers).await;
        });
    }
}

async fn converse(stream: TcpStream, answers: &Answers) -> Result<(), String> {
    let mut wire = Wire::new(stream).map_err(|error| error.to_string())?;
    while let Some(mut head) = wire.head().await? {
        let mut opening = Vec::with_capacity(OPENING_BYTES);
        while let Some(piece) = wire.piece(&mut head.body).await? {
            let missing = OPENING_BYTES - opening.len();
            opening.extend_from_slice(&piece[..piece.len().min(missing)]);
        }
        match model(&opening) {
            Some(Model::Small) => wire.send(&answers.small).await?,
            Some(Model::Large) => wire.send(&answers.large).await?,
            Some(model @ (Model::Stream | Model::Paced10 | Model::Paced50)) => {
                stream_chunks(&mut wire, model).await?;
            }
            Some(Model::Idle) => return stay_silent(&mut wire).await,
            None => wire.send(NO_SUCH_MODEL).await?,
        }
    }
    Ok(())
}

const NO_SUCH_MODEL: &[u8] =
    b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nno such model";

fn model(body: &[u8]) -> Option<Model> {
    const MARK: &[u8] = b"\"model\":";
    let rest = &body[find(body, MARK)? + MARK.len()..];
    Model::named(rest.split(|byte| *byte == b'"').nth(1)?)
}

async fn stream_chunks(wire: &mut Wire, model: Model) -> Result<(), String> {
    let start = Instant::now();
    let mut out = chat::STREAM_HEAD.to_vec();
    for number in 0..chat::CHUNKS {
        if number > 0 && !model.gap().is_zero() {
            let number = u32::try_from(number).expect("a stream has few chunks");
            sleep_until(start + model.gap() * number).await;
        }
        chat::push_event(&mut out);
        wire.send(&out).await?;
        out.clear();
    }
    chat::push_end(&mut out);
    wire.send(&out).await
}

async fn stay_silent(wire: &mut Wire) -> Result<(), String> {
    let mut out = chat::STREAM_HEAD.to_vec();
    chat::push_event(&mut out);
    wire.send(&out).await?;
    wire.stirred().await;
    Ok(())
}
