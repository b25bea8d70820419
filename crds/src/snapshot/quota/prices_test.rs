//! Which of several prices counts.

use tollgate_ratelimit::price::Rates;

use super::*;
use crate::snapshot::{Endpoint, ResourceName};

fn backend(name: &str, schema: Schema) -> Backend {
    Backend {
        name: ResourceName::new("default", name),
        schema,
        version: None,
        prefix: None,
        endpoints: vec![Endpoint::Host { host: "a".to_owned(), port: 80 }],
        tls: None,
        h2: false,
        credential: None,
        google: None,
        aws: None,
        azure: None,
        credential_override: None,
        forward_proxy: None,
    }
}

fn row(version: &str, model: &str, of: PriceFor) -> PriceRow {
    let prices = Prices { rates: Rates { input: 1, ..Rates::default() }, ..Prices::default() };
    PriceRow {
        model: model.to_owned(),
        of,
        from_day: None,
        until_day: None,
        built_in: false,
        price: Price { version: version.to_owned(), prices },
    }
}

#[test]
#[rustfmt::skip]
fn the_most_exact_price_in_force_counts() {
    let at = |namespace: &str, name: &str| PriceFor::Backends(vec![(namespace.to_owned(), name.to_owned())]);
    let provider = || PriceFor::Provider(Schema::OpenAi);
    let table = PriceTable::new(vec![
        PriceRow { built_in: true, ..row("built in", "gpt-5", provider()) },
        PriceRow { built_in: true, ..row("built in", "only-built-in", provider()) },
        row("any", "*", PriceFor::Any),
        row("pattern", "gpt-*", provider()),
        row("longer", "gpt-5*", provider()),
        row("exact", "gpt-5", provider()),
        row("by backend", "gpt-*", at("default", "ours*")),
        row("elsewhere", "gpt-5", at("other", "*")),
        PriceRow { from_day: Some(100), until_day: Some(200), ..row("then", "dated", PriceFor::Any) },
        PriceRow { from_day: Some(150), ..row("later", "dated", PriceFor::Any) },
        PriceRow { from_day: Some(150), ..row("later still", "dated", PriceFor::Any) },
    ]);
    let rows = [
        ("theirs",    "gpt-5",         0, "exact",      "an exact model before patterns, and before what is built in"),
        ("theirs",    "gpt-5-mini",    0, "longer",     "a longer pattern before a shorter one"),
        ("theirs",    "gpt-4o",        0, "pattern",    "by provider before any"),
        ("ours-1",    "gpt-5",         0, "by backend", "by backend before all others"),
        ("theirs",    "claude",        0, "any",        "what is left"),
        ("theirs",    "only-built-in", 0, "any",        "even a star of a list goes before what is built in"),
        ("theirs",    "dated",        99, "any",        "the day before"),
        ("theirs",    "dated",       100, "then",       "its first day"),
        ("theirs",    "dated",       149, "then",       "one price"),
        ("theirs",    "dated",       150, "later",      "the one that began later; of two alike the first"),
        ("theirs",    "dated",       201, "later",      "after its last day"),
    ];
    for (name, model, day, want, why) in rows {
        let found = table.find(&backend(name, Schema::OpenAi), model, day);
        assert_eq!(found.map(|price| price.version.as_str()), Some(want), "{why}");
    }
    let anthropic = backend("theirs", Schema::Anthropic);
    assert_eq!(table.find(&anthropic, "gpt-5", 0).map(|price| price.version.as_str()), Some("any"), "another provider");
    let priced = PriceTable::new(vec![row("one", "gpt-5", provider())]);
    assert_eq!(priced.find(&backend("a", Schema::OpenAi), "gpt-4", 0), None, "nobody knows");
    assert_eq!(priced.find(&anthropic, "gpt-5", 0), None, "nobody knows there");
}
