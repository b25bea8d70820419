//! What a service account signs to be given a token: a JSON Web Token (RFC 7519) about itself, for the token endpoint.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use tollgate_crds::ServiceAccount;

/// All that models at Vertex AI need.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest that Google takes.
const LIFE_S: u64 = 3_600;

/// Signs as one account.
pub(super) struct Signer {
    key: RsaKeyPair,
}

impl Signer {
    pub(super) fn new(account: &ServiceAccount) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(account.private_key.expose().as_bytes())
            .map_err(|_| "its private key is not PKCS #8 in PEM".to_owned())?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map_err(|error| format!("its private key can't be used: {error}"))?;
        Ok(Self { key })
    }

    /// The assertion, as of `now_s` seconds since 1970.
    pub(super) fn assertion(&self, account: &ServiceAccount, now_s: u64) -> Result<String, String> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &account.private_key_id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now_s,
            "exp": now_s + LIFE_S,
        });
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "its private key could not sign".to_owned())?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;
    use tollgate_crds::Sensitive;

    use super::*;

    #[test]
    fn says_who_it_is_and_is_signed() {
        let file: Value =
            serde_json::from_str(include_str!("../../../../crds/testdata/google/service_account.json"))
                .unwrap();
        let account = ServiceAccount {
            client_email: "a@b".to_owned(),
            private_key_id: Some("key-1".to_owned()),
            private_key: Sensitive::new(file["private_key"].as_str().unwrap()),
            token_uri: "https://t/token".to_owned(),
        };
        let ours = Signer::new(&account).unwrap();
        let assertion = ours.assertion(&account, 1_000).unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, ours.key.public().as_ref());
        public.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| -> Value { serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap() };
        assert_eq!(read(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        let expected =
            json!({"iss": "a@b", "scope": SCOPE, "aud": "https://t/token", "iat": 1_000, "exp": 4_600});
        assert_eq!(read(claims), expected);

        let broken = ServiceAccount { private_key: Sensitive::new("no key"), ..account };
        assert!(Signer::new(&broken).is_err_and(|error| error.contains("PKCS #8")));
    }
}
