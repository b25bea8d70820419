//! What a node does: requests that reserve, extend and settle, and batches that go to the ledger and back.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::journal::Record;
use tollgate_ratelimit::ledger::command::{Batch, Command, Item, Keep, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, Outcome, Verdict};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{self, Hold, Part, Refused, Terms, Woken};

use crate::node::{Asked, Held, Request, Waiting, noted, pays};
use crate::words::{Words, duration};
use crate::world::World;
use crate::{texts, usage};

/// A request waits for so long, unless it says otherwise.
const PATIENCE_MS: u64 = 10_000;
/// Batches that one exchange may take: more of them go round in a circle.
const MOST_ROUNDS: usize = 8;

impl World {
    pub(crate) fn node_does(&mut self, node: &str, verb: &str, mut words: Words) -> Result<(), String> {
        match verb {
            "reserve" => return self.reserve(node, words),
            "settle" => return self.settle(node, words),
            "extend" => return self.extend(node, words),
            "release" | "drop" => return self.release(node, words),
            "cancel" => return self.cancel(node, words),
            "jumps" => {
                let ms = duration(&words.next("a duration")?)?;
                self.node(node)?.ahead_ms += ms;
                return words.done();
            }
            "loses" | "disk" | "crashes" | "restarts" | "reopens" | "leaves" | "flushes" => {
                return self.node_lives(node, verb, words);
            }
            "sends" | "hears" | "syncs" | "ticks" | "drains" => words.done()?,
            _ => return Err(format!("unknown command {verb:?} of a node")),
        }
        match verb {
            "sends" => match self.send(node)? {
                true => Ok(()),
                false => {
                    self.say(format!("{node} has nothing to say"));
                    Ok(())
                }
            },
            "hears" => self.hear(node),
            "ticks" => self.tick_node(node),
            "drains" => {
                let now = self.clock(node)?;
                let woken = self.node(node)?.life()?.wallet.drain(now);
                self.wake(node, woken)
            }
            _ => self.sync(node),
        }
    }

    fn reserve(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let within_ms = words.named("within").map_or(Ok(PATIENCE_MS), |text| duration(&text))?;
        let mut parts = Vec::new();
        while !words.takes("as") {
            words.takes("+");
            let text = words.next("a bucket")?;
            let amount = words.number("how much")?;
            parts.push(self.asked(node, text, amount)?);
        }
        let name = words.next("the request's name")?;
        let first = parts.first().ok_or("expected a bucket")?;
        let who =
            first.bucket.key.0.split('/').next_back().filter(|who| !who.is_empty()).unwrap_or("somebody");
        let consumer = words.named("by").unwrap_or_else(|| who.to_owned());
        let model = words.named("model").unwrap_or_else(|| "gpt".to_owned());
        words.done()?;
        let key = RowKey { consumer, model, backend: "default/openai".to_owned(), day: self.now.day() };
        let request = Request { parts, key };
        let now = self.clock(node)?;
        let wallet = Arc::clone(&self.node(node)?.life()?.wallet);
        match wallet.reserve(&wallet_parts(&request), now) {
            Err(Refused { why: wallet::Why::Dry, .. }) => {}
            known @ (Ok(_) | Err(_)) => return self.admit(node, &name, request, known),
        }
        match wallet.ask(&wallet_parts(&request), now.plus(within_ms), now) {
            wallet::Asked::Known(known) => self.admit(node, &name, request, known),
            wallet::Asked::Wait(ticket) => {
                self.node(node)?.life()?.waits.insert(ticket, Waiting { name: name.clone(), request });
                self.say(format!("{name} waits for a lease"));
                Ok(())
            }
        }
    }

    fn asked(&mut self, node: &str, text: String, amount: Amount) -> Result<Asked, String> {
        let bucket = self.bucket(&text)?;
        let rule = self.rule(bucket.budget);
        let terms = Terms { unit: rule.unit.clone(), enforcement: rule.enforcement, limit: rule.limit };
        let purse = self.node(node)?.life()?.wallet.purse(&bucket, &terms);
        let purse = purse.map_err(|full| format!("{} purses are known already", full.most))?;
        Ok(Asked { text, bucket, unit: terms.unit, purse, amount })
    }

    /// What came of asking: a request goes on only once its journal says so.
    fn admit(
        &mut self,
        node: &str,
        name: &str,
        request: Request,
        result: Result<Hold, Refused>,
    ) -> Result<(), String> {
        let hold = match result {
            Ok(hold) => hold,
            Err(refused) => {
                let part = &request.parts[refused.part];
                let then = texts::then(self.rule(part.bucket.budget).on_exhausted);
                let (why, text) = (texts::refusal(refused.why), part.text.clone());
                if self.node(node)?.life()?.holds.contains_key(name) {
                    self.say(format!("{name} gets no more of {text}: {why}"));
                } else {
                    self.say(format!("{name} is refused by {text}: {why} ({then})"));
                }
                return Ok(());
            }
        };
        let one = self.node(node)?;
        let session = one.life()?.session;
        if let Some(before) = one.life()?.holds.get_mut(name) {
            let was: Vec<_> = before.hold.held().collect();
            before.hold.absorb(hold);
            let held = one.life()?.holds.remove(name).expect("it was just there");
            one.note_extended(&held, &was)?;
            one.life()?.holds.insert(name.to_owned(), held);
        } else if let Err(why) = one.note_reserved(&request, &hold) {
            hold.release();
            self.say(format!("{name} is refused: {why}"));
            return Ok(());
        } else {
            one.life()?.holds.insert(name.to_owned(), Held { request, hold, session });
        }
        self.say_held(node, name)
    }

    fn say_held(&mut self, node: &str, name: &str) -> Result<(), String> {
        let held = self.held(node, name)?;
        let lent = |at: usize| held.hold.held().filter(|part| part.part == at).map(|part| part.lent).sum();
        let parts = held.request.parts.iter().enumerate().map(|(at, part)| {
            let amount = texts::amount(&part.unit, i128::from(held.hold.amount(at)));
            match lent(at) {
                0 => format!("{amount} of {}", part.text),
                lent => format!("{amount} of {} ({lent} without a lease)", part.text),
            }
        });
        let parts: Vec<String> = parts.collect();
        self.say(format!("{name} holds {}", parts.join(", ")));
        Ok(())
    }

    fn held(&mut self, node: &str, name: &str) -> Result<&mut Held, String> {
        self.node(node)?
            .life()?
            .holds
            .get_mut(name)
            .ok_or_else(|| format!("no request {name} runs at {node}"))
    }

    fn take_held(&mut self, node: &str, name: &str) -> Result<Held, String> {
        self.held(node, name)?;
        Ok(self.node(node)?.life()?.holds.remove(name).expect("it was just there"))
    }

    fn extend(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let name = words.next("a request")?;
        let mut more = Vec::new();
        while !words.is_empty() {
            more.push(words.number("how much more")?);
        }
        words.done()?;
        let now = self.clock(node)?;
        let mut held = self.take_held(node, &name)?;
        more.resize(held.request.parts.len(), *more.last().ok_or("expected how much more")?);
        let before: Vec<_> = held.hold.held().collect();
        let result = held.hold.extend(&more, now);
        let request = held.request.clone();
        let one = self.node(node)?;
        if result.is_ok() {
            one.note_extended(&held, &before)?;
        }
        one.life()?.holds.insert(name.clone(), held);
        let refused = match result {
            Ok(()) => return self.say_held(node, &name),
            Err(refused) => refused,
        };
        let mut request = request;
        request.parts.iter_mut().zip(&more).for_each(|(part, more)| part.amount = *more);
        let wallet = Arc::clone(&self.node(node)?.life()?.wallet);
        if refused.why.is_dry()
            && let wallet::Asked::Wait(ticket) =
                wallet.ask(&wallet_parts(&request), now.plus(PATIENCE_MS), now)
        {
            self.node(node)?.life()?.waits.insert(ticket, Waiting { name: name.clone(), request });
            self.say(format!("{name} waits for more"));
            return Ok(());
        }
        let part = &request.parts[refused.part].text;
        self.say(format!("{name} gets no more of {part}: {}", texts::refusal(refused.why)));
        Ok(())
    }

    fn settle(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let name = words.next("a request")?;
        let now = self.clock(node)?;
        let mut held = self.take_held(node, &name)?;
        let (actual, row) = usage::actual(&mut words, &held.request)?;
        words.done()?;
        // All that can be had of what it did cost too much is held first, so that the journal knows what paid for it.
        for (part, actual) in actual.iter().enumerate() {
            hold_more(&mut held.hold, part, *actual, now);
        }
        let pieces: Vec<_> = held.hold.held().collect();
        let paid = pays(&pieces, &actual);
        let parts =
            pieces.iter().zip(&paid).map(|(piece, spent)| noted(piece, &held.request, *spent)).collect();
        let record = Record::Settled { hold: held.hold.number(), parts: Cow::Owned(parts), key: None, row };
        let one = self.node(node)?;
        let is_ours = one.life()?.session == held.session;
        let noted = if is_ours { one.append(&record) } else { Ok(()) };
        for (at, part) in held.request.parts.iter().enumerate() {
            let overrun: Amount = pieces
                .iter()
                .zip(&paid)
                .filter(|(piece, _)| piece.part == at)
                .map(|(_, paid)| paid.overrun)
                .sum();
            let cost = texts::amount(&part.unit, i128::from(actual[at]));
            let beyond = if overrun > 0 { format!(", {overrun} beyond the lease") } else { String::new() };
            self.say(format!("{name} did cost {cost} of {}{beyond}", part.text));
        }
        let key = RowKey { day: self.now.day(), ..held.request.key.clone() };
        held.hold.settle(&actual, (key, row));
        if let Err(why) = noted {
            self.say(format!("{why}: after a restart {name} counts as unknown"));
        }
        Ok(())
    }

    fn release(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let name = words.next("a request")?;
        words.done()?;
        let held = self.take_held(node, &name)?;
        let one = self.node(node)?;
        one.append(&Record::Released { hold: held.hold.number() })?;
        held.hold.release();
        Ok(())
    }

    fn cancel(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let name = words.next("a request")?;
        words.done()?;
        let life = self.node(node)?.life()?;
        let ticket = life.waits.iter().find(|(_, waiting)| waiting.name == name).map(|(ticket, _)| *ticket);
        let ticket = ticket.ok_or_else(|| format!("no request {name} waits at {node}"))?;
        life.waits.remove(&ticket);
        life.wallet.cancel(ticket);
        Ok(())
    }

    fn tick_node(&mut self, node: &str) -> Result<(), String> {
        let now = self.clock(node)?;
        let woken = self.node(node)?.life()?.wallet.tick(now);
        self.wake(node, woken)
    }

    /// Requests that do not wait any more.
    pub(crate) fn wake(&mut self, node: &str, woken: Vec<Woken>) -> Result<(), String> {
        for Woken { ticket, result } in woken {
            if let Some(waiting) = self.node(node)?.life()?.waits.remove(&ticket) {
                self.admit(node, &waiting.name, waiting.request, result)?;
            }
        }
        Ok(())
    }

    /// Everything that the node has to say now, and the answers.
    pub(crate) fn sync(&mut self, node: &str) -> Result<(), String> {
        self.tick_node(node)?;
        for _ in 0..MOST_ROUNDS {
            if !self.send(node)? {
                return Ok(());
            }
            self.take(node)?;
            if self.node(node)?.wire.answer.is_none() {
                return Ok(());
            }
            self.hear(node)?;
        }
        Err("the node and the ledger go round in a circle".to_owned())
    }

    /// Puts the node's next batch on the wire. Whether it has one.
    fn send(&mut self, node: &str) -> Result<bool, String> {
        let now = self.clock(node)?;
        let one = self.node(node)?;
        let Some(batch) = one.life()?.wallet.poll(now) else { return Ok(false) };
        let is_new = !one.wire.sent.contains(&(batch.session, batch.sequence));
        if is_new {
            if let Err(why) = one.note_sent(&batch) {
                self.say(format!("{why}: {node} says nothing"));
                return Ok(false);
            }
            one.wire.sent.insert((batch.session, batch.sequence));
        }
        let again = if is_new { "" } else { " (again)" };
        let text = self.batch_text(&batch);
        self.say(format!("{node} > {}{again}: {text}", batch.sequence));
        self.node(node)?.wire.batch = Some(batch);
        Ok(true)
    }

    pub(crate) fn ledger_does(&mut self, mut words: Words) -> Result<(), String> {
        if words.takes("takes") {
            let node = words.next("a node")?;
            words.done()?;
            return self.take(&node);
        }
        words.expect("restarts")?;
        words.done()?;
        let bytes = crate::world::written(&self.ledger)?;
        self.ledger = crate::world::restored(&bytes)?;
        let same = crate::world::written(&self.ledger)? == bytes;
        self.say(if same { "same bytes" } else { "OTHER BYTES" });
        Ok(())
    }

    /// The ledger takes what the node has sent, if it gets there.
    fn take(&mut self, node: &str) -> Result<(), String> {
        let quorum = self.quorum;
        let one = self.node(node)?;
        let batch = one.wire.batch.take().ok_or_else(|| format!("{node} has sent nothing"))?;
        if one.is_cut_off || !quorum {
            self.say(format!("... {} does not get there", batch.sequence));
            return Ok(());
        }
        let answer = self.tell(&batch)?;
        let wire = &mut self.node(node)?.wire;
        wire.taken.push(batch);
        wire.answer = Some(answer);
        Ok(())
    }

    /// Tells the ledger one batch.
    pub(crate) fn tell(&mut self, batch: &Batch) -> Result<Answer, String> {
        let outcome = self.apply(&Command::Batches(vec![batch.clone()]))?;
        let Outcome::Answers(mut answers) = outcome else { return Err(format!("no answer: {outcome:?}")) };
        let answer = answers.pop().ok_or("no answer")?;
        for (item, said) in batch.items.iter().zip(&answer.items) {
            if let ItemAnswer::Lease(state) = said {
                let name = self.target_text(&item.target);
                self.lease_names.insert(state.lease, name.trim_start_matches("next ").to_owned());
            }
        }
        let text = self.answer_text(batch, &answer);
        self.say(format!("{} < {}: {text}", self.session_name(batch.session), answer.sequence));
        Ok(answer)
    }

    /// The node hears the answer that is on the wire.
    fn hear(&mut self, node: &str) -> Result<(), String> {
        let now = self.clock(node)?;
        let one = self.node(node)?;
        let answer = one.wire.answer.take().ok_or_else(|| format!("no answer to {node} is on its way"))?;
        if one.is_cut_off {
            self.say(format!("... the answer to {node} does not get there"));
            return Ok(());
        }
        let batch = one.wire.taken.iter().rev().find(|batch| batch.sequence == answer.sequence).cloned();
        if answer.verdict == BatchVerdict::Applied
            && let Some(batch) = batch
        {
            self.note_answer(node, &batch, &answer)?;
        }
        let wallet = Arc::clone(&self.node(node)?.life()?.wallet);
        let woken = wallet.handle(&answer, now);
        if wallet.session_is_lost() {
            self.say(format!("{node} has no session any more"));
        }
        self.wake(node, woken)
    }

    fn note_answer(&mut self, node: &str, batch: &Batch, answer: &Answer) -> Result<(), String> {
        let one = self.node(node)?;
        one.append(&Record::Reported { sequence: answer.sequence })?;
        for (item, said) in batch.items.iter().zip(&answer.items) {
            match (&item.target, said) {
                (Target::Current(bucket), ItemAnswer::Lease(state)) => {
                    one.append(&Record::Leased { bucket: Cow::Borrowed(bucket), lease: state.lease })?;
                }
                (Target::Lease(lease), ItemAnswer::Closed) => one.append(&Record::Ended { lease: *lease })?,
                (Target::Current(_) | Target::Next(_) | Target::Lease(_), _) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn lose(&mut self, mut words: Words) -> Result<(), String> {
        let what = words.next("batch or answer")?;
        let node = words.next("a node")?;
        words.done()?;
        let wire = &mut self.node(&node)?.wire;
        let was_there = match what.as_str() {
            "batch" => wire.batch.take().is_some(),
            "answer" => wire.answer.take().is_some(),
            _ => return Err(format!("expected batch or answer, not {what:?}")),
        };
        if was_there { Ok(()) } else { Err(format!("no {what} of {node} is on its way")) }
    }

    /// A batch that the ledger has taken comes once more.
    pub(crate) fn again(&mut self, mut words: Words) -> Result<(), String> {
        let node = words.next("a node")?;
        let wire = &self.node(&node)?.wire;
        let batch = if words.is_empty() {
            wire.taken.last().cloned()
        } else {
            let sequence = words.number("a batch's number")?;
            self.node(&node)?.wire.taken.iter().find(|batch| batch.sequence == sequence).cloned()
        };
        words.done()?;
        let batch = batch.ok_or_else(|| format!("the ledger has taken no such batch of {node}"))?;
        let answer = self.tell(&batch)?;
        self.node(&node)?.wire.answer = Some(answer);
        Ok(())
    }

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

    fn answer_text(&self, batch: &Batch, answer: &Answer) -> String {
        match answer.verdict {
            BatchVerdict::Applied => {}
            BatchVerdict::NoSession => return "no such session".to_owned(),
            BatchVerdict::OutOfSequence { expected } => return format!("not taken: {expected} comes next"),
            BatchVerdict::TooLarge => return "not taken: too large".to_owned(),
        }
        let texts = batch.items.iter().zip(&answer.items).map(|(item, said)| {
            let said = match said {
                ItemAnswer::Lease(state) => {
                    let mut text = format!("granted {} in all", state.granted);
                    if state.covered > 0 {
                        text += &format!(", {} of the overrun covered", state.covered);
                    }
                    if state.verdict != Verdict::Granted {
                        text += &format!(", {}", texts::verdict(state.verdict));
                    }
                    if state.recalled {
                        text += ", give back what you can";
                    }
                    text
                }
                ItemAnswer::Closed => "closed".to_owned(),
                ItemAnswer::Rejected(rejected) => format!("not taken: {rejected:?}"),
            };
            format!("{} {said}", self.target_text(&item.target))
        });
        let texts: Vec<String> = texts.collect();
        if texts.is_empty() { "noted".to_owned() } else { texts.join("; ") }
    }
}

fn wallet_parts(request: &Request) -> Vec<Part<'_>> {
    request.parts.iter().map(|part| Part { purse: &part.purse, amount: part.amount }).collect()
}

/// Holds what can be had, to the last unit, of what `actual` passes the hold by.
fn hold_more(hold: &mut Hold, part: usize, actual: Amount, now: tollgate_ratelimit::time::NodeTime) {
    let mut lacking = actual.saturating_sub(hold.amount(part));
    let mut step = lacking.next_power_of_two();
    while step > 0 && lacking > 0 {
        let mut more = vec![0; part + 1];
        more[part] = step.min(lacking);
        if hold.extend(&more, now).is_ok() {
            lacking -= more[part];
        } else {
            step /= 2;
        }
    }
}
