//! Keys that a node finds around it, in the order of Amazon's own libraries: environment, a role by web identity (IRSA),
//! shared files, a container's endpoint (ECS, Pod Identity), the machine's metadata (IMDSv2).
//!
//! The first place that is set up counts: if it fails, nobody else's keys are used in its stead.

use std::path::PathBuf;
use std::sync::Arc;

use tollgate_crds::{AwsKeys, Sensitive, aws_keys};

use super::{machine, sts};

/// Keys, and when they end, in seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) keys: AwsKeys,
    pub(super) until_s: Option<u64>,
}

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where keys are looked for.
#[derive(Clone)]
pub(super) struct Surroundings {
    variables: Arc<Variables>,
    region: String,
}

impl Surroundings {
    /// What this process sees.
    pub(super) fn of_this_process(region: &str) -> Self {
        Self::new(region, |name| std::env::var(name).ok())
    }

    pub(super) fn new(
        region: &str,
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { variables: Arc::new(variables), region: region.to_owned() }
    }

    /// A variable that says something.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The region that backends are in.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The keys of the first place that is set up.
    pub(super) async fn find(&self) -> Result<Found, String> {
        if let Some(keys) = self.in_the_environment()? {
            return Ok(Found { keys, until_s: None });
        }
        if let Some(found) = sts::by_web_identity(self).await {
            return found;
        }
        if let Some(keys) = self.in_shared_files()? {
            return Ok(Found { keys, until_s: None });
        }
        if let Some(found) = machine::of_the_container(self).await {
            return found;
        }
        machine::of_the_machine(self).await
    }

    fn in_the_environment(&self) -> Result<Option<AwsKeys>, String> {
        let pair = [self.variable("AWS_ACCESS_KEY_ID"), self.variable("AWS_SECRET_ACCESS_KEY")];
        match pair {
            [None, None] => Ok(None),
            [Some(access_key_id), Some(secret)] => Ok(Some(AwsKeys {
                access_key_id,
                secret_access_key: Sensitive::new(secret),
                session_token: self.variable("AWS_SESSION_TOKEN").map(Sensitive::new),
            })),
            [_, _] => Err("of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set".to_owned()),
        }
    }

    /// Keys that stand there as they are; profiles that point elsewhere are not followed.
    fn in_shared_files(&self) -> Result<Option<AwsKeys>, String> {
        let asked = self.variable("AWS_PROFILE");
        let profile = asked.as_deref().unwrap_or("default");
        let mut why = None;
        for (variable, name) in
            [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")]
        {
            let home = || self.variable("HOME").map(|home| PathBuf::from(home).join(".aws").join(name));
            let Some(path) = self.variable(variable).map(PathBuf::from).or_else(home) else {
                continue;
            };
            let Ok(file) = std::fs::read_to_string(&path) else {
                continue;
            };
            match aws_keys(&file, profile) {
                Ok(keys) => return Ok(Some(keys)),
                Err(expected) => why = why.or(Some(format!("{}: expected {expected}", path.display()))),
            }
        }
        match (asked, why) {
            (Some(_), Some(why)) => Err(why),
            (Some(profile), None) => Err(format!("AWS_PROFILE is {profile}, and there is no file with it")),
            // A file for other purposes does no harm.
            (None, _) => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "surroundings_test.rs"]
mod tests;
