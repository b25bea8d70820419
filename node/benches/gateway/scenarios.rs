//! What is measured: settings of the load, run over all targets in turn, round by round, so that whatever else the
//! machine does hits all of them alike.

use std::time::Duration;

use crate::cell::{Cell, Row, sample};
use crate::chat::{self, Model};
use crate::gateway;
use crate::load::{self, Expect, Plan};
use crate::measure::{Memory, open_files_limit};
use crate::options::Options;
use crate::report::{self, Column};
use crate::targets::{Kind, Starter, Target};

/// With how many connections a gateway is said to be resident; beyond, idle streams have a goal of their own.
const USUAL_CONNECTIONS: usize = 64;

/// As many streams as a gateway must carry.
pub(crate) const MANY: usize = 1000;

/// Paced streams begin evenly spread over the time that one takes, so that they keep out of each other's way after.
const STREAM_GAPS: u32 = 20;

/// Files that a process has open beside its connections.
const OTHER_FILES: usize = 200;

/// Runs settings over the targets, which stay the same processes throughout.
pub(crate) struct Scenarios<'a> {
    pub(crate) options: &'a Options,
    pub(crate) starter: &'a Starter,
    pub(crate) targets: &'a [Target],
    /// Of Tollgate, the highest seen with a usual number of connections.
    pub(crate) resident: Option<Memory>,
    /// Bytes that Tollgate's access log got; `None` as long as it was not loaded.
    pub(crate) logged: Option<usize>,
}

/// The load of one setting.
struct Setting {
    title: String,
    model: Model,
    kilobytes: usize,
    connections: usize,
    window: Duration,
}

impl Scenarios<'_> {
    /// Requests and answers of one piece.
    pub(crate) async fn plain(&mut self) -> Vec<Cell> {
        let shapes = [
            ("1 KB request, small answer", Model::Small, 1, &[1, 16, 64][..]),
            ("64 KB request, small answer", Model::Small, 64, &[1, 16, 64]),
            ("1 KB request, 64 KB answer", Model::Large, 1, &[16]),
        ];
        let window = self.options.times.plain;
        let mut cells = Vec::new();
        for (shape, model, kilobytes, connections) in shapes {
            for &connections in connections {
                let title = format!("{shape}, {}", at_once(connections, "connection"));
                let setting = Setting { title, model, kilobytes, connections, window };
                cells.push(self.cell(setting, report::PLAIN).await);
            }
        }
        cells
    }

    /// Streams as fast as they go.
    pub(crate) async fn bursts(&mut self) -> Vec<Cell> {
        let window = self.options.times.burst;
        let mut cells = Vec::new();
        for connections in [1, 64] {
            let title = format!("20 chunks without a pause, {}", at_once(connections, "stream"));
            let setting = Setting { title, model: Model::Stream, kilobytes: 1, connections, window };
            cells.push(self.cell(setting, report::BURSTS).await);
        }
        cells
    }

    /// Streams as models write them.
    pub(crate) async fn paced(&mut self) -> Vec<Cell> {
        let times = self.options.times;
        let settings = [
            (Model::Paced10, 1, times.paced),
            (Model::Paced10, 64, times.paced),
            (Model::Paced50, streams_that_fit(), times.many),
        ];
        let mut cells = Vec::new();
        for (model, connections, window) in settings {
            let gap_ms = model.gap().as_millis();
            let title = format!("20 chunks, one every {gap_ms} ms, {}", at_once(connections, "stream"));
            let setting = Setting { title, model, kilobytes: 1, connections, window };
            cells.push(self.cell(setting, report::PACED).await);
        }
        cells
    }

    /// Measures one setting, and prints it at once: a run that is interrupted was not for nothing.
    async fn cell(&mut self, setting: Setting, columns: &[Column]) -> Cell {
        eprintln!("… {}", setting.title); // Progress, kept out of the report.
        let fresh = |target: &Target| Row { kind: target.kind, samples: Vec::new(), failure: None };
        let mut rows: Vec<Row> = self.targets.iter().map(fresh).collect();
        for _round in 0..self.options.rounds {
            for (target, row) in self.targets.iter().zip(&mut rows) {
                if row.failure.is_some() {
                    continue;
                }
                match load::run(plan(&setting, target, self.options), target.pid().as_slice()).await {
                    Ok(outcome) => row.samples.push(sample(outcome)),
                    Err(reason) => row.failure = Some(reason),
                }
            }
        }
        self.note_gateway(setting.connections);
        let cell = Cell { title: setting.title, rows };
        report::print_cell(&cell, columns);
        cell
    }

    fn note_gateway(&mut self, connections: usize) {
        let gateway = self.targets.iter().find(|target| target.kind == Kind::Tollgate);
        let Some(pid) = gateway.and_then(Target::pid) else {
            return;
        };
        let logged = gateway::empty_access_log(self.starter);
        self.logged = Some(self.logged.unwrap_or(0) + logged);
        if connections <= USUAL_CONNECTIONS {
            self.resident = Memory::of(pid).ok().or(self.resident);
        }
    }
}

fn plan(setting: &Setting, target: &Target, options: &Options) -> Plan {
    let expect = match setting.model {
        Model::Small | Model::Large => Expect::Body { bytes: chat::answer_body(setting.model).len() },
        Model::Stream | Model::Paced10 | Model::Paced50 | Model::Idle => Expect::Stream,
    };
    Plan {
        addresses: vec![target.address],
        requests: vec![chat::request(target.address, setting.model, setting.kilobytes)],
        order: vec![0],
        expect,
        connections: setting.connections,
        spread: setting.model.gap() * STREAM_GAPS,
        warm_up: options.times.warm_up,
        window: setting.window,
    }
}

/// A proxy has two connections open for each stream.
pub(crate) fn streams_that_fit() -> usize {
    let limit = open_files_limit();
    let fit = limit.saturating_sub(OTHER_FILES) / 2;
    if fit < MANY {
        println!(
            "!!! only {fit} streams instead of {MANY}: a process may open only {limit} files (see `ulimit -n`)"
        );
    }
    MANY.min(fit).max(1)
}

fn at_once(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
