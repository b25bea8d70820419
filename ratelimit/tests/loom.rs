//! The model checker runs the wallet's cell through every order that its threads can take. Does nothing in a normal test run:
//! `RUSTFLAGS="--cfg loom" cargo test -p tollgate-ratelimit --release --test loom`.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use tollgate_ratelimit::wallet::cell::{Cell, Usable};
use tollgate_ratelimit::wallet::sync::Swap;

fn cell(allowance: u64, granted: u64) -> Arc<Cell> {
    let cell = Arc::new(Cell::new(allowance));
    cell.lease.grant(granted);
    cell
}

#[test]
fn never_more_is_taken_than_was_granted() {
    loom::model(|| {
        let cell = cell(0, 3);
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.take(2, Usable::Lease).map_or(0, |taken| taken.total()))
            })
            .collect();
        let taken: u64 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(taken, 2, "one of them gets it");
        assert_eq!(cell.lease.avail(), 1);
    });
}

#[test]
fn nothing_is_lost_between_take_settle_undo_and_withdraw() {
    // Three threads with some ten steps each: all orders with up to three switches between threads that could go on.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let cell = cell(1, 4);
        let settler = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let taken = cell.take(2, Usable::Lease)?;
                cell.settle(taken, 3);
                Some(())
            })
        };
        let undoer = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                if let Some(taken) = cell.take(2, Usable::Lease) {
                    cell.release(taken);
                }
            })
        };
        let withdrawn = cell.lease.withdraw(1);
        // I3: what is reported now never passes what was granted.
        assert!(cell.lease.withdrawn() + cell.lease.spent() <= 4);
        let settled = settler.join().unwrap().is_some();
        undoer.join().unwrap();
        let parts = cell.lease.parts();
        assert_eq!(parts.held(), Some(0));
        let spent = parts.spent + cell.overrun();
        assert_eq!(spent, if settled { 3 } else { 0 }, "withdrawn {withdrawn}");
    });
}

#[test]
fn a_lease_is_over_only_when_its_last_word_is_said() {
    loom::model(|| {
        let old = cell(0, 2);
        let current = Arc::new(Swap::new(Arc::clone(&old)));
        let request = {
            let current = Arc::clone(&current);
            thread::spawn(move || {
                let cell = current.load();
                let taken = cell.take(2, Usable::Lease)?;
                cell.settle(taken, 5);
                Some(())
            })
        };
        // The window rolls over: the clerk swaps, empties, and closes what is over.
        current.store(cell(0, 7));
        old.empty();
        let over = old.is_over();
        let last_words = (old.lease.spent(), old.overrun(), old.lease.withdrawn());
        let _ = request.join().unwrap();
        old.empty();
        assert!(old.is_over());
        let in_the_end = (old.lease.spent(), old.overrun(), old.lease.withdrawn());
        assert!(!over || last_words == in_the_end, "{last_words:?} were not the last: {in_the_end:?}");
    });
}

#[test]
fn a_grant_races_with_takers_and_is_installed_once() {
    loom::model(|| {
        let cell = cell(0, 1);
        let taker = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.take(2, Usable::Lease).map_or(0, |taken| taken.total()))
        };
        assert_eq!(cell.lease.grant(3), 2);
        assert_eq!(cell.lease.grant(3), 0, "the same answer again");
        let taken = taker.join().unwrap();
        assert_eq!(cell.lease.avail() + taken, 3);
    });
}

#[test]
fn what_is_spent_is_seen_or_noticed() {
    loom::model(|| {
        let cell = cell(0, 2);
        let held = [(); 2].map(|()| cell.take(1, Usable::Lease).expect("there are two"));
        cell.settle(held[0], 1);
        assert!(cell.notice_spent(), "the first one is");
        let request = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.settle(held[1], 1);
                cell.notice_spent()
            })
        };
        // The clerk looks, and tells what it sees.
        cell.look();
        let told = cell.lease.spent();
        let is_noticed = request.join().unwrap();
        assert!(is_noticed || told == 2, "{told} were told, and nobody looks again");
    });
}
