//! The product by its Helm chart: installed, upgraded, rolled back and uninstalled.

use bellwether_e2e::Result;
use bellwether_e2e::lab::ProxyMode;
use bellwether_e2e::remains;

use crate::cluster::{bare, probed, product_ready};
use crate::product::{self, NEXT};
use crate::services::first_service;
use bellwether_e2e::documents::{UPGRADE, lines, lines_for_helm, type_in};

#[tokio::test]
async fn a_release_of_the_chart_is_upgraded_and_rolled_back_and_loses_nothing() -> Result<()> {
    let lab = bare(ProxyMode::Nftables).await?;
    type_in(&lab, &lines("README.md", "### By Helm")?).await?;
    product_ready(&lab).await?;
    let address = first_service(&lab).await?;
    product::look(&lab).await?;

    product::load_next(&lab).await?;
    let upgrade = lines_for_helm(UPGRADE, "## Upgrade")?;
    let upgrade = format!("{} --set image.tag={NEXT} --wait", upgrade.trim());
    let roll_back = lines_for_helm(UPGRADE, "## Roll back")?;
    let roll_back = format!("{} --wait", roll_back.trim());
    let report = probed(&lab, address, async {
        type_in(&lab, &upgrade).await?;
        product::wait_version(&lab, NEXT).await?;
        type_in(&lab, &roll_back).await?;
        product::wait_version(&lab, product::VERSION).await
    })
    .await?;
    println!(
        "helm upgrade and rollback: {} sent, {} lost",
        report.sent, report.lost
    );
    assert_eq!(report.lost, 0, "{report:?}");

    // Uninstalling leaves the pools, so that what is installed next gives the same addresses; the
    // lines after it remove them too.
    let uninstall = lines_for_helm(UPGRADE, "## Uninstall")?;
    let (uninstall, remove) = uninstall.split_once('\n').unwrap_or_default();
    type_in(&lab, &format!("{uninstall} --wait")).await?;
    assert!(
        lab.kubectl(&["get", "pools", "--output=name"], "")
            .await?
            .contains("/lan")
    );
    type_in(&lab, remove).await?;
    product::gone(&lab).await?;
    let folder = lab.folder().clone();
    drop(lab);
    assert_eq!(remains::all(&folder), Vec::<String>::new());
    Ok(())
}
