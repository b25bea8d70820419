//! Costs as written to costs that can be evaluated; those of a route replace those of its Gateways, key by key.

use std::sync::Arc;

use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{CostType, LlmRequestCost};
use crate::snapshot::{Cost, Expression, Measure};

/// Compiles a list of costs that stands at `path` of a resource.
pub(super) fn compile(
    loaded: &Loaded,
    path: &str,
    costs: &[LlmRequestCost],
    problems: &mut Vec<Problem>,
) -> Vec<Cost> {
    let mut compiled: Vec<Cost> = Vec::new();
    for (index, cost) in costs.iter().enumerate() {
        let LlmRequestCost { metadata_key, cost_type, cel } = cost;
        let path = format!("{path}[{index}]");
        if compiled.iter().any(|earlier| earlier.metadata_key == *metadata_key) {
            let field = format!("{path}.metadataKey");
            let problem = loaded.not_honoured(&field, "each key once; the first counts");
            problems.push(Problem { value: shown(metadata_key), ..problem });
            continue;
        }
        let measure = match cost_type {
            CostType::InputToken => Measure::Input,
            CostType::CachedInputToken => Measure::CachedInput,
            CostType::CacheCreationInputToken => Measure::CacheCreationInput,
            CostType::OutputToken => Measure::Output,
            CostType::TotalToken => Measure::Total,
            CostType::ReasoningToken => Measure::Reasoning,
            CostType::Cel => {
                let text = cel.as_deref().unwrap_or_default();
                match Expression::compile(text) {
                    Ok(expression) => Measure::Cel(Arc::new(expression)),
                    Err(error) => {
                        let what = format!("an expression that gives a whole number: {error}");
                        problems.push(loaded.problem(&format!("{path}.cel"), shown(text), what));
                        continue;
                    }
                }
            }
        };
        if *cost_type != CostType::Cel && cel.is_some() {
            let what = "no expression: only the type CEL reads one";
            problems.push(loaded.not_honoured(&format!("{path}.cel"), what));
        }
        compiled.push(Cost { metadata_key: metadata_key.clone(), measure });
    }
    compiled
}

/// The route's costs, and those of its Gateways for other keys. The first Gateway counts where two differ; the keys
/// over which they do are given back.
pub(super) fn merge<'a>(
    own: &[Cost],
    gateways: impl Iterator<Item = &'a [Cost]>,
) -> (Vec<Cost>, Vec<String>) {
    let mut merged = own.to_vec();
    let mut disputed = Vec::new();
    for cost in gateways.flatten() {
        match merged.iter().position(|earlier| earlier.metadata_key == cost.metadata_key) {
            None => merged.push(cost.clone()),
            Some(at) if at < own.len() => {}
            Some(at) if merged[at].to_string() == cost.to_string() => {}
            Some(_) => disputed.push(cost.metadata_key.clone()),
        }
    }
    (merged, disputed)
}
