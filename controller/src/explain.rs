//! `bellwether-controller explain`: why a Service has its address, and who announces it.

use std::fmt::Write;

use bellwether_core::name::ServiceName;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use bellwether_daemon::client::{ClientError, ClientOptions, connect_at_once};
use clap::{Args, Subcommand, ValueEnum};
use k8s_openapi::api::core::v1::Service;
use kube::Api;

use crate::live::{self, Unreadable};
use crate::options::ClassOptions;
use crate::page::{indent, paragraph, table};
use crate::state::Settings;
use crate::state::explain::{Explained, ExplainedAddress};

/// What is to be explained.
#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// What.
    #[command(subcommand)]
    pub what: What,
}

/// What can be explained.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Why a Service has the address that it has, or none, and why that node announces it
    #[command(after_help = "\
Reads the cluster, and changes nothing.

Exit codes: 0 there is an answer, also if it is that the Service has no address; 1 there is none,
because there is no such Service, or it is none of the controller's, or the cluster cannot be read.

Example:
  bellwether-controller explain service default/web")]
    Service(ExplainServiceOptions),
}

/// Which Service.
#[derive(Debug, Args)]
pub struct ExplainServiceOptions {
    /// The Service
    #[arg(value_name = "NAMESPACE/NAME", value_parser = parse_service)]
    pub service: ServiceName,

    /// Which Services.
    #[command(flatten)]
    pub class: ClassOptions,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,

    /// Which API server.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For scripts
    Json,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no such Service.
    #[error(
        "Service {service} does not exist; kubectl get services --namespace {} lists those that do",
        .service.namespace
    )]
    Missing {
        /// Which.
        service: ServiceName,
    },
    /// The Service cannot be read.
    #[error("Service {service} cannot be read: {error}")]
    Service {
        /// Which.
        service: ServiceName,
        /// What the API server said.
        error: CallError,
    },
    /// Something else cannot be read.
    #[error(transparent)]
    Cluster(#[from] Unreadable),
    /// The Service is not one that gets an address.
    #[error("Service {service} gets no address here: {why}")]
    NotOurs {
        /// Which.
        service: ServiceName,
        /// Why.
        why: String,
    },
    /// The answer cannot be printed.
    #[error("the answer cannot be printed: {0}")]
    Json(#[from] serde_json::Error),
}

fn parse_service(text: &str) -> Result<ServiceName, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
            Ok(ServiceName::new(namespace, name))
        }
        _ => {
            Err("write the namespace and the name with a slash between, as default/web".to_owned())
        }
    }
}

/// Answers.
///
/// # Errors
///
/// If the cluster cannot be read, or the Service is none that gets an address.
pub async fn run(options: ExplainOptions) -> Result<(), ExplainError> {
    let What::Service(options) = options.what;
    let client = connect_at_once(&options.client).await?;
    let name = &options.service;
    let api: Api<Service> = Api::namespaced(client.clone(), &name.namespace);
    let service = with_timeout(TIMEOUT, api.get(&name.name)).await;
    let service = service.map_err(|error| match error {
        CallError::NotFound(_) => ExplainError::Missing {
            service: name.clone(),
        },
        error => ExplainError::Service {
            service: name.clone(),
            error,
        },
    })?;
    let settings = options.class.settings();
    if let Some(why) = not_ours(&service, &settings) {
        let service = name.clone();
        return Err(ExplainError::NotOurs { service, why });
    }
    let state = live::state(&client, settings).await?;
    let Some(explained) = state.explain(name) else {
        let why = "it was deleted a moment ago".to_owned();
        let service = name.clone();
        return Err(ExplainError::NotOurs { service, why });
    };
    match options.output {
        Format::Table => print!("{}", render(&explained)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&explained)?),
    }
    Ok(())
}

/// Why a Service is none that gets an address here.
fn not_ours(service: &Service, settings: &Settings) -> Option<String> {
    if service.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted".to_owned());
    }
    let spec = service.spec.as_ref();
    let kind = spec.and_then(|spec| spec.type_.as_deref());
    if kind != Some("LoadBalancer") {
        let kind = kind.unwrap_or("ClusterIP");
        return Some(format!(
            "it is of type {kind}: set spec.type to LoadBalancer"
        ));
    }
    let class = spec.and_then(|spec| spec.load_balancer_class.as_deref());
    if settings.serves(class) {
        return None;
    }
    Some(match (class, &settings.class) {
        (Some(class), None) => format!(
            "its spec.loadBalancerClass is {class}, which another load balancer serves; if the \
             controller does, say --load-balancer-class {class} here too"
        ),
        (Some(class), Some(ours)) => format!(
            "its spec.loadBalancerClass is {class}, and --load-balancer-class says {ours}: one of \
             them has to be the other"
        ),
        (None, _) => "it has no spec.loadBalancerClass, and --load-balancer-class is given: say \
                      --default-class too if the controller serves Services without a class"
            .to_owned(),
    })
}

/// The answer, then how it came about.
fn render(explained: &Explained) -> String {
    let mut text = String::new();
    paragraph(&mut text, 0, &explained.answer);
    if !explained.pools.is_empty() {
        text.push_str("\nPools, in the order in which they are looked at:\n");
        let mut pools = table();
        for considered in &explained.pools {
            pools.add_row([considered.pool.to_string(), considered.verdict.to_string()]);
        }
        indent(&mut text, &pools);
    }
    for address in &explained.addresses {
        text.push('\n');
        announcer(&mut text, address);
        let mut candidates = table();
        for candidate in &address.candidates {
            let node = &candidate.node;
            let announces = address.node.as_ref() == Some(node);
            candidates.add_row([
                node.to_string(),
                format!("score {}", candidate.score),
                if announces { "announces it" } else { "" }.to_owned(),
            ]);
        }
        indent(&mut text, &candidates);
        if !address.passed_over.is_empty() {
            text.push_str("Passed over:\n");
            let mut others = table();
            for other in &address.passed_over {
                others.add_row([other.node.as_str(), &other.why]);
            }
            indent(&mut text, &others);
        }
    }
    text
}

/// Who announces an address, or why nobody does, and the heading of its candidates.
fn announcer(text: &mut String, address: &ExplainedAddress) {
    let mut line = address.address.to_string();
    if let Some(obstacle) = &address.obstacle {
        let _never_fails = write!(line, ": {obstacle}");
    } else if let Some(node) = &address.node {
        let _never_fails = write!(line, ": {node} announces it");
        if let Some(since) = &address.since {
            let _never_fails = write!(line, " since {since}");
        }
        if let Some(reason) = &address.reason {
            let _never_fails = write!(line, " ({reason}");
            if let Some(term) = address.term {
                let _never_fails = write!(line, ", term {term}");
            }
            if let Some(previous) = &address.previous {
                let _never_fails = write!(line, ", after {previous}");
            }
            line.push(')');
        }
    }
    paragraph(text, 0, &format!("{line}."));
    if !address.advertisements.is_empty() {
        let names = address.advertisements.join(", ");
        let candidates = if address.candidates.is_empty() {
            "no candidate."
        } else {
            "candidates, best first:"
        };
        paragraph(text, 0, &format!("L2Advertisement {names}; {candidates}"));
    }
}

#[cfg(test)]
mod tests;
