//! What a request to Bedrock is signed with. The signatures are those that Amazon's own library for Python makes of the
//! same requests.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tollgate_api::edit::Segments;
use tollgate_crds::{AwsKeys, Sensitive};

use super::{Unsigned, sign};

fn keys(token: Option<&str>) -> AwsKeys {
    AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Sensitive::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: token.map(Sensitive::new),
    }
}

fn signed(uri: &str, keys: &AwsKeys, headers: &mut HeaderMap) -> Result<(), String> {
    let uri: Uri = uri.parse().unwrap();
    let body = Segments::from(Bytes::from_static(br#"{"messages":[]}"#));
    let at = "2026-11-23T09:00:05Z".parse().unwrap();
    sign(&Unsigned { method: &Method::POST, uri: &uri, body: &body, at }, (keys, "us-east-1"), headers)
}

#[test]
fn as_amazons_own_library_signs() {
    const BEDROCK: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";
    let sonnet = format!("{BEDROCK}/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse-stream");
    let profile = format!("{BEDROCK}/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fx%20y/converse");
    let local = "http://127.0.0.1:8080/proxy/model/m/invoke?b=2&a=1";
    #[rustfmt::skip]
    let cases = [
        // uri        token                  signature
        (&*sonnet,  None,                  "b4e135ff202232453d404007c09a8c2ec885339700ac9b4c95e58c758131048a"),
        (&*sonnet,  Some("FwoG//Token=="), "e304f660ebee724e254c49da41cd0d85085220392dc56de8410a6eef06a60a12"),
        (&*profile, None,                  "aee2755c18f0ac70190a6d95f5a19af0a0330be309621544e54bd689141c85c8"), // encoded twice
        (local,     Some("FwoG//Token=="), "5bb488ff0a6481d75693e14a9068e05cd56c78a734e9b147041d63d46373ceb2"), // the port is signed
    ];
    for (uri, token, signature) in cases {
        let mut headers = HeaderMap::new();
        // What is left of another's signature goes.
        headers.insert("x-amz-security-token", HeaderValue::from_static("old"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("old"));
        signed(uri, &keys(token), &mut headers).unwrap();
        let names = if token.is_some() { ";x-amz-security-token" } else { "" };
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date{names}, Signature={signature}"
        );
        assert_eq!(headers[header::AUTHORIZATION], expected, "{uri}");
        assert_eq!(headers.get("x-amz-security-token").map(HeaderValue::as_bytes), token.map(str::as_bytes));
        assert_eq!(headers["x-amz-date"], "20261123T090005Z");
        assert!(headers[header::AUTHORIZATION].is_sensitive(), "kept out of logs");
    }
}

#[test]
fn the_host_is_signed_as_it_is_sent() {
    #[rustfmt::skip]
    let cases = [
        ("https://a.example/x",        "a.example"),
        ("https://a.example:443/x",    "a.example"),
        ("http://a.example:80/x",      "a.example"),
        ("https://a.example:80/x",     "a.example:80"),
        ("http://[::1]:9000/x",        "[::1]:9000"),
    ];
    for (uri, host) in cases {
        let mut headers = HeaderMap::new();
        signed(uri, &keys(None), &mut headers).unwrap();
        assert_eq!(headers[header::HOST], host, "{uri}");
    }
}

#[test]
fn keys_that_no_header_can_carry_are_refused() {
    let refused = signed("https://a.example/x", &keys(Some("two\nlines")), &mut HeaderMap::new());
    assert!(refused.unwrap_err().contains("header"));
}
