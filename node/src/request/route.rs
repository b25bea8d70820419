//! route: which rule serves this model, and which backends may be tried for it?

use std::sync::Arc;

use tollgate_crds::Rule;

use super::accept::Accepted;
use super::identify::Consumer;
use super::refusal::Refusal;
use super::trail::Trail;
use crate::config::Active;

/// What a request will try.
pub(crate) struct Plan {
    pub(crate) config: Arc<Active>,
    pub(crate) rule: Arc<Rule>,
    pub(crate) consumer: Consumer,
}

/// Chooses the rule by host, model and headers.
pub(crate) fn plan(
    config: &Arc<Active>,
    consumer: Consumer,
    accepted: &Accepted,
    trail: &mut Trail,
) -> Result<Plan, Refusal> {
    let found =
        config.snapshot.routes.find(&accepted.host, accepted.port, &accepted.peek.model, &accepted.headers);
    let rule = found.ok_or_else(|| Refusal::UnknownModel { model: accepted.peek.model.clone() })?;
    trail.routed(rule);
    if rule.candidates.is_empty() {
        return Err(Refusal::NoBackend { route: rule.route.to_string() });
    }
    Ok(Plan { config: Arc::clone(config), rule: Arc::clone(rule), consumer })
}
