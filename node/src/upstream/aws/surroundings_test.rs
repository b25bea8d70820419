//! Where keys are found, in which order, with local servers for Amazon's.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use tollgate_crds::Sensitive;

use super::{Found, Surroundings};

fn around(variables: &[(&str, &str)]) -> Surroundings {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut variables: BTreeMap<_, _> = variables.iter().map(own).collect();
    // Unless a test says otherwise, nobody is asked.
    variables.entry("AWS_EC2_METADATA_DISABLED".to_owned()).or_insert_with(|| "true".to_owned());
    Surroundings::new("eu-west-1", move |name| variables.get(name).cloned())
}

/// Answers each request in turn, and gives back what was asked: the head's first line, one header, the body.
fn server(
    answers: Vec<(&'static str, String)>,
    header: &'static str,
) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let serve = |(status, body): (&str, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = request(&mut stream, header);
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
            asked
        };
        answers.into_iter().map(serve).collect()
    });
    (url, served)
}

fn request(stream: &mut TcpStream, header: &str) -> String {
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    loop {
        let read = stream.read(&mut room).unwrap();
        bytes.extend_from_slice(&room[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let value = |name: &str| {
                let found = head
                    .lines()
                    .find_map(|line| line.split_once(": ").filter(|(own, _)| own.eq_ignore_ascii_case(name)));
                found.map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            if read == 0 || body.len() >= value("content-length").parse().unwrap_or(0) {
                return format!("{} [{}] {body}", head.lines().next().unwrap(), value(header));
            }
        }
    }
}

fn shown(found: &Found) -> (&str, &str, Option<&str>, Option<u64>) {
    let keys = &found.keys;
    let token = keys.session_token.as_ref().map(Sensitive::expose);
    (&keys.access_key_id, keys.secret_access_key.expose(), token, found.until_s)
}

const ANSWER: &str = r#"{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"s1","Token":"t1","Expiration":"2030-01-01T00:00:00Z"}"#;
const UNTIL_S: u64 = 1_893_456_000;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Variables, and the key that is found with them or a word of what is said.
type Case<'c> = (Vec<(&'c str, &'c str)>, Result<&'c str, &'c str>);

#[tokio::test]
async fn environment_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = write(
        folder.path(),
        "credentials",
        "[default]\naws_access_key_id=A1\naws_secret_access_key=s1\n[work]\nregion=x\n",
    );
    let config =
        write(folder.path(), "config", "[profile work]\naws_access_key_id=A2\naws_secret_access_key=s2\n");
    std::fs::create_dir(folder.path().join(".aws")).unwrap();
    std::fs::copy(&credentials, folder.path().join(".aws/credentials")).unwrap();
    let home = folder.path().to_str().unwrap();
    let (id, secret) = (("AWS_ACCESS_KEY_ID", "A0"), ("AWS_SECRET_ACCESS_KEY", "s0"));
    let files = [("AWS_SHARED_CREDENTIALS_FILE", &*credentials), ("AWS_CONFIG_FILE", &*config)];
    #[rustfmt::skip]
    let cases: [Case<'_>; 8] = [
        (vec![id, secret, ("AWS_SESSION_TOKEN", "t"), files[0]],          Ok("A0")),  // before files
        (vec![id],                                                        Err("only one is set")),
        (files.to_vec(),                                                  Ok("A1")),
        (vec![files[0], files[1], ("AWS_PROFILE", "work")],               Ok("A2")),  // the other file has its keys
        (vec![files[0], ("AWS_PROFILE", "work")],                         Err("aws_access_key_id")),
        (vec![("AWS_PROFILE", "none"), ("HOME", "/nowhere")],             Err("no file")),
        (vec![("HOME", home)],                                            Ok("A1")),
        (vec![("HOME", "/nowhere")],                                      Err("no keys")),
    ];
    for (variables, expected) in cases {
        let found = around(&variables).find().await;
        match (&found, expected) {
            (Ok(found), Ok(id)) => assert_eq!((shown(found).0, found.until_s), (id, None), "{variables:?}"),
            (Err(said), Err(word)) => assert!(said.contains(word), "{variables:?}: {said}"),
            (_, _) => panic!("{variables:?}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_role_by_web_identity() {
    let folder = tempfile::tempdir().unwrap();
    let token = write(folder.path(), "token", "ey.J.x+y\n");
    let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s/1+</SecretAccessKey><SessionToken>t1==</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let (url, served) = server(
        vec![
            ("200 OK", xml.to_owned()),
            ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>".to_owned()),
            ("200 OK", "<x/>".to_owned()),
        ],
        "content-type",
    );
    let around = around(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", &url),
    ]);
    let found = around.find().await.unwrap();
    assert_eq!(shown(&found), ("ASIA1", "s/1+", Some("t1=="), Some(UNTIL_S)));
    let refused = around.find().await.unwrap_err();
    assert!(
        refused.contains("403") && refused.contains("AccessDenied") && !refused.contains("ey.J"),
        "{refused}"
    );
    assert!(around.find().await.unwrap_err().contains("without Expiration"));
    let asked = served.join().unwrap();
    assert_eq!(
        asked[0],
        "POST / HTTP/1.1 [application/x-www-form-urlencoded] Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=tollgate&WebIdentityToken=ey.J.x%2By"
    );
}

#[tokio::test]
async fn a_containers_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let token = write(folder.path(), "token", "pod-token\n");
    let (url, served) =
        server(vec![("200 OK", ANSWER.to_owned()), ("200 OK", "{}".to_owned())], "authorization");
    let full = format!("{url}/v1/credentials");
    let around = around(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &full),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
    ]);
    assert_eq!(shown(&around.find().await.unwrap()), ("ASIA1", "s1", Some("t1"), Some(UNTIL_S)));
    assert!(around.find().await.unwrap_err().contains("without any"));
    assert_eq!(served.join().unwrap()[0], "GET /v1/credentials HTTP/1.1 [pod-token] ");

    // The token would be read on the way.
    let far = self::around(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://keys.example/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t"),
    ]);
    assert!(far.find().await.unwrap_err().contains("neither https"));
}

#[tokio::test]
async fn the_machines_metadata() {
    let answers = vec![
        ("200 OK", "imds-token".to_owned()),
        ("200 OK", "my-role\n".to_owned()),
        ("200 OK", ANSWER.to_owned()),
        ("403 Forbidden", String::new()),
    ];
    let (url, served) = server(answers, "x-aws-ec2-metadata-token");
    let around =
        around(&[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]);
    assert_eq!(shown(&around.find().await.unwrap()), ("ASIA1", "s1", Some("t1"), Some(UNTIL_S)));
    assert!(around.find().await.unwrap_err().contains("no keys"), "version 1, without a token, is not asked");
    let asked = served.join().unwrap();
    assert_eq!(
        asked[..3],
        [
            "PUT /latest/api/token HTTP/1.1 [] ".to_owned(),
            "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1 [imds-token] ".to_owned(),
            "GET /latest/meta-data/iam/security-credentials/my-role HTTP/1.1 [imds-token] ".to_owned(),
        ]
    );
}
