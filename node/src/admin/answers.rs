//! What each path of the admin API answers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tollgate_cluster::figures;
use tollgate_crds::{Problem, Severity};

use crate::upstream::choice::Readiness;

use super::{Admin, Answer};

pub(super) fn text(text: &'static str) -> Answer {
    typed(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

pub(super) fn problem(status: StatusCode, message: &str) -> Answer {
    value(status, &json!({"error": {"message": message, "status": status.as_u16()}}))
}

/// Why a request is not answered; small enough to be handed up.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl From<Denied> for Answer {
    fn from(Denied { status, why }: Denied) -> Self {
        problem(status, &why)
    }
}

/// Serving and able to admit.
pub(super) fn ready(admin: &Admin) -> Answer {
    let config = admin.gateway.config.latest();
    let slots = &admin.gateway.slots;
    let reason = if *admin.draining.borrow() {
        "draining: this node is shutting down"
    } else if config.revision == 0 {
        "no configuration yet"
    } else if slots.held() >= slots.limit() {
        "at the limit of running requests"
    } else if let Some(failure) = admin.gateway.member.failure() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &failure);
    } else {
        return text("ready\n");
    };
    problem(StatusCode::SERVICE_UNAVAILABLE, reason)
}

#[expect(clippy::cast_precision_loss, reason = "running requests are far below 2^52")]
pub(super) fn metrics(admin: &Admin) -> Answer {
    admin.gauges.in_flight.set(admin.gateway.slots.held() as f64);
    let member = &admin.gateway.member;
    figures::observe(&member.node, &member.till);
    let body = Bytes::from(admin.prometheus.render());
    typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
}

pub(super) fn status(admin: &Admin) -> Answer {
    let config = admin.gateway.config.latest();
    let now_ms = admin.gateway.elapsed_ms();
    let backends = config.snapshot.backends.iter().map(|backend| {
        let upstream = config.upstreams.get(&backend.name);
        let readiness = upstream.map_or(Readiness::Broken, |upstream| upstream.readiness(now_ms));
        let health = match readiness {
            Readiness::Ready => "ready",
            Readiness::Doubted => "doubted",
            Readiness::Resting => "resting",
            Readiness::Broken => "broken",
        };
        json!({"name": backend.name.to_string(), "usable": readiness <= Readiness::Doubted, "health": health})
    });
    let backends: Vec<Value> = backends.collect();
    let problems: Vec<Value> = config.problems.iter().map(described).collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": now_ms / 1_000,
        "draining": *admin.draining.borrow(),
        "running_requests": admin.gateway.slots.held(),
        "most_running_requests": admin.gateway.slots.limit(),
        "config": {"revision": config.revision, "problems": problems},
        "backends": backends,
        "cluster": super::nodes::summary(&admin.gateway.member),
    });
    value(StatusCode::OK, &body)
}

pub(super) fn described(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Rejected => "rejected",
        Severity::NotHonoured => "not honoured",
    };
    let place = problem.at.as_ref().map(|place| json!({"file": place.file, "line": place.line}));
    json!({
        "resource": problem.resource,
        "field": problem.field,
        "value": problem.value,
        "expected": problem.expected,
        "severity": severity,
        "at": place,
    })
}

const PATHS: [(&str, &str); 12] = [
    ("/healthz", "The process is up."),
    ("/readyz", "The node serves and can admit; 503 with the reason otherwise."),
    ("/metrics", "Prometheus metrics."),
    ("/v1/status", "Version, configuration and its problems, health of backends."),
    (
        "/v1/ledger",
        "Who spent what: ?consumer= &model= &backend= &since= &until= &group_by= &format=csv &freshness=replica.",
    ),
    ("/v1/budgets", "Budgets and what is left of them."),
    (
        "/v1/nodes",
        "The cluster's nodes; POST /v1/nodes/leave, /v1/nodes/{id}/forget, /v1/nodes/{id}/promote.",
    ),
    ("/v1/cluster/join-token", "POST: another join token, instead of the one before; ?valid_hours=."),
    ("/v1/cluster/gossip-key", "POST: another key of gossip."),
    ("/v1/snapshot", "POST: this node writes all that it has applied to a snapshot."),
    (
        "/v1/resources",
        "Resources and what is wrong with them: ?kind=, /KIND/NAMESPACE/NAME; PUT and DELETE, ?dry-run=true.",
    ),
    ("/openapi.json", "This API, described."),
];

pub(super) fn openapi() -> Answer {
    let paths: serde_json::Map<String, Value> = PATHS
        .iter()
        .map(|(path, summary)| {
            let method = if summary.starts_with("POST: ") { "post" } else { "get" };
            let answer =
                json!({method: {"summary": summary, "responses": {"200": {"description": summary}}}});
            ((*path).to_owned(), answer)
        })
        .collect();
    let body = json!({
        "openapi": "3.1.0",
        "info": {"title": "Tollgate admin API", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
    });
    value(StatusCode::OK, &body)
}

pub(super) fn index() -> Answer {
    let lines: Vec<String> = PATHS.iter().map(|(path, summary)| format!("{path:<22} {summary}\n")).collect();
    typed(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from(lines.concat()))
}

pub(super) fn value(status: StatusCode, value: &Value) -> Answer {
    typed(status, "application/json", Bytes::from(format!("{value:#}\n")))
}

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
