//! Resources over the admin API: what is in the store, with what is wrong with each, and changes to it, all or none.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming as IncomingBody;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_cluster::state::resources::ResourceKey;
use tollgate_crds::{Problem, Severity, Written};

use super::answers::{Denied, described, problem, value};
use super::question::{decoded, pairs};
use super::{Admin, Answer};
use crate::clock;
use crate::config::Active;
use crate::config::edit::{Asked, Edits, apply, delete};
use crate::config::entry::{Held, key_of, name_of};
use crate::config::store::Unwritten;

/// Where all this is.
pub(crate) const PATH: &str = "/v1/resources";
/// What `tollgate apply` sends: resources with the variables that were put in, and where they stood.
pub(crate) const WRITTEN: &str = "application/vnd.tollgate.written+json";
/// The longest request.
const MOST_BYTES: usize = 64 << 20;
/// One change has this long.
const WITHIN: Duration = Duration::from_secs(10);
/// Others write, too: so many times it is looked at anew.
const MOST_CONFLICTS: usize = 5;
/// Between two looks whether a change is in force here.
const LOOK: Duration = Duration::from_millis(5);

/// Answers what concerns resources.
pub(super) async fn answer(admin: &Admin, request: Request<IncomingBody>) -> Answer {
    let rest = request.uri().path().strip_prefix(PATH).unwrap_or_default().trim_matches('/').to_owned();
    let named: Vec<String> = rest.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let method = request.method().clone();
    if method == Method::GET || method == Method::HEAD {
        return if named.is_empty() { list(admin, request.uri().query()) } else { one(admin, &named) };
    }
    let dry_run = match dry_run(request.uri().query()) {
        Ok(dry_run) => dry_run,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let wish = if method == Method::DELETE && !named.is_empty() {
        match find(&admin.gateway.config.latest(), &named) {
            Ok((key, _)) => Ok(Wish::Delete(vec![key])),
            Err(denied) => return denied.into(),
        }
    } else if !named.is_empty() {
        return problem(StatusCode::METHOD_NOT_ALLOWED, "expected GET or DELETE");
    } else if method == Method::PUT || method == Method::POST {
        read(request).await.map(Wish::Apply)
    } else if method == Method::DELETE {
        read(request)
            .await
            .and_then(|body| body.load())
            .map(|asked| Wish::Delete(asked.loaded.iter().map(key_of).collect()))
    } else {
        return problem(StatusCode::METHOD_NOT_ALLOWED, "expected GET, PUT, POST or DELETE");
    };
    match wish {
        Ok(wish) => change(admin, &wish, dry_run).await,
        Err(denied) => denied.into(),
    }
}

/// What somebody wants.
enum Wish {
    Apply(Body),
    Delete(Vec<ResourceKey>),
}

/// Resources as they were sent.
enum Body {
    Text { name: String, text: String },
    Written(Vec<Written>),
}

/// Whether a change is only tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Dry,
    Real,
}

fn dry_run(query: Option<&str>) -> Result<Run, String> {
    let mut run = Run::Real;
    for (name, value) in pairs(query) {
        match (name.as_str(), value.as_str()) {
            ("dry-run", "true" | "") => run = Run::Dry,
            ("dry-run", "false") | ("file", _) => {}
            _ => return Err(format!("expected dry-run=true or file=NAME, `{name}={value}` came")),
        }
    }
    Ok(run)
}

async fn read(request: Request<IncomingBody>) -> Result<Body, Denied> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // A page in a browser on this machine can send anything without asking, but none of these types.
    if ![WRITTEN, "application/yaml", "application/x-yaml", "application/json"].contains(&kind.as_str()) {
        let why = format!("expected the content type application/yaml or application/json, `{kind}` came");
        return Err(Denied { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, why });
    }
    let file = pairs(request.uri().query()).into_iter().find(|(name, _)| name == "file");
    let name = file.map_or_else(|| "api".to_owned(), |(_, file)| file);
    let body = Limited::new(request.into_body(), MOST_BYTES).collect().await.map_err(|error| {
        let why = format!("expected at most {MOST_BYTES} bytes: {error}");
        Denied { status: StatusCode::PAYLOAD_TOO_LARGE, why }
    })?;
    let bytes = body.to_bytes();
    let malformed = |why: &dyn std::fmt::Display| Denied {
        status: StatusCode::BAD_REQUEST,
        why: format!("the body: {why}"),
    };
    if kind == WRITTEN {
        return serde_json::from_slice(&bytes).map(Body::Written).map_err(|error| malformed(&error));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| malformed(&error))?;
    Ok(Body::Text { name, text: text.to_owned() })
}

impl Body {
    fn load(&self) -> Result<Asked, Denied> {
        let (mut loaded, mut problems) = (Vec::new(), Vec::new());
        match self {
            Self::Text { name, text } => (loaded, problems) = tollgate_crds::parse_as_is(name, text),
            Self::Written(all) => {
                for (one, found) in all.iter().map(Written::load) {
                    loaded.extend(one);
                    problems.extend(found);
                }
            }
        }
        if loaded.is_empty() && problems.is_empty() {
            let why = "expected at least one resource, none came".to_owned();
            return Err(Denied { status: StatusCode::BAD_REQUEST, why });
        }
        Ok(Asked { loaded, problems, at_s: clock::unix_ms() / 1_000 })
    }
}

/// Looks, decides, writes; and again where somebody else was faster.
async fn change(admin: &Admin, wish: &Wish, run: Run) -> Answer {
    let store = &admin.store;
    let mut conflict = String::new();
    for _ in 0..MOST_CONFLICTS {
        if let Err(error) = store.catch_up(WITHIN).await {
            return problem(StatusCode::SERVICE_UNAVAILABLE, &format!("nothing was changed: {error}"));
        }
        let standing = store.standing();
        let edits = match wish {
            Wish::Apply(body) => match body.load() {
                Ok(asked) => apply(&standing.holdings, asked, &|kept| store.counted(kept)),
                Err(denied) => return denied.into(),
            },
            Wish::Delete(keys) => delete(&standing.holdings, keys),
        };
        let edits = match edits {
            Ok(edits) => edits,
            Err(problems) => return rejected(&problems),
        };
        if run == Run::Dry || edits.changes.is_empty() {
            return done(standing.revision, &edits, run);
        }
        match store.write(&edits.changes, WITHIN).await {
            Ok(revision) => {
                in_force(admin, revision).await;
                return done(revision, &edits, run);
            }
            Err(Unwritten::Conflict(why)) => conflict = why,
            Err(Unwritten::Refused(why)) => return problem(StatusCode::UNPROCESSABLE_ENTITY, &why),
            Err(Unwritten::Unreachable(why)) => {
                let message = format!("it is not certain that anything was changed; do it again: {why}");
                return problem(StatusCode::SERVICE_UNAVAILABLE, &message);
            }
        }
    }
    problem(StatusCode::CONFLICT, &format!("nothing was changed, others were faster: {conflict}"))
}

/// Who is answered finds it served, on this node at once.
async fn in_force(admin: &Admin, revision: u64) {
    let deadline = Instant::now() + WITHIN;
    while admin.gateway.config.latest().standing.revision < revision && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

fn done(revision: u64, edits: &Edits, run: Run) -> Answer {
    let resources: Vec<Value> =
        edits.done.iter().map(|(name, done)| json!({"resource": name, "action": done.word()})).collect();
    let warnings: Vec<Value> = edits.warnings.iter().map(|one| json!(one.to_string())).collect();
    let body = json!({
        "revision": revision,
        "dry_run": run == Run::Dry,
        "resources": resources,
        "warnings": warnings,
    });
    value(StatusCode::OK, &body)
}

fn rejected(problems: &[Problem]) -> Answer {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let lines: Vec<String> = problems.iter().map(|one| format!("\n{one}")).collect();
    let message = format!("nothing was changed, since:{}", lines.concat());
    let problems: Vec<Value> = problems.iter().map(described).collect();
    value(status, &json!({"error": {"message": message, "status": status.as_u16(), "problems": problems}}))
}

fn list(admin: &Admin, query: Option<&str>) -> Answer {
    let mut kind = None;
    for (name, value) in pairs(query) {
        match name.as_str() {
            "kind" => kind = Some(value),
            _ => return problem(StatusCode::BAD_REQUEST, &format!("expected kind, `{name}` came")),
        }
    }
    let active = admin.gateway.config.latest();
    let fits = |key: &ResourceKey| kind.as_ref().is_none_or(|kind| is_kind(kind, &key.kind));
    let all = active.standing.holdings.iter().filter(|(key, _)| fits(key));
    let all: Vec<Value> = all.map(|(key, held)| shown(&active, key, held)).collect();
    value(StatusCode::OK, &json!({"revision": active.standing.revision, "resources": all}))
}

fn one(admin: &Admin, named: &[String]) -> Answer {
    let active = admin.gateway.config.latest();
    match find(&active, named) {
        Ok((key, held)) => value(StatusCode::OK, &shown(&active, &key, &held)),
        Err(denied) => denied.into(),
    }
}

/// `kind/namespace/name`, or `kind/name` where it has no namespace.
fn find(active: &Active, named: &[String]) -> Result<(ResourceKey, Arc<Held>), Denied> {
    let (kind, namespace, name) = match named {
        [kind, name] => (kind, "", name),
        [kind, namespace, name] => (kind, namespace.as_str(), name),
        _ => {
            let why = "expected /v1/resources/KIND/NAMESPACE/NAME".to_owned();
            return Err(Denied { status: StatusCode::NOT_FOUND, why });
        }
    };
    let is_it =
        |key: &ResourceKey| is_kind(kind, &key.kind) && key.namespace == namespace && key.name == *name;
    let found = active.standing.holdings.iter().find(|(key, _)| is_it(key));
    let found = found.map(|(key, held)| (key.clone(), Arc::clone(held)));
    found.ok_or_else(|| Denied {
        status: StatusCode::NOT_FOUND,
        why: format!("there is no {kind} {namespace}/{name}"),
    })
}

/// As people type it: `budgets` is `Budget`.
fn is_kind(asked: &str, kind: &str) -> bool {
    let (asked, kind) = (asked.to_ascii_lowercase(), kind.to_ascii_lowercase());
    let plural = kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"));
    asked == kind || asked == plural
}

/// Nothing secret is in it.
fn shown(active: &Active, key: &ResourceKey, held: &Held) -> Value {
    let name = name_of(key);
    let problems: Vec<&Problem> = active.problems.iter().filter(|one| one.resource == name).collect();
    let is_rejected = problems.iter().any(|one| one.severity == Severity::Rejected);
    let status = match (is_rejected, held.entry.good.is_some()) {
        (false, _) => "good",
        (true, true) => "rejected: the last good version serves",
        (true, false) => "rejected",
    };
    let written = &held.entry.written;
    json!({
        "group": key.group,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "source": held.entry.source.to_string(),
        "at": {"file": written.file, "line": written.line},
        "revision": held.revision,
        "status": status,
        "problems": problems.into_iter().map(described).collect::<Vec<_>>(),
        "object": written.shown(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_meant_as_people_type_them() {
        #[rustfmt::skip]
        let rows = [
            ("budget",                "Budget",                true),
            ("Budgets",               "Budget",                true),
            ("backendsecuritypolicies", "BackendSecurityPolicy", true),
            ("budge",                 "Budget",                false),
            ("",                      "Budget",                false),
        ];
        for (asked, kind, want) in rows {
            assert_eq!(is_kind(asked, kind), want, "{asked}");
        }
    }
}
