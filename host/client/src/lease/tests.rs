use std::sync::Arc;

use super::*;
use crate::testing::Double;

fn elector(double: &Arc<Double>, identity: &str) -> LeaderElector {
    let config = LeaderElectionConfig::new("kube-system", "x", identity);
    LeaderElector::new(Client::new(double.clone()), config)
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_next_takes_over_when_it_is_silent() {
    let double = Arc::new(Double::default());
    let (first, second) = (elector(&double, "first"), elector(&double, "second"));
    let (mut by_first, mut by_second) = (Observed::default(), Observed::default());
    assert!(first.try_hold(&mut by_first).await, "nobody holds it");
    assert!(!second.try_hold(&mut by_second).await, "it is held");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(first.try_hold(&mut by_first).await, "renewed");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!second.try_hold(&mut by_second).await, "a renewal was seen only now");
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(second.try_hold(&mut by_second).await, "silent for longer than the lease");
    assert!(!first.try_hold(&mut by_first).await, "the old leader has lost it");
    let lease = double.object("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x");
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_at_shutdown() {
    let double = Arc::new(Double::default());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    elector(&double, "first")
        .run(shutdown, |leading| async move {
            stop.cancel();
            leading.cancelled().await;
        })
        .await;
    let lease = double.object("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x");
    assert_eq!(lease["spec"]["holderIdentity"], "");
}
