//! The little IO that both daemons share: how they log, serve health and metrics, reach the API
//! server, watch it, and end.
//!
//! Nothing here decides anything about addresses. A daemon's `run.rs` puts the parts together:
//!
//! 1. [`telemetry::init`]: logs, whose level can be changed while the daemon runs;
//! 2. [`shutdown::on_signal`]: the token that everything else is cancelled by;
//! 3. [`serve::serve`]: `/healthz`, `/readyz` ([`health`]) and `/metrics`;
//! 4. [`client::connect`]: a client, once the API server answers;
//! 5. [`watch::Watch`]: one for each kind, into the channel of the task that owns the state;
//! 6. [`call::with_timeout`] around every single request.

pub mod call;
pub mod client;
pub mod exit;
pub mod health;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod watch;

/// The version of the product, as `--version` and the metrics show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
