//! What a daemon serves over HTTP: `/healthz`, `/readyz` and `/log-level` on one address,
//! `/metrics` on another.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::{Health, Report};
use crate::telemetry::LogLevel;

mod listener;

/// Where a daemon listens. Port 0 lets the kernel choose one; the real one is logged. `[::]` is every
/// address of both families.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// For `/healthz`, `/readyz` and `/log-level`.
    pub health: SocketAddr,
    /// For `/metrics`.
    pub metrics: SocketAddr,
}

/// An address on which cannot be listened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: {source}; choose another with {flag}")]
pub struct ServeError {
    address: SocketAddr,
    purpose: &'static str,
    flag: &'static str,
    source: std::io::Error,
}

/// Listens on both addresses and serves until `shutdown`. Returns where it really listens. Must be
/// called within a tokio runtime.
pub fn serve(
    endpoints: Endpoints,
    health: Health,
    log_level: LogLevel,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<Endpoints, ServeError> {
    let (health_listener, health_address) = listen(endpoints.health, "health", "--health-address")?;
    let (metrics_listener, metrics_address) =
        listen(endpoints.metrics, "metrics", "--metrics-address")?;
    spawn(
        health_listener,
        health_router(health, log_level),
        shutdown.clone(),
    );
    spawn(metrics_listener, metrics_router(registry), shutdown);
    tracing::info!(health = %health_address, metrics = %metrics_address, "listening");
    Ok(Endpoints {
        health: health_address,
        metrics: metrics_address,
    })
}

fn listen(
    address: SocketAddr,
    purpose: &'static str,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let listen = || {
        let listener = TcpListener::from_std(listener::bind(address)?)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    listen().map_err(|source| ServeError {
        address,
        purpose,
        flag,
        source,
    })
}

fn spawn(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "a listener ended");
        }
    });
}

fn health_router(health: Health, log_level: LogLevel) -> Router {
    let alive = health.clone();
    Router::new()
        .route(
            "/healthz",
            get(|query| async move { answer(&alive.alive(), query) }),
        )
        .route(
            "/readyz",
            get(|query| async move { answer(&health.ready(), query) }),
        )
        .route("/log-level", get(show_log_level).put(set_log_level))
        .with_state(log_level)
}

/// `?verbose` lists the checks that hold too, as kube-apiserver does.
fn answer(report: &Report, RawQuery(query): RawQuery) -> Response {
    let verbose =
        query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    let status = if report.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, report.text(verbose)).into_response()
}

async fn show_log_level(State(level): State<LogLevel>) -> String {
    level.get() + "\n"
}

/// Only from the machine (or pod) itself: whoever can log in there may also restart the daemon.
async fn set_log_level(
    State(level): State<LogLevel>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Response {
    if !peer.ip().to_canonical().is_loopback() {
        let text = "the log level can be set from the loopback address only\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let wanted = String::from_utf8_lossy(&body);
    match level.set(wanted.trim()) {
        Ok(()) => {
            tracing::info!(level = level.get(), "log level changed");
            (level.get() + "\n").into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

fn metrics_router(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    Router::new().route(
        "/metrics",
        get(|| async move {
            let mut text = String::new();
            match prometheus_client::encoding::text::encode(&mut text, &registry) {
                Ok(()) => {
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    ([(header::CONTENT_TYPE, kind)], text).into_response()
                }
                Err(error) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
                }
            }
        }),
    )
}

#[cfg(test)]
mod tests;
