//! What an application of Entra is given a token for: its secret, by the client credentials grant (RFC 6749, section 4.4).

use tollgate_crds::AzureApp;

/// All that models at Azure need.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Where it is elsewhere than in the public cloud, as Azure's own libraries are told.
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
const PUBLIC: &str = "https://login.microsoftonline.com";

/// Where the tenant's tokens are had.
pub(super) fn token_uri(app: &AzureApp, authority: Option<&str>) -> String {
    let authority = authority.filter(|authority| !authority.is_empty()).unwrap_or(PUBLIC);
    format!("{}/{}/oauth2/v2.0/token", authority.trim_end_matches('/'), app.tenant)
}

/// The authority that this process is told.
pub(super) fn authority() -> Option<String> {
    std::env::var(AUTHORITY).ok()
}

pub(super) fn grant(app: &AzureApp) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &app.client_id)
        .append_pair("client_secret", app.client_secret.expose())
        .append_pair("scope", SCOPE)
        .finish()
}

#[cfg(test)]
mod tests {
    use tollgate_crds::Sensitive;

    use super::*;

    #[test]
    fn the_tenant_stands_in_the_path_and_the_secret_in_the_form() {
        let app = AzureApp {
            tenant: "t-1".to_owned(),
            client_id: "c-1".to_owned(),
            client_secret: Sensitive::new("a&b=c d"),
        };
        let rows = [
            (None, "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"),
            (Some(""), "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"),
            (
                Some("https://login.microsoftonline.us/"),
                "https://login.microsoftonline.us/t-1/oauth2/v2.0/token",
            ),
        ];
        for (authority, expected) in rows {
            assert_eq!(token_uri(&app, authority), expected);
        }
        let expected = "grant_type=client_credentials&client_id=c-1&client_secret=a%26b%3Dc+d&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
        assert_eq!(grant(&app), expected);
    }
}
