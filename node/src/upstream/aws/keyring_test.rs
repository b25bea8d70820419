//! How long keys are used, and that one renews for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_crds::{AwsKeys, Sensitive};

use super::{Found, Held, Keyring, Source, Span, Standing, Surroundings};

fn found(until_s: Option<u64>) -> Found {
    let keys = AwsKeys {
        access_key_id: "AKIA".to_owned(),
        secret_access_key: Sensitive::new("s"),
        session_token: None,
    };
    Found { keys, until_s }
}

#[test]
fn keys_are_renewed_early_and_never_used_late() {
    use Standing::{Ending, Fresh, Over};
    const GOT: u64 = 10_000;
    #[rustfmt::skip]
    let cases = [
        // until           now          standing  why
        (Some(GOT + 3600), GOT,         Fresh),   // just got
        (Some(GOT + 3600), GOT + 3299,  Fresh),
        (Some(GOT + 3600), GOT + 3300,  Ending),  // five minutes before
        (Some(GOT + 3600), GOT + 3584,  Ending),
        (Some(GOT + 3600), GOT + 3585,  Over),    // a request takes a while
        (Some(GOT + 3600), GOT + 9000,  Over),
        (Some(GOT + 100),  GOT + 49,    Fresh),   // a short life is halved
        (Some(GOT + 100),  GOT + 50,    Ending),
        (Some(GOT + 100),  GOT + 85,    Over),
        (None,             u64::MAX,    Fresh),   // no end
    ];
    for (until_s, now_s, standing) in cases {
        let held = Held::new(found(until_s), GOT).unwrap();
        assert_eq!(held.standing(now_s), standing, "{until_s:?} at {now_s}");
    }
    for until_s in [0, GOT, GOT + 15] {
        assert!(Held::new(found(Some(until_s)), GOT).is_err(), "{until_s} is over already");
    }
    assert_eq!(Span::new(u64::MAX, 0).renew_at_s, 0, "no overflow");
}

/// Counts how often the environment is looked into, each time for keys that are at hand.
fn keyring(asked: &Arc<AtomicUsize>) -> Arc<Keyring> {
    let asked = Arc::clone(asked);
    let surroundings = Surroundings::new("us-east-1", move |name| match name {
        "AWS_ACCESS_KEY_ID" => {
            asked.fetch_add(1, Ordering::Relaxed);
            Some("AKIA1".to_owned())
        }
        "AWS_SECRET_ACCESS_KEY" => Some("s".to_owned()),
        _ => None,
    });
    Arc::new(Keyring::of(Source::Found(surroundings)))
}

#[tokio::test]
async fn all_who_wait_are_served_by_one_fetch() {
    let asked = Arc::new(AtomicUsize::new(0));
    let keyring = keyring(&asked);
    let all = (0..50).map(|_| {
        let keyring = Arc::clone(&keyring);
        tokio::spawn(async move { keyring.keys().await.map(|keys| keys.access_key_id.clone()) })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().as_deref(), Ok("AKIA1"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn ending_keys_serve_while_one_renews_them() {
    let asked = Arc::new(AtomicUsize::new(0));
    let keyring = keyring(&asked);
    let old = Held {
        span: Some(Span { renew_at_s: 0, unusable_at_s: u64::MAX }),
        ..Held::new(found(None), 0).unwrap()
    };
    *keyring.held.lock().unwrap() = Some(old);
    for _ in 0..10 {
        assert_eq!(keyring.keys().await.unwrap().access_key_id, "AKIA", "nobody waits");
    }
    // The task that renews runs as soon as this one waits.
    let turn = Arc::clone(&keyring.turn);
    drop(turn.lock().await);
    assert_eq!(keyring.keys().await.unwrap().access_key_id, "AKIA1");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn keys_that_are_over_are_not_used_although_there_are_no_others() {
    let nowhere = Surroundings::new("us-east-1", |name| {
        (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".to_owned())
    });
    let keyring = Arc::new(Keyring::of(Source::Found(nowhere)));
    let over =
        Held { span: Some(Span { renew_at_s: 0, unusable_at_s: 1 }), ..Held::new(found(None), 0).unwrap() };
    *keyring.held.lock().unwrap() = Some(over);
    let first = keyring.keys().await.unwrap_err();
    assert!(first.contains("no keys"), "{first}");
    assert_eq!(keyring.keys().await.unwrap_err(), first, "told again, without asking again");
}
