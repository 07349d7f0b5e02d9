//! A session's sign of life, with an API server that never answers and a clock that is moved by hand.

use kube::client::Body;
use tower_test::mock::pair;

use super::*;

fn session(heartbeat: Heartbeat, listed: Check) -> Session {
    let (service, server) = pair::<http::Request<Body>, http::Response<Body>>();
    // Requests wait for as long as somebody could still answer them.
    std::mem::forget(server);
    let client = Client::new(service, "default");
    let mut registry = Registry::default();
    Session {
        applier: Applier::new(client.clone(), Events::start(client.clone(), "replica")),
        client,
        namespace: "somewhere".to_owned(),
        settings: Settings::default(),
        writers: 1,
        clock: Clock::start(),
        watches: WatchMetrics::register(&mut registry),
        metrics: Metrics::register(&mut registry),
        listed,
        heartbeat,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_gives_a_sign_of_life_at_rest_too_and_owes_none_when_it_has_ended() {
    let health = Health::default();
    let heartbeat = health.liveness("session", ALIVE);
    let token = CancellationToken::new();
    let listed = health.readiness("session", "not started yet");
    let task = session(heartbeat.clone(), listed).start(token.clone(), None);
    for _ in 0..3 {
        heartbeat.rest();
        tokio::time::sleep(LONGEST_PAUSE * 2).await;
        assert!(heartbeat.age().is_some(), "it has not beaten");
    }
    token.cancel();
    task.await.expect("a session that has ended");
    assert_eq!(heartbeat.age(), None);
}
