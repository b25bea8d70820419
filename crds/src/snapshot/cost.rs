//! What a finished request is charged: a count of tokens, or a CEL expression over all counts.
//!
//! Expressions are read once. They are bounded by construction: their length is limited and comprehensions are
//! refused, so that an evaluation visits each node of the expression at most once.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, Env, ExecutionError, IdedExpr, Program, Value};
use tollgate_api::canonical::usage::Usage;

/// One number that a finished request is charged, under a key.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The key that budgets and policies refer to.
    pub metadata_key: String,
    /// How the number is found.
    pub(crate) measure: Measure,
}

/// How a cost is found.
#[derive(Clone, Debug)]
pub(crate) enum Measure {
    Input,
    Output,
    Total,
    CachedInput,
    CacheCreationInput,
    Reasoning,
    Cel(Arc<Expression>),
}

/// What a finished request is known by.
#[derive(Clone, Copy, Debug)]
pub struct CostFacts<'a> {
    /// The model that the client asked for.
    pub model: &'a str,
    /// The backend that answered, as `name.namespace`.
    pub backend: &'a str,
    /// The rule's name, or the route's where it has none.
    pub route_name: &'a str,
    /// Tokens by kind.
    pub usage: Usage,
}

impl Cost {
    /// Evaluated once at the end of a successful answer. An error says what went wrong, in text.
    /// Recurses: call it on a thread with 8 MiB of stack.
    pub fn evaluate(&self, facts: &CostFacts<'_>) -> Result<u64, String> {
        match &self.measure {
            Measure::Input => Ok(facts.usage.input),
            Measure::Output => Ok(facts.usage.output),
            Measure::Total => Ok(facts.usage.total),
            Measure::CachedInput => Ok(facts.usage.cached_input),
            Measure::CacheCreationInput => Ok(facts.usage.cache_creation_input),
            Measure::Reasoning => Ok(facts.usage.reasoning),
            Measure::Cel(expression) => expression.evaluate(facts).map_err(|fault| fault.text().to_owned()),
        }
    }
}

/// A CEL expression that was read and tried.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    program: Program,
}

/// Why an expression gave no number.
enum Fault {
    /// Wrong whatever the numbers are.
    Type(String),
    /// Wrong for these numbers.
    Value(String),
}

/// Longest expression; the same bound as for other CEL texts of these resources.
pub(crate) const EXPRESSION_BYTES: usize = 4096;
/// The parser recurses without a bound of its own: measured in a debug build, a level of brackets takes about 140 KiB of
/// stack and an operator about 40. So expressions are bounded, and read on a stack with room for twenty times that; what
/// was read is evaluated on any thread.
const EXPRESSION_WEIGHT: usize = 64;
const READING_STACK_BYTES: usize = 64 * 1024 * 1024;
/// The name under which the parser keeps `… ? … : …`.
const CONDITION: &str = "_?_:_";
/// What a level of brackets weighs against an operator.
const BRACKET_WEIGHT: usize = 4;
/// The standard functions, built once.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Expression {
    /// Reads an expression and tries it on samples, so that a mistake shows when the manifest is loaded and not
    /// when the first request was served.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        check_shape(text)?;
        // A thread for the sake of its stack alone: nothing else runs meanwhile.
        let reader = std::thread::Builder::new().stack_size(READING_STACK_BYTES);
        std::thread::scope(|scope| match reader.spawn_scoped(scope, || Self::read(text)) {
            Ok(reading) => {
                reading.join().unwrap_or_else(|_| Err("the expression could not be read".to_owned()))
            }
            Err(error) => Err(format!("no room to read the expression: {error}")),
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let program = ENVIRONMENT.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            first.map_or_else(|| "not an expression".to_owned(), |error| error.msg.clone())
        })?;
        refuse_comprehensions(program.expression())?;
        let expression = Self { text: text.to_owned(), program };
        expression.try_samples()?;
        Ok(expression)
    }

    fn evaluate(&self, facts: &CostFacts<'_>) -> Result<u64, Fault> {
        let context = context(facts);
        match self.program.execute(&context) {
            Ok(Value::UInt(cost)) => Ok(cost),
            Ok(Value::Int(cost)) => {
                u64::try_from(cost).map_err(|_| Fault::Value(format!("the result is negative: {cost}")))
            }
            Ok(other) => Err(Fault::Type(format!(
                "the result is a {}, not a whole number; wrap it in uint(…)",
                other.type_of()
            ))),
            Err(error) => Err(Fault::from(&error)),
        }
    }

    /// Types do not depend on the numbers, but branches do: none, few, and many tokens.
    fn try_samples(&self) -> Result<(), String> {
        let mut last = None;
        let mut fits = false;
        for unit in [0, 1, 1_000, 10_000_000] {
            let usage = Usage {
                input: 7 * unit,
                cached_input: 2 * unit,
                cache_creation_input: unit,
                output: 5 * unit,
                reasoning: 3 * unit,
                total: 12 * unit,
            };
            let facts = CostFacts { model: "model", backend: "backend.default", route_name: "route", usage };
            self.try_branches(&context(&facts))?;
            match self.evaluate(&facts) {
                Ok(_) => fits = true,
                Err(Fault::Type(text)) => return Err(text),
                // Such as a division by a count of none: right for other requests.
                Err(Fault::Value(text)) => last = Some(text),
            }
        }
        match last {
            Some(text) if !fits => Err(text),
            Some(_) | None => Ok(()),
        }
    }

    /// Both arms of each condition: the samples' model, or their numbers, reach only one of them.
    fn try_branches(&self, context: &Context<'_, '_>) -> Result<(), String> {
        let mut open = vec![self.program.expression()];
        while let Some(node) = open.pop() {
            if let Expr::Call(call) = &node.expr
                && call.func_name == CONDITION
            {
                for arm in call.args.iter().skip(1) {
                    if let Err(error) = context.resolve(arm)
                        && let Fault::Type(text) = Fault::from(&error)
                    {
                        return Err(text);
                    }
                }
            }
            push_children(node, &mut open);
        }
        Ok(())
    }
}

/// The variables of one request.
fn context(facts: &CostFacts<'_>) -> Context<'static, 'static> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    let texts = [("model", facts.model), ("backend", facts.backend), ("route_name", facts.route_name)];
    for (name, text) in texts {
        context.add_variable_from_value(name, text.to_owned());
    }
    let usage = &facts.usage;
    let counts = [
        ("input_tokens", usage.input),
        ("cached_input_tokens", usage.cached_input),
        ("cache_creation_input_tokens", usage.cache_creation_input),
        ("output_tokens", usage.output),
        ("total_tokens", usage.total),
        ("reasoning_tokens", usage.reasoning),
    ];
    for (name, count) in counts {
        context.add_variable_from_value(name, count);
    }
    context
}

impl Fault {
    fn text(&self) -> &str {
        match self {
            Self::Type(text) | Self::Value(text) => text,
        }
    }
}

impl From<&ExecutionError> for Fault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours and not exhaustive")]
    fn from(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::Overflow(..)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::IndexOutOfBounds(_)
            | ExecutionError::FunctionError { .. } => Self::Value(error.to_string()),
            ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::ValuesNotComparable(..) => Self::Type(format!(
                "{error}; counts are uint: give whole numbers the suffix u (2u), or cast: uint(double(input_tokens) * 0.5)"
            )),
            other => Self::Type(other.to_string()),
        }
    }
}

fn check_shape(text: &str) -> Result<(), String> {
    if text.len() > EXPRESSION_BYTES {
        return Err(format!("the expression has {} bytes, at most {EXPRESSION_BYTES} are read", text.len()));
    }
    // Quoted text is skipped only where quotes can mean nothing else; otherwise it counts too.
    let simple = !text.contains('\\') && !text.contains("\"\"\"") && !text.contains("'''");
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0_usize);
    let (mut quote, mut before) = (None, b' ');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\'' if simple => match quote {
                None => quote = Some(byte),
                Some(open) if open == byte => quote = None,
                Some(_) => {}
            },
            _ if quote.is_some() => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            // The second sign of ==, <=, && and their like.
            b'=' | b'&' | b'|' if matches!(before, b'=' | b'!' | b'<' | b'>' | b'&' | b'|') => {}
            b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'=' | b'<' | b'>' | b'&' | b'|' => {
                operators += 1;
            }
            b'.' if !before.is_ascii_digit() => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        before = byte;
    }
    operators += text.split_ascii_whitespace().filter(|word| *word == "in").count();
    if deepest * BRACKET_WEIGHT + operators > EXPRESSION_WEIGHT {
        return Err(format!(
            "the expression is nested too deep: {operators} operators and {BRACKET_WEIGHT} for each of {deepest} levels of brackets are more than {EXPRESSION_WEIGHT}"
        ));
    }
    Ok(())
}

/// A comprehension (`map`, `filter`, `all`, …) inside another multiplies the work; none is needed for a cost.
fn refuse_comprehensions(root: &IdedExpr) -> Result<(), String> {
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if let Expr::Comprehension(_) = &node.expr {
            return Err("map, filter, all, exists and their like are not for costs".to_owned());
        }
        push_children(node, &mut open);
    }
    Ok(())
}

fn push_children<'a>(node: &'a IdedExpr, open: &mut Vec<&'a IdedExpr>) {
    match &node.expr {
        Expr::Call(call) => {
            open.extend(call.target.as_deref());
            open.extend(&call.args);
        }
        Expr::List(list) => open.extend(&list.elements),
        Expr::Select(select) => open.push(&select.operand),
        Expr::Map(map) => map.entries.iter().for_each(|entry| push_entry(&entry.expr, open)),
        Expr::Struct(made) => made.entries.iter().for_each(|entry| push_entry(&entry.expr, open)),
        Expr::Comprehension(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn push_entry<'a>(entry: &'a EntryExpr, open: &mut Vec<&'a IdedExpr>) {
    match entry {
        EntryExpr::StructField(field) => open.push(&field.value),
        EntryExpr::MapEntry(pair) => open.extend([&pair.key, &pair.value]),
    }
}

#[cfg(test)]
#[path = "cost_test.rs"]
mod tests;
