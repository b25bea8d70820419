//! Google's application default credentials: a key file that the environment names, or the machine's own account. On GKE, the
//! machine's answers for the pod's account (workload identity).

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tollgate_crds::{ServiceAccount, google_account};

const KEY_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const METADATA_HOST: &str = "GCE_METADATA_HOST";
const METADATA: &str = "metadata.google.internal";
const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Read each time: it may be replaced. None: the environment names none.
pub(super) fn key_file() -> Result<Option<ServiceAccount>, String> {
    let Some(path) = std::env::var_os(KEY_FILE).filter(|path| !path.is_empty()) else { return Ok(None) };
    let named = || format!("{KEY_FILE}={}", path.display());
    let file = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", named()))?;
    google_account(&file).map(Some).map_err(|expected| format!("{}: expected {expected}", named()))
}

/// Asks the machine.
pub(super) fn machine() -> Result<Request<Full<Bytes>>, String> {
    let host = std::env::var(METADATA_HOST).ok().filter(|host| !host.is_empty());
    let uri = format!("http://{}{TOKEN}", host.as_deref().unwrap_or(METADATA));
    let request = Request::get(&uri).header("metadata-flavor", "Google").body(Full::new(Bytes::new()));
    request.map_err(|error| format!("{uri} can't be asked: {error}"))
}
