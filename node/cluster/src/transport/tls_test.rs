//! The operator's certificates, read from files and followed.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::identity::authority::Authority;
use crate::transport::testing::{Cluster, Logged};

/// Lines of 64 characters, as PEM has them, from what rcgen writes.
fn write_pem(path: &Path, kind: &str, der: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let word =
            three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63] as char;
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    fs::write(path, format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")).unwrap();
}

/// A certificate for the node, with its root and its key, in the folder.
fn write(folder: &Path, name: NodeName, node: u64) -> CertificateFiles {
    let authority = Authority::create(name.cluster, SystemTime::now());
    let key = KeyPair::generate().unwrap();
    let issued = authority.issue(node, key.public_key_raw(), SystemTime::now()).unwrap();
    let file = |name: &str| folder.join(name);
    write_pem(&file("tls.crt"), "CERTIFICATE", &issued);
    write_pem(&file("ca.crt"), "CERTIFICATE", authority.certificate());
    write_pem(&file("tls.key"), "PRIVATE KEY", key.serialized_der());
    CertificateFiles { certificate: file("tls.crt"), key: file("tls.key"), roots: file("ca.crt") }
}

#[test]
fn files_must_be_this_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let name = Cluster::new().credentials(7).name;
    let files = write(folder.path(), name, 7);
    let own = files.read(name).unwrap();
    assert_eq!(own.leaf.chain, [CertificateDer::from_pem_file(&files.certificate).unwrap()]);

    let error = files.read(NodeName { node: 8, ..name }).unwrap_err();
    assert!(error.to_string().contains("expected a certificate for node-8."), "{error}");
    for file in [&files.certificate, &files.key, &files.roots] {
        let whole = fs::read(file).unwrap();
        for content in [&b""[..], b"no PEM", &whole[..100]] {
            fs::write(file, content).unwrap();
            assert_eq!(files.read(name).unwrap_err().path, *file);
        }
        fs::remove_file(file).unwrap();
        assert_eq!(files.read(name).unwrap_err().path, *file);
        fs::write(file, whole).unwrap();
    }
}

#[tokio::test]
async fn files_are_followed_and_bad_ones_change_nothing() {
    let (logged, _listening) = Logged::listen();
    let folder = tempfile::tempdir().unwrap();
    let credentials = Cluster::new().credentials(7);
    let name = credentials.name;
    let files = write(folder.path(), name, 7);
    let keys = Keys::new(&credentials).unwrap();
    let mut changes = keys.0.subscribe();
    let every = Duration::from_millis(5);
    let following = tokio::spawn(follow(files.clone(), credentials, keys.clone(), every));
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();

    fs::write(&files.key, "no key").unwrap();
    let complained = async {
        while !logged.text().contains("tls.key") {
            tokio::time::sleep(every).await;
        }
    };
    tokio::time::timeout(soon, complained).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "what can't be used came into force");

    write(folder.path(), name, 7);
    tokio::time::timeout(soon, changes.changed()).await.unwrap().unwrap();
    following.abort();
}
