//! What an operator can see.

use tollgate_ratelimit::ledger::BucketView;
use tollgate_ratelimit::ledger::Closed;
use tollgate_ratelimit::ledger::rows::{GroupBy, Line, Query};
use tollgate_ratelimit::time::Span;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::{Row, Usage};

use crate::texts;
use crate::words::Words;
use crate::world::World;

impl World {
    pub(crate) fn show(&mut self, mut words: Words) -> Result<(), String> {
        let what = words.next("what to show")?;
        if self.nodes.contains_key(&what) {
            return self.show_node(&what, words);
        }
        match what.as_str() {
            "leases" => self.show_leases(words),
            "rows" => self.show_rows(words),
            "closed" => self.show_closed(words),
            "books" => self.show_books(words),
            "window" => {
                let name = words.next("a budget")?;
                words.done()?;
                let now = self.now;
                let (_, budget) = self.ledger.budget(&name).ok_or_else(|| format!("no budget {name}"))?;
                let span = budget.window.span_at(now);
                self.say(span.map_or_else(|| "none is known".to_owned(), texts::window));
                Ok(())
            }
            "time" => {
                words.done()?;
                let (now, told) = (texts::moment(self.now), texts::moment(self.ledger.now()));
                self.say(format!("it is {now}; the ledger's last command was at {told}"));
                Ok(())
            }
            "entries" => {
                words.done()?;
                let entries = self.ledger.adjustments().map(|booked| {
                    let entry = &booked.entry;
                    format!("{} {} by {}: {}", texts::moment(booked.at), entry.id, entry.by, entry.reason)
                });
                let entries: Vec<String> = entries.collect();
                self.say_all(entries);
                Ok(())
            }
            bucket => {
                words.done()?;
                self.show_bucket(bucket)
            }
        }
    }

    fn show_bucket(&mut self, text: &str) -> Result<(), String> {
        let name = self.bucket(text)?;
        let unit = self.rule(name.budget).unit.clone();
        let mut open: Vec<BucketView> = self.ledger.buckets().filter(|view| view.name == name).collect();
        open.sort_by_key(|view| view.window.start);
        if open.is_empty() {
            self.say(format!("{text}: nothing is open"));
        }
        let several = open.len() > 1;
        for view in open {
            let amount = |amount| texts::amount(&unit, amount);
            let from =
                if several { format!(" from {}", texts::moment(view.window.start)) } else { String::new() };
            let mut told = vec![format!(
                "{text}{from}: spent {}, out {}, free {} of {}",
                amount(view.spent.into()),
                amount(view.outstanding.into()),
                amount(view.free),
                amount(view.allowed)
            )];
            if view.forfeited > 0 {
                told.push(format!("forfeited {}", amount(view.forfeited.into())));
            }
            if view.adjusted != 0 {
                told.push(format!("adjusted {}", amount(view.adjusted.into())));
            }
            self.say(told.join(", "));
        }
        Ok(())
    }

    fn show_leases(&mut self, mut words: Words) -> Result<(), String> {
        let text = words.next("a bucket")?;
        words.done()?;
        let name = self.bucket(&text)?;
        let starts: Vec<_> =
            self.ledger.buckets().filter(|view| view.name == name).map(|view| view.window.start).collect();
        let leases = starts.iter().flat_map(|start| self.ledger.leases(&name, *start));
        let lines = leases.map(|lease| {
            let record = lease.record;
            let mut told = vec![format!(
                "{}: granted {}, settled {}, returned {}",
                self.session_name(lease.session),
                record.granted,
                record.settled,
                record.returned
            )];
            if record.overrun > 0 {
                told.push(format!("overran {}", record.overrun));
            }
            if lease.fenced {
                told.push("fenced".to_owned());
            }
            told.join(", ")
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        if lines.is_empty() {
            lines.push(format!("{text}: nobody has a lease"));
        }
        self.say_all(lines);
        Ok(())
    }

    fn show_node(&mut self, node: &str, mut words: Words) -> Result<(), String> {
        let now = self.clock(node)?;
        if words.is_empty() {
            let stats = self.node(node)?.life()?.wallet.stats();
            self.say(format!(
                "{node}: {} leases, {} to spend, {} held, {} waiting",
                stats.leases, stats.avail, stats.held, stats.waiting
            ));
            return words.done();
        }
        let text = words.next("a bucket")?;
        words.done()?;
        let name = self.bucket(&text)?;
        let rule = self.rule(name.budget);
        let terms = tollgate_ratelimit::wallet::Terms {
            unit: rule.unit.clone(),
            enforcement: rule.enforcement,
            limit: rule.limit,
        };
        let purse = self.node(node)?.life()?.wallet.purse(&name, &terms);
        let avail = purse.map_err(|full| format!("{} purses are known already", full.most))?.avail(now);
        self.say(format!("{node} can spend {avail} of {text} without asking"));
        Ok(())
    }

    fn show_rows(&mut self, mut words: Words) -> Result<(), String> {
        let mut query =
            Query { consumer: words.named("consumer"), model: words.named("model"), ..Query::default() };
        if words.takes("by") {
            for word in words.next("what rows are told apart by")?.split(',') {
                query.group_by.push(match word {
                    "consumer" => GroupBy::Consumer,
                    "model" => GroupBy::Model,
                    "backend" => GroupBy::Backend,
                    "day" => GroupBy::Day,
                    "month" => GroupBy::Month,
                    _ => {
                        return Err(format!("expected consumer, model, backend, day or month, not {word:?}"));
                    }
                });
            }
        }
        words.done()?;
        let lines = self.ledger.rows().query(&query);
        if lines.is_empty() {
            self.say("no rows");
        }
        self.say_all(lines.iter().map(row_line).collect());
        Ok(())
    }

    fn show_closed(&mut self, mut words: Words) -> Result<(), String> {
        let name = words.next("a budget")?;
        words.done()?;
        let (earlier, closed) = self.ledger.closed(self.bucket(&name)?.budget);
        if closed.is_empty() {
            self.say("no window is closed");
        }
        if earlier.buckets > 0 {
            self.say(format!("folded: {}", closed_line(&earlier)));
        }
        // Long lists are told by their ends.
        let shown = closed.len().min(3);
        for one in &closed[..shown] {
            self.say(closed_line(one));
        }
        if closed.len() > 2 * shown {
            self.say(format!("... {} windows", closed.len() - 2 * shown));
        }
        for one in &closed[shown.max(closed.len().saturating_sub(shown))..] {
            self.say(closed_line(one));
        }
        Ok(())
    }

    /// What buckets and rows say of the same spending.
    fn show_books(&mut self, mut words: Words) -> Result<(), String> {
        let name = words.next("a budget")?;
        words.done()?;
        let id = self.bucket(&name)?.budget;
        let unit = self.rule(id).unit.clone();
        let mut total = Row::default();
        for line in self.ledger.rows().query(&Query::default()) {
            total = line.row;
        }
        let Usage { input, cached_input, output, reasoning, total: tokens, .. } = total.usage;
        let rows = match &unit {
            Unit::Requests => total.requests,
            Unit::InputTokens => input,
            Unit::OutputTokens => output,
            Unit::TotalTokens => tokens,
            Unit::CachedInputTokens => cached_input,
            Unit::ReasoningTokens => reasoning,
            Unit::Cost => total.cost_nano_usd,
            Unit::Expression(_) => return Err("rows do not keep expressions".to_owned()),
        };
        let [spent, rows] = [self.ledger.spent_ever(id), rows].map(|sum| texts::amount(&unit, sum.into()));
        self.say(format!("{name}: {spent} by its buckets, {rows} by the rows"));
        Ok(())
    }
}

fn row_line(line: &Line) -> String {
    let named = [&line.consumer, &line.model, &line.backend];
    let mut place: Vec<String> = named.into_iter().flatten().cloned().collect();
    place.extend(line.term.map(|term| term.to_string()));
    if place.is_empty() {
        place.push("all".to_owned());
    }
    let row = &line.row;
    let mut told = vec![format!("{} requests", row.requests), format!("{} tokens", row.usage.total)];
    for (what, count) in [
        ("input", row.usage.input),
        ("cached", row.usage.cached_input),
        ("output", row.usage.output),
        ("reasoning", row.usage.reasoning),
    ] {
        if count > 0 {
            told.push(format!("{what} {count}"));
        }
    }
    if row.cost_nano_usd > 0 {
        told.push(texts::amount(&Unit::Cost, row.cost_nano_usd.into()));
    }
    if row.unknown_requests > 0 {
        told.push(format!("{} unknown ({} tokens)", row.unknown_requests, row.unknown_usage.total));
    }
    let change = &line.change;
    for (what, count) in [
        ("requests", change.requests),
        ("input", change.input),
        ("output", change.output),
        ("tokens", change.total),
    ] {
        if count != 0 {
            told.push(format!("corrected by {count} {what}"));
        }
    }
    if change.cost_nano_usd != 0 {
        told.push(format!("corrected by {}", texts::amount(&Unit::Cost, change.cost_nano_usd.into())));
    }
    if line.coarse {
        told.push("folded with other days".to_owned());
    }
    format!("{}: {}", place.join(" "), told.join(", "))
}

fn closed_line(closed: &Closed) -> String {
    let Span { start, end } = closed.window;
    let mut told = vec![format!(
        "{} to {}: spent {} in {} buckets",
        texts::moment(start),
        texts::moment(end),
        closed.spent,
        closed.buckets
    )];
    if closed.forfeited > 0 {
        told.push(format!("forfeited {}", closed.forfeited));
    }
    if closed.adjusted != 0 {
        told.push(format!("adjusted {}", closed.adjusted));
    }
    told.join(", ")
}
