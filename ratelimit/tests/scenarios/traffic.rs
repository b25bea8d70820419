//! What a node does, and its requests: they reserve, wait, extend, settle.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::journal::Record;
use tollgate_ratelimit::time::NodeTime;
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{self, Hold, Part, Refused, Terms, Woken};

use crate::node::{Asked, Held, Request, Waiting, noted, pays};
use crate::words::{Words, duration};
use crate::world::World;
use crate::{texts, usage};

/// A request waits for so long, unless it says otherwise.
const PATIENCE_MS: u64 = 10_000;

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
            "sends" => {
                if !self.send(node)? {
                    self.say(format!("{node} has nothing to say"));
                }
                Ok(())
            }
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
        let key = RowKey { consumer, model, backend: "default/openai".to_owned(), hour: self.now.hour() };
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
        let got = match result {
            Ok(got) => got,
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
            before.hold.absorb(got);
            let held = one.life()?.holds.remove(name).expect("it was just there");
            one.note_extended(&held, &was)?;
            one.life()?.holds.insert(name.to_owned(), held);
        } else if let Err(why) = one.note_reserved(&request, &got) {
            got.release();
            self.say(format!("{name} is refused: {why}"));
            return Ok(());
        } else {
            one.life()?.holds.insert(name.to_owned(), Held { request, hold: got, session });
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
        let key = RowKey { hour: self.now.hour(), ..held.request.key.clone() };
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

    pub(crate) fn tick_node(&mut self, node: &str) -> Result<(), String> {
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
}

fn wallet_parts(request: &Request) -> Vec<Part<'_>> {
    request.parts.iter().map(|part| Part { purse: &part.purse, amount: part.amount }).collect()
}

/// Holds what can be had, to the last unit, of what `actual` passes the hold by.
fn hold_more(hold: &mut Hold, part: usize, actual: Amount, now: NodeTime) {
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
