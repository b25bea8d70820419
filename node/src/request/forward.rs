//! forward: send it, and go on to the next candidate until somebody answers or nobody is left. All of this happens
//! before the client has seen a byte, so nothing that goes wrong here needs to be undone.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming as IncomingBody;
use tollgate_api::error::{ApiError, ErrorKind};
use tollgate_api::exchange::{Mode, Replies, Reply as Reading};
use tollgate_crds::Candidate;

use super::accept::Accepted;
use super::admit::Admission;
use super::hop;
use super::refusal::Refusal;
use super::route::Plan;
use super::trail::Trail;
use super::translate::{self, Prepared};
use crate::clock;
use crate::gateway::Gateway;
use crate::upstream::aws::Unsigned;
use crate::upstream::choice::{self, Readiness, Standing};
use crate::upstream::credentials;
use crate::upstream::retry::pause_asked;
use crate::upstream::tokens::Tokens;
use crate::upstream::{Endpoint, Upstream};

/// The first attempt and three more: beyond that a client waits longer than it wants to.
const MOST_ATTEMPTS: u32 = 4;
/// Before the only backend is tried a second time; drawn between half of this and all of it.
const SECOND_TRY_PAUSE: Duration = Duration::from_millis(200);
/// A backend that says 429 and not for how long is left alone for this long while others can serve.
const UNASKED_PAUSE: Duration = Duration::from_secs(1);
/// An answer that must be whole before it can be translated.
const COLLECT_LIMIT: usize = 64 * 1024 * 1024;
/// An upstream's error message.
const ERROR_LIMIT: usize = 1024 * 1024;
/// An upstream that began an error gets this long to finish it.
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);

/// What streams are to clients.
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The answer of the upstream that took the request.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) reading: Reading,
    pub(crate) content: Content,
    /// When the whole exchange has to be over.
    pub(crate) deadline: Option<Instant>,
    /// How long a stream may be silent.
    pub(crate) idle: Option<Duration>,
}

/// What is left to be read.
pub(crate) enum Content {
    /// Bytes that are ready, then whatever the upstream still sends.
    Flowing(Vec<Bytes>, IncomingBody),
    /// Everything is here.
    Whole(Vec<Bytes>),
}

/// How an attempt ended without an answer.
struct Failed {
    refusal: Refusal,
    /// Another backend, or the same one a moment later, may do better.
    again: Again,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The request itself is at fault.
    Never,
    /// Elsewhere only: this one is busy, or had its time.
    Elsewhere,
    /// Elsewhere, or here a moment later.
    Anywhere,
}

/// Tries candidates in the plan's order until one answers.
pub(crate) async fn first_byte(
    gateway: &Gateway,
    plan: &Plan,
    accepted: &Accepted,
    admission: &mut Admission,
    trail: &mut Trail,
) -> Result<Reply, Refusal> {
    gateway.retries.earn();
    let deadline = plan.rule.request_timeout.map(|timeout| trail.started + timeout);
    let mut tried = admission.passed_over.clone();
    let mut last: Option<Failed> = None;
    for attempt in 0..MOST_ATTEMPTS {
        let again = last.as_ref().map(|failed| failed.again);
        if again == Some(Again::Never) {
            break;
        }
        // Nobody else is left: the one that there is gets a second chance.
        let second_try = attempt == 1 && again == Some(Again::Anywhere);
        let other = if attempt == 0 { Some(admission.candidate) } else { choose(gateway, plan, &tried) };
        let Some(index) = other.or(second_try.then_some(trail.candidate)) else {
            break;
        };
        if other.is_none() {
            // Going on to another backend burdens nobody twice and is not paid for; this does.
            if !gateway.retries.spend() {
                break;
            }
            pause().await;
        }
        tried[index] = true;
        if let Err(refusal) = admission.move_to(gateway, plan, accepted, index).await {
            last = Some(Failed { refusal, again: Again::Elsewhere });
            continue;
        }
        trail.attempt(&plan.rule, index, accepted);
        let one = Attempt { gateway, plan, accepted, index, deadline };
        admission.sent();
        match one.carry_out(admission.output_cap(), trail).await {
            Ok(reply) => return Ok(reply),
            Err(failed) => last = Some(failed),
        }
        admission.failed();
    }
    Err(match last {
        Some(failed) => failed.refusal,
        None => Refusal::NoBackend { route: plan.rule.route.to_string() },
    })
}

/// The candidate that is next, if any is left.
pub(crate) fn choose(gateway: &Gateway, plan: &Plan, tried: &[bool]) -> Option<usize> {
    let now_ms = gateway.elapsed_ms();
    let standing = plan.rule.candidates.iter().zip(tried).map(|(candidate, tried)| Standing {
        priority: candidate.priority,
        weight: candidate.weight,
        readiness: readiness(plan, candidate, now_ms),
        tried: *tried,
    });
    choice::next(standing, rand::random())
}

fn readiness(plan: &Plan, candidate: &Candidate, now_ms: u64) -> Readiness {
    let upstream = plan.config.upstream(candidate);
    upstream.map_or(Readiness::Broken, |upstream| upstream.readiness(now_ms))
}

async fn pause() {
    let share = 0.5 + rand::random::<f64>() / 2.0;
    tokio::time::sleep(SECOND_TRY_PAUSE.mul_f64(share)).await;
}

/// One call of one candidate.
struct Attempt<'a> {
    gateway: &'a Gateway,
    plan: &'a Plan,
    accepted: &'a Accepted,
    index: usize,
    deadline: Option<Instant>,
}

impl Attempt<'_> {
    async fn carry_out(&self, output_cap: Option<u64>, trail: &mut Trail) -> Result<Reply, Failed> {
        let candidate = self.candidate();
        let mut prepared = translate::prepare(self.accepted, &self.plan.rule, candidate, output_cap)
            .map_err(Failed::for_good)?;
        let upstream =
            self.plan.config.upstream(candidate).ok_or_else(|| self.unreachable("it is not usable"))?;
        let endpoint = self.endpoint(upstream)?;
        let uri = endpoint.uri(&prepared.path).map_err(|_| self.unreachable("its address makes no URI"))?;
        self.sign(upstream, &uri, &mut prepared).await?;
        let mut request = Request::new(prepared.body.into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = prepared.headers;
        if let Some(tokens) = &upstream.tokens
            && credentials::own_key(&candidate.backend, &self.accepted.headers).is_none()
        {
            let token = self.token(tokens, endpoint).await?;
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }

        let limit = self.limit();
        let answered = within(limit, endpoint.client().request(request)).await;
        let response = match answered {
            Some(Ok(response)) => response,
            Some(Err(error)) => {
                endpoint.breaker.failed(self.gateway.elapsed_ms());
                tracing::debug!(backend = %candidate.backend.name, %error, source = ?std::error::Error::source(&error), "no answer");
                let reason = if error.is_connect() {
                    "the connection failed"
                } else {
                    "the connection broke before an answer"
                };
                return Err(self.unreachable(reason));
            }
            None => return Err(self.timed_out(endpoint)),
        };
        trail.upstream_answered(&response);
        let status = response.status();
        if status.is_success() {
            self.read(response, endpoint, prepared.replies.named(trail.request_id())).await
        } else if status.is_client_error() || status.is_server_error() {
            Err(self.refused(response, endpoint, &prepared.replies, trail).await)
        } else {
            // A client that followed it would go around the gateway.
            Err(self.broken(endpoint, &format!("it answered {status}; redirects are not followed")))
        }
    }

    /// The token of the account that the backend is called as.
    async fn token(&self, tokens: &Tokens, endpoint: &Endpoint) -> Result<HeaderValue, Failed> {
        let token = within(self.limit(), tokens.current()).await.ok_or_else(|| self.timed_out(endpoint))?;
        token.map_err(|reason| {
            let backend = self.backend();
            tracing::warn!(%backend, %reason, "no access token to call it with");
            let refusal = Refusal::Unreachable { backend, reason: "there is no valid access token for it" };
            Failed { refusal, again: Again::Elsewhere }
        })
    }

    /// Signs the request, which is all there but for that, where the upstream wants it.
    async fn sign(&self, upstream: &Upstream, uri: &Uri, prepared: &mut Prepared) -> Result<(), Failed> {
        let Some(signer) = &upstream.signer else {
            return Ok(());
        };
        let Prepared { headers, body, own_keys, .. } = prepared;
        let unsigned = Unsigned { method: &Method::POST, uri, body, at: clock::now() };
        signer.sign(&unsigned, own_keys.as_ref(), headers).await.map_err(|error| {
            tracing::debug!(backend = %self.candidate().backend.name, %error, "not signed");
            let reason = "its credentials cannot be had";
            let refusal = Refusal::Unreachable { backend: self.backend(), reason };
            Failed { refusal, again: Again::Elsewhere }
        })
    }

    /// A good answer begins: wait for its first bytes, since until then another candidate can take over.
    async fn read(
        &self,
        response: Response<IncomingBody>,
        endpoint: &Endpoint,
        replies: Replies,
    ) -> Result<Reply, Failed> {
        let (head, mut body) = response.into_parts();
        let replies = replies.at(clock::unix_ms() / 1_000);
        let mut reading = replies.begin_as(content_type(&head.headers));
        let content = match reading.mode() {
            Mode::Pass => Content::Flowing(Vec::new(), body),
            Mode::Stream => {
                let mut ready = Vec::new();
                while ready.is_empty() {
                    let frame =
                        within(self.limit(), body.frame()).await.ok_or_else(|| self.timed_out(endpoint))?;
                    match frame {
                        Some(Ok(frame)) => {
                            let Ok(data) = frame.into_data() else {
                                continue;
                            };
                            reading
                                .feed(data, &mut ready)
                                .map_err(|error| self.broken(endpoint, &error.message))?;
                            if let (Some(said), 0) = (&reading.seen().failure, reading.seen().output_events) {
                                return Err(self.failed_at_once(endpoint, said));
                            }
                        }
                        Some(Err(_)) => {
                            return Err(self.broken(endpoint, "it broke before its first event"));
                        }
                        None => {
                            reading
                                .finish(&mut ready)
                                .map_err(|error| self.broken(endpoint, &error.message))?;
                            return Ok(self.reply(head, reading, Content::Whole(ready)));
                        }
                    }
                }
                Content::Flowing(ready, body)
            }
            Mode::Collect => {
                let collected = within(self.limit(), Limited::new(body, COLLECT_LIMIT).collect()).await;
                let collected = collected.ok_or_else(|| self.timed_out(endpoint))?;
                let whole = collected.map_err(|_| self.broken(endpoint, "it broke off"))?.to_bytes();
                let mut ready = Vec::new();
                let read = reading.feed(whole, &mut ready).and_then(|()| reading.finish(&mut ready));
                read.map_err(|error| self.broken(endpoint, &error.message))?;
                Content::Whole(ready)
            }
        };
        endpoint.breaker.succeeded();
        Ok(self.reply(head, reading, content))
    }

    fn reply(&self, head: Parts, reading: Reading, content: Content) -> Reply {
        let Parts { status, mut headers, .. } = head;
        let is_said = content_type(&headers).trim_start().starts_with("text/event-stream");
        if reading.mode() == Mode::Stream && !is_said {
            // Whatever framing the upstream has, clients get this one.
            headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
        }
        let idle = self.plan.rule.stream_idle_timeout;
        Reply { status, headers, reading, content, deadline: self.deadline, idle }
    }

    /// The upstream said no: keep its words, in the client's dialect, and what they mean for its health.
    async fn refused(
        &self,
        response: Response<IncomingBody>,
        endpoint: &Endpoint,
        replies: &Replies,
        trail: &Trail,
    ) -> Failed {
        let now_ms = self.gateway.elapsed_ms();
        let status = response.status();
        let again = match status.as_u16() {
            429 => {
                let pause = pause_asked(response.headers()).unwrap_or(UNASKED_PAUSE);
                endpoint.breaker.rest(now_ms, milliseconds(pause));
                Again::Elsewhere
            }
            // Not implemented, and no such HTTP version: asking again changes nothing.
            501 | 505 => Again::Elsewhere,
            408 | 500..=599 => {
                endpoint.breaker.failed(now_ms);
                Again::Anywhere
            }
            _ => {
                endpoint.breaker.succeeded();
                Again::Never
            }
        };
        let (head, body) = response.into_parts();
        let collected = within(Some(ERROR_TIMEOUT), Limited::new(body, ERROR_LIMIT).collect()).await;
        let body =
            collected.and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body = replies.error(status, body, trail.request_id());
        let headers = Box::new(error_headers(&head.headers));
        Failed { refusal: Refusal::Upstream { status, headers, body }, again }
    }

    fn endpoint<'u>(&self, upstream: &'u Upstream) -> Result<&'u Endpoint, Failed> {
        upstream
            .healthy(self.gateway.elapsed_ms())
            .or_else(|| upstream.any())
            .ok_or_else(|| self.unreachable("it has no address"))
    }

    fn candidate(&self) -> &Candidate {
        &self.plan.rule.candidates[self.index]
    }

    /// How long this attempt may wait for the upstream's next sign of life.
    fn limit(&self) -> Option<Duration> {
        let rule = &self.plan.rule;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let idle = rule.stream_idle_timeout.filter(|_| self.accepted.peek.stream);
        [left, rule.attempt_timeout, idle].into_iter().flatten().min()
    }

    fn timed_out(&self, endpoint: &Endpoint) -> Failed {
        endpoint.breaker.failed(self.gateway.elapsed_ms());
        let out_of_time = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let timeout = if out_of_time { self.plan.rule.request_timeout } else { self.limit() };
        Failed {
            refusal: Refusal::UpstreamTimeout {
                backend: self.backend(),
                timeout: timeout.unwrap_or_default(),
            },
            again: if out_of_time { Again::Never } else { Again::Elsewhere },
        }
    }

    /// The stream's first word was an error: as good as an error status, which it would have been a moment earlier.
    fn failed_at_once(&self, endpoint: &Endpoint, said: &ApiError) -> Failed {
        let now_ms = self.gateway.elapsed_ms();
        let again = match said.kind {
            ErrorKind::InvalidRequest
            | ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::TooLarge => {
                endpoint.breaker.succeeded();
                Again::Never
            }
            ErrorKind::RateLimited | ErrorKind::QuotaExhausted => {
                endpoint.breaker.rest(now_ms, milliseconds(UNASKED_PAUSE));
                Again::Elsewhere
            }
            ErrorKind::Overloaded | ErrorKind::Timeout | ErrorKind::Upstream | ErrorKind::Internal => {
                endpoint.breaker.failed(now_ms);
                Again::Anywhere
            }
        };
        Failed { refusal: Refusal::FailedAtOnce(said.clone()), again }
    }

    fn broken(&self, endpoint: &Endpoint, reason: &str) -> Failed {
        endpoint.breaker.failed(self.gateway.elapsed_ms());
        let refusal = Refusal::BrokenAnswer { backend: self.backend(), reason: reason.to_owned() };
        Failed { refusal, again: Again::Anywhere }
    }

    fn unreachable(&self, reason: &'static str) -> Failed {
        Failed { refusal: Refusal::Unreachable { backend: self.backend(), reason }, again: Again::Anywhere }
    }

    fn backend(&self) -> String {
        self.candidate().backend.name.to_string()
    }
}

impl Failed {
    fn for_good(refusal: Refusal) -> Self {
        Self { refusal, again: Again::Never }
    }
}

fn milliseconds(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.unwrap_or_default()
}

/// What a client may learn from an upstream's error headers: when to come back, and the provider's own limits.
fn error_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in hop::told_to_clients(headers) {
        let of_the_body =
            [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING].contains(name);
        if !of_the_body && *name != header::LOCATION {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
