//! What AWSCredentials come to: a region to sign for, and keys or where the node looks for them.

use super::certificates::{self, secret};
use super::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AI_GROUP, AwsCredentials, AwsCredentialsFile};
use crate::snapshot::{Aws, AwsKeys, AwsSource, Sensitive};

/// The key of a Secret that holds a file of credentials.
const SECRET_KEY: &str = "credentials";

/// None where a problem says why.
pub(super) fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    credentials: Option<&AwsCredentials>,
    problems: &mut Vec<Problem>,
) -> Option<Aws> {
    let AwsCredentials { region, credentials_file, oidc_exchange_token } = credentials?;
    if oidc_exchange_token.is_some() {
        let field = "spec.awsCredentials.oidcExchangeToken";
        let what = "credentialsFile, or neither: tokens are not exchanged yet; its backends are not called";
        problems.push(loaded.problem(field, "", what));
        return None;
    }
    let region = region.clone();
    let Some(AwsCredentialsFile { secret_ref, profile }) = credentials_file else {
        return Some(Aws { region, source: AwsSource::Surroundings });
    };
    let from = (AI_GROUP, "BackendSecurityPolicy", loaded.name.namespace.as_str());
    let keys = secret(index, from, secret_ref).and_then(|secret| {
        let file = certificates::text(secret, SECRET_KEY, problems)?;
        keys(file.expose(), profile).map_err(|what| {
            certificates::unusable(secret.loaded, &secret.spec.field(SECRET_KEY), what, problems)
        })
    });
    match keys {
        Ok(keys) => Some(Aws { region, source: AwsSource::Keys(keys) }),
        Err(what) => {
            let field = "spec.awsCredentials.credentialsFile.secretRef";
            problems.push(loaded.problem(field, shown(&secret_ref.name), what));
            None
        }
    }
}

/// The keys of `profile` in a file of credentials, as Amazon's command line writes it. What came is not told: it is
/// secret. In a file of settings the section is called `profile NAME`.
pub fn keys(file: &str, profile: &str) -> Result<AwsKeys, String> {
    let mut found = false;
    let mut inside = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in file.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            let name = name.trim();
            inside = name.strip_prefix("profile ").map_or(name, str::trim) == profile;
            found |= inside;
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| inside) else {
            continue;
        };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    let lacks = |name: &str| format!("a profile {profile} with {name}");
    if !found {
        return Err(format!("a file of credentials with a profile [{profile}]"));
    }
    let keys = AwsKeys {
        access_key_id: id.ok_or_else(|| lacks("aws_access_key_id"))?,
        secret_access_key: Sensitive::new(secret.ok_or_else(|| lacks("aws_secret_access_key"))?),
        session_token: token.map(Sensitive::new),
    };
    let token = keys.session_token.iter().map(Sensitive::expose);
    let fits = |text: &str| http::HeaderValue::from_str(text).is_ok();
    if fits(&keys.access_key_id) && token.into_iter().all(fits) {
        Ok(keys)
    } else {
        Err(lacks("keys that a header can carry"))
    }
}

#[cfg(test)]
mod tests {
    use super::keys;

    #[test]
    fn profiles_are_found() {
        let file = "\u{feff}[default]\naws_access_key_id = AKIA1\n  aws_secret_access_key=s/1+=\n\n; another\n[ work ]\nAWS_ACCESS_KEY_ID=AKIA2\r\naws_secret_access_key = s2\naws_session_token=t2\nregion=x\n[profile team]\naws_access_key_id=AKIA3\naws_secret_access_key=s3\n[half]\naws_access_key_id=AKIA4\n[empty]\naws_access_key_id=\naws_secret_access_key=s\n[ctl]\naws_access_key_id=A\u{1}\naws_secret_access_key=s\n";
        #[rustfmt::skip]
        let cases = [
            // profile    id, secret and token              or what is expected
            ("default",   Some(("AKIA1", "s/1+=", None)),         ""),
            ("work",      Some(("AKIA2", "s2",    Some("t2"))),   ""),
            ("team",      Some(("AKIA3", "s3",    None)),         ""), // as a file of settings has it
            ("half",      None,                                   "aws_secret_access_key"),
            ("empty",     None,                                   "aws_access_key_id"),
            ("absent",    None,                                   "profile [absent]"),
            ("ctl",       None,                                   "header can carry"),
        ];
        for (profile, expected, why) in cases {
            match (keys(file, profile), expected) {
                (Ok(keys), Some((id, secret, token))) => {
                    let found = keys.session_token.as_ref().map(|token| token.expose().to_owned());
                    assert_eq!((&*keys.access_key_id, keys.secret_access_key.expose()), (id, secret));
                    assert_eq!(found.as_deref(), token);
                }
                (Err(said), None) => {
                    assert!(said.contains(why), "{said}");
                    assert!(!said.contains("AKIA"), "it may be secret: {said}");
                }
                (made, _) => panic!("{profile}: {made:?}"),
            }
        }
    }
}
