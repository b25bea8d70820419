//! settle: the answer goes out, and when it is over, however it is over, the hold ends and the ledger knows.

use http::{HeaderMap, Response, header};
use tollgate_api::exchange::Mode;
use tollgate_crds::{Cost, CostFacts};
use tollgate_ratelimit::Certainty;

use super::accept::LONGEST_MODEL;
use super::admit::Admission;
use super::forward::Content;
use super::hop;
use super::meter::{self, Metered};
use super::stream::{Flow, ReplyBody};
use super::trail::{End, Trail};

/// What has to happen when an answer is over. Dropped, it happens too: a client that went away is charged for what
/// passed.
pub(crate) struct Settling {
    admission: Option<Admission>,
    trail: Trail,
}

/// Hands the answer to the client; the settlement follows it.
pub(crate) fn when_done(
    mut metered: Metered,
    admission: Admission,
    trail: &mut Trail,
) -> Response<ReplyBody> {
    let keeps_length = match metered.reply.reading.mode() {
        Mode::Pass => true,
        Mode::Collect | Mode::Stream => false,
    };
    let status = metered.reply.status;
    // Not kept for the length of the answer: each value holds on to the buffer that it was read into.
    let upstream = std::mem::take(&mut metered.reply.headers);
    let headers = answer_headers(&upstream, keeps_length);
    drop(upstream);
    trail.status = status;
    let mut settling = Settling { admission: Some(admission), trail: trail.take() };

    let body = match std::mem::replace(&mut metered.reply.content, Content::Whole(Vec::new())) {
        Content::Whole(ready) => {
            settling.trail.end = End::Whole;
            settling.trail.reply_bytes = ready.iter().map(|piece| piece.len() as u64).sum();
            settling.finish(&metered);
            ReplyBody::pieces(ready)
        }
        Content::Flowing(ready, upstream) => ReplyBody::flow(Flow::new(ready, upstream, metered, settling)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Settling {
    /// The request's trail, for what the rest of the answer adds to it.
    pub(crate) fn trail(&mut self) -> &mut Trail {
        &mut self.trail
    }

    /// Books what passed and ends the hold. Only the first call counts.
    pub(crate) fn finish(&mut self, metered: &Metered) {
        let Some(mut admission) = self.admission.take() else { return };
        let seen = metered.reply.reading.seen();
        let (usage, certainty) = meter::usage(seen, self.trail.request_bytes);
        let rule = &metered.plan.rule;
        admission.settle(&metered.plan, &self.trail.original_model, usage, certainty);
        drop(admission);

        let named = seen.response_model.as_ref().filter(|model| model.len() <= LONGEST_MODEL);
        self.trail.response_model = named.cloned();
        self.trail.metered(usage, certainty, metered.pace);
        if seen.complete && !seen.failed && certainty == Certainty::Reported {
            self.trail.costs = costs(&rule.costs, metered, &self.trail);
        }
    }
}

/// `llmRequestCosts`, evaluated once, at the end of a successful answer.
fn costs(costs: &[Cost], metered: &Metered, trail: &Trail) -> Vec<(String, Result<u64, String>)> {
    if costs.is_empty() {
        return Vec::new();
    }
    let rule = &metered.plan.rule;
    let backend = &rule.candidates[trail.candidate].backend.name;
    let backend = format!("{}.{}", backend.name, backend.namespace);
    let facts = CostFacts {
        model: trail.request_model(),
        backend: &backend,
        route_name: &rule.route.name,
        usage: metered.reply.reading.seen().usage.unwrap_or_default(),
    };
    costs.iter().map(|cost| (cost.metadata_key.clone(), cost.evaluate(&facts))).collect()
}

fn answer_headers(upstream: &HeaderMap, keeps_length: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(upstream.len() + 2);
    for (name, value) in hop::told_to_clients(upstream) {
        if keeps_length || *name != header::CONTENT_LENGTH {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}
