//! What a stream costs in memory while nothing happens in it: fresh processes, warmed by a few requests, before and
//! after so many streams got their first chunk and then wait.

use std::time::Duration;

use tokio::time::sleep;

use crate::chat::{self, Model};
use crate::load::{self, Expect, Plan, succeeded};
use crate::measure::{Memory, count};
use crate::targets::{Kind, Starter, Target};
use crate::wire::Wire;

/// What is lazily made at the first requests is not the streams' doing.
const WARM_UP: Duration = Duration::from_millis(300);

/// After the last stream has begun, and after the warm-up.
const SETTLE: Duration = Duration::from_millis(500);

/// One proxy.
pub(crate) struct Idle {
    pub(crate) kind: Kind,
    pub(crate) memory: Result<Held, String>,
}

/// Its memory.
pub(crate) struct Held {
    pub(crate) streams: usize,
    pub(crate) before_kib: f64,
    pub(crate) after_kib: f64,
}

impl Held {
    pub(crate) fn per_stream_kib(&self) -> f64 {
        (self.after_kib - self.before_kib) / count(self.streams)
    }
}

/// Measures every proxy with so many streams.
pub(crate) async fn run(starter: &Starter, streams: usize) -> Vec<Idle> {
    eprintln!("… {streams} idle streams"); // Progress, kept out of the report.
    let mut all = Vec::new();
    for kind in starter.kinds().into_iter().filter(|kind| *kind != Kind::Direct) {
        let memory = measure(starter, kind, streams).await;
        all.push(Idle { kind, memory });
    }
    all
}

async fn measure(starter: &Starter, kind: Kind, streams: usize) -> Result<Held, String> {
    let target = starter.start(kind).await?;
    let pid = target.pid().ok_or("no process of its own")?;
    warm(&target).await?;
    sleep(SETTLE).await;
    let before = Memory::of(pid)?;
    let request = chat::request(target.address, Model::Idle, 1);
    let mut open = Vec::with_capacity(streams);
    for _ in 0..streams {
        let mut wire = Wire::connect(target.address).await?;
        wire.send(&request).await?;
        let mut body = succeeded(&mut wire).await?;
        if wire.piece(&mut body).await?.is_none() {
            return Err("expected a stream that goes on, got its end".to_owned());
        }
        open.push(wire);
    }
    sleep(SETTLE).await;
    let after = Memory::of(pid)?;
    Ok(Held { streams: open.len(), before_kib: before.now_kib, after_kib: after.now_kib })
}

async fn warm(target: &Target) -> Result<(), String> {
    let plan = Plan {
        addresses: vec![target.address],
        requests: vec![chat::request(target.address, Model::Stream, 1)],
        order: vec![0],
        expect: Expect::Stream,
        connections: 4,
        spread: Duration::ZERO,
        warm_up: Duration::ZERO,
        window: WARM_UP,
    };
    load::run(plan, &[]).await.map(|_outcome| ())
}
