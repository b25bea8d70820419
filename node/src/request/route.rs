//! route: which rule serves this model, and which backends may be tried for it?

use std::sync::Arc;

use tollgate_crds::Rule;

use super::accept::Accepted;
use super::identify::Caller;
use super::refusal::Refusal;
use super::trail::Trail;
use crate::config::Active;

/// What a request will try.
pub(crate) struct Plan {
    pub(crate) config: Arc<Active>,
    pub(crate) rule: Arc<Rule>,
    pub(crate) caller: Caller,
}

/// The rule by host, model and headers. Whoever follows it has seen to what its callers have to prove.
pub(crate) fn rule<'c>(config: &'c Active, accepted: &Accepted) -> Option<&'c Arc<Rule>> {
    let Accepted { host, port, peek, headers, .. } = accepted;
    config.snapshot.routes.find_guarded(host, *port, &peek.model, headers)
}

/// Follows the rule whose guard let the caller in.
pub(crate) fn plan(
    config: &Arc<Active>,
    mut caller: Caller,
    accepted: &Accepted,
    trail: &mut Trail,
) -> Result<Plan, Refusal> {
    let rule =
        caller.rule.take().ok_or_else(|| Refusal::UnknownModel { model: accepted.peek.model.clone() })?;
    trail.routed(&rule);
    if rule.candidates.is_empty() {
        return Err(Refusal::NoBackend { route: rule.route.to_string() });
    }
    Ok(Plan { config: Arc::clone(config), rule, caller })
}
