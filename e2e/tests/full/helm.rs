//! The product by its Helm chart: installed, upgraded, rolled back and uninstalled.

use bellwether_e2e::Result;
use bellwether_e2e::lab::ProxyMode;

use crate::cluster::{bare, probed, product_ready};
use crate::documents::{lines, type_in};
use crate::lab::left_behind;
use crate::product::{self, NEXT};
use crate::services::first_service;

#[tokio::test]
async fn a_release_of_the_chart_is_upgraded_and_rolled_back_and_loses_nothing() -> Result<()> {
    let lab = bare(ProxyMode::Nftables).await?;
    type_in(&lab, &lines("README.md", "### By Helm")?).await?;
    product_ready(&lab).await?;
    let address = first_service(&lab).await?;
    product::look(&lab).await?;

    product::tag_next(&lab).await?;
    let upgrade = format!(
        "helm upgrade bellwether charts/bellwether \
         --namespace bellwether-system --set image.tag={NEXT} --wait"
    );
    let report = probed(&lab, address, async {
        type_in(&lab, &upgrade).await?;
        product::wait_version(&lab, NEXT).await?;
        type_in(
            &lab,
            "helm rollback bellwether --namespace bellwether-system --wait",
        )
        .await?;
        product::wait_version(&lab, product::VERSION).await
    })
    .await?;
    println!(
        "helm upgrade and rollback: {} sent, {} lost",
        report.sent, report.lost
    );
    assert_eq!(report.lost, 0, "{report:?}");

    // Uninstalling leaves the pools, so that what is installed next gives the same addresses.
    type_in(
        &lab,
        "helm uninstall bellwether --namespace bellwether-system --wait",
    )
    .await?;
    assert!(
        lab.kubectl(&["get", "pools", "--output=name"], "")
            .await?
            .contains("/lan")
    );
    let crds = "kubectl get crds --output=name | grep bellwether.dev | xargs kubectl delete\n\
                kubectl delete namespace bellwether-system";
    type_in(&lab, crds).await?;
    product::gone(&lab).await?;
    let folder = lab.folder().path().to_owned();
    drop(lab);
    assert_eq!(left_behind(&folder), Vec::<String>::new());
    Ok(())
}
