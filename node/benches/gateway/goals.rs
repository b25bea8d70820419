//! What Tollgate is to reach on traffic of one dialect, and whether it did in this run. Nothing here fails a build: a
//! shared machine says too little for that.

use crate::cell::{Cell, Metric};
use crate::idle::{Held, Idle};
use crate::measure::Memory;
use crate::targets::Kind;

/// Everything that was measured; what was not is empty.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) plain: Vec<Cell>,
    pub(crate) bursts: Vec<Cell>,
    pub(crate) paced: Vec<Cell>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) resident: Option<Memory>,
}

/// What is wanted of one figure.
struct Goal {
    what: &'static str,
    limit: Limit,
    unit: &'static str,
}

/// Which side of a limit is good.
#[derive(Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
    Under(f64),
}

/// The worst figure and where it was seen.
struct Worst {
    figure: f64,
    place: String,
    /// What the bare proxy has there, if the goal is not a ratio to it.
    bare: Option<f64>,
}

const REQUESTS: Goal =
    Goal { what: "requests a second, of bare hyper", limit: Limit::AtLeast(0.6), unit: "x" };
const CPU: Goal = Goal { what: "CPU a request, of bare hyper", limit: Limit::AtMost(2.0), unit: "x" };
const STREAM: Goal =
    Goal { what: "20 chunks, added to direct (p50)", limit: Limit::AtMost(1.0), unit: " ms" };
const CHUNK: Goal =
    Goal { what: "CPU a chunk, streams without a pause", limit: Limit::AtMost(10.0), unit: " us" };
const IDLE_STREAM: Goal = Goal { what: "memory of an idle stream", limit: Limit::Under(64.0), unit: " KiB" };
const RESIDENT: Goal = Goal { what: "resident memory", limit: Limit::Under(40.0), unit: " MiB" };

/// Prints every goal with the worst figure that it is held against.
pub(crate) fn print(results: &Results) {
    println!("\ngoals for tollgate, each against its worst figure above");
    for (goal, metric) in [(REQUESTS, Metric::PerSecond), (CPU, Metric::Cpu)] {
        let ratio = |cell: &Cell, kind| cell.of_bare(kind, metric).filter(|_| kind == Kind::Tollgate);
        goal.print(goal.worst(&results.plain, ratio));
    }
    // Where the machine is not the limit: a lone stream as fast as it goes, and paced ones but for the many at once.
    let calm = results.bursts.iter().take(1).chain(results.paced.iter().take(2));
    let added_ms = |cell: &Cell, kind| Some(cell.added(kind, Metric::WholeP50)? / 1000.0);
    STREAM.print(STREAM.worst(calm, added_ms));
    CHUNK.print(CHUNK.worst(&results.bursts, |cell, kind| cell.value(kind, Metric::ChunkCpu)));
    IDLE_STREAM.print(idle(&results.idle));
    RESIDENT.print(results.resident.map(resident));
}

fn idle(rows: &[Idle]) -> Option<Worst> {
    let held = |kind: Kind| rows.iter().find(|row| row.kind == kind)?.memory.as_ref().ok();
    let own = held(Kind::Tollgate)?;
    Some(Worst {
        figure: own.per_stream_kib(),
        place: format!("{} streams", own.streams),
        bare: held(Kind::Bare).map(Held::per_stream_kib),
    })
}

fn resident(memory: Memory) -> Worst {
    let now_mib = memory.now_kib / 1024.0;
    Worst {
        figure: memory.peak_kib / 1024.0,
        place: format!("the peak with up to 64 connections; {now_mib:.1} MiB after"),
        bare: None,
    }
}

impl Goal {
    /// `figure` tells one cell's, of a kind of target.
    fn worst<'a>(
        &self,
        cells: impl IntoIterator<Item = &'a Cell>,
        figure: impl Fn(&Cell, Kind) -> Option<f64>,
    ) -> Option<Worst> {
        let measured = cells.into_iter().filter_map(|cell| {
            Some(Worst {
                figure: figure(cell, Kind::Tollgate)?,
                place: cell.title.clone(),
                bare: figure(cell, Kind::Bare),
            })
        });
        measured.reduce(|a, b| {
            let b_is_worse = match self.limit {
                Limit::AtLeast(_) => b.figure < a.figure,
                Limit::AtMost(_) | Limit::Under(_) => b.figure > a.figure,
            };
            if b_is_worse { b } else { a }
        })
    }

    fn print(&self, worst: Option<Worst>) {
        let Self { what, limit, unit } = self;
        let wanted = match limit {
            Limit::AtLeast(limit) => format!("at least {limit}{unit}"),
            Limit::AtMost(limit) => format!("at most {limit}{unit}"),
            Limit::Under(limit) => format!("under {limit}{unit}"),
        };
        let Some(Worst { figure, place, bare }) = worst else {
            println!("  not measured  {what:<36} {wanted}");
            return;
        };
        let reached = match *limit {
            Limit::AtLeast(limit) => figure >= limit,
            Limit::AtMost(limit) => figure <= limit,
            Limit::Under(limit) => figure < limit,
        };
        let verdict = if reached { "reached" } else { "NOT REACHED" };
        let bare = bare.map_or_else(String::new, |bare| format!("; bare hyper {bare:.2}{unit}"));
        println!("  {verdict:<13} {what:<36} {wanted:<16} {figure:.2}{unit} ({place}{bare})");
    }
}
