//! The tables: plain text, the same columns in every run.

use crate::cell::{Cell, Metric, Row};
use crate::idle::Idle;

/// A column: what it shows, of which metric, and how.
pub(crate) struct Column {
    head: &'static str,
    metric: Metric,
    view: View,
}

#[derive(Clone, Copy)]
enum View {
    /// As it is.
    Number,
    /// Microseconds shown as milliseconds.
    Millis,
    /// Divided by the bare proxy's.
    OfBare,
    /// Milliseconds over the provider's own.
    Added,
}

/// Of requests and answers of one piece.
pub(crate) const PLAIN: &[Column] = &[
    column("req/s", Metric::PerSecond, View::Number),
    column("of bare", Metric::PerSecond, View::OfBare),
    column("CPU us", Metric::Cpu, View::Number),
    column("of bare", Metric::Cpu, View::OfBare),
    column("p50 ms", Metric::WholeP50, View::Millis),
    column("added", Metric::WholeP50, View::Added),
    column("p99 ms", Metric::WholeP99, View::Millis),
    column("added", Metric::WholeP99, View::Added),
];

/// Of streams as fast as they go.
pub(crate) const BURSTS: &[Column] = &[
    column("streams/s", Metric::PerSecond, View::Number),
    column("of bare", Metric::PerSecond, View::OfBare),
    column("CPU us", Metric::Cpu, View::Number),
    column("a chunk", Metric::ChunkCpu, View::Number),
    column("of bare", Metric::ChunkCpu, View::OfBare),
    column("1st byte", Metric::FirstByteP50, View::Millis),
    column("p50 ms", Metric::WholeP50, View::Millis),
    column("added", Metric::WholeP50, View::Added),
    column("p99 ms", Metric::WholeP99, View::Millis),
    column("added", Metric::WholeP99, View::Added),
];

/// Of streams as models write them.
pub(crate) const PACED: &[Column] = &[
    column("1st p50", Metric::FirstByteP50, View::Millis),
    column("1st p99", Metric::FirstByteP99, View::Millis),
    column("delay p50", Metric::DelayP50, View::Millis),
    column("added", Metric::DelayP50, View::Added),
    column("delay p99", Metric::DelayP99, View::Millis),
    column("added", Metric::DelayP99, View::Added),
    column("whole p50", Metric::WholeP50, View::Millis),
    column("added", Metric::WholeP50, View::Added),
    column("CPU us/ch", Metric::ChunkCpu, View::Number),
    column("of bare", Metric::ChunkCpu, View::OfBare),
];

const fn column(head: &'static str, metric: Metric, view: View) -> Column {
    Column { head, metric, view }
}

/// Prints one setting.
pub(crate) fn print_cell(cell: &Cell, columns: &[Column]) {
    println!("\n{}", cell.title);
    print!("  {:<11}", "");
    for column in columns {
        print!(" {:>9}", column.head);
    }
    println!();
    for row in &cell.rows {
        print!("  {:<11}", row.kind.name());
        for column in columns {
            print!(" {:>9}", shown(cell, row, column));
        }
        println!();
        if let Some(reason) = &row.failure {
            println!("  !!! {} FAILED after {} of its rounds: {reason}", row.kind.name(), row.samples.len());
        }
    }
}

/// Prints the memory of idle streams.
pub(crate) fn print_idle(rows: &[Idle]) {
    println!("\nmemory of idle streams, each after its first chunk");
    println!("  {:<11} {:>9} {:>10} {:>10} {:>12}", "", "streams", "before MiB", "after MiB", "KiB a stream");
    for row in rows {
        let name = row.kind.name();
        match &row.memory {
            Ok(held) => println!(
                "  {name:<11} {:>9} {:>10.1} {:>10.1} {:>12.1}",
                held.streams,
                held.before_kib / 1024.0,
                held.after_kib / 1024.0,
                held.per_stream_kib()
            ),
            Err(reason) => println!("  !!! {name} FAILED: {reason}"),
        }
    }
}

fn shown(cell: &Cell, row: &Row, column: &Column) -> String {
    let text = match column.view {
        View::Number => cell.value(row.kind, column.metric).map(number),
        View::Millis => cell.value(row.kind, column.metric).map(|us| format!("{:.3}", us / 1000.0)),
        View::OfBare => cell.of_bare(row.kind, column.metric).map(|ratio| format!("{ratio:.2}x")),
        View::Added => cell.added(row.kind, column.metric).map(|us| format!("{:+.3}", us / 1000.0)),
    };
    text.unwrap_or_else(|| "-".to_owned())
}

fn number(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
