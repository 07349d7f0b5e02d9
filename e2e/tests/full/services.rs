//! The part of the day in which Services are used.

use std::net::{IpAddr, SocketAddr};

use bellwether_crds::condition::SERVICE_ANNOUNCED;
use bellwether_e2e::cluster::{LAN_POOL, load_balancer};
use bellwether_e2e::error::Context;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};

use crate::cluster::{A_WHILE, WEB, curl, rolled_out, web_address};
use bellwether_e2e::documents::root;

/// A Service gets an address, and a client outside the cluster reaches it.
pub async fn first_service(lab: &Lab) -> Result<IpAddr> {
    lab.apply(LAN_POOL).await?;
    lab.apply(WEB).await?;
    rolled_out(lab, "deployment/web", "--namespace=default").await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = web_address(lab).await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    let answer = curl(lab, &[&format!("http://{address}/")]).await?;
    assert!(answer.starts_with("web-"), "{answer}");
    Ok(address)
}

fn sample(name: &str) -> Result<String> {
    let path = root().join("manifests/samples").join(name);
    std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
}

/// One pod of the lab's server, named `app`, on these ports.
async fn serve(lab: &Lab, app: &str, port: u16) -> Result<()> {
    lab.apply(&format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: {app}, image: 'lab.bellwether.dev/web:1', args: ['--port={port}']}}
"
    ))
    .await
}

/// Two Services on one address, as the sample has them: one over UDP and one over TCP.
pub async fn sharing(lab: &Lab) -> Result<()> {
    lab.apply(&sample("sharing.yaml")?).await?;
    serve(lab, "dns", 53).await?;
    let [udp, tcp] = ["dns-udp", "dns-tcp"];
    let address = lab.wait_addresses(udp, 1).await?[0];
    assert_eq!(lab.wait_addresses(tcp, 1).await?, [address]);
    let target = SocketAddr::new(address, 53);
    lab.wait_traffic(target).await?;
    wait_for(
        "the other Service answering over TCP",
        A_WHILE,
        async || {
            let answer = curl(lab, &[&format!("http://{target}/")]).await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.starts_with("dns-") {
                Ok(())
            } else {
                Err(answer)
            }
        },
    )
    .await
}

/// The sample of an ingress controller, with the lab's proxy and server in the places of Traefik and
/// Headlamp: a dashboard behind an address that two Services share.
pub async fn ingress(lab: &Lab) -> Result<()> {
    lab.apply(&sample("ingress.yaml")?).await?;
    let stand_ins = [
        (
            "ingress",
            "lab.bellwether.dev/proxy:1",
            "\"--listen=[::]:8000\", \"--route=dashboard.example=$(DASHBOARD_SERVICE_HOST):80\"",
        ),
        ("dashboard", "lab.bellwether.dev/web:1", "\"--port=4466\""),
    ];
    for (name, image, args) in stand_ins {
        let patch = format!(
            "{{\"spec\":{{\"template\":{{\"spec\":{{\"terminationGracePeriodSeconds\":1,\"containers\":\
             [{{\"name\":\"{name}\",\"image\":\"{image}\",\"args\":[{args}]}}]}}}}}}}}"
        );
        lab.kubectl(&["patch", "deployment", name, "--patch", &patch], "")
            .await?;
    }
    for name in ["deployment/ingress", "deployment/dashboard"] {
        rolled_out(lab, name, "--namespace=default").await?;
    }
    let address = lab.wait_addresses("ingress", 1).await?[0];
    assert_eq!(lab.wait_addresses("ingress-http3", 1).await?, [address]);
    let ask = async |host: &str| {
        let resolve = format!("{host}:80:{address}");
        curl(lab, &["--resolve", &resolve, &format!("http://{host}/")]).await
    };
    wait_for(
        "the dashboard answering through the proxy",
        A_WHILE,
        async || {
            let answer = ask("dashboard.example")
                .await
                .map_err(|error| error.to_string())?;
            if answer.starts_with("dashboard-") {
                Ok(())
            } else {
                Err(answer)
            }
        },
    )
    .await?;
    let other = ask("other.example").await;
    assert!(
        other.is_err_and(|error| error.to_string().contains("404")),
        "no such host"
    );
    Ok(())
}
