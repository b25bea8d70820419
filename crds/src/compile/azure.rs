//! What AzureCredentials come to: an application of Entra whose access tokens are used.

use super::certificates::{self, secret};
use super::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AI_GROUP, AzureCredentials};
use crate::snapshot::AzureApp;

/// The key of a Secret that holds an application's secret.
const SECRET_KEY: &str = "client-secret";

/// None where a problem says why.
pub(super) fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    credentials: Option<&AzureCredentials>,
    problems: &mut Vec<Problem>,
) -> Option<AzureApp> {
    let AzureCredentials { client_id, tenant_id, client_secret_ref, oidc_exchange_token } = credentials?;
    let Some(reference) = client_secret_ref.as_ref().filter(|_| oidc_exchange_token.is_none()) else {
        let field = "spec.azureCredentials.oidcExchangeToken";
        let what = "clientSecretRef: tokens are not exchanged yet; its backends are not called";
        problems.push(loaded.problem(field, "", what));
        return None;
    };
    let in_a_path = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if !in_a_path(tenant_id) {
        let what = "a tenant's id or domain: letters, digits, `-`, `.` and `_`";
        problems.push(loaded.problem("spec.azureCredentials.tenantID", shown(tenant_id), what));
        return None;
    }
    let from = (AI_GROUP, "BackendSecurityPolicy", loaded.name.namespace.as_str());
    let read =
        secret(index, from, reference).and_then(|secret| certificates::text(secret, SECRET_KEY, problems));
    match read {
        Ok(client_secret) => {
            Some(AzureApp { tenant: tenant_id.clone(), client_id: client_id.clone(), client_secret })
        }
        Err(what) => {
            let field = "spec.azureCredentials.clientSecretRef";
            problems.push(loaded.problem(field, shown(&reference.name), what));
            None
        }
    }
}
