//! What the kernel tells of a process, and what a list of figures tells. Everything is read from `/proc`.

use std::time::Duration;

/// `USER_HZ`: what `/proc/PID/stat` counts in, on every Linux that Rust's tier-1 targets know.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that a process has used: user and system, all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// To a tick, with the threads that have ended.
    coarse: Duration,
    /// To the scheduler's nanosecond, of the threads that live; where the kernel counts it.
    fine: Option<Duration>,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        Ok(Self { coarse: coarse(pid)?, fine: fine(pid) })
    }

    /// What was used since. The fine figure, unless a thread ended and took its part of it away.
    pub(crate) fn since(self, before: Self) -> Duration {
        let coarse = self.coarse.saturating_sub(before.coarse);
        let fine = self.fine.zip(before.fine).map(|(now, then)| now.saturating_sub(then));
        match fine {
            Some(fine) if fine.abs_diff(coarse) <= TICK * 2 + coarse / 50 => fine,
            Some(_) | None => coarse,
        }
    }
}

fn coarse(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name, in parentheses, may hold anything; user and system ticks are the 12th and 13th field after it.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<u32> =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok(TICK * (user + system)),
        _ => Err(format!("{path}: expected user and system ticks, got `{}`", text.trim_end())),
    }
}

fn fine(pid: u32) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may end between the two lines above; its time is then missing, which `since` notices.
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        total += Duration::from_nanos(text.split_ascii_whitespace().next()?.parse().ok()?);
    }
    (!total.is_zero()).then_some(total)
}

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now_kib: f64,
    pub(crate) peak_kib: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
                .ok_or_else(|| format!("{path}: expected a line `{name} … kB`"))
        };
        Ok(Self { now_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
    }
}

/// How many files and sockets this process, and each that it starts, may have open.
pub(crate) fn open_files_limit() -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or("1024");
    soft.parse().unwrap_or(usize::MAX) // `unlimited`
}

/// How busy the machine is, over one minute.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The value that so many per cent of all are at or under, by nearest rank; sorts. `None` of nothing.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied()
}

/// The middle one, or half-way between the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^52")]
pub(crate) fn count(value: usize) -> f64 {
    value as f64
}

/// Microseconds, with their fraction.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
