//! What the `ServiceAccounts` of the product may do is what `docs/security.md` says, and a speaker's
//! token is good for its own node only.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::collections::BTreeSet;
use std::path::Path;

use bellwether_crds::announcement::{Announcement, name_of};
use bellwether_crds::{NAMESPACE, Speaker};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::control_plane;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::product::{CONTROLLER, SPEAKER, token_args};
use bellwether_e2e::{Lab, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// One thing that may be done: group, resource, name of the object or `*`, verb.
type Right = (String, String, String, String);

/// What stands for the group of a path that is no object, such as `/metrics`.
const PATHS: &str = "paths";

/// The rights in the table below `heading`: those in the whole cluster, and those in the product's
/// namespace besides.
fn documented(heading: &str) -> Result<[BTreeSet<Right>; 2]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
    let text =
        std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let rows = text
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with('|'))
        .skip(2);
    let mut rights = [BTreeSet::new(), BTreeSet::new()];
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [scope, group, resources, names, verbs] = cells[..] else {
            return Err(Error::Unexpected(format!("a row with other cells: {row}")));
        };
        let group = if group == "core" { "" } else { group };
        let names = if names == "all" { "*" } else { names };
        let into = match scope {
            "cluster" => &mut rights[0],
            NAMESPACE => &mut rights[1],
            other => return Err(Error::Unexpected(format!("there is no scope {other}"))),
        };
        into.extend(rights_of(group, resources, names, verbs));
    }
    Ok(rights)
}

fn rights_of<'a>(
    group: &'a str,
    resources: &'a str,
    names: &'a str,
    verbs: &'a str,
) -> impl Iterator<Item = Right> + 'a {
    let list = |text: &'a str| text.split(',').map(|word| word.trim().to_owned());
    list(resources).flat_map(move |resource| {
        list(names).flat_map({
            move |name| {
                let resource = resource.clone();
                list(verbs)
                    .map(move |verb| (group.to_owned(), resource.clone(), name.clone(), verb))
            }
        })
    })
}

/// What the API server says that a ServiceAccount of the product's namespace may do in `namespace`.
async fn granted(lab: &Lab, account: &str, namespace: &str) -> Result<BTreeSet<Right>> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let who = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
    let create = [
        "create",
        "--validate=false",
        "--filename=-",
        "--output=json",
        &who,
    ];
    let answer = lab.kubectl(&create, &review.to_string()).await?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|error| Error::Unexpected(error.to_string()))?;
    let status = &answer["status"];
    assert_eq!(status["incomplete"], json!(false), "{status}");
    let words = |rule: &Value, field: &str| -> String {
        let words: Vec<&str> = rule[field]
            .as_array()
            .map(|words| words.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        words.join(",")
    };
    let mut rights = BTreeSet::new();
    for rule in status["resourceRules"].as_array().into_iter().flatten() {
        let names = match words(rule, "resourceNames") {
            names if names.is_empty() => "*".to_owned(),
            names => names,
        };
        for group in words(rule, "apiGroups").split(',') {
            let (resources, verbs) = (words(rule, "resources"), words(rule, "verbs"));
            rights.extend(rights_of(group, &resources, &names, &verbs));
        }
    }
    for rule in status["nonResourceRules"].as_array().into_iter().flatten() {
        let (paths, verbs) = (words(rule, "nonResourceURLs"), words(rule, "verbs"));
        rights.extend(rights_of(PATHS, &paths, "*", &verbs));
    }
    Ok(rights)
}

#[tokio::test]
async fn weakness_4_27_the_daemons_may_do_what_the_documentation_says_and_nothing_else()
-> Result<()> {
    let lab = Lab::for_test(LAB, |options| options.nodes = 1).await?;
    for (account, heading) in [
        (CONTROLLER, "### What the controller may do"),
        (SPEAKER, "### What a speaker may do"),
    ] {
        let [cluster, own] = documented(heading)?;
        assert!(!cluster.is_empty() && !own.is_empty(), "{heading}");
        let all: BTreeSet<Right> = cluster.union(&own).cloned().collect();
        for (namespace, expected) in [
            ("default", &cluster),
            ("kube-system", &cluster),
            (NAMESPACE, &all),
        ] {
            // Whatever any ServiceAccount may do is not ours.
            let anybody = granted(&lab, "default", namespace).await?;
            let reads_a_path = anybody.iter().any(|(group, ..)| group == PATHS);
            assert!(reads_a_path, "paths are compared too: {anybody:?}");
            let granted = granted(&lab, account, namespace).await?;
            let ours: BTreeSet<Right> = granted.difference(&anybody).cloned().collect();
            assert_eq!(&ours, expected, "{account} in {namespace}");
        }
    }
    Ok(())
}

/// A client with a token of the speakers; bound to `node`, if given.
async fn speaker_of(lab: &Lab, node: Option<&str>) -> Result<Client> {
    let args = token_args(SPEAKER, node);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let token = lab.kubectl(&args, "").await?;
    let path = lab.folder().kubeconfig();
    let failed = || format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(&path).context(failed)?;
    let mut config: Value =
        serde_json::from_str(&text).map_err(|error| Error::Unexpected(error.to_string()))?;
    config["users"][0]["user"] = json!({ "token": token.trim() });
    control_plane::client(&config.to_string()).await
}

/// Writes a status, without effect; the answer is the API server's sentence if it refuses.
async fn write<K>(client: &Client, name: &str, status: Value) -> std::result::Result<(), String>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let api: Api<K> = Api::all(client.clone());
    let patch = Patch::Merge(json!({ "status": status }));
    match api.patch_status(name, &params, &patch).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 403, "{status:?}");
            Err(status.message)
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_refused(answer: std::result::Result<(), String>, sentence: &str) {
    let message = answer.expect_err(sentence);
    assert!(message.contains(sentence), "{message}");
}

#[tokio::test]
async fn a_token_stolen_from_one_node_is_of_no_use_against_another() -> Result<()> {
    let lab = Lab::for_test(LAB, |options| options.nodes = 2).await?;
    let of_a = speaker_of(&lab, Some("node-a")).await?;
    let of_nobody = speaker_of(&lab, None).await?;
    let stolen = json!({"version": "stolen"});
    assert_eq!(
        write::<Speaker>(&of_a, "node-a", stolen.clone()).await,
        Ok(())
    );
    assert_refused(
        write::<Speaker>(&of_a, "node-b", stolen.clone()).await,
        "the speaker of node node-a must not write the Speaker node-b",
    );
    assert_refused(
        write::<Speaker>(&of_nobody, "node-a", stolen).await,
        "the speaker's token names no node: Kubernetes 1.32 or later puts it there",
    );

    lab.apply(LAN_POOL).await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let owner = lab.wait_announcer(address, None, MOMENT).await?;
    let other = if owner == "node-a" {
        "node-b"
    } else {
        "node-a"
    };
    let name = name_of(address);
    let owner_says = speaker_of(&lab, Some(&owner)).await?;
    let other_says = speaker_of(&lab, Some(other)).await?;
    let nobody = json!({ "node": null });
    let refused = [
        (
            json!({"node": owner}),
            format!("must not say that {owner} announces {name}"),
        ),
        (
            json!({"node": "node-z"}),
            format!("must not say that node-z announces {name}"),
        ),
        (
            nobody.clone(),
            format!("must not say that nobody announces {name}"),
        ),
    ];
    for (status, sentence) in refused {
        assert_refused(
            write::<Announcement>(&other_says, &name, status).await,
            &sentence,
        );
    }
    let takes_over = json!({"node": other});
    for (who, status) in [(&other_says, takes_over), (&owner_says, nobody.clone())] {
        assert_eq!(write::<Announcement>(who, &name, status).await, Ok(()));
    }
    assert_refused(
        write::<Announcement>(&of_nobody, &name, nobody).await,
        "names no node",
    );
    Ok(())
}
