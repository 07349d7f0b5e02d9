//! A Service with a server behind it that no fault touches.
//!
//! A pod may be on the node that fails, and nodes reach each other's pods by routes that come and go with
//! them. This server is on the gateway, so that what a probe loses is lost by the address alone.

use std::net::IpAddr;
use std::process::Stdio;

use crate::error::{Context, Result};
use crate::lab::Lab;

/// The port of the server, TCP and UDP.
const PORT: u16 = 9000;

impl Lab {
    /// Starts the server, which runs until the lab ends, and applies a Service of type `LoadBalancer`
    /// with this name in front of it, on port 80 of TCP and UDP.
    ///
    /// # Errors
    ///
    /// The server cannot be started, or the API server refuses the Service.
    pub async fn serve_beside(&self, service: &str, ipv6: bool) -> Result<()> {
        let hosts = self.topology();
        let server = hosts.host("gateway")?;
        let backend = if ipv6 {
            IpAddr::from(server.ipv6())
        } else {
            server.ipv4().into()
        };
        self.command("gateway", self.executable())
            .args(["pod", "--name=server", "--address", &backend.to_string()])
            .arg(format!("--port={PORT}"))
            .stdin(Stdio::null())
            // The lab ends it.
            .kill_on_drop(false)
            .spawn()
            .context(|| "cannot start the server".to_owned())?;
        self.apply(&manifest(service, backend)).await
    }
}

/// A Service whose only endpoint is at `backend`, which is no pod.
fn manifest(service: &str, backend: IpAddr) -> String {
    let family = if backend.is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {service}}}
spec:
  type: LoadBalancer
  ipFamilies: [{family}]
  ipFamilyPolicy: SingleStack
  ports:
  - {{name: tcp, port: 80, targetPort: {PORT}}}
  - {{name: udp, port: 80, targetPort: {PORT}, protocol: UDP}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {service}-server, labels: {{kubernetes.io/service-name: {service}}}}}
addressType: {family}
ports:
- {{name: tcp, port: {PORT}}}
- {{name: udp, port: {PORT}, protocol: UDP}}
endpoints:
- {{addresses: ['{backend}'], conditions: {{ready: true}}}}
"
    )
}
