//! What operators do: budgets made, changed and taken away, credits and corrections, nodes forgotten.

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension};
use tollgate_ratelimit::ledger::command::{Adjustment, BucketAdjustment, Command};
use tollgate_ratelimit::ledger::outcome::{Outcome, Rejected};
use tollgate_ratelimit::ledger::rows::Change;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::{Fixed, Period, Rolling, Window, upcoming};

use crate::words::{Words, duration, number, signed};
use crate::world::World;

/// Boundaries of a calendar that a budget knows at first, unless a scenario says otherwise.
const KNOWN: u64 = 60;

impl World {
    pub(crate) fn operate(&mut self, first: &str, mut words: Words) -> Result<(), String> {
        match first {
            "budget" => self.make_budget(words),
            "limit" => {
                let (name, limit) = (words.next("a budget")?, words.number("a limit")?);
                let burst = words.named_number("burst")?;
                words.done()?;
                self.change_limit(&name, limit, burst)
            }
            "delete" => {
                let name = words.next("a budget")?;
                words.done()?;
                self.ids.get(&name).ok_or_else(|| format!("no budget {name}"))?;
                let outcome = self.apply(&Command::DeleteBudget { name })?;
                self.say_outcome(&outcome);
                Ok(())
            }
            "extend" => self.extend_calendar(words),
            "credit" => self.credit(words),
            "correct" => self.correct(words),
            "operator" => {
                words.expect("forgets")?;
                let name = words.next("a node")?;
                words.done()?;
                let node = self.node(&name)?.id;
                let outcome = self.apply(&Command::ForgetNode { node })?;
                self.say_outcome(&outcome);
                Ok(())
            }
            _ => Err(format!("unknown command {first:?}")),
        }
    }

    fn make_budget(&mut self, mut words: Words) -> Result<(), String> {
        let name = words.next("a budget's name")?;
        let limit = words.named_number("limit")?.unwrap_or_default();
        let window = self.window(&mut words, limit)?;
        let per = match words.named("per") {
            Some(text) => text.split(',').map(dimension).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let budget = Budget {
            name: name.clone(),
            covers: Cover::default(),
            per,
            unit: unit(&words.named("unit").unwrap_or_else(|| "tokens".to_owned()))?,
            limit,
            window,
            enforcement: enforcement(&words.named("mode").unwrap_or_else(|| "strict".to_owned()))?,
            on_exhausted: match words.named("then").as_deref() {
                None | Some("refuse") => OnExhausted::Refuse,
                Some("next") => OnExhausted::NextPriority,
                Some(other) => return Err(format!("then: expected refuse or next, not {other:?}")),
            },
        };
        words.done()?;
        self.set_budget(budget)
    }

    fn set_budget(&mut self, budget: Budget) -> Result<(), String> {
        let outcome = self.apply(&Command::SetBudget(Box::new(budget.clone())))?;
        match outcome {
            Outcome::BudgetSet { budget: id } => {
                self.ids.insert(budget.name.clone(), id);
                self.rules.insert(id, budget);
            }
            Outcome::Done | Outcome::SessionOpened { .. } | Outcome::Answers(_) | Outcome::Rejected(_) => {
                self.say_outcome(&outcome);
            }
        }
        Ok(())
    }

    fn window(&self, words: &mut Words, limit: u64) -> Result<Window, String> {
        let every = match words.named("window").as_deref() {
            None | Some("lifetime") => return Ok(Window::Lifetime),
            Some("rolling") => {
                let period_ms = words.named("every").map_or(Ok(60_000), |text| duration(&text))?;
                let burst = words.named_number("burst")?.unwrap_or(limit);
                return Ok(Window::Rolling(Rolling { period_ms, burst }));
            }
            Some("second") => Period::Second,
            Some("minute") => Period::Minute,
            Some("hour") => Period::Hour,
            Some("day") => Period::Day,
            Some("week") => Period::Week,
            Some("month") => Period::Month,
            Some("year") => Period::Year,
            Some(other) => return Err(format!("window: expected a kind of window, not {other:?}")),
        };
        let zone = words.named("zone").unwrap_or_else(|| "UTC".to_owned());
        let known = words.named_number("known")?.unwrap_or(KNOWN);
        let boundaries = match every {
            Period::Second | Period::Minute => Vec::new(),
            Period::Hour | Period::Day | Period::Week | Period::Month | Period::Year => {
                boundaries(every, &zone, self.now, known)?
            }
        };
        Ok(Window::Fixed(Fixed { every, zone, boundaries }))
    }

    fn change_limit(&mut self, name: &str, limit: u64, burst: Option<u64>) -> Result<(), String> {
        let (_, budget) = self.ledger.budget(name).ok_or_else(|| format!("no budget {name}"))?;
        let mut budget = Budget { limit, ..budget.clone() };
        if let (Window::Rolling(rolling), Some(burst)) = (&mut budget.window, burst) {
            rolling.burst = burst;
        }
        self.set_budget(budget)
    }

    fn extend_calendar(&mut self, mut words: Words) -> Result<(), String> {
        let (name, more) = (words.next("a budget")?, words.number("how many windows")?);
        words.done()?;
        let (_, budget) = self.ledger.budget(&name).ok_or_else(|| format!("no budget {name}"))?;
        let Window::Fixed(fixed) = &budget.window else { return Err(format!("{name} has no calendar")) };
        let last = fixed.boundaries.last().copied().unwrap_or(self.now);
        let boundaries = boundaries(fixed.every, &fixed.zone, last, more + 1)?;
        let outcome = self.apply(&Command::ExtendCalendar { name, boundaries })?;
        self.say_outcome(&outcome);
        Ok(())
    }

    fn credit(&mut self, mut words: Words) -> Result<(), String> {
        let bucket = self.bucket(&words.next("a bucket")?)?;
        let amount = signed("amount", &words.next("an amount")?)?;
        let (id, reason) = (words.named("id"), words.next("why")?);
        words.done()?;
        self.adjust(id, reason, vec![BucketAdjustment { bucket, window: None, amount }], Vec::new())
    }

    fn correct(&mut self, mut words: Words) -> Result<(), String> {
        let consumer = words.next("a consumer")?;
        let mut change = Change::default();
        for (name, field) in [
            ("requests", &mut change.requests),
            ("input", &mut change.input),
            ("output", &mut change.output),
            ("tokens", &mut change.total),
            ("cost", &mut change.cost_nano_usd),
        ] {
            *field = words.named(name).map_or(Ok(0), |text| signed(name, &text))?;
        }
        let model = words.named("model").unwrap_or_else(|| "gpt".to_owned());
        let (id, reason) = (words.named("id"), words.next("why")?);
        words.done()?;
        let key = RowKey { consumer, model, backend: "default/openai".to_owned(), hour: self.now.hour() };
        self.adjust(id, reason, Vec::new(), vec![(key, change)])
    }

    fn adjust(
        &mut self,
        id: Option<String>,
        reason: String,
        buckets: Vec<BucketAdjustment>,
        rows: Vec<(RowKey, Change)>,
    ) -> Result<(), String> {
        self.entries += 1;
        let id = id.unwrap_or_else(|| format!("entry-{}", self.entries));
        let entry = Adjustment { id, by: "ops".to_owned(), reason, buckets, rows };
        let outcome = self.apply(&Command::Adjust(Box::new(entry)))?;
        self.say_outcome(&outcome);
        Ok(())
    }

    fn say_outcome(&mut self, outcome: &Outcome) {
        let text = match outcome {
            Outcome::Rejected(Rejected::Invalid { field, expected }) => {
                format!("not taken: {field}: expected {expected}")
            }
            Outcome::Rejected(rejected) => format!("not taken: {rejected:?}"),
            Outcome::Done
            | Outcome::BudgetSet { .. }
            | Outcome::SessionOpened { .. }
            | Outcome::Answers(_) => return,
        };
        self.say(text);
    }
}

fn unit(text: &str) -> Result<Unit, String> {
    Ok(match text {
        "requests" => Unit::Requests,
        "input" => Unit::InputTokens,
        "output" => Unit::OutputTokens,
        "tokens" => Unit::TotalTokens,
        "cached" => Unit::CachedInputTokens,
        "reasoning" => Unit::ReasoningTokens,
        "cost" => Unit::Cost,
        _ => match text.strip_prefix("cel:") {
            Some(source) => Unit::Expression(source.to_owned()),
            None => return Err(format!("unit: expected a unit, not {text:?}")),
        },
    })
}

fn dimension(text: &str) -> Result<Dimension, String> {
    Ok(match text {
        "organization" => Dimension::Organization,
        "team" => Dimension::Team,
        "user" => Dimension::User,
        "model" => Dimension::Model,
        _ => return Err(format!("per: expected organization, team, user or model, not {text:?}")),
    })
}

fn enforcement(text: &str) -> Result<Enforcement, String> {
    Ok(match (text, text.strip_prefix("bounded:")) {
        ("strict", _) => Enforcement::Strict,
        ("shadow", _) => Enforcement::Shadow,
        (_, Some(per_node)) => Enforcement::Bounded { per_node: number("mode", per_node)? },
        (_, None) => return Err(format!("mode: expected strict, bounded:<n> or shadow, not {text:?}")),
    })
}

fn boundaries(every: Period, zone: &str, from: Timestamp, known: u64) -> Result<Vec<Timestamp>, String> {
    let known = usize::try_from(known).map_err(|_| format!("known: {known} is too much"))?;
    upcoming(every, zone, from, known).map_err(|error| error.to_string())
}
