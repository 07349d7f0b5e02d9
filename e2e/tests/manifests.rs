//! What users apply: base, overlays, `install.yaml` and chart are taken by a real API server, and hold
//! the same objects.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::process::stdout_of;
use bellwether_e2e::{Lab, Result, binaries};
use serde_json::Value;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// Objects by kind, namespace and name.
type Objects = BTreeMap<String, Value>;

/// The kinds of the Prometheus Operator, which takes any fields here: its own schema is another
/// project's.
const PROMETHEUS_OPERATOR: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, listKind: ServiceMonitorList, plural: servicemonitors, singular: servicemonitor}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: PrometheusRule, listKind: PrometheusRuleList, plural: prometheusrules, singular: prometheusrule}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> Result<String> {
    let path = root().join(name);
    std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
}

fn run(program: &Path, args: &[&str]) -> Result<String> {
    let name = program.display().to_string();
    let output = Command::new(program)
        .current_dir(root())
        .args(args)
        .output();
    stdout_of(
        &format!("{name} {}", args.join(" ")),
        &output.context(|| format!("cannot run {name}"))?,
    )
}

fn kustomize(folder: &str) -> Result<String> {
    let programs = binaries::find_or_build()?;
    let kubectl = programs.get("kubectl");
    let kubectl = kubectl.ok_or_else(|| Error::Unexpected("there is no kubectl".to_owned()))?;
    run(kubectl, &["kustomize", folder])
}

/// The chart with these values, such as `speaker.profile=fast`.
fn chart(values: &[&str]) -> Result<String> {
    let mut args = vec![
        "template",
        "bellwether",
        "charts/bellwether",
        "--namespace=bellwether-system",
    ];
    args.extend(values);
    run(&binaries::helm()?, &args)
}

/// All overlays, by the path of their folder.
fn overlays() -> Result<Vec<String>> {
    let folder = root().join("manifests/overlays");
    let failed = || format!("cannot read {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context(failed)? {
        let name = entry.context(failed)?.file_name();
        names.push(format!("manifests/overlays/{}", name.to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

fn objects(yaml: &str) -> Objects {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    let all = all.into_iter().filter(Value::is_object);
    let key = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        format!("{} {namespace}/{name}", text(&object["kind"]))
    };
    all.map(|mut object| {
        normalise(&mut object);
        (key(&object), object)
    })
    .collect()
}

/// 1.0 is 1, whoever writes it.
fn normalise(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            if let Some(Ok(whole)) = text.strip_suffix(".0").map(str::parse::<i64>) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => fields.values_mut().for_each(normalise),
        _ => {}
    }
}

fn assert_same(one: &Objects, other: &Objects) {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for (name, object) in one {
        assert_eq!(Some(object), other.get(name), "{name}");
    }
}

#[test]
fn the_one_file_holds_what_kustomize_makes_of_the_base() -> Result<()> {
    let base = objects(&kustomize("manifests/base")?);
    assert!(base.len() > 20);
    assert_same(&objects(&read("manifests/install.yaml")?), &base);
    Ok(())
}

#[test]
fn the_chart_renders_to_the_base() -> Result<()> {
    let mut base = objects(&kustomize("manifests/base")?);
    // Helm makes it itself.
    base.remove("Namespace /bellwether-system");
    let mut rendered = objects(&chart(&[])?);
    for (name, object) in &mut rendered {
        if name.starts_with("CustomResourceDefinition ") {
            let metadata = object["metadata"].as_object_mut().expect("metadata");
            // Said to Helm alone: do not delete what users wrote.
            let said = metadata.remove("annotations");
            assert_eq!(
                said,
                Some(serde_json::json!({"helm.sh/resource-policy": "keep"}))
            );
        }
    }
    assert_same(&rendered, &base);
    Ok(())
}

/// Each is refused by the schema of the values.
#[test]
fn values_that_make_no_sense_are_refused() {
    for wrong in [
        "speaker.profile=slow",
        "speaker.profil=fast",
        "controller.replicas=0",
        "controller.replicas=many",
        "image.pullPolicy=Sometimes",
        "metrics.serviceMonitor.interval=often",
        "speaker.metricsAddress=everywhere",
    ] {
        let refused = chart(&["--set", wrong]).expect_err(wrong).to_string();
        assert!(
            refused.contains("don't meet the specifications"),
            "{wrong}: {refused}"
        );
    }
}

#[test]
fn the_policies_are_left_out_where_tokens_name_no_node() -> Result<()> {
    let old = objects(&chart(&["--kube-version=1.31.4"])?);
    let new = objects(&chart(&["--kube-version=1.32.0"])?);
    let policies = |all: &Objects| all.keys().filter(|name| name.contains("Admission")).count();
    assert_eq!((policies(&old), policies(&new)), (0, 4));
    Ok(())
}

#[test]
fn weakness_4_49_no_pod_may_do_more_than_it_has_to() -> Result<()> {
    let mut seen = BTreeSet::new();
    for folder in overlays()? {
        for (name, object) in objects(&kustomize(&folder)?) {
            let pod = &object["spec"]["template"]["spec"];
            let Some(container) = pod["containers"].get(0) else {
                continue;
            };
            let security = &container["securityContext"];
            let capabilities = &security["capabilities"];
            let realtime = folder.ends_with("/realtime");
            let added = match (name.starts_with("DaemonSet "), realtime) {
                (true, true) => serde_json::json!(["NET_RAW", "SYS_NICE", "IPC_LOCK"]),
                (true, false) => serde_json::json!(["NET_RAW"]),
                (false, _) => Value::Null,
            };
            assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]), "{name}");
            assert_eq!(capabilities["add"], added, "{folder}: {name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            let context = &pod["securityContext"];
            assert_eq!(
                context["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            let is_speaker = name.starts_with("DaemonSet ");
            let as_root = context["runAsUser"] == 0;
            assert_eq!(as_root, is_speaker && realtime, "{folder}: {name}");
            assert_eq!(
                container["resources"]["limits"]["cpu"],
                Value::Null,
                "{name}"
            );
            assert!(!pod.to_string().contains("hostPath"), "{name}");
            seen.insert(name);
        }
    }
    assert_eq!(seen.len(), 2, "controller and speaker");
    Ok(())
}

/// The names of metrics in the expressions of the rules.
fn names_in_rules() -> Result<BTreeSet<String>> {
    let rule = objects(&read("manifests/overlays/prometheus/prometheus-rule.yaml")?);
    let rule = rule.into_values().next().expect("a rule");
    let groups = rule["spec"]["groups"].as_array().expect("groups");
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let expressions = rules.filter_map(|rule| rule["expr"].as_str());
    let words = expressions.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    Ok(words
        .filter(|word| word.starts_with("bellwether_"))
        .map(ToOwned::to_owned)
        .collect())
}

/// The names of the samples that a daemon may have, with the suffix of counters.
fn names_in_metrics(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("# TYPE ")?.split_whitespace();
        let (name, kind) = (words.next()?, words.next()?);
        Some(match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        })
    })
}

#[tokio::test]
async fn a_real_api_server_takes_all_of_it() -> Result<()> {
    let lab = Lab::for_test(LAB, |options| options.nodes = 2).await?;
    lab.apply(PROMETHEUS_OPERATOR).await?;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=20s",
    ];
    lab.kubectl(&established, "").await?;
    let mut all = vec![
        (
            "manifests/install.yaml".to_owned(),
            read("manifests/install.yaml")?,
        ),
        ("manifests/base".to_owned(), kustomize("manifests/base")?),
    ];
    for folder in overlays()? {
        all.push((folder.clone(), kustomize(&folder)?));
    }
    all.push(("the chart".to_owned(), chart(&[])?));
    let everything = [
        "--set=metrics.serviceMonitor.create=true,metrics.prometheusRule.create=true",
        "--set=speaker.realtime=true,speaker.profile=fast,speaker.excludeInterfaces={^mgmt}",
        "--set=speaker.metricsAddress=[::]:9000,speaker.env[0].name=A,speaker.env[0].value=b",
        "--set=controller.loadBalancerClass=a.b/c,controller.cordonedMayAnnounce=true",
        "--set=logLevel=debug,logFormat=json,image.pullSecrets[0].name=a,crds.keep=false",
    ];
    all.push(("the chart with everything".to_owned(), chart(&everything)?));
    for (what, yaml) in all {
        let dry = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
        ];
        let said = lab.kubectl(&dry, &yaml).await;
        let said = said.map_err(|error| Error::Unexpected(format!("{what}: {error}")))?;
        assert_eq!(said.lines().count(), objects(&yaml).len(), "{what}: {said}");
    }

    // What has labels shows up once there is something to count.
    lab.apply(LAN_POOL).await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let _node = lab.wait_announcer(address, None, MOMENT).await?;
    let mut offered = BTreeSet::new();
    for (host, address) in [
        // Either replica may lead.
        ("control-plane", "127.0.0.1:7470"),
        ("control-plane", "127.0.0.1:7480"),
        ("node-a", "127.0.0.1:7472"),
        ("node-b", "127.0.0.1:7472"),
    ] {
        let metrics = lab.exec(host, &[LAB, "fetch", address, "/metrics"]).await?;
        offered.extend(names_in_metrics(&metrics));
    }
    let asked = names_in_rules()?;
    assert!(asked.len() > 8, "{asked:?}");
    let missing: Vec<_> = asked.difference(&offered).collect();
    assert!(
        missing.is_empty(),
        "no daemon has {missing:?}; there are {offered:?}"
    );
    Ok(())
}
