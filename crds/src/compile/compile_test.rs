//! Golden cases: `testdata/<case>/in.yaml` against `snapshot.txt` and `problems.txt`. `UPDATE_GOLDEN=1` writes them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::load::parse;

use super::*;

/// A certificate that signs itself, and its key.
static IDENTITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
    let mut params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});

pub(super) fn variables(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-openai".to_owned()),
        "ANTHROPIC_API_KEY" => Some("sk-anthropic".to_owned()),
        "PORT" => Some("8080".to_owned()),
        "HOST" => Some("llm.example.com".to_owned()),
        "CERTIFICATE" => Some(IDENTITY.pem()),
        "GOOGLE_KEY_FILE" => Some(include_str!("../../testdata/google/service_account.json").to_owned()),
        "KEY" => Some(IDENTITY.key().serialize_pem()),
        "OTHER_KEY" => Some(KeyPair::generate().unwrap().serialize_pem()),
        _ => None,
    }
}

fn compiled(file: &str, text: &str) -> (String, String) {
    let (loaded, mut problems) = parse(file, text, &variables);
    let (snapshot, more) = compile(&loaded);
    problems.extend(more);
    let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
    (snapshot.to_string(), lines.concat())
}

pub(super) fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

#[expect(clippy::disallowed_methods, reason = "tests read their cases")]
pub(super) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "golden files are renewed on request")]
fn check(path: &Path, got: &str) {
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(path, got).unwrap();
    }
    assert_eq!(got, read(path), "{} differs; UPDATE_GOLDEN=1 renews it", path.display());
}

#[test]
fn every_case_compiles_to_what_it_says() {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder("testdata")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 12, "{} cases", cases.len());
    for case in cases {
        let (snapshot, problems) = compiled("in.yaml", &read(&case.join("in.yaml")));
        assert!(!snapshot.contains("sk-") && !problems.contains("sk-"), "{} shows a secret", case.display());
        check(&case.join("snapshot.txt"), &snapshot);
        check(&case.join("problems.txt"), &problems);
    }
}

#[test]
fn the_examples_compile_without_problems() {
    for name in
        ["basic.yaml", "failover.yaml", "budgets.yaml", "token-limits.yaml", "google.yaml", "amazon.yaml"]
    {
        let text = read(&folder("../deploy/examples").join(name));
        let (snapshot, problems) = compiled(name, &text);
        assert_eq!(problems, "", "{name}");
        let proves_itself =
            snapshot.contains("credential") || snapshot.contains("by key") || snapshot.contains("signed for");
        assert!(snapshot.contains("listener") && proves_itself, "{snapshot}");
    }
}

#[test]
fn no_text_cut_anywhere_panics_and_no_answer_changes_from_call_to_call() {
    let text = read(&folder("testdata/weights_and_priorities/in.yaml"));
    for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
        let cut = &text[..end];
        assert_eq!(compiled("in.yaml", cut), compiled("in.yaml", cut));
    }
}
