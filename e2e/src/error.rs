//! What can go wrong in the lab, said so that a person knows what to do.

use std::time::Duration;

/// The result of everything in the lab.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("{command} failed ({status}): {stderr}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// The API server refused something.
    #[error("{what}: {}", said(source))]
    Api {
        /// What was tried.
        what: String,
        /// What the server said.
        source: Box<kube::Error>,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {limit:?}; last seen: {seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What was seen instead.
        seen: String,
    },
    /// A program that the lab needs is not there.
    #[error("{program} is missing; {remedy}")]
    Missing {
        /// The program.
        program: String,
        /// How to get it.
        remedy: String,
    },
    /// The kernel does not allow namespaces to this user.
    #[error(
        "network namespaces are not allowed to this user ({0}); run as root, or allow \
         unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
         kernel.apparmor_restrict_unprivileged_userns=0)"
    )]
    NoNamespaces(String),
    /// There is no lab of this name.
    #[error("there is no lab named {0:?}; bring it up with: bellwether-lab up --name {0}")]
    NotUp(String),
    /// There is one already.
    #[error("the lab {0:?} is up already; take it down with: bellwether-lab down --name {0}")]
    AlreadyUp(String),
    /// The lab ended before it was ready.
    #[error("the lab ended before it was ready; its logs ended with:\n{0}")]
    Died(String),
    /// The supervisor answered with an error.
    #[error("{0}")]
    Refused(String),
    /// Something that was read makes no sense.
    #[error("{0}")]
    Unexpected(String),
}

/// What the API server said, without the structure around it.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Adds what was tried to an error of the operating system.
pub trait Context<T> {
    /// `what` is what was tried, such as `cannot read /etc/hosts`.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io {
            what: what(),
            source,
        })
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(std::io::Error::from).context(what)
    }
}

impl<T> Context<T> for kube::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Api {
            what: what(),
            source: Box::new(source),
        })
    }
}
