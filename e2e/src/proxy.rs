//! A small reverse proxy, which stands for an ingress controller in the lab: it reads the head of an
//! HTTP request, and passes the connection on to the server that its `Host` names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::error::{Context, Result};

/// How long the head of a request may be.
const LONGEST_HEAD: usize = 16 * 1024;

/// Which host name leads where: `dashboard.example=10.96.0.7:80`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host name, in lower case.
    pub host: String,
    /// The server: an address or a name, and a port.
    pub to: String,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((host, to)) if !host.is_empty() && to.contains(':') => Ok(Self {
                host: host.to_ascii_lowercase(),
                to: to.to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is no route: write dashboard.example=10.96.0.7:80"
            )),
        }
    }
}

/// Serves on `listen` until the process is killed.
pub async fn serve(listen: SocketAddr, routes: Vec<Route>) -> Result<()> {
    let routes: Arc<BTreeMap<String, String>> = Arc::new(
        routes
            .into_iter()
            .map(|route| (route.host, route.to))
            .collect(),
    );
    let listener = TcpListener::bind(listen)
        .await
        .context(|| format!("cannot listen on {listen}"))?;
    loop {
        let (stream, peer) = listener
            .accept()
            .await
            .context(|| "cannot accept connections".to_owned())?;
        let routes = routes.clone();
        tokio::spawn(async move {
            if let Err(error) = pass(stream, peer, &routes).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn pass(
    stream: TcpStream,
    peer: SocketAddr,
    routes: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let before = head.len();
        client.read_line(&mut head).await?;
        let line = &head[before..];
        if line.is_empty() || head.len() > LONGEST_HEAD {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if line.trim_end().is_empty() {
            head.truncate(before);
            break;
        }
    }
    let host = host_of(&head);
    let Some(to) = host.as_ref().and_then(|host| routes.get(host)) else {
        let body = format!("nothing is served for {}\n", host.unwrap_or_default());
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        return client.get_mut().write_all(answer.as_bytes()).await;
    };
    let mut server = TcpStream::connect(to).await?;
    let head = format!("{head}x-forwarded-for: {}\r\n\r\n", peer.ip());
    server.write_all(head.as_bytes()).await?;
    // The reader may hold the begin of the body; copying from the reader takes it along.
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The host name that a request is for, without the port and in lower case.
fn host_of(head: &str) -> Option<String> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let value = value.trim().to_ascii_lowercase();
    let name = value
        .rsplit_once(':')
        .map_or(value.as_str(), |(name, _)| name);
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_request_is_its_name_alone() {
        let head = "GET / HTTP/1.1\r\naccept: */*\r\nHOST: Dashboard.Example:8080\r\n";
        assert_eq!(host_of(head).as_deref(), Some("dashboard.example"));
        assert_eq!(host_of("GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_route_has_a_name_and_a_server() {
        let route: Route = "A.example=web:80".parse().expect("a route");
        assert_eq!(
            (route.host.as_str(), route.to.as_str()),
            ("a.example", "web:80")
        );
        for wrong in ["a.example", "=web:80", "a.example=web"] {
            assert!(wrong.parse::<Route>().is_err(), "{wrong}");
        }
    }
}
