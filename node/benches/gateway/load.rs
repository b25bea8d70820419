//! The load: so many connections, each with one request in flight, the next as soon as the answer is there (a closed
//! loop). Every answer is checked: its status, the length of its body, the chunks of a stream and its end. What differs
//! from the provider's answer ends the measurement with a reason, so that no figure is of a proxy that failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chat::{self, CHUNKS, STREAM_END};
use crate::measure::{Cpu, micros};
use crate::wire::{Wire, find};

/// After the window, what is still running gets this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections begin so far apart in the order of requests.
const APART: usize = 997;

/// One measurement of one target.
pub(crate) struct Plan {
    /// Connections are spread over these.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) requests: Vec<Vec<u8>>,
    /// In which order a connection sends them, again and again; each begins elsewhere in it.
    pub(crate) order: Vec<usize>,
    pub(crate) expect: Expect,
    pub(crate) connections: usize,
    /// Connections start evenly spread over this time, so that paced streams don't all move at once.
    pub(crate) spread: Duration,
    /// Before the window.
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// What a right answer is.
#[derive(Clone, Copy)]
pub(crate) enum Expect {
    Body { bytes: usize },
    Stream,
}

/// What happened in the window.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) window: Duration,
    /// Exchanges that ended in it.
    pub(crate) finished: usize,
    /// Of streams, that arrived in it.
    pub(crate) chunks: usize,
    /// Of the process asked for.
    pub(crate) cpu: Option<Duration>,
    /// From the request's first byte to the answer's last.
    pub(crate) whole_us: Vec<f64>,
    /// To the body's first byte.
    pub(crate) first_byte_us: Vec<f64>,
    /// From when the provider sent a chunk to when it was here.
    pub(crate) delay_us: Vec<f64>,
}

/// What the clients of one measurement share. It begins with the warm-up.
#[derive(Default)]
struct Stage {
    /// The window is open.
    measuring: AtomicBool,
    /// The window was open.
    over: AtomicBool,
    finished: AtomicUsize,
    chunks: AtomicUsize,
}

impl Stage {
    fn measuring(&self) -> bool {
        self.measuring.load(Ordering::Relaxed)
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Loads a target, and measures the CPU time of `processes` in the same window.
pub(crate) async fn run(plan: Plan, processes: &[u32]) -> Result<Outcome, String> {
    let plan = Arc::new(plan);
    let stage = Arc::new(Stage::default());
    let mut clients = JoinSet::new();
    for number in 0..plan.connections {
        let (plan, stage) = (Arc::clone(&plan), Arc::clone(&stage));
        clients.spawn(async move { client(number, &plan, &stage).await });
    }
    sleep(plan.spread + plan.warm_up).await;
    let mut outcome = measure(&plan, &stage, processes).await?;
    loop {
        let ended = timeout(PATIENCE, clients.join_next()).await;
        match ended.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))? {
            None => break,
            Some(client) => {
                let part = client.map_err(|error| format!("a client of the load: {error}"))??;
                outcome.whole_us.extend(part.whole_us);
                outcome.first_byte_us.extend(part.first_byte_us);
                outcome.delay_us.extend(part.delay_us);
            }
        }
    }
    if outcome.finished == 0 {
        return Err(format!("nothing was finished within {} ms", outcome.window.as_millis()));
    }
    Ok(outcome)
}

async fn measure(plan: &Plan, stage: &Stage, processes: &[u32]) -> Result<Outcome, String> {
    let cpu = || processes.iter().map(|process| Cpu::of(*process)).collect::<Result<Vec<Cpu>, String>>();
    let before = cpu()?;
    let start = Instant::now();
    stage.measuring.store(true, Ordering::Relaxed);
    sleep(plan.window).await;
    stage.measuring.store(false, Ordering::Relaxed);
    stage.over.store(true, Ordering::Relaxed);
    let window = start.elapsed();
    let after = cpu()?;
    Ok(Outcome {
        window,
        finished: stage.finished.load(Ordering::Relaxed),
        chunks: stage.chunks.load(Ordering::Relaxed),
        cpu: (!after.is_empty())
            .then(|| after.iter().zip(before).map(|(after, before)| after.since(before)).sum()),
        ..Outcome::default()
    })
}

async fn client(number: usize, plan: &Plan, stage: &Stage) -> Result<Outcome, String> {
    if !plan.spread.is_zero() {
        let share = u32::try_from(number).unwrap_or(0);
        let all = u32::try_from(plan.connections).unwrap_or(u32::MAX);
        sleep(plan.spread / all * share).await;
    }
    let mut wire = Wire::connect(plan.addresses[number % plan.addresses.len()]).await?;
    let mut part = Outcome::default();
    let mut turn = number * APART;
    while !stage.over() {
        let request = &plan.requests[plan.order[turn % plan.order.len()]];
        turn += 1;
        exchange(&mut wire, (plan, request), stage, &mut part).await?;
    }
    Ok(part)
}

async fn exchange(
    wire: &mut Wire,
    (plan, request): (&Plan, &[u8]),
    stage: &Stage,
    part: &mut Outcome,
) -> Result<(), String> {
    let start = Instant::now();
    wire.send(request).await?;
    let ended = match plan.expect {
        Expect::Body { bytes } => {
            read_body(wire, bytes).await?;
            true
        }
        Expect::Stream => read_stream(wire, stage, (start, part)).await?,
    };
    if ended && stage.measuring() {
        stage.finished.fetch_add(1, Ordering::Relaxed);
        part.whole_us.push(micros(start.elapsed()));
    }
    Ok(())
}

async fn read_body(wire: &mut Wire, expected: usize) -> Result<(), String> {
    let mut body = succeeded(wire).await?;
    let mut count = 0;
    while let Some(piece) = wire.piece(&mut body).await? {
        count += piece.len();
    }
    if count == expected {
        Ok(())
    } else {
        Err(format!("expected an answer of {expected} bytes, as the provider sent it, got {count}"))
    }
}

/// False if the measurement was over before the stream.
async fn read_stream(
    wire: &mut Wire,
    stage: &Stage,
    (start, part): (Instant, &mut Outcome),
) -> Result<bool, String> {
    let mut body = succeeded(wire).await?;
    let mut events = Events::default();
    let mut first_byte = None;
    while let Some(piece) = wire.piece(&mut body).await? {
        first_byte.get_or_insert_with(|| start.elapsed());
        if stage.over() {
            return Ok(false);
        }
        if stage.measuring() {
            let seen = events.chunks;
            events.take(piece, Some(&mut part.delay_us));
            stage.chunks.fetch_add(events.chunks - seen, Ordering::Relaxed);
        } else {
            events.take(piece, None);
        }
    }
    if events.chunks != CHUNKS || !events.ended {
        let end = if events.ended { "its end" } else { "no end" };
        return Err(format!(
            "expected a stream of {CHUNKS} chunks and its end, got {} and {end}",
            events.chunks
        ));
    }
    if stage.measuring() {
        part.first_byte_us.extend(first_byte.map(micros));
    }
    Ok(true)
}

/// Reads the head of an answer that must be a success.
pub(crate) async fn succeeded(wire: &mut Wire) -> Result<crate::wire::Body, String> {
    let head = wire.head().await?.ok_or("expected an answer, got the end of the connection")?;
    let mut body = head.body;
    if head.status == 200 {
        return Ok(body);
    }
    let mut text = Vec::new();
    while let Some(piece) = wire.piece(&mut body).await? {
        text.extend_from_slice(piece);
    }
    let text = String::from_utf8_lossy(&text);
    Err(format!("expected status 200, got {}: {}", head.status, text.trim_end()))
}

/// Server-sent events, cut anywhere.
#[derive(Default)]
struct Events {
    unfinished: Vec<u8>,
    chunks: usize,
    ended: bool,
}

impl Events {
    fn take(&mut self, piece: &[u8], mut delays_us: Option<&mut Vec<f64>>) {
        let now_us = chat::now_us();
        self.unfinished.extend_from_slice(piece);
        let mut used = 0;
        while let Some(length) = find(&self.unfinished[used..], b"\n\n") {
            let event = &self.unfinished[used..used + length];
            if let Some(sent_us) = chat::sent_us(event) {
                self.chunks += 1;
                if let Some(delays) = &mut delays_us {
                    delays.push(micros(Duration::from_micros(now_us.saturating_sub(sent_us))));
                }
            }
            self.ended |= event == STREAM_END;
            used += length + 2;
        }
        self.unfinished.drain(..used);
    }
}
