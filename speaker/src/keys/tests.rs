//! Secrets as people make them, and what becomes of them.

use bellwether_daemon::watch::Key;
use k8s_openapi::ByteString;
use kube::api::ObjectMeta;

use super::*;

fn secret(annotations: &[(&str, &str)], keys: &[(&str, usize)]) -> Secret {
    let own = |text: &str| text.to_owned();
    let annotations = annotations.iter().map(|&(k, v)| (own(k), own(v))).collect();
    let data = keys
        .iter()
        .map(|&(name, length)| (own(name), ByteString(vec![7; length])));
    Secret {
        metadata: ObjectMeta {
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(data.collect()),
        ..Secret::default()
    }
}

const HERE: (&str, &str) = (CLUSTER, "some-uid");

fn signing(number: &str) -> [(&'static str, &str); 2] {
    [HERE, (SIGNING_KEY, number)]
}

#[test]
fn a_secret_says_the_cluster_its_keys_and_which_one_signs() {
    let keys = BeaconKeys::of(secret(&signing("2"), &[("1", 32), ("2", 40)]));
    let keys = keys.expect("keys");
    assert_eq!(keys.cluster, "some-uid");
    let lengths = keys
        .secrets
        .iter()
        .map(|(&number, key)| (number, key.len()));
    assert_eq!(lengths.collect::<Vec<_>>(), [(1, 32), (2, 40)]);
    assert_eq!(keys.signing, 2);
}

/// What it is; its annotations; its keys with their lengths; part of the error.
type Row<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [(&'a str, usize)],
    &'a str,
);

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do() {
    let one = &[("1", 32)][..];
    let both = signing("1");
    let three = signing("3");
    let zeros = signing("01");
    let rows: [Row; 11] = [
        ("no annotation", &[], one, CLUSTER),
        (
            "an empty cluster",
            &[(CLUSTER, " ")],
            one,
            "set it to the UID of the Namespace kube-system",
        ),
        (
            "no word of signing",
            &[HERE],
            one,
            "lacks the annotation bellwether.dev/signing-key",
        ),
        (
            "a key that is not there",
            &three,
            &[("1", 32), ("2", 32)],
            "set it to one of 1, 2",
        ),
        ("a number written otherwise", &zeros, one, "\"01\""),
        ("no key", &both, &[], "holds no key"),
        (
            "a short key",
            &both,
            &[("1", 31)],
            "key 1 of Secret bellwether-beacon-keys has 31 octets",
        ),
        (
            "a name in words",
            &both,
            &[("1", 32), ("new", 32)],
            "\"new\"",
        ),
        ("a leading zero", &both, &[("1", 32), ("01", 32)], "\"01\""),
        ("the number zero", &both, &[("0", 32)], "\"0\""),
        ("a number too large", &both, &[("65536", 32)], "\"65536\""),
    ];
    for (what, annotations, keys, part) in rows {
        let error = BeaconKeys::of(secret(annotations, keys)).expect_err(what);
        let error = error.to_string();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[test]
fn keys_are_never_printed() {
    let keys = BeaconKeys::of(secret(&signing("1"), &[("1", 32)])).expect("keys");
    let text = format!("{keys:?}");
    assert!(text.contains("some-uid"), "{text}");
    assert!(!text.contains('7'), "{text}");
}

/// What is published when these events come.
async fn published(events: Vec<Event<Result<BeaconKeys, KeysError>>>) -> (Vec<u16>, Metrics) {
    let (sender, receiver) = mpsc::channel(events.len());
    for event in events {
        sender.send(event).await.expect("room");
    }
    drop(sender);
    let (mut seen, metrics) = (Vec::new(), Metrics::default());
    read(receiver, "here", &metrics, |keys| seen.push(keys.signing)).await;
    (seen, metrics)
}

fn keys(number: &str) -> Result<BeaconKeys, KeysError> {
    BeaconKeys::of(secret(&signing(number), &[("1", 32), ("2", 32)]))
}

fn listed(objects: Vec<Result<BeaconKeys, KeysError>>) -> Event<Result<BeaconKeys, KeysError>> {
    Event::Listed {
        objects,
        undecodable: Vec::new(),
    }
}

#[tokio::test]
async fn keys_are_published_when_they_are_known_and_when_they_change() {
    let events = vec![
        listed(vec![]),
        Event::Applied(keys("1")),
        listed(vec![keys("1")]),
        Event::Applied(keys("2")),
    ];
    let (seen, metrics) = published(events).await;
    assert_eq!(seen, [1, 2]);
    assert_eq!(metrics.beacon_keys.get(), 2);
    assert_eq!(metrics.signing_key.get(), 2);
}

#[tokio::test]
async fn the_last_good_keys_stay_when_the_secret_goes_or_breaks() {
    let key = Key {
        namespace: "here".to_owned(),
        name: SECRET.to_owned(),
    };
    let events = vec![
        listed(vec![keys("1")]),
        Event::Applied(keys("3")),
        Event::Deleted(key),
        listed(vec![keys("1")]),
    ];
    let (seen, metrics) = published(events).await;
    assert_eq!(seen, [1]);
    assert_eq!(metrics.signing_key.get(), 1);
}
