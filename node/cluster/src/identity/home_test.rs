//! What a folder remembers, and what it refuses.

use std::fs;
use std::path::Path;

use super::*;
use crate::identity::authority::AuthorityError;
use crate::identity::secret::Purpose;
use crate::identity::token::Barred;

const NOW: Duration = Duration::from_hours(500_000);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

fn founded(path: &Path) -> Home {
    Home::found(Folder::open(path).unwrap(), 1, now()).unwrap()
}

fn reopened(path: &Path) -> Home {
    match Home::open(Folder::open(path).unwrap()).unwrap() {
        Found::Known(home) => *home,
        Found::Nobody(_) => panic!("the folder forgot its node"),
    }
}

#[test]
fn a_node_comes_back_as_itself_in_another_incarnation() {
    let data = tempfile::tempdir().unwrap();
    let first = founded(data.path());
    let (name, leaf, secret) = (first.name(), first.leaf(), first.secret().clone());
    assert_eq!((first.incarnation(), first.since()), (1, Since::First));
    drop(first);
    for incarnation in 2..5 {
        let again = reopened(data.path());
        assert_eq!((again.name(), again.incarnation(), again.secret()), (name, incarnation, &secret));
        assert_eq!(again.leaf().chain, leaf.chain);
        assert_ne!(again.since(), Since::First);
    }
}

#[test]
fn another_boot_of_the_machine_is_noticed() {
    let data = tempfile::tempdir().unwrap();
    let mut home = founded(data.path());
    home.written.boot = "another".to_owned();
    FILE.replace(&home.folder, &home.written).unwrap();
    drop(home);
    let expected = if boot().is_empty() { Since::Unknown } else { Since::OtherBoot };
    assert_eq!(reopened(data.path()).since(), expected);
}

#[test]
fn a_folder_that_is_damaged_or_newer_is_refused_and_left_as_it_is() {
    let data = tempfile::tempdir().unwrap();
    drop(founded(data.path()));
    let file = data.path().join("identity");
    let whole = fs::read(&file).unwrap();
    let newer = [&whole[..4], &9_u32.to_le_bytes(), &whole[8..]].concat();
    let longer = [whole.as_slice(), &[0]].concat();
    let mut cases = vec![(newer, "has format 9, this program knows formats up to 1"), (longer, "checksum")];
    cases.extend((0..whole.len()).step_by(7).map(|length| (whole[..length].to_vec(), "is damaged")));
    // The format's bytes are left out: they make it a newer one.
    for at in (0..4).chain(8..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        cases.push((flipped, "is damaged"));
    }
    for (content, expected) in cases {
        fs::write(&file, &content).unwrap();
        let error = Home::open(Folder::open(data.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(expected), "expected `{expected}`: {error}");
        assert_eq!(fs::read(&file).unwrap(), content, "a refused file was written to");
    }
}

#[test]
fn a_newcomer_asks_with_the_same_key_until_it_is_in() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let founder = founded(first.path());
    let token = founder.token().unwrap().unwrap();
    let authority = Authority::open(
        founder.name().cluster,
        &founder.authority(),
        founder.sealed_authority().unwrap(),
        founder.secret(),
    )
    .unwrap();

    let folder = Folder::open(second.path()).unwrap();
    let (asked, again) = (Newcomer::of(&folder).unwrap(), Newcomer::of(&folder).unwrap());
    assert_eq!((asked.request, asked.public_key()), (again.request, again.public_key()));

    let (key, stranger) = (again.public_key().to_vec(), KeyPair::generate().unwrap());
    let admission = |named, key: &[u8], authority: &Authority| Admission {
        node: 7,
        certificate: authority.issue(named, key, now()).unwrap().to_vec(),
        authority: authority.certificate().to_vec(),
        secret: founder.secret().clone(),
    };
    let other = Authority::create(token.cluster, now());
    let wrong = [
        (admission(8, &key, &authority), "node-8."),
        (admission(7, stranger.public_key_raw(), &authority), "another key"),
        (admission(7, &key, &other), "the authority that the token names"),
    ];
    for (admission, expected) in wrong {
        let error = Newcomer::of(&folder).unwrap().admitted(&token, admission).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let admitted = again.admitted(&token, admission(7, &key, &authority)).unwrap();
    let home = Home::joined(folder, admitted, now()).unwrap();
    assert_eq!(home.name(), NodeName { node: 7, cluster: token.cluster });
    assert!(!second.path().join("joining").exists());
    drop(home);
    assert!(matches!(reopened(second.path()).token(), Ok(None)));
}

#[test]
fn a_certificate_is_renewed_before_two_thirds_of_its_life() {
    let data = tempfile::tempdir().unwrap();
    let mut home = founded(data.path());
    let day = Duration::from_hours(24);
    assert!(!home.renewal_is_due(now()));
    assert!(!home.renewal_is_due(now() + 200 * day));
    assert!(home.renewal_is_due(now() + 243 * day), "two thirds of a year have passed");

    let sealed = home.sealed_authority().unwrap().to_vec();
    let authority = Authority::open(home.name().cluster, &home.authority(), &sealed, home.secret()).unwrap();
    let before = home.leaf();
    home.renew(&authority, now() + 243 * day).unwrap();
    assert!(!home.renewal_is_due(now() + 243 * day));
    assert_ne!(home.leaf().chain[0], before.chain[0]);
    assert_ne!(home.leaf().key, before.key);
    let renewed = home.leaf().chain;
    drop(home);
    assert_eq!(reopened(data.path()).leaf().chain, renewed);
}

#[test]
fn a_token_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    let home = founded(data.path());
    let (old, new) = (home.token().unwrap().unwrap(), home.new_token(None));
    home.keep_token(&new).unwrap();
    assert_eq!(home.token().unwrap().unwrap(), new);
    assert_eq!((old.cluster, old.fingerprint), (new.cluster, new.fingerprint));
    assert_eq!(new.hash().admits(&old.pass, new.cluster, now()), Err(Barred::Unknown));
}

#[test]
fn an_authority_opens_with_its_own_key_only() {
    let (cluster, secret) = (ClusterId::random(), ClusterSecret::random());
    let (one, other) = (Authority::create(cluster, now()), Authority::create(cluster, now()));
    let opened = Authority::open(cluster, one.certificate(), &one.sealed_key(&secret), &secret).unwrap();
    assert_eq!(opened.fingerprint(), one.fingerprint());
    let mixed = Authority::open(cluster, one.certificate(), &other.sealed_key(&secret), &secret);
    assert_eq!(mixed.unwrap_err(), AuthorityError::OfAnotherKey);
    let for_another_use = secret.seal(cluster, Purpose::Resources, b"x");
    assert!(Authority::open(cluster, one.certificate(), &for_another_use, &secret).is_err());
    for wrong in [&b""[..], &[4; 64], &[3; 65]] {
        assert!(matches!(one.issue(2, wrong, now()), Err(AuthorityError::PublicKey { .. })));
    }
}
