//! Keys of the role that a container or a machine runs under, from an endpoint that only it can reach.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::Full;
use serde::Deserialize;
use tollgate_crds::{AwsKeys, Sensitive};

use super::ask::ask;
use super::sts::seconds;
use super::surroundings::{Found, Surroundings};

/// They are next door: who does not answer soon is not there.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Amazon's container agents, by ECS and by EKS.
const CONTAINER: &str = "http://169.254.170.2";
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// Amazon's machines.
const MACHINE: &str = "http://169.254.169.254";

/// Of the token that opens the machine's metadata; it is used at once.
const TOKEN_SECONDS: &str = "60";

/// Both endpoints answer so.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

/// None: no container's endpoint is set up.
pub(super) async fn of_the_container(around: &Surroundings) -> Option<Result<Found, String>> {
    let relative = around.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match relative {
        Some(path) => format!("{CONTAINER}{path}"),
        None => around.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
    };
    Some(ask_container(around, &url).await)
}

async fn ask_container(around: &Surroundings, url: &str) -> Result<Found, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url} is no address for keys: {error}"))?;
    // The token must not go to a stranger in the clear.
    let host = uri.host().unwrap_or_default();
    let is_near = ["localhost", "[::1]"].contains(&host) || host.starts_with("127.");
    if uri.scheme_str() != Some("https") && !is_near && !CONTAINER_HOSTS.contains(&host) {
        return Err(format!("{url} is neither https nor an address of this machine"));
    }
    let token = match around.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        // Read each time: it is replaced before it ends.
        Some(file) => Some(std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?),
        None => around.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let headers: Vec<_> = token.iter().map(|token| ("authorization", token.trim())).collect();
    read(&question(Method::GET, url, &headers).await?)
}

/// Keys of the machine's role, if it is one of Amazon's.
pub(super) async fn of_the_machine(around: &Surroundings) -> Result<Found, String> {
    if around.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true")) {
        return Err(NOWHERE.to_owned());
    }
    let endpoint = around.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let endpoint = endpoint.as_deref().unwrap_or(MACHINE).trim_end_matches('/');
    let seconds = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
    let token = question(Method::PUT, &format!("{endpoint}/latest/api/token"), &seconds).await;
    let token = token.map_err(|error| format!("{NOWHERE} ({error})"))?;
    let opened = [("x-aws-ec2-metadata-token", token.trim())];
    let roles = format!("{endpoint}/latest/meta-data/iam/security-credentials/");
    let role = question(Method::GET, &roles, &opened).await?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err(format!("{NOWHERE}: the machine has no role"));
    }
    read(&question(Method::GET, &format!("{roles}{role}"), &opened).await?)
}

const NOWHERE: &str =
    "no keys in the environment, in shared files, by a role, at a container's or the machine's endpoint";

async fn question(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<String, String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::new()));
    ask(request.map_err(|error| format!("{url} can't be asked: {error}"))?, TIMEOUT).await
}

fn read(json: &str) -> Result<Found, String> {
    // What came is not told: it is secret.
    let answer: Answer =
        serde_json::from_str(json).map_err(|_| "the endpoint for keys answered without any".to_owned())?;
    Ok(Found {
        keys: AwsKeys {
            access_key_id: answer.access_key_id,
            secret_access_key: Sensitive::new(answer.secret_access_key),
            session_token: answer.token.map(Sensitive::new),
        },
        until_s: answer.expiration.as_deref().map(seconds).transpose()?,
    })
}
