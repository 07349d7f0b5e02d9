//! Network namespaces: each is a host of its own, with its own links, addresses and neighbours.
//!
//! A namespace lives as long as the descriptor that names it. So nothing is left behind, whatever
//! happens to the test.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

/// A host.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// A host with nothing but a loopback link.
    pub fn new() -> Self {
        let file = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            File::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
        });
        let host = Self(Arc::new(file.join().expect("no panic")));
        host.set("net/ipv6/conf/default/accept_dad", "0");
        host.set("net/ipv6/conf/default/accept_ra", "0");
        host.ip("link set lo up");
        host
    }

    /// Does something on this host.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("to enter the namespace");
                action()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs `ip` on this host and returns what it prints.
    pub fn ip(&self, arguments: &str) -> String {
        self.command("ip", arguments)
    }

    /// Runs a program of iproute2 on this host and returns what it prints.
    pub fn command(&self, program: &str, arguments: &str) -> String {
        let output = self.run(|| {
            Command::new(program)
                .args(arguments.split_whitespace())
                .stdin(Stdio::null())
                .output()
                .expect("iproute2")
        });
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Sets a sysctl of this host.
    pub fn set(&self, name: &str, value: &str) {
        self.run(|| std::fs::write(format!("/proc/sys/{name}"), value))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Joins this host and another by a cable: `link` here, `other_link` there. Both ends are up.
    pub fn connect(&self, link: &str, other: &Self, other_link: &str) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!(
            "link add {link} type veth peer name {other_link} netns {path}"
        ));
        self.ip(&format!("link set {link} up"));
        other.ip(&format!("link set {other_link} up"));
    }

    /// The MAC address that this host has for `address`, if any.
    pub fn neighbour(&self, address: &str) -> Option<String> {
        let text = self.ip(&format!("-j neigh show {address}"));
        let entries: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        Some(entries.get(0)?.get("lladdr")?.as_str()?.to_owned())
    }
}

/// Runs a test with the right to make namespaces: as it is if it has it, and else once more, as
/// root of a user namespace.
pub fn with_privileges(test: impl FnOnce()) {
    if nix::unistd::geteuid().is_root() {
        test();
        return;
    }
    let name = std::thread::current().name().expect("a test").to_owned();
    let status = Command::new("unshare")
        .args(["-rn", "--"])
        .arg(std::env::current_exe().expect("a path"))
        .args(["--exact", &name, "--nocapture"])
        .status()
        .expect("unshare of util-linux");
    assert!(status.success(), "{name} as root of a user namespace");
}
