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
    /// Nobody answers where the API server should be.
    #[error("{error}; is it up, and is {server} its address (--kubeconfig)?")]
    Away {
        /// Its URL.
        server: String,
        /// What came instead of an answer.
        error: CallError,
    },
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
    let (client, server) = prepare(options).await?;
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

/// A client for the API server, for a command that somebody waits for: if the server is away, it
/// says so at once.
pub async fn connect_at_once(options: &ClientOptions) -> Result<Client, ClientError> {
    let (client, server) = prepare(options).await?;
    match with_timeout(TIMEOUT, client.apiserver_version()).await {
        Ok(_) | Err(CallError::Forbidden(_)) => Ok(client),
        Err(error) if error.is_transient() => Err(ClientError::Away { server, error }),
        Err(error) => Err(ClientError::Refused(error)),
    }
}

/// A client, and the URL of its server.
async fn prepare(options: &ClientOptions) -> Result<(Client, String), ClientError> {
    let mut config = configure(options).await?;
    config.default_retry = false;
    config.connect_timeout = Some(TIMEOUT);
    let server = config.cluster_url.to_string();
    let client =
        Client::try_from(config).map_err(|error| ClientError::Unusable(error.to_string()))?;
    Ok((client, server))
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

    /// A kubeconfig for the server at `port` of this host, in a folder of its own.
    fn kubeconfig(port: u16) -> (PathBuf, ClientOptions) {
        let folder = std::env::temp_dir().join(format!("bellwether-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("kubeconfig");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
             clusters: [{{name: x, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
             contexts: [{{name: x, context: {{cluster: x, user: x}}}}]\n\
             users: [{{name: x, user: {{}}}}]\n"
        );
        std::fs::write(&file, config).expect("a file");
        let options = ClientOptions {
            kubeconfig: Some(file),
        };
        (folder, options)
    }

    #[tokio::test]
    async fn a_command_does_not_wait_for_a_server_that_is_away() {
        let (folder, options) = kubeconfig(1);
        let error = connect_at_once(&options)
            .await
            .err()
            .expect("nobody is there");
        std::fs::remove_dir_all(&folder).expect("it goes");
        let text = error.to_string();
        assert!(
            text.starts_with("the API server cannot be reached: ")
                && text.contains("http://127.0.0.1:1/ its address (--kubeconfig)"),
            "{text}"
        );
    }

    /// MetalLB's speaker ends if it cannot read its own pod at the start, and so goes from crash to
    /// crash while the API server is away.
    #[tokio::test]
    async fn weakness_4_29_a_daemon_that_starts_while_the_server_is_away_waits_for_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (folder, options) = kubeconfig(address.port());
        let shutdown = CancellationToken::new();
        let mut connecting = Box::pin(connect(&options, &shutdown));
        // The one who listens does not answer yet: what was asked meanwhile is cut off.
        listener.set_nonblocking(true).expect("no waiting");
        let mut refused = 0;
        while refused < 2 {
            tokio::select! {
                _ = &mut connecting => panic!("nobody has answered"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            if let Ok((connection, _)) = listener.accept() {
                drop(connection);
                refused += 1;
            }
        }
        let listener = tokio::net::TcpListener::from_std(listener).expect("the same port");
        let version = async || {
            let version = serde_json::json!({
                "major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "",
                "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "",
                "platform": "",
            });
            (
                [(axum::http::header::CONTENT_TYPE, "application/json")],
                version.to_string(),
            )
        };
        let router = axum::Router::new().route("/version", axum::routing::get(version));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let connected = connecting.await;
        std::fs::remove_dir_all(&folder).expect("it goes");
        assert!(connected.is_ok(), "{:?}", connected.err());
    }
}
