//! `bellwether-controller plan`: what would change if these pools and advertisements were applied.

use std::fmt::{Debug, Write};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_core::name::{NodeName, ServiceName};
use bellwether_crds::{IPAddressPool, L2Advertisement};
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use bellwether_daemon::client::{ClientError, ClientOptions, connect};
use bellwether_daemon::watch::Event;
use clap::Args;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::explain::{Format, indent, table};
use crate::facts::{AdvertisementFacts, PoolFacts, Version};
use crate::live;
use crate::options::ClassOptions;
use crate::state::Input;
use crate::state::plan::{Findings, Holding, Holdings};

/// What is to be tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the cluster, lets the API server check the objects (a dry run), and changes nothing.

Exit codes: 0 nothing would change, 2 a Service would, or a pool or advertisement would have
something wrong that is not wrong now, 1 it cannot be told.

Example:
  bellwether-controller plan --filename pools.yaml")]
pub struct PlanOptions {
    /// IPAddressPools and L2Advertisements: a file, a folder of .yaml and .json files, or - for
    /// standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    pub filename: Vec<PathBuf>,

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

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no YAML.
    #[error("{path} is no YAML: {error}")]
    Yaml {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// An object is of another kind.
    #[error(
        "{path}: {kind} {name} is not what a plan is made for; leave in IPAddressPools and \
         L2Advertisements of bellwether.dev"
    )]
    Kind {
        /// Where.
        path: PathBuf,
        /// Which kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// There is nothing in the files.
    #[error("there is no IPAddressPool and no L2Advertisement in the files")]
    Nothing,
    /// The API server refuses an object.
    #[error("{kind} {name} would be refused: {error}")]
    Refused {
        /// Which kind.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server said.
        error: CallError,
    },
    /// The cluster cannot be read.
    #[error(
        "the cluster cannot be read: {0}; this command needs the permissions of the controller"
    )]
    Cluster(CallError),
    /// The answer cannot be printed.
    #[error("the answer cannot be printed: {0}")]
    Json(#[from] serde_json::Error),
}

/// What would become of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// What it has now.
    pub before: Holding,
    /// What it would have.
    pub after: Holding,
}

/// All that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Of which Services something would change.
    pub services: Vec<Difference>,
    /// How many Services there are.
    pub total: usize,
    /// What would be wrong with pools and advertisements that is not wrong now.
    pub warnings: Findings,
}

/// Says what would change, and whether anything would.
///
/// # Errors
///
/// If the files or the cluster cannot be read, or the API server would refuse an object.
pub async fn run(options: PlanOptions) -> Result<bool, PlanError> {
    let objects = read_all(&options.filename)?;
    let client = connect(&options.client, &CancellationToken::new()).await?;
    let state = live::state(&client, options.class.settings()).await;
    let mut state = state.map_err(PlanError::Cluster)?;
    let (now, wall) = (Moment::ORIGIN, Timestamp::now());
    let (before, wrong_before) = (state.foresee(now, wall), state.findings(wall));
    // Late enough that nothing is put off because it was just written, as counters are.
    let later = now + Duration::from_secs(2);
    for object in &objects {
        let input = try_apply(&client, object).await?;
        state.handle(input, later);
    }
    state.on_deadline(later);
    let (after, wrong_after) = (state.foresee(later, wall), state.findings(wall));
    let answer = Answer {
        services: compare(&before, &after),
        total: after.len(),
        warnings: new_findings(&wrong_before, wrong_after),
    };
    match options.output {
        Format::Table => print!("{}", render(&answer)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
    }
    Ok(!answer.services.is_empty() || !answer.warnings.is_empty())
}

/// What is wrong afterwards and was not before.
fn new_findings(before: &Findings, mut after: Findings) -> Findings {
    for (object, sentences) in &mut after {
        if let Some(known) = before.get(object) {
            sentences.retain(|sentence| !known.contains(sentence));
        }
    }
    after.retain(|_, sentences| !sentences.is_empty());
    after
}

/// An object of a file.
#[derive(Debug)]
struct Wish {
    kind: String,
    name: String,
    object: Value,
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Wish>, PlanError> {
    let mut wishes = Vec::new();
    for path in paths {
        let failed = |error| PlanError::File {
            path: path.clone(),
            error,
        };
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(failed)?;
            wishes.extend(parse(path, &text)?);
        } else if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(failed)?;
            let mut files = entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            files.retain(|file| {
                let extension = file.extension().and_then(|extension| extension.to_str());
                matches!(extension, Some("yaml" | "yml" | "json"))
            });
            files.sort();
            for file in files {
                let text = std::fs::read_to_string(&file).map_err(failed)?;
                wishes.extend(parse(&file, &text)?);
            }
        } else {
            let text = std::fs::read_to_string(path).map_err(failed)?;
            wishes.extend(parse(path, &text)?);
        }
    }
    if wishes.is_empty() {
        return Err(PlanError::Nothing);
    }
    Ok(wishes)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Wish>, PlanError> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| PlanError::Yaml {
            path: path.to_owned(),
            error: error.to_string(),
        })?;
    let mut wishes = Vec::new();
    for object in documents.into_iter().filter(|object| !object.is_null()) {
        let text = |pointer: &str| {
            let value = object.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let ours = text("/apiVersion").starts_with("bellwether.dev/");
        if !ours || !matches!(kind.as_str(), "IPAddressPool" | "L2Advertisement") {
            let path = path.to_owned();
            return Err(PlanError::Kind { path, kind, name });
        }
        wishes.push(Wish { kind, name, object });
    }
    Ok(wishes)
}

/// What the API server would make of an object. A dry run gives it no version that could be compared
/// with that of what is there; without one it counts as later.
async fn try_apply(client: &Client, wish: &Wish) -> Result<Input, PlanError> {
    if wish.kind == "IPAddressPool" {
        let pool: IPAddressPool = dry_run(client, wish).await?;
        let mut facts = PoolFacts::from(pool);
        facts.version = Version::default();
        Ok(Input::Pool(Event::Applied(facts)))
    } else {
        let advertisement: L2Advertisement = dry_run(client, wish).await?;
        let mut facts = AdvertisementFacts::from(advertisement);
        facts.version = Version::default();
        Ok(Input::Advertisement(Event::Applied(facts)))
    }
}

/// Creates the object, or gives the one that is there the new spec, as a dry run. A server-side
/// apply would not do: it adds to lists that somebody else wrote.
async fn dry_run<K>(client: &Client, wish: &Wish) -> Result<K, PlanError>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    let refused = |error| PlanError::Refused {
        kind: wish.kind.clone(),
        name: wish.name.clone(),
        error,
    };
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let params = PostParams {
        dry_run: true,
        field_manager: Some("bellwether-plan".to_owned()),
    };
    let mut wanted: DynamicObject = serde_json::from_value(wish.object.clone())?;
    let known = with_timeout(TIMEOUT, api.get_opt(&wish.name)).await;
    let made = if let Some(mut known) = known.map_err(refused)? {
        known.data["spec"] = wanted.data["spec"].take();
        known.labels_mut().append(wanted.labels_mut());
        let request = api.replace(&wish.name, &params, &known);
        with_timeout(TIMEOUT, request).await
    } else {
        with_timeout(TIMEOUT, api.create(&params, &wanted)).await
    };
    let made = serde_json::to_value(made.map_err(refused)?)?;
    Ok(serde_json::from_value(made)?)
}

fn compare(before: &Holdings, after: &Holdings) -> Vec<Difference> {
    let nothing = Holding::default();
    let mut names: Vec<&ServiceName> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| Difference {
            service: name.to_string(),
            before: before.get(name).unwrap_or(&nothing).clone(),
            after: after.get(name).unwrap_or(&nothing).clone(),
        })
        .filter(|difference| difference.before != difference.after)
        .collect()
}

/// One paragraph for each object of which something would change.
fn render(answer: &Answer) -> String {
    let mut text = String::new();
    for (object, sentences) in &answer.warnings {
        let _never_fails = writeln!(text, "{object}:");
        let mut warnings = table();
        for sentence in sentences {
            warnings.add_row([sentence]);
        }
        indent(&mut text, &warnings);
    }
    for difference in &answer.services {
        let _never_fails = writeln!(text, "Service {}:", difference.service);
        let (before, after) = (&difference.before, &difference.after);
        for (address, node) in &before.addresses {
            let line = match after.addresses.get(address) {
                None => format!("loses {address}"),
                Some(new) if new != node => {
                    format!(
                        "keeps {address}, moves from {} to {}",
                        named(node.as_ref()),
                        named(new.as_ref())
                    )
                }
                Some(_) => format!("keeps {address}"),
            };
            let _never_fails = writeln!(text, "  {line}");
        }
        for (address, node) in &after.addresses {
            if !before.addresses.contains_key(address) {
                let _never_fails = writeln!(text, "  gains {address}, on {}", named(node.as_ref()));
            }
        }
        if after.problem != before.problem {
            let now = after
                .problem
                .as_deref()
                .unwrap_or("nothing is wrong any more");
            let mut problem = table();
            problem.add_row([now]);
            indent(&mut text, &problem);
        }
    }
    let (services, changed) = (answer.total, answer.services.len());
    let unchanged = services.saturating_sub(changed);
    let _never_fails = writeln!(
        text,
        "{changed} of {services} Services would change, {unchanged} would not."
    );
    text
}

fn named(node: Option<&NodeName>) -> String {
    node.map_or_else(|| "no node".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
