//! Prometheus metrics: OpenTelemetry's GenAI names, with the labels and buckets of Envoy AI Gateway, so that its
//! dashboards work unchanged. No metric has a name elsewhere, but those of the cluster, which have theirs in
//! `tollgate_cluster::figures`.
//!
//! Looking instruments up by six labels for each request would cost more than the request; a set of handles is kept for
//! each combination of labels. Names that clients choose can't fill that table: past its bound they are counted as
//! `_other`.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hashbrown::{Equivalent, HashMap};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tollgate_cluster::figures;

use super::kubernetes::{OfKind, OfKubernetes};
use crate::request::trail::{End, Trail};

const TOKEN_USAGE: &str = "gen_ai.client.token.usage";
const REQUEST_DURATION: &str = "gen_ai.server.request.duration";
const TIME_TO_FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";
const TIME_PER_OUTPUT_TOKEN: &str = "gen_ai.server.time_per_output_token";
/// What a request's budgets cost it in time.
const ADMISSION: &str = "tollgate.admission.duration";
const REFUSALS: &str = "tollgate.refusals";
const IN_FLIGHT: &str = "tollgate.requests.in_flight";
const CONFIG_PROBLEMS: &str = "tollgate.config.problems";
const CONFIG_REVISION: &str = "tollgate.config.revision";
const KUBERNETES_WATCHING: &str = "tollgate.kubernetes.watching";
const KUBERNETES_EVENT_AGE: &str = "tollgate.kubernetes.event_age";
const KUBERNETES_LISTS: &str = "tollgate.kubernetes.lists";
const KUBERNETES_EXPIRED: &str = "tollgate.kubernetes.expired";
const KUBERNETES_ERRORS: &str = "tollgate.kubernetes.errors";
const KUBERNETES_PROPOSALS: &str = "tollgate.kubernetes.proposals";
const KUBERNETES_STATUS_WRITES: &str = "tollgate.kubernetes.status_writes";
const LOG_LINES_DROPPED: &str = "tollgate.access_log.lines_dropped";

/// Powers of four, 1 to 4^13 (OpenTelemetry's advice for token counts).
const TOKEN_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const DURATION_BUCKETS_S: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_TOKEN_BUCKETS_S: [f64; 21] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
];
const PER_TOKEN_BUCKETS_S: [f64; 12] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 2.5];

/// Microseconds where leases cover it, else as long as a commit and what it waits for.
const ADMISSION_BUCKETS_S: [f64; 17] = [
    0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002,
    0.005, 0.01, 0.02, 0.05, 0.1, 0.25,
];
/// Commits, flushes and the waits for them: parts of a millisecond to seconds.
const CLUSTER_BUCKETS_S: [f64; 14] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// Combinations of labels that are told apart.
const MOST_LABEL_SETS: usize = 2_000;
/// Stands for every model past the bound.
const OTHER: &str = "_other";
/// OpenTelemetry's value for an error that has no name of its own.
const OTHER_ERROR: &str = "_OTHER";

/// All instruments of this node.
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    admission: Histogram,
    known: ArcSwap<HashMap<OwnedLabels, Arc<Instruments>>>,
    growing: Mutex<()>,
}

/// The gauges that others set.
#[derive(Clone)]
pub(crate) struct Gauges {
    pub(crate) in_flight: Gauge,
    pub(crate) config_problems: Gauge,
    pub(crate) config_revision: Gauge,
    pub(crate) log_lines_dropped: Counter,
}

/// What tells instruments apart. Kept with owned text, looked up with borrowed.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Labels<Text> {
    operation: &'static str,
    provider: &'static str,
    original_model: Text,
    request_model: Text,
    response_model: Text,
    backend_namespace: Text,
    backend_name: Text,
    failed: bool,
}

type OwnedLabels = Labels<String>;

impl Equivalent<OwnedLabels> for Labels<&str> {
    fn equivalent(&self, other: &OwnedLabels) -> bool {
        *self == other.map(String::as_str)
    }
}

impl<Text> Labels<Text> {
    fn map<'a, Other>(&'a self, text: impl Fn(&'a Text) -> Other) -> Labels<Other> {
        Labels {
            operation: self.operation,
            provider: self.provider,
            original_model: text(&self.original_model),
            request_model: text(&self.request_model),
            response_model: text(&self.response_model),
            backend_namespace: text(&self.backend_namespace),
            backend_name: text(&self.backend_name),
            failed: self.failed,
        }
    }
}

struct Instruments {
    duration: Histogram,
    first_token: Histogram,
    per_token: Histogram,
    input: Histogram,
    output: Histogram,
    cached_input: Histogram,
    cache_creation_input: Histogram,
    reasoning: Histogram,
}

impl Metrics {
    /// Registers buckets and descriptions.
    pub(crate) fn new() -> Result<Self, String> {
        let buckets: [(&str, &[f64]); 5] = [
            (ADMISSION, &ADMISSION_BUCKETS_S),
            (TOKEN_USAGE, &TOKEN_BUCKETS),
            (REQUEST_DURATION, &DURATION_BUCKETS_S),
            (TIME_TO_FIRST_TOKEN, &FIRST_TOKEN_BUCKETS_S),
            (TIME_PER_OUTPUT_TOKEN, &PER_TOKEN_BUCKETS_S),
        ];
        let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
        for (name, values) in buckets {
            let matcher = Matcher::Full(name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, values).map_err(|error| error.to_string())?;
        }
        let of_cluster = Matcher::Suffix(".seconds".to_owned());
        let builder = builder.set_buckets_for_metric(of_cluster, &CLUSTER_BUCKETS_S);
        let builder = builder.map_err(|error| error.to_string())?;
        let recorder = builder.build_recorder();
        for (name, text) in [
            (TOKEN_USAGE, "Tokens by kind, of each answer."),
            (REQUEST_DURATION, "Seconds from the request's head to the answer's last byte."),
            (TIME_TO_FIRST_TOKEN, "Seconds from the request's head to the first output."),
            (TIME_PER_OUTPUT_TOKEN, "Seconds per output token after the first."),
            (ADMISSION, "Seconds until budgets held what a request may cost."),
        ] {
            recorder.describe_histogram(KeyName::from_const_str(name), None, text.into());
        }
        for (name, text) in figures::DESCRIPTIONS {
            let (name, text) = (KeyName::from_const_str(name), SharedString::const_str(text));
            recorder.describe_gauge(name, None, text);
        }
        let handle = recorder.handle();
        let admission = recorder.register_histogram(&Key::from_static_name(ADMISSION), &METADATA);
        Ok(Self {
            admission,
            recorder: Arc::new(recorder),
            handle,
            known: ArcSwap::default(),
            growing: Mutex::new(()),
        })
    }

    /// Has what is recorded anywhere in this process counted here. Once a process.
    pub(crate) fn install(&self) -> Result<(), String> {
        let recorder = Arc::clone(&self.recorder);
        metrics::set_global_recorder(recorder).map_err(|_taken| "metrics are recorded elsewhere".to_owned())
    }

    /// For the admin's `/metrics`, and for the upkeep that keeps histograms small.
    pub(crate) fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// The gauges that are set from elsewhere.
    pub(crate) fn gauges(&self) -> Gauges {
        let gauge = |name| self.recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        Gauges {
            in_flight: gauge(IN_FLIGHT),
            config_problems: gauge(CONFIG_PROBLEMS),
            config_revision: gauge(CONFIG_REVISION),
            log_lines_dropped: self
                .recorder
                .register_counter(&Key::from_static_name(LOG_LINES_DROPPED), &METADATA),
        }
    }

    /// The instruments of what follows an API server, for these kinds.
    pub(crate) fn kubernetes(&self, kinds: impl Iterator<Item = &'static str>) -> OfKubernetes {
        let key = |name, label, value| Key::from_parts(name, vec![Label::from_static_parts(label, value)]);
        let counter =
            |name, label, value| self.recorder.register_counter(&key(name, label, value), &METADATA);
        let of_kind = |kind: &'static str| {
            let one = OfKind {
                event_age_s: self
                    .recorder
                    .register_gauge(&key(KUBERNETES_EVENT_AGE, "kind", kind), &METADATA),
                lists: counter(KUBERNETES_LISTS, "kind", kind),
                expired: counter(KUBERNETES_EXPIRED, "kind", kind),
                errors: counter(KUBERNETES_ERRORS, "kind", kind),
            };
            (kind, one)
        };
        let watching = Key::from_static_name(KUBERNETES_WATCHING);
        OfKubernetes {
            kinds: kinds.map(of_kind).collect(),
            watching: self.recorder.register_gauge(&watching, &METADATA),
            proposed: counter(KUBERNETES_PROPOSALS, "outcome", "written"),
            not_proposed: counter(KUBERNETES_PROPOSALS, "outcome", "failed"),
            status_written: counter(KUBERNETES_STATUS_WRITES, "outcome", "written"),
            status_not_written: counter(KUBERNETES_STATUS_WRITES, "outcome", "failed"),
        }
    }

    /// Counts a request that is over.
    pub(crate) fn record(&self, trail: &Trail) {
        if let End::Refused(reason) = trail.end {
            let key = Key::from_parts(REFUSALS, vec![Label::from_static_parts("reason", reason)]);
            self.recorder.register_counter(&key, &METADATA).increment(1);
        }
        if let Some(took) = trail.admission {
            self.admission.record(took);
        }
        let Some(rule) = trail.rule.as_ref().filter(|_| trail.attempts > 0) else {
            return;
        };
        let candidate = &rule.candidates[trail.candidate];
        let labels = Labels {
            operation: trail.operation,
            provider: tollgate_api::providers::provider(candidate.backend.schema).name,
            original_model: trail.original_model.as_str(),
            request_model: trail.request_model(),
            response_model: trail.response_model.as_deref().unwrap_or_default(),
            backend_namespace: candidate.backend.name.namespace.as_str(),
            backend_name: candidate.backend.name.name.as_str(),
            failed: trail.end != End::Whole,
        };
        match self.known.load().get(&labels) {
            Some(instruments) => instruments.record(trail),
            None => self.grow(labels).record(trail),
        }
    }

    fn grow(&self, labels: Labels<&str>) -> Arc<Instruments> {
        let _one_at_a_time = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load_full();
        let labels = if known.len() < MOST_LABEL_SETS {
            labels
        } else {
            Labels { original_model: OTHER, request_model: OTHER, response_model: OTHER, ..labels }
        };
        if let Some(instruments) = known.get(&labels) {
            return Arc::clone(instruments);
        }
        let instruments = Arc::new(Instruments::register(&self.recorder, &labels));
        let mut grown = HashMap::clone(&known);
        grown.insert(labels.map(|text| (*text).to_owned()), Arc::clone(&instruments));
        self.known.store(Arc::new(grown));
        instruments
    }
}

static METADATA: Metadata<'static> = Metadata::new("tollgate", Level::INFO, None);

impl Instruments {
    fn register(recorder: &PrometheusRecorder, labels: &Labels<&str>) -> Self {
        let mut common = vec![
            Label::new("gen_ai.operation.name", labels.operation),
            Label::new("gen_ai.provider.name", labels.provider),
            Label::new("gen_ai.original.model", labels.original_model.to_owned()),
            Label::new("gen_ai.request.model", labels.request_model.to_owned()),
            Label::new("gen_ai.response.model", labels.response_model.to_owned()),
            Label::new("gen_ai.backend", format!("{}/{}", labels.backend_namespace, labels.backend_name)),
        ];
        let tokens = |kind: &'static str| {
            let mut labels = common.clone();
            labels.push(Label::from_static_parts("gen_ai.token.type", kind));
            recorder.register_histogram(&Key::from_parts(TOKEN_USAGE, labels), &METADATA)
        };
        let input = tokens("input");
        let output = tokens("output");
        let cached_input = tokens("cached_input");
        let cache_creation_input = tokens("cache_creation_input");
        let reasoning = tokens("reasoning");
        if labels.failed {
            common.push(Label::from_static_parts("error.type", OTHER_ERROR));
        }
        let plain = |name: &'static str| {
            recorder.register_histogram(&Key::from_parts(name, common.clone()), &METADATA)
        };
        Self {
            duration: plain(REQUEST_DURATION),
            first_token: plain(TIME_TO_FIRST_TOKEN),
            per_token: plain(TIME_PER_OUTPUT_TOKEN),
            input,
            output,
            cached_input,
            cache_creation_input,
            reasoning,
        }
    }

    fn record(&self, trail: &Trail) {
        self.duration.record(trail.started.elapsed());
        let Some((usage, _)) = trail.usage else {
            return;
        };
        let kinds = [
            (&self.input, usage.input),
            (&self.output, usage.output),
            (&self.cached_input, usage.cached_input),
            (&self.cache_creation_input, usage.cache_creation_input),
            (&self.reasoning, usage.reasoning),
        ];
        for (histogram, tokens) in kinds {
            if tokens > 0 {
                #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
                histogram.record(tokens as f64);
            }
        }
        if trail.streamed {
            if let Some(first) = trail.pace.to_first(trail.started) {
                self.first_token.record(first);
            }
            if let Some(per_token) = trail.pace.per_token(usage.output) {
                self.per_token.record(per_token);
            }
        }
    }
}
