//! `bellwether-controller explain`: why a Service has its address, and who announces it.

use std::fmt::Write;

use bellwether_core::name::ServiceName;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use bellwether_daemon::client::{ClientError, ClientOptions, connect};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use tokio_util::sync::CancellationToken;

use crate::facts::ServiceFacts;
use crate::live;
use crate::options::ClassOptions;
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
    #[command(after_help = "Reads the cluster, and changes nothing.\n\nExample:\n  \
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
    /// The Service cannot be read.
    #[error("Service {service} cannot be read: {error}")]
    Service {
        /// Which.
        service: ServiceName,
        /// What the API server said.
        error: CallError,
    },
    /// Something else cannot be read.
    #[error(
        "the cluster cannot be read: {0}; this command needs the permissions of the controller"
    )]
    Cluster(CallError),
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
    let client = connect(&options.client, &CancellationToken::new()).await?;
    let name = &options.service;
    let api: Api<Service> = Api::namespaced(client.clone(), &name.namespace);
    let service = with_timeout(TIMEOUT, api.get(&name.name)).await;
    let facts = ServiceFacts::from(service.map_err(|error| ExplainError::Service {
        service: name.clone(),
        error,
    })?);
    let settings = options.class.settings();
    if let Some(why) = not_ours(&facts, &settings) {
        let service = name.clone();
        return Err(ExplainError::NotOurs { service, why });
    }
    let state = live::state(&client, settings).await;
    let state = state.map_err(ExplainError::Cluster)?;
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
fn not_ours(facts: &ServiceFacts, settings: &Settings) -> Option<String> {
    if !facts.is_load_balancer {
        return Some("it is not of type LoadBalancer, or is being deleted".to_owned());
    }
    let named = |class: Option<&str>| {
        class.map_or_else(
            || "no class".to_owned(),
            |class| format!("the class {class}"),
        )
    };
    (!settings.serves(facts.class.as_deref())).then(|| {
        format!(
            "it has {} (spec.loadBalancerClass), and the controller serves {}; see \
             --load-balancer-class",
            named(facts.class.as_deref()),
            named(settings.class.as_deref())
        )
    })
}

/// The answer, then how it came about.
fn render(explained: &Explained) -> String {
    let mut text = format!("{}\n", explained.answer);
    if !explained.pools.is_empty() {
        text.push_str("\nPools, in the order in which they are looked at:\n");
        let mut pools = table();
        for considered in &explained.pools {
            pools.add_row([considered.pool.to_string(), considered.verdict.to_string()]);
        }
        indent(&mut text, &pools);
    }
    for address in &explained.addresses {
        let _never_fails = writeln!(text, "\n{}", announcer(address));
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
    }
    text
}

fn announcer(address: &ExplainedAddress) -> String {
    let mut text = address.address.to_string();
    if let (Some(node), Some(reason)) = (&address.node, &address.reason) {
        let _never_fails = write!(text, ": {node} announces it");
        if let Some(since) = &address.since {
            let _never_fails = write!(text, " since {since}");
        }
        let _never_fails = write!(text, "\n({reason}");
        if let Some(term) = address.term {
            let _never_fails = write!(text, ", term {term}");
        }
        if let Some(previous) = &address.previous {
            let _never_fails = write!(text, ", after {previous}");
        }
        text.push(')');
    } else if let Some(obstacle) = &address.obstacle {
        let _never_fails = write!(text, ": {obstacle}");
    }
    if !address.advertisements.is_empty() {
        let names = address.advertisements.join(", ");
        let _never_fails = write!(text, ".\nL2Advertisement {names}; candidates, best first:");
    }
    text
}

/// A table without lines that fits the width.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_width(98);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table
}

/// Adds a table to `text`, a little to the right.
pub(crate) fn indent(text: &mut String, table: &Table) {
    for line in table.trim_fmt().lines() {
        let _never_fails = writeln!(text, " {}", line.trim_end());
    }
}

#[cfg(test)]
mod tests;
