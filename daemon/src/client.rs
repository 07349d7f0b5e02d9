//! The way to the API server: inside a cluster or outside it.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;

use crate::call::{CallError, TIMEOUT, with_timeout};

/// The longest pause between two tries to reach an API server that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Which API server, and as whom.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct ClientOptions {
    /// The kubeconfig file; without one, the pod's ServiceAccount
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {path} cannot be used: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a pod's ServiceAccount.
    #[error("no kubeconfig and no ServiceAccount of a pod ({0}): set --kubeconfig or KUBECONFIG")]
    Nowhere(kube::config::InClusterError),
    /// What was configured makes no client.
    #[error("no client can be made of the configuration: {0}")]
    Unusable(String),
    /// The server answers, but not to us.
    #[error(transparent)]
    Refused(CallError),
    /// The daemon was told to end while it waited.
    #[error("told to end before the API server could be reached")]
    Cancelled,
}

/// A client for the API server, once it answers. Waits for one that is away, and says so.
///
/// The client does not repeat requests by itself: whoever sends one knows better when to send it
/// again, and with what.
pub async fn connect(
    options: &ClientOptions,
    shutdown: &CancellationToken,
) -> Result<Client, ClientError> {
    let mut config = configure(options).await?;
    config.default_retry = false;
    config.connect_timeout = Some(TIMEOUT);
    let server = config.cluster_url.to_string();
    let client =
        Client::try_from(config).map_err(|error| ClientError::Unusable(error.to_string()))?;
    let mut pause = Duration::from_millis(250);
    loop {
        let error = match with_timeout(TIMEOUT, client.apiserver_version()).await {
            Ok(version) => {
                tracing::info!(server, version = version.git_version, "connected");
                return Ok(client);
            }
            Err(error) if error.is_transient() => error,
            // `/version` may be closed to us without anything else being so.
            Err(CallError::Forbidden(_)) => return Ok(client),
            Err(error) => return Err(ClientError::Refused(error)),
        };
        tracing::warn!(server, %error, again_in = ?pause, "waiting for the API server");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return Err(ClientError::Cancelled),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn configure(options: &ClientOptions) -> Result<Config, ClientError> {
    let Some(path) = &options.kubeconfig else {
        return Config::incluster().map_err(ClientError::Nowhere);
    };
    let unusable = |source| ClientError::Kubeconfig {
        path: path.clone(),
        source,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_kubeconfig_is_named() {
        let options = ClientOptions {
            kubeconfig: Some("/nonexistent/kubeconfig".into()),
        };
        let error = connect(&options, &CancellationToken::new())
            .await
            .err()
            .expect("no such file");
        assert!(
            error.to_string().contains("/nonexistent/kubeconfig"),
            "{error}"
        );
    }
}
