//! Amazon's published examples of signatures: its documentation's, and those of its test suite.

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tollgate_crds::{AwsKeys, Sensitive};

use super::{Scope, Signable, authorization, date, hex};

const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");
const HOST: (&str, &str) = ("host", "example.amazonaws.com");
const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

struct Example {
    service: &'static str,
    /// Method, path, query, body.
    line: [&'static str; 4],
    headers: &'static [(&'static str, &'static str)],
    signed: &'static str,
    signature: &'static str,
}

#[test]
#[rustfmt::skip]
fn published_examples() {
    let form = "application/x-www-form-urlencoded";
    assert_eq!(form, IAM[0].1.split(';').next().unwrap());
    let examples = [
        // The documentation's walk through a request to IAM.
        Example { service: "iam", line: ["GET", "/", "Action=ListUsers&Version=2010-05-08", ""], headers: IAM, signed: "content-type;host;x-amz-date", signature: "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7" },
        // get-vanilla
        Example { service: "service", line: ["GET", "/", "", ""], headers: &[HOST, DATE], signed: "host;x-amz-date", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        // get-vanilla, where the path is left out
        Example { service: "service", line: ["GET", "", "", ""], headers: &[DATE, HOST], signed: "host;x-amz-date", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        // get-vanilla-query-order-key-case
        Example { service: "service", line: ["GET", "/", "Param2=value2&Param1=value1", ""], headers: &[HOST, DATE], signed: "host;x-amz-date", signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        // get-utf8
        Example { service: "service", line: ["GET", "/\u{1234}", "", ""], headers: &[HOST, DATE], signed: "host;x-amz-date", signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
        // get-header-value-trim
        Example { service: "service", line: ["GET", "/", "", ""], headers: &[HOST, ("my-header1", " value1"), ("my-header2", " \"a   b   c\""), DATE], signed: "host;my-header1;my-header2;x-amz-date", signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
        // post-vanilla
        Example { service: "service", line: ["POST", "/", "", ""], headers: &[HOST, DATE], signed: "host;x-amz-date", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
        // post-x-www-form-urlencoded
        Example { service: "service", line: ["POST", "/", "", "Param1=value1"], headers: &[("content-type", "application/x-www-form-urlencoded"), HOST, DATE], signed: "content-type;host;x-amz-date", signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
        // post-sts-header-before
        Example { service: "service", line: ["POST", "/", "", ""], headers: &[HOST, DATE, ("x-amz-security-token", TOKEN)], signed: "host;x-amz-date;x-amz-security-token", signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
    ];
    let keys = AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Sensitive::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
    };
    for Example { service, line: [method, path, query, body], headers, signed, signature } in examples {
        let body_hash = hex(digest(&SHA256, body.as_bytes()).as_ref());
        let signable = Signable { method, path, query, headers, body_hash: &body_hash };
        let scope = Scope { region: "us-east-1", service, at: moment() };
        let expected = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, SignedHeaders={signed}, Signature={signature}");
        assert_eq!(authorization(&keys, &scope, &signable), expected, "{method} {path}?{query}");
    }
}

const IAM: &[(&str, &str)] = &[
    ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
    ("host", "iam.amazonaws.com"),
    DATE,
];

fn moment() -> Timestamp {
    "2015-08-30T12:36:00Z".parse().unwrap()
}

#[test]
fn dates_have_no_fractions() {
    assert_eq!(date(moment()), DATE.1);
    assert_eq!(date("2026-01-02T03:04:05.678Z".parse().unwrap()), "20260102T030405Z");
}
