//! Tokens that are good, and each way in which one is not.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;
use tollgate_crds::Jwks;

use super::*;

const NOW_S: u64 = 1_000_000;

fn part(json: &Value) -> String {
    BASE64.encode(json.to_string())
}

fn issuer(name: Option<&str>, audiences: &[&str]) -> Issuer {
    Issuer {
        name: "default/p/main".to_owned(),
        issuer: name.map(str::to_owned),
        audiences: audiences.iter().map(|one| (*one).to_owned()).collect(),
        jwks: Jwks::Local(String::new()),
        claims: Vec::new(),
        sources: Vec::new(),
    }
}

/// Two keys of one issuer.
struct Signer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    dice: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let dice = SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&dice).unwrap();
        let ed25519 = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &dice).unwrap();
        let p256 =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &dice).unwrap();
        Self { ed25519, p256, dice }
    }

    fn set(&self) -> KeySet {
        let point = self.p256.public_key().as_ref();
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": BASE64.encode(self.ed25519.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "use": "sig",
             "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..])},
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
            {"kty": "EC", "crv": "P-256", "kid": "locks", "use": "enc", "x": "AA", "y": "AA"},
            "no key",
        ]});
        KeySet::parse(set.to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let signature = if header["alg"] == "ES256" {
            self.p256.sign(&self.dice, text.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            self.ed25519.sign(text.as_bytes()).as_ref().to_vec()
        };
        format!("{text}.{}", BASE64.encode(signature))
    }
}

#[test]
fn a_token_is_the_issuers_for_us_and_of_this_time() {
    let signer = Signer::new();
    let other = Signer::new();
    let keys = signer.set();
    let whole = json!({"iss": "https://id", "sub": "alice", "aud": ["x", "us"], "exp": NOW_S + 10, "nbf": NOW_S - 10});
    let with = |field: &str, value: Value| {
        let mut claims = whole.clone();
        claims[field] = value;
        claims
    };
    let (ed, ec) = (json!({"alg": "EdDSA", "kid": "ed"}), json!({"alg": "ES256", "kid": "ec"}));
    #[rustfmt::skip]
    let rows = [
        (signer.sign(&ed, &whole),                                          Ok(()),               "whole"),
        (signer.sign(&ec, &whole),                                          Ok(()),               "by the other key"),
        (signer.sign(&json!({"alg": "EdDSA"}), &whole),                     Ok(()),               "by whichever key fits"),
        (other.sign(&ed, &whole),                                           Err(Unfit::Forged),   "by another's key"),
        (signer.sign(&json!({"alg": "EdDSA", "kid": "ec"}), &whole),        Err(Unfit::NoKey),    "the key is not for this algorithm"),
        (signer.sign(&json!({"alg": "HS256", "kid": "shared"}), &whole),    Err(Unfit::NoKey),    "a shared secret is no key"),
        (signer.sign(&json!({"alg": "none"}), &whole),                      Err(Unfit::NoKey),    "unsigned"),
        (signer.sign(&json!({"alg": "EdDSA", "kid": "new"}), &whole),       Err(Unfit::NoKey),    "a key that is not there yet"),
        (signer.sign(&json!({"alg": "EdDSA", "crit": ["b64"]}), &whole),    Err(Unfit::Critical), "not to be understood"),
        (signer.sign(&ed, &with("iss", json!("https://eve"))),              Err(Unfit::Issuer),   "of another issuer"),
        (signer.sign(&ed, &with("aud", json!("us"))),                       Ok(()),               "one audience"),
        (signer.sign(&ed, &with("aud", json!("them"))),                     Err(Unfit::Audience), "for others"),
        (signer.sign(&ed, &with("aud", Value::Null)),                       Err(Unfit::Audience), "for nobody"),
        (signer.sign(&ed, &with("exp", json!(NOW_S - 59))),                 Ok(()),               "clocks differ"),
        (signer.sign(&ed, &with("exp", json!(NOW_S - 60))),                 Err(Unfit::Expired),  "but not by more"),
        (signer.sign(&ed, &with("exp", json!("soon"))),                     Err(Unfit::Malformed), "no time"),
        (signer.sign(&ed, &with("exp", Value::Null)),                       Ok(()),               "for ever"),
        (signer.sign(&ed, &with("nbf", json!(NOW_S + 60))),                 Ok(()),               "clocks differ"),
        (signer.sign(&ed, &with("nbf", json!(1_000_060.5))),        Err(Unfit::TooEarly), "but not by more"),
        ("a.b".to_owned(),                                                  Err(Unfit::Malformed), "two parts"),
        ("a.b.c".to_owned(),                                                Err(Unfit::Malformed), "no JSON"),
        (format!("{}.{}.", part(&ed), part(&whole)),                        Err(Unfit::Forged),   "no signature"),
        (format!("{}.{}.!", part(&ed), part(&whole)),                       Err(Unfit::Malformed), "no base64"),
        ("x".repeat(LONGEST + 1),                                           Err(Unfit::Malformed), "too long"),
    ];
    for (text, want, why) in rows {
        let ours = issuer(Some("https://id"), &["us"]);
        let got = Token::parse(&text).and_then(|token| token.verify(&ours, &keys, NOW_S));
        assert_eq!(got, want, "{why}");
    }
    let text = signer.sign(&ed, &json!({"iss": "https://eve", "sub": "alice", "org": {"team": "a", "n": 1}}));
    let token = Token::parse(&text).unwrap();
    assert_eq!(token.verify(&issuer(None, &[]), &keys, NOW_S), Ok(()), "nothing else is asked for");
    let claim = |path: &str| token.claim(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
    let claims = ["sub", "org.team", "org.n", "org", "org.none", "sub.x"].map(claim);
    let want = [Some("alice"), Some("a"), Some("1"), Some(r#"{"n":1,"team":"a"}"#), None, None];
    assert_eq!(claims.each_ref().map(Option::as_deref), want);
    assert_eq!((token.subject(), token.issuer()), (Ok("alice"), "https://eve"));
}

/// RFC 7515, appendix A.2: a signature that others made.
#[test]
fn rsa_is_that_of_the_standard() {
    let set = json!({"keys": [{"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]});
    let text = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let keys = KeySet::parse(set.to_string().as_bytes()).unwrap();
    let token = Token::parse(text).unwrap();
    assert_eq!(token.verify(&issuer(Some("joe"), &[]), &keys, 1_300_819_380), Ok(()));
    assert_eq!(token.verify(&issuer(Some("joe"), &[]), &keys, 1_300_819_440), Err(Unfit::Expired));
    let forged = text.replace(".cC4h", ".cC4i");
    let token = Token::parse(&forged).unwrap();
    assert_eq!(token.verify(&issuer(None, &[]), &keys, 0), Err(Unfit::Forged));
}
