//! The keeper of the configuration: reads its source, makes the next revision, publishes it, and says what is wrong.

use std::path::PathBuf;

use tollgate_crds::Severity;

use super::revision::{self, Good, Text};
use super::{Active, Config, files};
use crate::clock;
use crate::telemetry::metrics::Gauges;
use crate::upstream::Upstreams;

/// Where resources come from.
pub(crate) enum Source {
    /// Files and folders, read anew at each load.
    Files(Vec<PathBuf>),
    /// A manifest made at start.
    Made(String),
}

/// Owns what was good; the only one who publishes.
pub(crate) struct Keeper {
    source: Source,
    config: Config,
    gauges: Gauges,
    upstreams: Upstreams,
    good: Good,
    loaded: Vec<Text>,
}

impl Keeper {
    pub(crate) fn new(source: Source, config: Config, gauges: Gauges, upstreams: Upstreams) -> Self {
        Self { source, config, gauges, upstreams, good: Good::default(), loaded: Vec::new() }
    }

    /// What the watcher should look at.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        match &self.source {
            Source::Files(paths) => paths,
            Source::Made(_) => &[],
        }
    }

    /// Reads the source and publishes what serves from now on.
    pub(crate) fn load(&mut self) {
        let texts = self.read();
        self.take(texts);
    }

    /// The source as it is now.
    pub(super) fn read(&self) -> Vec<Text> {
        match &self.source {
            Source::Files(paths) => files::read(paths)
                .into_iter()
                .map(|file| Text { name: file.path.display().to_string(), text: file.text })
                .collect(),
            Source::Made(manifest) => {
                vec![Text { name: "environment".to_owned(), text: Ok(manifest.clone()) }]
            }
        }
    }

    /// What was taken last.
    pub(super) fn loaded(&self) -> &[Text] {
        &self.loaded
    }

    /// Publishes what these texts say.
    pub(super) fn take(&mut self, texts: Vec<Text>) {
        let variable = |name: &str| std::env::var(name).ok();
        let revision = revision::revise(&self.good, &texts, &variable);
        self.good = revision.good;
        self.loaded = texts;

        let (upstreams, unusable) = self.upstreams.resolve(&revision.snapshot);
        for one in &unusable {
            tracing::error!(backend = %one.backend, "backend can't be called: {}", one.reason);
        }
        for problem in &revision.problems {
            match problem.severity {
                Severity::Rejected => tracing::error!("{problem}"),
                Severity::NotHonoured => tracing::warn!("{problem}"),
            }
        }
        if revision.kept_back > 0 {
            tracing::error!(
                resources = revision.kept_back,
                "the last good version of these resources keeps serving"
            );
        }
        let number = self.config.latest().revision + 1;
        #[expect(clippy::cast_precision_loss, reason = "both stay far below 2^52")]
        {
            self.gauges.config_problems.set((revision.problems.len() + unusable.len()) as f64);
            self.gauges.config_revision.set(number as f64);
        }
        tracing::info!(
            revision = number,
            backends = revision.snapshot.backends.len(),
            problems = revision.problems.len(),
            "configuration in force"
        );
        self.config.publish(Active {
            snapshot: revision.snapshot,
            upstreams,
            revision: number,
            written_at_s: files::written_at_s(self.paths()).unwrap_or_else(|| clock::unix_ms() / 1_000),
            problems: revision.problems,
        });
    }
}
