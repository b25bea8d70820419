//! Whom a Budget covers and what it is divided by, in the core's terms; and whether what it names is there.

use tollgate_ratelimit::cover::{self, Cover, Dimension, Matcher};

use super::budgets::Context;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{BudgetMatch, DivisionText, HeaderPattern, Pattern};
use crate::snapshot::{Consumer, MODEL_HEADER, ResourceName};

/// The cover of a match.
pub(super) fn cover(
    context: &Context<'_, '_>,
    loaded: &Loaded,
    covers: &BudgetMatch,
    problems: &mut Vec<Problem>,
) -> Cover {
    let BudgetMatch { organization, team, user, consumer, labels, models, routes, backends, headers } =
        covers;
    let namespace = loaded.name.namespace.as_str();
    let mut matchers = Vec::new();
    let mut one = |dimension, pattern: &Option<Pattern>| {
        matchers.extend(pattern.as_ref().map(|pattern| matcher(dimension, vec![pattern.to_string()])));
    };
    one(Dimension::Organization, organization);
    one(Dimension::Team, team);
    one(Dimension::User, user);
    if let Some(consumer) = consumer {
        matchers.push(matcher(Dimension::Consumer, vec![qualified(namespace, consumer)]));
    }
    for (name, pattern) in labels {
        matchers.push(matcher(Dimension::Label(name.clone()), vec![pattern.to_string()]));
    }
    let lists = [(Dimension::Route, routes), (Dimension::Backend, backends)];
    if !models.is_empty() {
        matchers.push(matcher(Dimension::Model, models.iter().map(|model| model.to_string()).collect()));
    }
    for (dimension, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        let patterns = names.iter().map(|name| qualified(namespace, name)).collect();
        matchers.push(matcher(dimension, patterns));
    }
    for HeaderPattern { name, value } in headers {
        matchers.push(matcher(header(name), vec![value.to_string()]));
    }
    refer(context, loaded, &matchers, problems);
    Cover { matchers }
}

/// What a budget is divided by. The schema has checked the form.
pub(super) fn divisions(per: &[DivisionText]) -> Vec<Dimension> {
    per.iter().filter_map(|DivisionText(text)| division(text)).collect()
}

/// A name or pattern, in the namespace where it stands unless it says another.
pub(super) fn qualified(namespace: &str, name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") }
}

fn matcher(dimension: Dimension, patterns: Vec<String>) -> Matcher {
    Matcher { dimension, patterns }
}

fn header(name: &str) -> Dimension {
    let name = name.to_ascii_lowercase();
    if name == MODEL_HEADER { Dimension::Model } else { Dimension::Header(name) }
}

fn division(text: &str) -> Option<Dimension> {
    Some(match text {
        "organization" => Dimension::Organization,
        "team" => Dimension::Team,
        "user" => Dimension::User,
        "consumer" => Dimension::Consumer,
        "apiKey" => Dimension::ApiKey,
        "model" => Dimension::Model,
        "route" => Dimension::Route,
        "backend" => Dimension::Backend,
        _ => match text.split_once(':')? {
            ("header", name) => header(name),
            ("label", name) => Dimension::Label(name.to_owned()),
            _ => return None,
        },
    })
}

/// A budget that covers nobody because of a slip of the pen limits nothing: that is told.
fn refer(context: &Context<'_, '_>, loaded: &Loaded, matchers: &[Matcher], problems: &mut Vec<Problem>) {
    for Matcher { dimension, patterns } in matchers {
        let (field, what, known): (_, _, Vec<String>) = match dimension {
            Dimension::Organization => {
                ("organization", "the organization of a Consumer", of(context, |c| c.organization.clone()))
            }
            Dimension::Team => ("team", "the team of a Consumer", of(context, |c| c.team.clone())),
            Dimension::User => ("user", "the user of a Consumer", of(context, |c| c.user.clone())),
            Dimension::Consumer => ("consumer", "a Consumer", of(context, |c| Some(c.full_name.clone()))),
            Dimension::Label(name) => {
                let field = format!("spec.match.labels.{name}");
                let known = of(context, |consumer| consumer.labels.get(name).cloned());
                unmatched(&known, patterns, &mut |_, pattern| {
                    problems.push(nothing(loaded, &field, pattern, "the label of a Consumer"));
                });
                continue;
            }
            Dimension::Route => (
                "routes",
                "an AIGatewayRoute",
                names(context.index.routes.iter().map(|route| &route.loaded.name)),
            ),
            Dimension::Backend => {
                let all = context.index.service_backends.iter().map(|backend| &backend.loaded.name);
                ("backends", "an AIServiceBackend", names(all))
            }
            // Clients may ask for any model and send any header.
            Dimension::ApiKey | Dimension::Model | Dimension::Header(_) | Dimension::Source => continue,
        };
        let is_list = matches!(dimension, Dimension::Route | Dimension::Backend);
        unmatched(&known, patterns, &mut |at, pattern| {
            let at = if is_list { format!("[{at}]") } else { String::new() };
            problems.push(nothing(loaded, &format!("spec.match.{field}{at}"), pattern, what));
        });
    }
}

fn nothing(loaded: &Loaded, field: &str, pattern: &str, what: &str) -> Problem {
    let expected = format!("{what} that exists: none does, and nothing is covered by it");
    loaded.problem(field, shown(pattern), expected)
}

fn unmatched(known: &[String], patterns: &[String], tell: &mut dyn FnMut(usize, &str)) {
    for (at, pattern) in patterns.iter().enumerate() {
        if !known.iter().any(|known| cover::matches(pattern, known)) {
            tell(at, pattern);
        }
    }
}

fn of(context: &Context<'_, '_>, value: impl Fn(&Consumer) -> Option<String>) -> Vec<String> {
    context.consumers.all().iter().filter_map(|consumer| value(consumer)).collect()
}

fn names<'n>(all: impl Iterator<Item = &'n ResourceName>) -> Vec<String> {
    all.map(ToString::to_string).collect()
}
