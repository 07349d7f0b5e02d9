//! The story that `make demo` tells: a pool, a Service, its address, traffic, a crash.
//!
//! Every step prints what a user would have typed, and how long it took.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::{MOMENT, node_of};
use crate::error::{Context, Error, Result};
use crate::fault::Fault;
use crate::lab::{Lab, LabOptions, Lifetime, down, wait_for};

const POOL: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata:
  name: lan
spec:
  addresses:
  - 192.0.2.128/26
  - 2001:db8:0:1::1000/116
---
apiVersion: bellwether.dev/v1beta1
kind: L2Advertisement
metadata:
  name: lan
spec:
  ipAddressPools: [lan]
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: LoadBalancer
  ipFamilyPolicy: PreferDualStack
  selector:
    app: web
  ports:
  - {name: http, protocol: TCP, port: 80}
  - {name: echo, protocol: UDP, port: 80}
";

/// Tells the story. Ctrl-C ends it, and leaves nothing.
pub async fn run(keep: bool) -> Result<()> {
    let options = LabOptions::named("demo".to_owned());
    let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
    let result = tokio::select! {
        result = tell(&options, &executable, keep) => result,
        _ = tokio::signal::ctrl_c() => Err(Error::Unexpected("interrupted".to_owned())),
    };
    if result.is_err() && keep {
        // A lab that lives on by itself has to be taken down when its story broke off.
        down(&options.name).await?;
    }
    result
}

async fn tell(options: &LabOptions, executable: &std::path::Path, keep: bool) -> Result<()> {
    let story = Story(Instant::now());
    story.tell("A Kubernetes control plane, three nodes, a client and a gateway come up.");
    let lifetime = if keep {
        Lifetime::Detached
    } else {
        Lifetime::WithHandle
    };
    let lab = Lab::up(options, executable, lifetime, |step| story.note(step)).await?;

    story.tell("A pool of addresses, and the wish to announce them on the LAN:");
    story.typed("kubectl apply --filename pool.yaml");
    for line in POOL.lines() {
        story.note(line);
    }
    lab.apply(POOL).await?;

    story.tell("Three pods that answer with their names:");
    story.typed("kubectl create deployment web --image=web --replicas=3 --port=80");
    lab.kubectl(
        &[
            "create",
            "deployment",
            "web",
            "--image=web",
            "--replicas=3",
            "--port=80",
        ],
        "",
    )
    .await?;
    let available = [
        "wait",
        "--for=condition=Available",
        "deployment/web",
        "--timeout=20s",
    ];
    lab.kubectl(&available, "").await?;

    story.tell("A Service of type LoadBalancer:");
    story.typed("kubectl apply --filename service.yaml");
    lab.apply(SERVICE).await?;
    let start = Instant::now();
    let addresses = lab.wait_addresses("web", 2).await?;
    story.note(&format!(
        "addresses: {addresses:?}, {} after kubectl came back",
        took(start)
    ));
    let [ipv4, ipv6] = addresses[..] else {
        return Err(Error::Unexpected("two addresses were expected".to_owned()));
    };
    story.typed("kubectl wait --for=condition=bellwether.dev/Announced service/web");
    let wait = [
        "wait",
        "--for=condition=bellwether.dev/Announced",
        "service/web",
        "--timeout=20s",
    ];
    lab.kubectl(&wait, "").await?;
    let node = lab.wait_announcer(ipv4, None, MOMENT).await?;
    story.note(&format!("{node} announces {ipv4}"));

    story.tell("The client asks who has the addresses: by ARP, and by NDP.");
    for address in [ipv4, ipv6] {
        let mac = lab.who_has(address).await?;
        let mac = mac.ok_or_else(|| Error::Unexpected(format!("nobody answered for {address}")))?;
        story.typed(&format!("ip neighbour show {address}"));
        story.note(&format!("{address} is at {mac}"));
    }

    story.tell("The client asks the Service, and all pods answer:");
    for address in [ipv4, ipv6] {
        let target = SocketAddr::new(address, 80);
        lab.wait_traffic(target).await?;
        story.typed(&format!("curl http://{target}/"));
        let names = answers(&lab, target).await?;
        story.note(&names.into_iter().collect::<Vec<_>>().join(", "));
    }

    let outage = crash(&lab, &story, &node, ipv4).await?;
    story.tell(&format!(
        "The outage, as the client saw it: {outage:.0} ms."
    ));

    story.tell("What is left to see:");
    for what in ["svc", "ipaddresspools", "announcements", "speakers"] {
        story.typed(&format!("kubectl get {what}"));
        for line in lab.kubectl(&["get", what], "").await?.lines() {
            story.note(line);
        }
    }
    if keep {
        story.tell("The lab stays up. Use it, and take it down:");
        story.typed(&format!(
            "export KUBECONFIG={}",
            lab.folder().kubeconfig().display()
        ));
        story.typed("target/debug/bellwether-lab status --name demo");
        story.typed("target/debug/bellwether-lab exec --name demo client -- ip neighbour");
        story.typed("target/debug/bellwether-lab down --name demo");
    }
    Ok(())
}

/// Powers the announcing node off under a probe, and returns the outage in milliseconds.
async fn crash(lab: &Lab, story: &Story, node: &str, address: std::net::IpAddr) -> Result<f64> {
    story.tell(&format!(
        "Power fails on {node}, which announces {address}. Its pods move away first, so that what \
         is measured is the address alone."
    ));
    story.typed(&format!("kubectl taint node {node} demo=crash:NoSchedule"));
    lab.kubectl(&["taint", "node", node, "demo=crash:NoSchedule"], "")
        .await?;
    for pod in lab
        .pods("web")
        .await?
        .iter()
        .filter(|pod| node_of(pod) == node)
    {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        lab.kubectl(&["delete", "pod", name, "--wait=true"], "")
            .await?;
    }
    wait_for("the pods running elsewhere", MOMENT, async || {
        let pods = lab.pods("web").await.map_err(|error| error.to_string())?;
        let nodes: Vec<String> = pods.iter().map(node_of).collect();
        let ready = pods.len() == 3 && nodes.iter().all(|other| other != node);
        if ready {
            Ok(())
        } else {
            Err(format!("they are on {nodes:?}"))
        }
    })
    .await?;
    let target = SocketAddr::new(address, 80);
    lab.wait_traffic(target).await?;
    let probe = lab.probe(target)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = lab.announcer(address).await?;
    story.typed(&format!("bellwether-lab fault crash {node}"));
    lab.fault(node, Fault::Crash).await?;
    let next = lab
        .wait_announcer(address, before.as_deref(), Duration::from_secs(30))
        .await?;
    story.note(&format!("{next} announces {address} now"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = probe.stop().await?;
    story.note(&format!(
        "a datagram each millisecond: {} sent, {} not answered",
        report.sent, report.lost
    ));
    Ok(report.longest_gap_ms)
}

/// The names of the pods that answer over HTTP, until all three have.
async fn answers(lab: &Lab, target: SocketAddr) -> Result<BTreeSet<String>> {
    let executable = lab.executable().display().to_string();
    let mut names = BTreeSet::new();
    for _ in 0..50 {
        let answer = lab
            .exec("client", &[&executable, "fetch", &target.to_string(), "/"])
            .await?;
        names.insert(answer.trim().to_owned());
        if names.len() == 3 {
            break;
        }
    }
    Ok(names)
}

fn took(start: Instant) -> String {
    format!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0)
}

/// How the story is printed: the seconds since it began, and the text.
struct Story(Instant);

impl Story {
    fn tell(&self, text: &str) {
        println!("\n{:6.1} s  {text}", self.0.elapsed().as_secs_f64());
    }

    #[expect(clippy::unused_self, reason = "a story is told by its teller")]
    fn typed(&self, command: &str) {
        println!("          $ {command}");
    }

    #[expect(clippy::unused_self, reason = "a story is told by its teller")]
    fn note(&self, text: &str) {
        println!("          {text}");
    }
}
