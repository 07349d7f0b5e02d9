//! The commands that ask: `explain` and `plan` of the controller, against a real API server.

use std::path::Path;
use std::process::{Output, Stdio};

use bellwether_crds::condition::SERVICE_ANNOUNCED;
use bellwether_e2e::cluster::{LAN_POOL, WEB, load_balancer};
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::{Lab, Result};
use tokio::io::AsyncWriteExt;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// What `bellwether-controller` with these words comes to.
async fn controller(lab: &Lab, words: &[&str], input: &str) -> Result<Output> {
    let failed = || "cannot run bellwether-controller".to_owned();
    let mut child =
        tokio::process::Command::new(Path::new(LAB).with_file_name("bellwether-controller"))
            .env("KUBECONFIG", lab.folder().kubeconfig())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(failed)?;
    let mut stdin = child
        .stdin
        .take()
        .ok_or_else(|| Error::Unexpected("no standard input".to_owned()))?;
    stdin.write_all(input.as_bytes()).await.context(failed)?;
    drop(stdin);
    child.wait_with_output().await.context(failed)
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn pool(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: bellwether.dev/v1beta1\nkind: IPAddressPool\nmetadata: {{name: {name}}}\nspec:\n  \
         {spec}\n"
    )
}

/// Each Service is explained, or it is said why it cannot be.
async fn assert_explained(lab: &Lab, address: std::net::IpAddr, node: &str) -> Result<()> {
    let said = controller(lab, &["explain", "service", "default/web"], "").await?;
    let out = text(&said.stdout);
    assert!(said.status.success(), "{out}{}", text(&said.stderr));
    let first = format!("Service default/web has {address} of pool lan, which {node} announces.\n");
    assert!(out.starts_with(&first), "{out}");
    assert!(out.contains("candidates, best first:"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    let words = ["explain", "service", "default/waits", "--output=json"];
    let said = controller(lab, &words, "").await?;
    let json: serde_json::Value = serde_json::from_slice(&said.stdout)
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    let answer = json["answer"].as_str().unwrap_or_default();
    assert!(
        answer.contains("has no address: ") && answer.contains("other"),
        "{answer}"
    );
    for (service, part) in [
        ("default/nothing", "Service default/nothing does not exist"),
        (
            "default/kubernetes",
            "it is of type ClusterIP: set spec.type",
        ),
    ] {
        let said = controller(lab, &["explain", "service", service], "").await?;
        assert_eq!(said.status.code(), Some(1), "{service}");
        assert!(text(&said.stderr).contains(part), "{}", text(&said.stderr));
    }
    Ok(())
}

/// The lab's advertisement, narrowed to the lab's pool.
const ADVERTISES_LAN_ONLY: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: L2Advertisement
metadata: {name: all}
spec: {ipAddressPools: [lan]}
";

/// Every node that may not announce the address of `web` is named, with the reason.
async fn assert_passed_over_nodes_are_named(lab: &Lab, announcer: &str) -> Result<()> {
    let others: Vec<&str> = ["node-a", "node-b", "node-c"]
        .into_iter()
        .filter(|node| *node != announcer)
        .collect();
    let exclude = "node.kubernetes.io/exclude-from-external-load-balancers=";
    lab.kubectl(&["label", "node", others[0], exclude], "")
        .await?;
    lab.kubectl(&["cordon", others[1]], "").await?;
    for node in &others {
        let ineligible = [
            "wait",
            "--for=jsonpath={.spec.eligible}=false",
            &format!("speaker/{node}"),
            "--timeout=20s",
        ];
        lab.kubectl(&ineligible, "").await?;
    }
    let said = controller(lab, &["explain", "service", "default/web"], "").await?;
    let out = text(&said.stdout);
    for part in [
        format!(
            "  {}  the Node has the label node.kubernetes.io/exclude-",
            others[0]
        ),
        format!("  {}  the Node is cordoned", others[1]),
    ] {
        assert!(out.contains(&part), "{part} is not in\n{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    lab.kubectl(&["uncordon", others[1]], "").await?;
    let include = exclude.replace('=', "-");
    lab.kubectl(&["label", "node", others[0], &include], "")
        .await?;
    Ok(())
}

#[tokio::test]
async fn explain_and_plan_say_why_and_what_if_and_change_nothing() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(WEB).await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let wish = "bellwether.dev/address-pool: other";
    lab.apply(&load_balancer("waits", wish, "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    let node = lab
        .wait_announcer(address, None, bellwether_e2e::cluster::MOMENT)
        .await?;

    assert_explained(&lab, address, &node).await?;
    assert_passed_over_nodes_are_named(&lab, &node).await?;

    let before = lab
        .kubectl(&["get", "ipaddresspools", "--output=json"], "")
        .await?;
    let plan = ["plan", "--filename=-"];
    let rows = [
        (
            "what is there already",
            LAN_POOL.to_owned(),
            0,
            "0 of 2 Services would change",
        ),
        (
            "a pool that somebody waits for",
            pool("other", "addresses: [192.0.2.250-192.0.2.251]"),
            2,
            "Service default/waits:\n  gains 192.0.2.25",
        ),
        (
            "a pool that loses an address in use",
            pool("lan", "addresses: [192.0.2.252-192.0.2.253]"),
            2,
            &format!("Service default/web:\n  keeps {address}\n"),
        ),
        (
            "a pool that the API server refuses",
            pool("other", "addresses: [nonsense]"),
            1,
            "IPAddressPool other would be refused: spec.addresses[0]: ",
        ),
        (
            "a field that the API server does not know",
            pool("other", "addresses: [192.0.2.250/32]\n  autoasign: false"),
            1,
            "would be refused: unknown field \"spec.autoasign\"",
        ),
        (
            "the objects as kubectl prints them",
            before.clone(),
            0,
            "0 of 2 Services would change, 2 would not.\n",
        ),
        (
            "a pool that no advertisement covers",
            format!(
                "{}---\n{}",
                pool("other", "addresses: [192.0.2.250/32]"),
                ADVERTISES_LAN_ONLY
            ),
            2,
            "gains 192.0.2.250, which no node would announce: no L2Advertisement covers",
        ),
        (
            "nothing at all",
            String::new(),
            1,
            "there is no IPAddressPool and no L2Advertisement in -",
        ),
        ("no YAML", "{".to_owned(), 1, "is no YAML"),
    ];
    for (case, objects, code, part) in rows {
        let said = controller(&lab, &plan, &objects).await?;
        let out = text(&said.stdout) + &text(&said.stderr);
        assert_eq!(said.status.code(), Some(code), "{case}: {out}");
        assert!(out.contains(part), "{case}: {out}");
    }
    let after = lab
        .kubectl(&["get", "ipaddresspools", "--output=json"], "")
        .await?;
    assert_eq!(after, before, "a plan changes nothing");
    Ok(())
}
