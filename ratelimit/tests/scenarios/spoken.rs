//! How batches and their answers read.

use tollgate_ratelimit::ledger::command::{Batch, Item, Keep, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, LeaseState, Verdict};

use crate::texts;
use crate::world::World;

impl World {
    pub(crate) fn target_text(&self, target: &Target) -> String {
        match target {
            Target::Current(bucket) => self.bucket_text(bucket),
            Target::Next(bucket) => format!("next {}", self.bucket_text(bucket)),
            Target::Lease(lease) => self.lease_name(*lease),
        }
    }

    pub(crate) fn batch_text(&self, batch: &Batch) -> String {
        let mut texts: Vec<String> = batch.items.iter().map(|item| self.item_text(item)).collect();
        match batch.rows.iter().map(|(_, row)| row.requests).sum() {
            0_u64 => {}
            1 => texts.push("1 request finished".to_owned()),
            requests => texts.push(format!("{requests} requests finished")),
        }
        if texts.is_empty() { "nothing new".to_owned() } else { texts.join("; ") }
    }

    fn item_text(&self, item: &Item) -> String {
        let told = [
            ("wants", item.want),
            ("needs", item.need),
            ("settled", item.settled),
            ("overran", item.overrun),
            ("returned", item.returned),
        ];
        let told = told.into_iter().filter(|(_, amount)| *amount > 0);
        let mut told: Vec<String> = told.map(|(what, amount)| format!("{what} {amount}")).collect();
        match item.keep {
            Keep::Close => told.push("closes".to_owned()),
            Keep::Open if told.is_empty() => told.push("nothing new".to_owned()),
            Keep::Open => {}
        }
        format!("{} {}", self.target_text(&item.target), told.join(", "))
    }

    pub(crate) fn answer_text(&self, batch: &Batch, answer: &Answer) -> String {
        match answer.verdict {
            BatchVerdict::Applied => {}
            BatchVerdict::NoSession => return "no such session".to_owned(),
            BatchVerdict::OutOfSequence { expected } => return format!("not taken: {expected} comes next"),
            BatchVerdict::TooLarge => return "not taken: too large".to_owned(),
        }
        let texts = batch.items.iter().zip(&answer.items).map(|(item, said)| {
            let said = match said {
                ItemAnswer::Lease(state) => state_text(state),
                ItemAnswer::Closed => "closed".to_owned(),
                ItemAnswer::Rejected(rejected) => format!("not taken: {rejected:?}"),
            };
            format!("{} {said}", self.target_text(&item.target))
        });
        let texts: Vec<String> = texts.collect();
        if texts.is_empty() { "noted".to_owned() } else { texts.join("; ") }
    }
}

fn state_text(state: &LeaseState) -> String {
    let mut told = vec![format!("granted {} in all", state.granted)];
    if state.covered > 0 {
        told.push(format!("{} of the overrun covered", state.covered));
    }
    if state.verdict != Verdict::Granted {
        told.push(texts::verdict(state.verdict));
    }
    if state.recalled {
        told.push("give back what you can".to_owned());
    }
    told.join(", ")
}
