//! The first process inside a lab's namespaces. It builds the networks, runs every program, and does
//! to them what it is asked. When it ends, the kernel ends everything else in the lab.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::control::{Action, Folder, HostStatus, ProgramStatus, Request, Response, Status};
use crate::control_plane::{ControlPlane, wait_ready};
use crate::error::{Context, Error, Result};
use crate::fault::Fault;
use crate::keeper::stdin_until_closed;
use crate::kubelet::{Kubelet, NodeHealth};
use crate::lab::{LabOptions, wait_for};
use crate::machine::Machine;
use crate::network::{API_PORT, Topology, run as run_to_end};
use crate::process::{Program, Running};
use crate::product;

mod faults;
mod machines;

/// What the keeper tells the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// What the user asked for.
    pub options: LabOptions,
    /// The Kubernetes programs, by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// The lab's folder.
    pub folder: PathBuf,
    /// The port on the machine's loopback address that the keeper forwards to the API server.
    pub api_port: u16,
}

/// The line on standard output that says that the lab is ready.
pub const READY: &str = "ready";

/// How a line on standard output begins that names the next step.
pub const STEP: &str = "> ";

/// Brings the lab up and serves it, until standard input is closed.
pub async fn supervise(orders: Orders) -> Result<()> {
    tokio::select! {
        result = bring_up_and_serve(orders) => result,
        // The keeper holds the other end; without a keeper nobody would clean up.
        _closed = stdin_until_closed() => Ok(()),
    }
}

async fn bring_up_and_serve(orders: Orders) -> Result<()> {
    let Orders {
        options,
        programs,
        folder,
        api_port,
    } = orders;
    let folder = Folder::at(&folder);
    let mount = async |path: &str| run_to_end("mount", &["-t", "tmpfs", "tmpfs", path]).await;
    mount("/run").await?;
    mount(&folder.scratch().display().to_string()).await?;
    let topology = Topology::new(options.nodes);
    say(&format!("{STEP}network"));
    topology.build().await?;

    say(&format!("{STEP}control plane"));
    let control_plane = ControlPlane::new(&folder, programs, options.kubelet)?;
    let mut lab = Supervisor {
        folder: folder.clone(),
        topology,
        programs: BTreeMap::new(),
        faults: BTreeMap::new(),
        health: BTreeMap::new(),
        machines: BTreeMap::new(),
    };
    lab.start(control_plane.etcd()?)?;
    lab.start(control_plane.apiserver(&folder)?)?;
    tokio::spawn(forward_api(listen(&folder.api_socket())?));
    let client = control_plane.client().await?;
    wait_ready(&client).await?;
    let kubeconfig = control_plane.admin_kubeconfig(&format!("https://127.0.0.1:{api_port}"))?;
    let path = folder.kubeconfig();
    std::fs::write(&path, kubeconfig).context(|| format!("cannot write {}", path.display()))?;
    lab.start(control_plane.controller_manager()?)?;
    lab.start(control_plane.scheduler()?)?;

    say(&format!("{STEP}nodes"));
    if options.kubelet {
        lab.power_on_all(&control_plane, &options).await?;
    } else {
        lab.start_nodes(&control_plane, &options, &client)?;
    }
    // The tokens of speakers are bound to their nodes.
    wait_until_usable(&client, options.nodes).await?;
    let product = if options.bare {
        Vec::new()
    } else {
        say(&format!("{STEP}product"));
        if options.kubelet {
            lab.install_product(&control_plane, &options).await?;
            Vec::new()
        } else {
            lab.start_product(&control_plane, &options).await?
        }
    };
    for (host, health) in product {
        let what = format!(
            "{} at {health} becoming ready",
            host.as_deref().unwrap_or("controller")
        );
        let check = async || lab.check(host.as_deref(), &health).await;
        wait_for(&what, Duration::from_secs(30), check).await?;
    }
    let control = listen(&folder.control_socket())?;
    say(READY);
    lab.serve(&control).await
}

/// A line for whoever brings the lab up. Nobody reads it any more once the lab is ready.
fn say(line: &str) {
    use std::io::Write;
    let _nobody_reads = writeln!(std::io::stdout(), "{line}");
}

fn listen(path: &std::path::Path) -> Result<UnixListener> {
    UnixListener::bind(path).context(|| format!("cannot listen on {}", path.display()))
}

/// Connections from the keeper, which come from the machine's own network, go to the API server.
async fn forward_api(listener: UnixListener) {
    while let Ok((mut outside, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut inside) = TcpStream::connect(("127.0.0.1", API_PORT)).await {
                let _ended = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}

async fn wait_until_usable(client: &Client, nodes: u8) -> Result<()> {
    let limit = Duration::from_mins(1);
    let nodes_api: Api<Node> = Api::all(client.clone());
    wait_for("all nodes becoming Ready", limit, async || {
        let list = nodes_api
            .list(&kube::api::ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let ready = |node: &&Node| {
            let conditions = node
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten());
            conditions
                .into_iter()
                .any(|c| c.type_ == "Ready" && c.status == "True")
        };
        let count = list.iter().filter(ready).count();
        if count == usize::from(nodes) {
            Ok(())
        } else {
            Err(format!("{count} are"))
        }
    })
    .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    wait_for("the default ServiceAccount appearing", limit, async || {
        accounts
            .get("default")
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await
}

struct Supervisor {
    folder: Folder,
    topology: Topology,
    programs: BTreeMap<String, (Program, Option<Running>)>,
    /// What was done to each node and not healed.
    faults: BTreeMap<String, Vec<Fault>>,
    /// How each node is.
    health: BTreeMap<String, NodeHealth>,
    /// The nodes as machines, if they have real kubelets.
    machines: BTreeMap<String, Machine>,
}

impl Supervisor {
    fn start(&mut self, program: Program) -> Result<()> {
        let running = program.start(&self.folder.logs())?;
        self.programs
            .insert(program.name.clone(), (program, Some(running)));
        Ok(())
    }

    fn start_nodes(
        &mut self,
        control_plane: &ControlPlane,
        options: &LabOptions,
        client: &Client,
    ) -> Result<()> {
        let nodes: Vec<_> = self.topology.nodes().cloned().collect();
        for host in nodes {
            self.start(control_plane.proxy(&host, options)?)?;
            let health = NodeHealth::well();
            self.health.insert(host.name.clone(), health.clone());
            let kubelet = Kubelet {
                host,
                health,
                client: client.clone(),
                logs: self.folder.logs(),
            };
            tokio::spawn(kubelet.run());
        }
        Ok(())
    }

    /// Returns where the health of each daemon is: its host and address.
    async fn start_product(
        &mut self,
        control_plane: &ControlPlane,
        options: &LabOptions,
    ) -> Result<Vec<(Option<String>, String)>> {
        let admin = self.folder.inner_kubeconfig();
        product::install(control_plane, &options.manifests, &admin).await?;
        let mut daemons = Vec::new();
        for number in 0..options.controllers {
            daemons
                .push(product::controller(control_plane, &options.binaries, &admin, number).await?);
        }
        let nodes: Vec<_> = self.topology.nodes().cloned().collect();
        for node in &nodes {
            daemons.push(
                product::speaker(
                    control_plane,
                    &options.binaries,
                    &admin,
                    node,
                    options.profile,
                )
                .await?,
            );
        }
        let mut health = Vec::new();
        for daemon in daemons {
            health.push((daemon.program.host.clone(), daemon.health));
            self.start(daemon.program)?;
        }
        Ok(health)
    }

    /// Asks a daemon whether it is ready.
    async fn check(&self, host: Option<&str>, address: &str) -> Result<(), String> {
        let executable = std::env::current_exe().map_err(|error| error.to_string())?;
        let executable = executable.display().to_string();
        let fetch = [executable.as_str(), "fetch", address, "/readyz"];
        let result = match host {
            Some(host) => {
                let namespace = format!("--net=/run/netns/{host}");
                run_to_end("nsenter", &[&[namespace.as_str()], &fetch[..]].concat()).await
            }
            None => run_to_end(fetch[0], &fetch[1..]).await,
        };
        result.map(drop).map_err(|error| error.to_string())
    }

    /// One request after the other: the supervisor alone changes what runs.
    async fn serve(&mut self, listener: &UnixListener) -> Result<()> {
        loop {
            let (stream, _) = listener
                .accept()
                .await
                .context(|| "cannot accept requests".to_owned())?;
            if let Err(error) = self.answer(stream).await {
                eprintln!("a request was not answered: {error}");
            }
        }
    }

    async fn answer(&mut self, stream: UnixStream) -> Result<()> {
        let failed = || "cannot read a request".to_owned();
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        BufReader::new(reader)
            .read_line(&mut line)
            .await
            .context(failed)?;
        let response = match serde_json::from_str(&line) {
            Ok(request) => self.handle(request).await,
            Err(error) => Err(Error::Unexpected(error.to_string())),
        };
        let response = response.unwrap_or_else(|error| Response::Error(error.to_string()));
        let text = serde_json::to_string(&response)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        writer
            .write_all((text + "\n").as_bytes())
            .await
            .context(failed)
    }

    async fn handle(&mut self, request: Request) -> Result<Response> {
        match request {
            Request::Status => Ok(Response::Status(self.status())),
            Request::Fault { nodes, fault } => self.fault(&nodes, fault).await,
            Request::Program { name, action } => self.act(&name, action).await,
        }
    }

    fn status(&mut self) -> Status {
        let hosts = self.topology.hosts.iter().map(|host| HostStatus {
            name: host.name.clone(),
            ipv4: host.ipv4().to_string(),
            ipv6: host.ipv6().to_string(),
            faults: self.faults.get(&host.name).cloned().unwrap_or_default(),
        });
        let hosts = hosts.collect();
        let programs = self
            .programs
            .values_mut()
            .map(|(program, running)| ProgramStatus {
                name: program.name.clone(),
                host: program.host.clone(),
                alive: running.as_mut().is_some_and(Running::is_alive),
            });
        Status {
            hosts,
            programs: programs.collect(),
        }
    }

    async fn act(&mut self, name: &str, action: Action) -> Result<Response> {
        let logs = self.folder.logs();
        let Some((program, running)) = self.programs.get_mut(name) else {
            let names: Vec<&str> = self.programs.keys().map(String::as_str).collect();
            let names = names.join(", ");
            return Err(Error::Refused(format!(
                "there is no program {name:?}; there are {names}"
            )));
        };
        match (action, running.as_mut()) {
            (Action::Kill, Some(process)) => {
                process.signal(Signal::SIGKILL)?;
                process.wait().await?;
                *running = None;
            }
            (Action::Stop, Some(process)) => {
                process.signal(Signal::SIGTERM)?;
                process.wait().await?;
                *running = None;
            }
            (Action::Pause, Some(process)) => process.signal(Signal::SIGSTOP)?,
            (Action::Resume, Some(process)) => process.signal(Signal::SIGCONT)?,
            (Action::Start, Some(process)) => {
                if !process.is_alive() {
                    *running = Some(program.start(&logs)?);
                }
            }
            (Action::Start, None) => *running = Some(program.start(&logs)?),
            (_, None) => {}
        }
        Ok(Response::Done)
    }
}
