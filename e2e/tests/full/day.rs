//! A user's day, from the first line of the README to the last of the uninstallation, in one lab for
//! each mode of kube-proxy. What each part came to is printed.

use std::time::Instant;

use bellwether_e2e::lab::ProxyMode;
use bellwether_e2e::{Lab, Result, remains};

use crate::cluster::{bare, product_ready};
use crate::{nodes, product, services};
use bellwether_e2e::documents::{UPGRADE, lines, type_in};

/// Does a part of the day, and says how long it took.
async fn part<T>(name: &str, doing: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let done = doing.await;
    println!("{:6.1} s  {name}", start.elapsed().as_secs_f64());
    done
}

async fn install(lab: &Lab) -> Result<()> {
    type_in(lab, &lines("README.md", "## Install it")?).await?;
    product_ready(lab).await
}

/// `uninstall` are the lines that end it.
async fn day(mode: ProxyMode, uninstall: &str) -> Result<()> {
    let lab = part("the lab comes up", bare(mode)).await?;
    part("install, as the README says", install(&lab)).await?;
    let address = part("a Service gets an address", services::first_service(&lab)).await?;
    part("exec, logs, port-forward", product::look(&lab)).await?;
    part("two Services on one address", services::sharing(&lab)).await?;
    part("a dashboard behind an ingress", services::ingress(&lab)).await?;
    part("rollout restart", product::restart(&lab, address)).await?;
    part(
        "upgrade and rollback",
        product::upgrade_and_roll_back(&lab, address),
    )
    .await?;
    part("the key changes", product::change_key(&lab, address)).await?;
    part("drain", nodes::drain(&lab, address)).await?;
    part("power-off", nodes::power_off(&lab, address)).await?;
    part("uninstall", type_in(&lab, uninstall)).await?;
    part("nothing hangs", product::gone(&lab)).await?;
    let folder = lab.folder().clone();
    drop(lab);
    assert_eq!(remains::all(&folder), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_day_with_kube_proxy_in_nftables_mode() -> Result<()> {
    let uninstall = lines("README.md", "### Uninstall")?;
    day(ProxyMode::Nftables, &uninstall).await
}

#[tokio::test]
async fn a_day_with_kube_proxy_in_iptables_mode() -> Result<()> {
    // The longer way: speakers first.
    let uninstall = lines(UPGRADE, "## Uninstall")?;
    day(ProxyMode::Iptables, &uninstall).await
}

#[tokio::test]
async fn tokens_that_expire_are_read_anew() -> Result<()> {
    let lab = bare(ProxyMode::Nftables).await?;
    install(&lab).await?;
    product::shorten_tokens(&lab).await?;
    services::first_service(&lab).await?;
    part("tokens expire", product::wait_for_new_tokens(&lab)).await
}
