//! `bellwether-lab`: a real Kubernetes in network namespaces, for people and for tests.

use std::io::{IsTerminal, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bellwether_e2e::bench::{Bench, allocate, failover};
use bellwether_e2e::control::{Action, Folder, Status};
use bellwether_e2e::error::{Context, Error, Result};
use bellwether_e2e::fault::FaultCommand;
use bellwether_e2e::lab::{Lab, LabOptions, Lifetime, down};
use bellwether_e2e::machine::boot;
use bellwether_e2e::network::Topology;
use bellwether_e2e::{binaries, demo, keeper, pod, probe, proxy, supervisor};
use clap::{Parser, Subcommand, ValueEnum};

/// A real Kubernetes on this machine, without containers: nodes are network namespaces.
///
/// Everything lives in namespaces of its own and is gone, without a trace, when the lab goes down.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring a lab up: control plane, nodes, client, gateway, and the product
    Up(LabOptions),
    /// Take a lab down, or remove what is left of one
    Down(Named),
    /// Show what runs where
    Status {
        #[command(flatten)]
        lab: Named,
        /// How to print it
        #[arg(long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Run a program on a host: node-a, node-b, …, client, gateway or control-plane
    Exec {
        #[command(flatten)]
        lab: Named,
        /// The host
        host: String,
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Run kubectl against the lab, as its administrator
    Kubectl {
        #[command(flatten)]
        lab: Named,
        /// What kubectl is given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Break nodes, or heal them
    Fault {
        #[command(flatten)]
        lab: Named,
        #[command(subcommand)]
        fault: FaultCommand,
    },
    /// Kill, stop, pause, resume or start one program, such as speaker-node-a or kube-apiserver
    Program {
        #[command(flatten)]
        lab: Named,
        /// What to do to it
        #[arg(value_enum)]
        action: ActionName,
        /// The program, as status names it
        program: String,
    },
    /// Print the log of a program, or of all of the product
    Logs {
        #[command(flatten)]
        lab: Named,
        /// The program, as status names it
        program: Option<String>,
    },
    /// Send a datagram every millisecond and report which were answered (run it on a host)
    Probe {
        /// Whom to ask, such as 192.0.2.128:80
        target: SocketAddr,
        /// For how many seconds; without it, until standard input is closed
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Tell the whole story in a lab of its own: address, traffic, failover
    Demo {
        /// Leave the lab up afterwards, named demo
        #[arg(long)]
        keep: bool,
    },
    /// Measure something in a lab of its own
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
    /// Build Kubernetes and Helm, if that has not been done
    Build,
    #[command(hide = true)]
    Keep { orders: String },
    #[command(hide = true)]
    Supervise { orders: String },
    #[command(hide = true)]
    Boot { orders: String },
    #[command(hide = true)]
    Pause,
    #[command(hide = true)]
    Pod {
        /// Without it, the name of the machine, which is the pod's in a container
        #[arg(long)]
        name: Option<String>,
        /// Without any, all that the container has
        #[arg(long = "address", default_value = "::")]
        addresses: Vec<IpAddr>,
        #[arg(long = "port", default_value = "80")]
        ports: Vec<u16>,
    },
    #[command(hide = true)]
    Proxy {
        #[arg(long, default_value = "[::]:80")]
        listen: SocketAddr,
        #[arg(long = "route")]
        routes: Vec<proxy::Route>,
    },
    #[command(hide = true)]
    Knock { target: SocketAddr },
    #[command(hide = true)]
    Talk { target: SocketAddr },
    #[command(hide = true)]
    Observe { host: String, address: IpAddr },
    #[command(hide = true)]
    MeasureAllocation { orders: String },
    #[command(hide = true)]
    Fetch { address: SocketAddr, path: String },
}

#[derive(clap::Args)]
struct Named {
    /// The name of the lab
    #[arg(long, default_value = "default", global = true)]
    name: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum ActionName {
    Kill,
    Stop,
    Pause,
    Resume,
    Start,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Up(options) => up(&options).await?,
        Verb::Down(Named { name }) => {
            let existed = down(&name).await?;
            println!(
                "{}",
                if existed {
                    "The lab is down."
                } else {
                    "There was no such lab."
                }
            );
        }
        Verb::Status { lab, output } => status(&lab.name, output).await?,
        Verb::Exec { lab, host, command } => {
            let lab = Lab::attach(&lab.name).await?;
            let (program, args) = command
                .split_first()
                .ok_or_else(|| Error::Unexpected("no program was named".to_owned()))?;
            return pass_through(lab.command(&host, program).args(args)).await;
        }
        Verb::Kubectl { lab, args } => {
            let lab = Lab::attach(&lab.name).await?;
            let programs = binaries::find_or_build()?;
            let kubectl = programs
                .get("kubectl")
                .ok_or_else(|| Error::Unexpected("there is no kubectl".to_owned()))?;
            let mut command = tokio::process::Command::new(kubectl);
            command
                .env("KUBECONFIG", lab.folder().kubeconfig())
                .args(args);
            return pass_through(&mut command).await;
        }
        Verb::Fault { lab, fault } => {
            let (nodes, fault) = fault.into_fault();
            let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
            Lab::attach(&lab.name)
                .await?
                .fault_all(&nodes, fault)
                .await?;
        }
        Verb::Program {
            lab,
            action,
            program,
        } => {
            let action = match action {
                ActionName::Kill => Action::Kill,
                ActionName::Stop => Action::Stop,
                ActionName::Pause => Action::Pause,
                ActionName::Resume => Action::Resume,
                ActionName::Start => Action::Start,
            };
            Lab::attach(&lab.name).await?.act(&program, action).await?;
        }
        Verb::Logs { lab, program } => logs(&lab.name, program.as_deref())?,
        Verb::Probe { target, seconds } => probe_until(target, seconds)?,
        Verb::Demo { keep } => demo::run(keep).await?,
        Verb::Bench { bench } => bench.run().await?,
        Verb::Talk { target } => {
            let report = failover::traffic::talk(target, &until_closed())?;
            println!("{}", to_json(&report)?);
        }
        Verb::Observe { host, address } => {
            let host = Topology::new(0).host(&host)?.clone();
            let stop = until_closed();
            failover::observer::observe(address, &host, &stop, std::io::stdout())?;
        }
        Verb::Build => {
            let mut programs = binaries::find_or_build()?;
            programs.insert("helm".to_owned(), binaries::helm()?);
            for (name, path) in programs {
                println!("{name:24} {}", path.display());
            }
        }
        Verb::Keep { orders } => keeper::keep(parse(&orders)?).await?,
        Verb::Supervise { orders } => supervisor::supervise(parse(&orders)?).await?,
        Verb::Boot { orders } => boot::boot(&parse(&orders)?)?,
        // The first process of a container ends by SIGKILL alone.
        Verb::Pause => std::future::pending().await,
        Verb::Pod {
            name,
            addresses,
            ports,
        } => pod::serve(name.as_deref(), &addresses, &ports)?,
        Verb::Proxy { listen, routes } => proxy::serve(listen, routes).await?,
        Verb::Knock { target } => probe::knock(target)?,
        Verb::MeasureAllocation { orders } => {
            println!("{}", to_json(&allocate::measure(parse(&orders)?).await?)?);
        }
        Verb::Fetch { address, path } => return fetch(address, &path),
    }
    Ok(ExitCode::SUCCESS)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Unexpected(error.to_string()))
}

async fn up(options: &LabOptions) -> Result<()> {
    let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
    let start = Instant::now();
    let say = |step: &str| eprintln!("{:5.1} s  {step}", start.elapsed().as_secs_f64());
    let coming = Lab::up(options, &executable, Lifetime::Detached, say);
    let lab = tokio::select! {
        lab = coming => lab?,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("interrupted; taking the lab down");
            down(&options.name).await?;
            return Err(Error::Unexpected("interrupted".to_owned()));
        }
    };
    let name = &options.name;
    println!(
        "The lab is up after {:.1} s. Try:",
        start.elapsed().as_secs_f64()
    );
    println!("  bellwether-lab kubectl --name {name} get nodes,bellwether");
    println!("  bellwether-lab exec --name {name} client ip neighbour");
    println!(
        "  export KUBECONFIG={}",
        lab.folder().kubeconfig().display()
    );
    println!("  bellwether-lab down --name {name}");
    Ok(())
}

async fn status(name: &str, output: Output) -> Result<()> {
    let status = Lab::attach(name).await?.status().await?;
    if let Output::Json = output {
        let text = serde_json::to_string_pretty(&status)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    print_status(&status);
    Ok(())
}

fn print_status(status: &Status) {
    let colour = std::io::stdout().is_terminal();
    let mark = |text: &str, bad: bool| match (colour, bad) {
        (true, true) => format!("\x1b[31m{text}\x1b[0m"),
        _ => text.to_owned(),
    };
    println!("{:12} {:14} {:20} STATE", "HOST", "IPV4", "IPV6");
    for host in &status.hosts {
        let state = match &host.faults[..] {
            [] => mark("up", false),
            faults => mark(&format!("{faults:?}"), true),
        };
        println!("{:12} {:14} {:20} {state}", host.name, host.ipv4, host.ipv6);
    }
    println!("\n{:28} {:14} STATE", "PROGRAM", "HOST");
    for program in &status.programs {
        let state = mark(if program.alive { "runs" } else { "ended" }, !program.alive);
        let host = program.host.as_deref().unwrap_or("control-plane");
        println!("{:28} {host:14} {state}", program.name);
    }
}

/// Lets the user's program have the terminal, and ends with its exit code.
async fn pass_through(command: &mut tokio::process::Command) -> Result<ExitCode> {
    let status = command
        .status()
        .await
        .context(|| "cannot run the program".to_owned())?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn logs(name: &str, program: Option<&str>) -> Result<()> {
    let folder = Folder::of(name).logs();
    let print = |program: &str| {
        let path = folder.join(format!("{program}.log"));
        let text =
            std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        print!("{text}");
        Ok(())
    };
    if let Some(program) = program {
        return print(program);
    }
    let entries =
        std::fs::read_dir(&folder).context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries.flatten() {
        let name = entry.path();
        let name = name
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("controller-") || name.starts_with("speaker-") {
            println!("--- {name}");
            print(name)?;
        }
    }
    Ok(())
}

fn probe_until(target: SocketAddr, seconds: Option<u64>) -> Result<()> {
    let stop = match seconds {
        Some(seconds) => until(move || std::thread::sleep(Duration::from_secs(seconds))),
        None => until_closed(),
    };
    let report = probe::probe(target, Duration::from_millis(1), &stop)?;
    println!("{}", to_json(&report)?);
    Ok(())
}

/// Becomes true when standard input is closed.
fn until_closed() -> Arc<AtomicBool> {
    until(|| drop(std::io::stdin().read_to_end(&mut Vec::new())))
}

/// Becomes true when `wait` returns.
fn until(wait: impl FnOnce() + Send + 'static) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let setter = stop.clone();
    std::thread::spawn(move || {
        wait();
        setter.store(true, Ordering::Relaxed);
    });
    stop
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unexpected(error.to_string()))
}

/// A GET over HTTP from within a namespace; succeeds on status 200.
fn fetch(address: SocketAddr, path: &str) -> Result<ExitCode> {
    use std::io::Write;
    let failed = || format!("cannot fetch {path} from {address}");
    let mut stream =
        std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).context(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.contains(" 200 ") {
        print!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{head}\n{body}");
    Ok(ExitCode::FAILURE)
}
