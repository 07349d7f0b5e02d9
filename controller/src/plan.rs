//! `bellwether-controller plan`: what would change if these pools and advertisements were applied.

use std::fmt::{Debug, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_core::name::ServiceName;
use bellwether_crds::{IPAddressPool, L2Advertisement};
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use bellwether_daemon::client::{ClientError, ClientOptions, connect_at_once};
use bellwether_daemon::watch::Event;
use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::files::{FileError, Wish, read_all};
use crate::explain::Format;
use crate::facts::{AdvertisementFacts, PoolFacts, Version};
use crate::live::{self, Unreadable};
use crate::options::ClassOptions;
use crate::page::{indent, paragraph, table};
use crate::state::Input;
use crate::state::plan::{Findings, Holding, Holdings};

mod files;

/// How often a dry run is tried again because its object was changed meanwhile: the controller writes
/// the status of pools once a second at most.
const TRIES: usize = 5;

/// What is to be tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the cluster, lets the API server check the objects (a dry run), and changes nothing.

Exit codes: 0 nothing would change, 2 a Service would, or a pool or advertisement would have
something wrong that is not wrong now, 1 it cannot be told, or the command is wrong.

Example:
  bellwether-controller plan --filename pools.yaml")]
pub struct PlanOptions {
    /// A file of IPAddressPools and L2Advertisements, a folder of such, or - for standard input
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
    /// There is nothing to make a plan for.
    #[error(transparent)]
    File(#[from] FileError),
    /// The API server refuses an object.
    #[error("{path}: {kind} {name} would be refused: {said}")]
    Refused {
        /// Where it stands.
        path: PathBuf,
        /// Which kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        said: String,
    },
    /// The cluster cannot be read.
    #[error(transparent)]
    Cluster(#[from] Unreadable),
    /// The question to the API server cannot be put.
    #[error("the API server cannot be asked: {0}")]
    Request(String),
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
    let client = connect_at_once(&options.client).await?;
    let mut state = live::state(&client, options.class.settings()).await?;
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

/// What the API server would make of an object. A dry run gives it no version that could be compared
/// with that of what is there; without one it counts as later.
async fn try_apply(client: &Client, wish: &Wish) -> Result<Input, PlanError> {
    if wish.is_pool {
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
    let refused = |error: CallError| PlanError::Refused {
        path: wish.path.clone(),
        kind: wish.kind(),
        name: wish.name.clone(),
        said: said(&error),
    };
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut tries = 1;
    loop {
        let known = with_timeout(TIMEOUT, api.get_opt(&wish.name)).await;
        let request = request::<K>(wish, known.map_err(refused)?)?;
        match with_timeout(TIMEOUT, client.request(request)).await {
            Err(CallError::Conflict(_)) if tries < TRIES => tries += 1,
            made => return made.map_err(refused),
        }
    }
}

/// A dry run that refuses fields that there are not, as `kubectl apply` does.
fn request<K>(
    wish: &Wish,
    known: Option<DynamicObject>,
) -> Result<http::Request<Vec<u8>>, PlanError>
where
    K: Resource<DynamicType = ()>,
{
    let params = PostParams {
        dry_run: true,
        field_manager: Some("bellwether-plan".to_owned()),
    };
    let collection = Request::new(K::url_path(&(), None));
    let mut wanted: DynamicObject = serde_json::from_value(wish.object.clone())?;
    let made = if let Some(mut known) = known {
        known.data["spec"] = wanted.data["spec"].take();
        known.labels_mut().append(wanted.labels_mut());
        collection.replace(&wish.name, &params, serde_json::to_vec(&known)?)
    } else {
        // Of an object that comes from a cluster, what the cluster wrote into it is left out.
        wanted.metadata = ObjectMeta {
            name: wanted.metadata.name.take(),
            labels: wanted.metadata.labels.take(),
            annotations: wanted.metadata.annotations.take(),
            ..ObjectMeta::default()
        };
        if let Some(fields) = wanted.data.as_object_mut() {
            fields.remove("status");
        }
        collection.create(&params, serde_json::to_vec(&wanted)?)
    };
    let mut made = made.map_err(|error| PlanError::Request(error.to_string()))?;
    let strict = format!("{}&fieldValidation=Strict", made.uri());
    *made.uri_mut() = strict
        .parse()
        .map_err(|_| PlanError::Request(format!("{strict} is no path")))?;
    Ok(made)
}

/// What the API server said, without what is said already: the name, and that it is refused.
fn said(error: &CallError) -> String {
    let CallError::Invalid(text) = error else {
        return error.to_string();
    };
    let text = [" is invalid: ", "strict decoding error: "]
        .iter()
        .find_map(|before| Some(text.split_once(before)?.1))
        .unwrap_or(text);
    // That rules were skipped because a field is missing says nothing of the object.
    let (errors, is_cut) = match text.split_once(", <nil>: Invalid value: null: some validation") {
        Some((errors, _)) => (errors, true),
        None => (text, false),
    };
    let errors = errors
        .strip_prefix('[')
        .filter(|_| is_cut)
        .unwrap_or(errors);
    errors.to_owned()
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

/// The answer in one sentence, and a paragraph for each object of which something would change.
fn render(answer: &Answer) -> String {
    let mut text = String::new();
    let (services, changed) = (answer.total, answer.services.len());
    let unchanged = services.saturating_sub(changed);
    let wrong = match answer.warnings.len() {
        0 => String::new(),
        1 => "; something would be wrong with one object".to_owned(),
        count => format!("; something would be wrong with {count} objects"),
    };
    let sentence =
        format!("{changed} of {services} Services would change, {unchanged} would not{wrong}.");
    paragraph(&mut text, 0, &sentence);
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
            let line = match (node, after.addresses.get(address)) {
                (_, None) => format!("loses {address}"),
                (Some(old), Some(Some(new))) if new != old => {
                    format!("keeps {address}, which moves from {old} to {new}")
                }
                (None, Some(Some(new))) => {
                    format!("keeps {address}, which {new} would announce")
                }
                (_, Some(None)) => format!("keeps {address}, {}", silent(after, *address)),
                _ => format!("keeps {address}"),
            };
            paragraph(&mut text, 2, &line);
        }
        for (address, node) in &after.addresses {
            if !before.addresses.contains_key(address) {
                let who = match node {
                    Some(node) => format!("which {node} would announce"),
                    None => silent(after, *address),
                };
                paragraph(&mut text, 2, &format!("gains {address}, {who}"));
            }
        }
        if after.problem != before.problem {
            let problem = after.problem.as_deref();
            paragraph(&mut text, 2, problem.unwrap_or("nothing is wrong any more"));
        }
    }
    text
}

/// That no node would announce an address, and why.
fn silent(holding: &Holding, address: IpAddr) -> String {
    let why = holding.unannounced.get(&address);
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("which no node would announce{why}")
}

#[cfg(test)]
mod tests;
