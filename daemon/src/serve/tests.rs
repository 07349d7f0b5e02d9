//! Over real sockets.

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::telemetry::{LogFormat, LogOptions};

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn health_metrics_and_log_level_are_served() {
    let options = LogOptions {
        log_level: "warn".to_owned(),
        log_format: LogFormat::Json,
    };
    let log_level = crate::telemetry::init(&options).expect("logs");
    let health = Health::default();
    let listed = health.readiness("listed", "not yet");
    let mut registry = Registry::default();
    let turns = Counter::<u64>::default();
    registry.register("turns", "Turns", turns.clone());
    turns.inc_by(3);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoints = Endpoints {
        health: anywhere,
        metrics: anywhere,
    };
    let shutdown = CancellationToken::new();
    let real = serve(
        endpoints,
        health,
        log_level.clone(),
        registry,
        shutdown.clone(),
    )
    .expect("listeners");

    let answer = ask(real.health, "GET", "/readyz", "").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("[-]listed failed: not yet\n"), "{answer}");
    listed.set_ok();
    let answer = ask(real.health, "GET", "/readyz?verbose", "").await;
    assert!(answer.ends_with("[+]listed ok\n"), "{answer}");
    let answer = ask(real.health, "GET", "/healthz", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let answer = ask(real.metrics, "GET", "/metrics", "").await;
    assert!(answer.contains("turns_total 3"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");

    let answer = ask(real.health, "PUT", "/log-level", "debug\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(log_level.get(), "debug");
    let answer = ask(real.health, "PUT", "/log-level", "kube=loud").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(log_level.get(), "debug");

    let error = serve(
        Endpoints {
            health: real.health,
            metrics: anywhere,
        },
        Health::default(),
        log_level,
        Registry::default(),
        shutdown,
    )
    .expect_err("the address is taken");
    assert!(error.to_string().contains("--health-address"), "{error}");
}
