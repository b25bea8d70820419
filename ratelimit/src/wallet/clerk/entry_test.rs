//! What was lent, and what the ledger covered of it later.

use super::*;
use crate::budget::{BucketName, BudgetId, Enforcement, Key};
use crate::unit::Unit;
use crate::wallet::cell::Usable;
use crate::wallet::purse::Terms;

#[test]
fn what_is_covered_makes_the_allowance_whole_and_no_more() {
    let enforcement = Enforcement::Bounded { per_node: 30 };
    let terms = Terms { unit: Unit::TotalTokens, enforcement, limit: 100 };
    let name = BucketName { budget: BudgetId(1), key: Key::default() };
    let purse = Purse::new(name, terms, 0, &Arc::new(Outlet::new()));
    let mut book = Book::new(purse.current.load(), Role::Current);
    let lent = book.leased.cell.take(30, Usable::Lease).expect("the allowance has it");
    book.leased.cell.settle(lent, 50); // 20 of it is debt, which nobody may spend again.
    #[rustfmt::skip]
    let steps = [
        // covered  avail  why
        (0,         0,     "nothing could be paid for"),
        (20,        20,    "as much as was"),
        (20,        20,    "the same answer again"),
        (10,        20,    "an older one"),
        (50,        30,    "all of it: what was lent, and not the debt"),
    ];
    for (covered, avail, why) in steps {
        book.install(0, covered);
        assert_eq!(book.leased.cell.allowance.avail(), avail, "{why}");
    }
}
