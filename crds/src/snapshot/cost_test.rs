//! Costs, with the traps of CEL's unsigned numbers.

use super::*;

const USAGE: Usage =
    Usage { input: 100, cached_input: 20, cache_creation_input: 10, output: 50, reasoning: 30, total: 150 };

fn facts() -> CostFacts<'static> {
    CostFacts { model: "gpt", backend: "openai.default", route_name: "basic", usage: USAGE }
}

/// Half of what [`Cost::evaluate`] asks its caller for.
const EVALUATION_STACK_BYTES: usize = 4 * 1024 * 1024;

#[test]
fn expressions_give_numbers() {
    #[rustfmt::skip]
    let rows = [
        ("input_tokens + output_tokens",                             150), // plain
        ("input_tokens * 2u",                                        200), // the suffix
        ("uint(double(input_tokens) * 0.5)",                          50), // cast there and back
        ("model == 'gpt' ? 1u : 2u",                                   1), // by model
        ("backend == 'openai.default' && route_name == 'basic' ? 7u : 8u", 7), // by place
        ("input_tokens - cached_input_tokens",                        80), // no underflow
        ("model.startsWith('g') ? total_tokens : 0u",                150), // functions
        ("int(reasoning_tokens) + 1",                                 31), // an int will do
        ("100u / cached_input_tokens",                                 5), // fails for none, not for some
        ("cache_creation_input_tokens",                               10), // the last of the variables
        ("model.matches('^g.t$') ? 3u : 4u",                           3), // patterns
    ];
    for (text, want) in rows {
        let cost = Cost {
            metadata_key: "k".into(),
            measure: Measure::Cel(Arc::new(Expression::compile(text).expect(text))),
        };
        assert_eq!(cost.evaluate(&facts()), Ok(want), "{text}");
    }
}

#[test]
fn mistakes_show_when_read() {
    #[rustfmt::skip]
    let rows = [
        ("input_tokens * 0.5",        "suffix u"),      // uint × double
        ("input_tokens * 2",          "suffix u"),      // uint × int
        ("double(input_tokens)",      "a float"),       // no whole number
        ("model",                     "a string"),      // no number
        ("input_tokenz",              "input_tokenz"),  // no such variable
        ("input_tokens +",            ""),              // no expression
        ("1u / 0u",                   "zero"),          // never right
        ("-5",                        "negative"),      // never right
        ("input_tokens > 100000u ? input_tokens * 0.5 : 1u", "suffix u"), // only in the far branch
        ("model == 'gpt-4' ? input_tokens * 2 : total_tokens", "suffix u"), // only for another model
        ("[1,2].map(x, x)[0]",        "not for costs"), // unbounded by nature
        ("[[1].map(x, x)].size()",    "not for costs"), // hidden inside
    ];
    for (text, want) in rows {
        let error = Expression::compile(text).expect_err(text);
        assert!(error.contains(want), "{text}: {error}");
    }
    // The deepest that are read, and evaluated on half the stack that the caller is told to have, and the first that are
    // not.
    let brackets = |count: usize| format!("{}1u{}", "(".repeat(count), ")".repeat(count));
    let sum = |count: usize| format!("1u{}", " + 1u".repeat(count));
    let choice = |count: usize| format!("{}2u", "model == 'a-b+c' ? 1u : ".repeat(count));
    let same = |count: usize| format!("true{} ? 1u : 2u", " == true".repeat(count));
    let member =
        |count: usize| format!("true{} ? 1u : 2u", " || 1 in [1]".replace("1 in [1]", "true").repeat(count));
    let both = |count: usize| format!("((((1u{}))))", " + 1u".repeat(count));
    let pairs = [
        (brackets(16), brackets(17)),
        (sum(64), sum(65)),
        (choice(32), choice(33)),
        (both(48), both(49)),
        (same(63), same(64)),
        (member(63), member(64)),
    ];
    for (fits, not) in pairs {
        let read = Expression::compile(&fits).unwrap_or_else(|error| panic!("{fits}: {error}"));
        let worker = std::thread::Builder::new().stack_size(EVALUATION_STACK_BYTES);
        let evaluated = worker.spawn(move || read.evaluate(&facts()).is_ok()).unwrap().join();
        assert!(evaluated.unwrap(), "{fits}");
        assert!(Expression::compile(&not).unwrap_err().contains("nested"), "{not}");
    }
    let long = Expression::compile(&"1u+".repeat(2000));
    assert!(long.unwrap_err().contains("bytes"));
}

#[test]
fn values_that_do_not_fit_are_errors_in_text() {
    let expression =
        Expression::compile("cached_input_tokens - reasoning_tokens * (model == 'gpt' ? 1u : 0u)");
    let cost = Cost { metadata_key: "k".into(), measure: Measure::Cel(Arc::new(expression.unwrap())) };
    assert!(cost.evaluate(&facts()).unwrap_err().contains("Overflow"));
}
