//! The product in the lab: its manifests, and its daemons with the rights that the manifests give.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use bellwether_crds::NAMESPACE;

use crate::control_plane::{ControlPlane, Credentials};
use crate::error::{Error, Result};
use crate::lab::Profile;
use crate::network::{API_ADDRESS, API_PORT, Host, run};
use crate::process::Program;

/// The ServiceAccount of the controller.
pub const CONTROLLER: &str = "bellwether-controller";

/// The ServiceAccount of the speakers.
pub const SPEAKER: &str = "bellwether-speaker";

/// Where a replica of the controller reaches the API server: each has a loopback address of its own
/// for that, so that each can be cut off alone.
#[must_use]
pub fn way_of_controller(number: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 9 + u32::from(number))
}

/// Applies namespace, CRDs, RBAC and policies of the base in the folder `manifests`. The daemons
/// themselves are no pods here.
pub async fn install(control_plane: &ControlPlane, manifests: &Path, admin: &Path) -> Result<()> {
    let kubectl = control_plane.executable("kubectl")?.display().to_string();
    let config = format!("--kubeconfig={}", admin.display());
    let apply = async |what: &str| {
        let path = manifests.join("base").join(what).display().to_string();
        let args = ["apply", "--server-side", "--filename", &path];
        run(&kubectl, &[&[config.as_str()], &args[..]].concat()).await
    };
    apply("namespace.yaml").await?;
    apply("crds").await?;
    apply("rbac").await?;
    apply("policies").await?;
    let wait = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=30s",
    ];
    run(&kubectl, &[&[config.as_str()], &wait[..]].concat()).await?;
    Ok(())
}

/// Where the health checks of a daemon are.
pub struct Daemon {
    /// How to run it.
    pub program: Program,
    /// The address of its `/readyz`, within its namespace.
    pub health: String,
}

/// One replica of the controller.
pub async fn controller(
    control_plane: &ControlPlane,
    binaries: &Path,
    admin: &Path,
    number: u16,
) -> Result<Daemon> {
    let identity = format!("controller-{number}");
    let credentials = credentials(control_plane, admin, CONTROLLER, None).await?;
    let server = format!("https://{}:{API_PORT}", way_of_controller(number));
    let kubeconfig = control_plane.write(
        &format!("{identity}.kubeconfig"),
        &control_plane.kubeconfig(&server, &credentials),
    )?;
    let (health, metrics) = (7471 + 10 * number, 7470 + 10 * number);
    let args = vec![
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--identity={identity}"),
        format!("--health-address=127.0.0.1:{health}"),
        format!("--metrics-address=127.0.0.1:{metrics}"),
    ];
    let path = executable(binaries, "bellwether-controller")?;
    Ok(Daemon {
        program: Program::new(&identity, &path, args),
        health: format!("127.0.0.1:{health}"),
    })
}

/// The speaker of `node`.
pub async fn speaker(
    control_plane: &ControlPlane,
    binaries: &Path,
    admin: &Path,
    node: &Host,
    profile: Profile,
) -> Result<Daemon> {
    let credentials = credentials(control_plane, admin, SPEAKER, Some(&node.name)).await?;
    let server = format!("https://{API_ADDRESS}:{API_PORT}");
    let kubeconfig = control_plane.write(
        &format!("{SPEAKER}-{}.kubeconfig", node.name),
        &control_plane.kubeconfig(&server, &credentials),
    )?;
    let socket = kubeconfig.with_file_name(format!("speaker-{}.sock", node.name));
    let args = vec![
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--node-name={}", node.name),
        "--health-address=127.0.0.1:7473".to_owned(),
        "--metrics-address=127.0.0.1:7472".to_owned(),
        format!("--socket={}", socket.display()),
        // The default profile has to do without what the standard install does not grant.
        match profile {
            Profile::Default => "--real-time=never".to_owned(),
            Profile::Fast => "--real-time=prefer".to_owned(),
        },
        // Speakers reach each other on both networks.
        format!(
            "--node-addresses={},{}",
            node.management_ipv4(),
            node.ipv4()
        ),
        // The management network is no place for addresses.
        "--exclude-interfaces=^mgmt".to_owned(),
    ];
    let path = executable(binaries, "bellwether-speaker")?;
    let mut program = Program::new(&format!("speaker-{}", node.name), &path, args).on(&node.name);
    program
        .env
        .insert("BELLWETHER_PROFILE".to_owned(), profile.name().to_owned());
    Ok(Daemon {
        program,
        health: "127.0.0.1:7473".to_owned(),
    })
}

fn executable(binaries: &Path, name: &str) -> Result<PathBuf> {
    let path = binaries.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Missing {
        program: path.display().to_string(),
        remedy: "build it with: make build; or name its folder in BELLWETHER_BIN; or leave the \
                 product out with --bare"
            .to_owned(),
    })
}

/// A token of the ServiceAccount, so that a daemon has exactly the rights that the manifests give it.
/// A token for a node names it, as that of a pod on the node does.
async fn credentials(
    control_plane: &ControlPlane,
    admin: &Path,
    account: &str,
    node: Option<&str>,
) -> Result<Credentials> {
    let kubectl = control_plane.executable("kubectl")?.display().to_string();
    let config = format!("--kubeconfig={}", admin.display());
    let args = token_args(account, node);
    let args: Vec<&str> = std::iter::once(config.as_str())
        .chain(args.iter().map(String::as_str))
        .collect();
    let token = run(&kubectl, &args).await?;
    Ok(Credentials::Token(token.trim().to_owned()))
}

/// What kubectl is told to get a token of one of the product's `ServiceAccount`s; bound to `node`, if
/// given.
#[must_use]
pub fn token_args(account: &str, node: Option<&str>) -> Vec<String> {
    let mut args = vec![
        format!("--namespace={NAMESPACE}"),
        "create".to_owned(),
        "token".to_owned(),
        account.to_owned(),
        "--duration=24h".to_owned(),
    ];
    if let Some(node) = node {
        args.push("--bound-object-kind=Node".to_owned());
        args.push(format!("--bound-object-name={node}"));
    }
    args
}
