//! Patience with an upstream that is answering: the rule's time for the whole exchange, and how long it may be silent.
//!
//! A timer is set when there is first something to wait for, and moved only once it goes off too early: a chunk costs
//! a look at the clock and no timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// When it ends, and what wakes us then.
pub(super) struct Patience {
    deadline: Option<Instant>,
    idle: Option<Duration>,
    heard_at: Instant,
    /// Allocated only for rules that limit time. Never later than the end of patience, which only moves on.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Begins at `now`; without a `deadline` or a bound on silence there is no end to it.
    pub(super) fn new(deadline: Option<Instant>, idle: Option<Duration>, now: Instant) -> Self {
        Self { deadline, idle, heard_at: now, alarm: None }
    }

    /// The upstream said something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Whether it has ended. To be asked also of an upstream that always has more: only silence sets the alarm off.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// Ready when it has ended.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.end() else {
            return Poll::Pending;
        };
        let end = tokio::time::Instant::from_std(end);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            ready!(alarm.as_mut().poll(context));
            if alarm.deadline() >= end {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(end);
        }
    }

    fn end(&self) -> Option<Instant> {
        let silent = self.idle.map(|idle| self.heard_at + idle);
        [self.deadline, silent].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_ends() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let idle = Duration::from_millis(100);
        #[rustfmt::skip]
        let cases = [
            // deadline       idle        heard  now   over   why
            (None,            None,        0, 9_999, false, "no limit"),
            (Some(at(500)),   None,        0,   499, false, "not yet"),
            (Some(at(500)),   None,      500,   500, true,  "heard or not: the time for all of it is over"),
            (None,            Some(idle), 50,   149, false, "not silent for long enough"),
            (None,            Some(idle), 50,   150, true,  "too long a silence"),
            (Some(at(500)),   Some(idle), 50,   150, true,  "silence comes first"),
            (Some(at(500)),   Some(idle), 450,  500, true,  "the deadline comes first"),
        ];
        for (deadline, idle, heard, now, over, why) in cases {
            let mut patience = Patience::new(deadline, idle, start);
            patience.heard(at(heard));
            assert_eq!(patience.is_over(at(now)), over, "{why}");
        }
    }

    /// An alarm that was set before the last word must not end what has begun again.
    #[tokio::test]
    async fn an_early_alarm_is_set_again() {
        let idle = Duration::from_millis(30);
        let mut patience = Patience::new(None, Some(idle), Instant::now());
        let over = std::future::poll_fn(|context| {
            Poll::Ready(patience.poll_over(context).is_ready()) // Sets the alarm.
        });
        assert!(!over.await);
        let last_word = Instant::now() + Duration::from_millis(60);
        patience.heard(last_word);
        std::future::poll_fn(|context| patience.poll_over(context)).await;
        assert!(Instant::now() >= last_word + idle);
    }
}
