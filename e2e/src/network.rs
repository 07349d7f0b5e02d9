//! The networks of a lab: who is where, and the commands that build it.
//!
//! ```text
//!  client      gateway     node-a      node-b      node-c
//!  .100        .1          .11         .12         .13      192.0.2.0/24, 2001:db8:0:1::/64
//!    |eth0       |eth0       |eth0       |eth0       |eth0
//! ===+===========+===========+===========+===========+===== bridge "lan": addresses are announced
//!
//! ===+=======================+===========+===========+===== bridge "mgmt": the API only
//!    |mgmt                   |mgmt0      |mgmt0      |mgmt0
//!  control plane .1          .11         .12         .13    172.31.255.0/24
//! ```
//!
//! Each host is a network namespace. The bridges and the control plane are in the lab's own
//! namespace, which is not the machine's, so that labs side by side may use the same addresses.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::error::{Context, Error, Result};
use crate::fault::Network;
use crate::process::stdout_of;

/// Where the API server listens, on the management network.
pub const API_ADDRESS: &str = "172.31.255.1";

/// The port of the API server.
pub const API_PORT: u16 = 6443;

/// The addresses of Services within the cluster.
pub const SERVICE_NETWORKS: &str = "10.96.0.0/16,fd00:10:96::/112";

/// The addresses of all pods.
pub const POD_NETWORKS: &str = "10.244.0.0/16,fd00:10:244::/48";

/// A host of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, which is its network namespace's too.
    pub name: String,
    /// The last part of its addresses.
    pub number: u8,
    /// Whether it is a node of the cluster.
    pub is_node: bool,
}

impl Host {
    /// Its address on the LAN.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number)
    }

    /// Its IPv6 address on the LAN. The last group reads like the IPv4 address's last part.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        let group = u16::from_str_radix(&self.number.to_string(), 16).unwrap_or_default();
        Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, group)
    }

    /// Its address on the management network, if it is a node.
    #[must_use]
    pub fn management_ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(172, 31, 255, self.number)
    }

    /// The MAC address of its link on the LAN; it tells the host.
    #[must_use]
    pub fn mac(&self) -> String {
        format!("02:00:00:00:00:{:02x}", self.number)
    }

    /// The name of its port on a bridge.
    #[must_use]
    pub fn port(&self, bridge: &str) -> String {
        format!("{}-{bridge}", self.name)
    }

    /// The names of its ports on the bridges of `network`; only nodes are on the management network.
    #[must_use]
    pub fn port_names(&self, network: Network) -> Vec<String> {
        let bridges = network.bridges().iter();
        bridges
            .filter(|&&bridge| self.is_node || bridge == "lan")
            .map(|bridge| self.port(bridge))
            .collect()
    }

    /// The IPv4 address of its `n`th pod.
    #[must_use]
    pub fn pod_ipv4(&self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 244, self.number, n)
    }

    /// The IPv6 address of its `n`th pod.
    #[must_use]
    pub fn pod_ipv6(&self, n: u8) -> Ipv6Addr {
        let [number, n] = [self.number, n].map(u16::from);
        Ipv6Addr::new(0xfd00, 0x10, 0x244, number, 0, 0, 0, n)
    }
}

/// All hosts of a lab.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The nodes, the client and the gateway.
    pub hosts: Vec<Host>,
}

impl Topology {
    /// A lab with `nodes` nodes: node-a, node-b and so on.
    #[must_use]
    pub fn new(nodes: u8) -> Self {
        let nodes = (0..nodes).map(|n| Host {
            name: format!("node-{}", char::from(b'a' + n)),
            number: 11 + n,
            is_node: true,
        });
        let others = [("client", 100), ("gateway", 1)].map(|(name, number)| Host {
            name: name.to_owned(),
            number,
            is_node: false,
        });
        Self {
            hosts: nodes.chain(others).collect(),
        }
    }

    /// The nodes of the cluster.
    pub fn nodes(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.is_node)
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts
            .iter()
            .find(|host| host.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
                Error::Refused(format!(
                    "there is no host {name:?}; there are {}",
                    names.join(", ")
                ))
            })
    }

    /// Builds everything. The process has the lab's network and mount namespace to itself.
    pub async fn build(&self) -> Result<()> {
        batch(&["-batch", "-"], &self.bridges()).await?;
        for host in &self.hosts {
            self.build_host(host).await?;
        }
        Ok(())
    }

    /// Builds the network of one host anew: what was set up in it is gone.
    pub async fn rebuild(&self, host: &Host) -> Result<()> {
        for port in host.port_names(Network::Both) {
            run("ip", &["link", "delete", &port]).await?;
        }
        run("ip", &["netns", "delete", &host.name]).await?;
        self.build_host(host).await
    }

    async fn build_host(&self, host: &Host) -> Result<()> {
        run("ip", &["netns", "add", &host.name]).await?;
        batch(&["-batch", "-"], &cables(host)).await?;
        let namespace = format!("--net=/run/netns/{}", host.name);
        run("nsenter", &[&namespace, "sh", "-ec", SYSCTLS]).await?;
        batch(&["-n", &host.name, "-batch", "-"], &self.inside(host)).await
    }

    /// The bridges, and the control plane's way to the nodes and their pods.
    fn bridges(&self) -> String {
        let mut lines = String::from("link set lo up\n");
        for bridge in ["lan", "mgmt"] {
            let options = "type bridge forward_delay 0 mcast_snooping 0";
            push(&mut lines, format_args!("link add {bridge} {options}"));
            push(&mut lines, format_args!("link set {bridge} up"));
        }
        push(
            &mut lines,
            format_args!("addr add {API_ADDRESS}/24 dev mgmt"),
        );
        for node in self.nodes() {
            let way = node.management_ipv4();
            let (node, pods) = (node.ipv4(), node.pod_ipv4(0));
            push(&mut lines, format_args!("route add {node}/32 via {way}"));
            push(&mut lines, format_args!("route add {pods}/24 via {way}"));
        }
        lines
    }

    fn inside(&self, host: &Host) -> String {
        let mut lines = String::from("link set lo up\nlink set eth0 up\n");
        push(
            &mut lines,
            format_args!("addr add {}/24 dev eth0", host.ipv4()),
        );
        push(
            &mut lines,
            format_args!("addr add {}/64 dev eth0", host.ipv6()),
        );
        if host.is_node {
            push(
                &mut lines,
                format_args!("addr add {}/24 dev mgmt0", host.management_ipv4()),
            );
            push(&mut lines, format_args!("link set mgmt0 up"));
        }
        for other in self
            .nodes()
            .filter(|other| other.name != host.name && host.is_node)
        {
            let (ipv4, ipv6) = (other.pod_ipv4(0), other.pod_ipv6(0));
            push(
                &mut lines,
                format_args!("route add {ipv4}/24 via {}", other.ipv4()),
            );
            push(
                &mut lines,
                format_args!("route add {ipv6}/64 via {}", other.ipv6()),
            );
        }
        for gateway in self.hosts.iter().filter(|other| other.name == "gateway") {
            if gateway.name != host.name {
                push(
                    &mut lines,
                    format_args!("route add default via {}", gateway.ipv4()),
                );
                push(
                    &mut lines,
                    format_args!("route add default via {}", gateway.ipv6()),
                );
            }
        }
        lines
    }
}

/// Plugs a host into its networks.
fn cables(host: &Host) -> String {
    let mut lines = String::new();
    let Host { name, number, .. } = host;
    let mut plug = |bridge: &str, link: &str, mac: &str| {
        let port = host.port(bridge);
        push(
            &mut lines,
            format_args!("link add {port} type veth peer name {link} address {mac} netns {name}"),
        );
        push(
            &mut lines,
            format_args!("link set {port} master {bridge} up"),
        );
    };
    plug("lan", "eth0", &host.mac());
    if host.is_node {
        plug("mgmt", "mgmt0", &format!("02:00:00:00:01:{number:02x}"));
    }
    lines
}

/// A node forwards between the LAN and its pods. No address needs to be checked for a duplicate, and
/// redirects would teach the client a way around the node that announces.
const SYSCTLS: &str = "
cd /proc/sys/net
echo 1 > ipv4/ip_forward
echo 1 > ipv6/conf/all/forwarding
for i in all default eth0; do
  echo 0 > ipv4/conf/$i/send_redirects
  echo 0 > ipv4/conf/$i/rp_filter
  echo 0 > ipv6/conf/$i/accept_dad
  echo 0 > ipv6/conf/$i/accept_ra
done
";

fn push(lines: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(lines, "{line}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

async fn batch(args: &[&str], lines: &str) -> Result<()> {
    feed("ip", args, lines).await
}

/// Puts rules of nftables in force, all at once.
pub async fn nft(rules: &str) -> Result<()> {
    feed("nft", &["--file", "-"], rules).await
}

/// Runs a program to its end, with `lines` on its standard input.
async fn feed(program: &'static str, args: &[&str], lines: &str) -> Result<()> {
    Waiting::start(program, args)?.feed(lines).await
}

/// A program that runs and waits for its standard input: what is then asked of it happens at once.
pub struct Waiting {
    program: &'static str,
    child: Child,
}

impl Waiting {
    /// `ip`, which takes lines.
    pub fn ip() -> Result<Self> {
        Self::start("ip", &["-batch", "-"])
    }

    fn start(program: &'static str, args: &[&str]) -> Result<Self> {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(|| format!("cannot run {program}"))?;
        Ok(Self { program, child })
    }

    /// Gives it all of its input, and waits for its end.
    pub async fn feed(mut self, lines: &str) -> Result<()> {
        let program = self.program;
        if let Some(mut stdin) = self.child.stdin.take() {
            stdin
                .write_all(lines.as_bytes())
                .await
                .context(|| format!("cannot write to {program}"))?;
        }
        let output = self
            .child
            .wait_with_output()
            .await
            .context(|| format!("cannot wait for {program}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Command {
            command: format!("{program} <<<'{lines}'"),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Runs a program to its end.
pub async fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context(|| format!("cannot run {program}"))?;
    stdout_of(&format!("{program} {}", args.join(" ")), &output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_host_read_alike() {
        let topology = Topology::new(3);
        let node = topology.host("node-b").expect("a node");
        assert_eq!(node.ipv4().to_string(), "192.0.2.12");
        assert_eq!(node.ipv6().to_string(), "2001:db8:0:1::12");
        assert_eq!(node.pod_ipv6(3).to_string(), "fd00:10:244:c::3");
    }

    #[test]
    fn an_unknown_host_is_refused_with_the_names_of_all() {
        let error = Topology::new(1).host("node-z").expect_err("no such host");
        assert!(
            error.to_string().contains("node-a, client, gateway"),
            "{error}"
        );
    }
}
