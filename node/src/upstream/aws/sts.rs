//! A role taken by web identity, as Kubernetes' service accounts do it (IRSA): a token from a file is exchanged at the
//! security token service.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use jiff::Timestamp;
use tollgate_crds::{AwsKeys, Sensitive};

use super::ask::ask;
use super::surroundings::{Found, Surroundings};

const TIMEOUT: Duration = Duration::from_secs(5);

/// How the session is called in Amazon's logs where nobody says.
const SESSION: &str = "tollgate";

/// None: nothing of the kind is set up.
pub(super) async fn by_web_identity(around: &Surroundings) -> Option<Result<Found, String>> {
    let file = around.variable("AWS_WEB_IDENTITY_TOKEN_FILE")?;
    let role = around.variable("AWS_ROLE_ARN")?;
    Some(exchange(around, &file, &role).await)
}

async fn exchange(around: &Surroundings, file: &str, role: &str) -> Result<Found, String> {
    // Read each time: it is replaced before it ends.
    let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let session = around.variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| SESSION.to_owned());
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role)
        .append_pair("RoleSessionName", &session)
        .append_pair("WebIdentityToken", token.trim())
        .finish();
    let request = Request::post(endpoint(around))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/xml")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| format!("the security token service has no usable address: {error}"))?;
    read(&ask(request, TIMEOUT).await?)
}

fn endpoint(around: &Surroundings) -> String {
    let said = around.variable("AWS_ENDPOINT_URL_STS").or_else(|| around.variable("AWS_ENDPOINT_URL"));
    let said = said.map(|url| format!("{}/", url.trim_end_matches('/')));
    said.unwrap_or_else(|| {
        let region = around.variable("AWS_REGION").unwrap_or_else(|| around.region().to_owned());
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://sts.{region}.{domain}/")
    })
}

/// Of the XML only four texts are wanted, which need no escapes.
fn read(xml: &str) -> Result<Found, String> {
    let text = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let found = xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
        found
            .map(|(text, _)| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("the security token service answered without {name}"))
    };
    let expiration = text("Expiration")?;
    Ok(Found {
        keys: AwsKeys {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: Sensitive::new(text("SecretAccessKey")?),
            session_token: Some(Sensitive::new(text("SessionToken")?)),
        },
        until_s: Some(seconds(&expiration)?),
    })
}

/// Seconds since 1970 of a time as Amazon writes it.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let time: Timestamp = text.parse().map_err(|_| format!("keys that end at `{text}`, which is no time"))?;
    Ok(u64::try_from(time.as_second()).unwrap_or(0))
}
