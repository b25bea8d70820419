//! Figures of one setting, for every target and round, and what is said of them: medians, ratios, differences.

use std::collections::BTreeMap;

use crate::load::Outcome;
use crate::measure::{count, median, micros, percentile};
use crate::targets::Kind;

/// What is measured of a target. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Exchanges.
    PerSecond,
    /// CPU of the proxy's process for an exchange.
    Cpu,
    /// The same for a chunk of a stream.
    ChunkCpu,
    WholeP50,
    WholeP99,
    FirstByteP50,
    FirstByteP99,
    DelayP50,
    DelayP99,
}

/// One measurement of one target.
pub(crate) type Sample = BTreeMap<Metric, f64>;

/// What an outcome says.
pub(crate) fn sample(mut outcome: Outcome) -> Sample {
    let per = |parts: usize| {
        let cpu = outcome.cpu.map(micros);
        cpu.filter(|_| parts > 0).map(|cpu| cpu / count(parts))
    };
    let figures = [
        (Metric::PerSecond, Some(count(outcome.finished) / outcome.window.as_secs_f64())),
        (Metric::Cpu, per(outcome.finished)),
        (Metric::ChunkCpu, per(outcome.chunks)),
        (Metric::WholeP50, percentile(&mut outcome.whole_us, 50)),
        (Metric::WholeP99, percentile(&mut outcome.whole_us, 99)),
        (Metric::FirstByteP50, percentile(&mut outcome.first_byte_us, 50)),
        (Metric::FirstByteP99, percentile(&mut outcome.first_byte_us, 99)),
        (Metric::DelayP50, percentile(&mut outcome.delay_us, 50)),
        (Metric::DelayP99, percentile(&mut outcome.delay_us, 99)),
    ];
    figures.into_iter().filter_map(|(metric, figure)| Some((metric, figure?))).collect()
}

/// One setting: all targets under the same load.
pub(crate) struct Cell {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// One target in it.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    /// One a round, in order.
    pub(crate) samples: Vec<Sample>,
    /// Why there are no more.
    pub(crate) failure: Option<String>,
}

impl Cell {
    /// The median over rounds.
    pub(crate) fn value(&self, kind: Kind, metric: Metric) -> Option<f64> {
        median(self.samples(kind).iter().filter_map(|sample| sample.get(&metric).copied()).collect())
    }

    /// The median of the ratios to the bare proxy within a round, so that a slow drift of the machine falls out.
    pub(crate) fn of_bare(&self, kind: Kind, metric: Metric) -> Option<f64> {
        self.against(kind, Kind::Bare, metric, |own, bare| own / bare)
    }

    /// The median of the differences to the provider itself within a round.
    pub(crate) fn added(&self, kind: Kind, metric: Metric) -> Option<f64> {
        self.against(kind, Kind::Direct, metric, |own, direct| own - direct)
    }

    fn against(&self, kind: Kind, other: Kind, metric: Metric, compare: fn(f64, f64) -> f64) -> Option<f64> {
        let rounds = self.samples(kind).iter().zip(self.samples(other));
        median(
            rounds
                .filter_map(|(own, other)| Some(compare(*own.get(&metric)?, *other.get(&metric)?)))
                .collect(),
        )
    }

    fn samples(&self, kind: Kind) -> &[Sample] {
        let row = self.rows.iter().find(|row| row.kind == kind);
        row.map_or(&[], |row| &row.samples)
    }
}
