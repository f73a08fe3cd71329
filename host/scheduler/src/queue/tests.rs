use super::*;

async fn next(queue: &Queue) -> Option<String> {
    tokio::time::timeout(Duration::from_millis(1), queue.next()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn pods_come_by_priority_then_age() {
    let queue = Queue::default();
    for (key, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] {
        queue.add(key, priority, false);
    }
    let mut order = Vec::new();
    while let Some(key) = next(&queue).await {
        order.push(key);
    }
    assert_eq!(order, ["b", "d", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_pod_waits_for_a_change_and_its_backoff() {
    let queue = Queue::default();
    queue.add("a", 0, false);
    assert_eq!(next(&queue).await.as_deref(), Some("a"));
    queue.failed("a", false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(next(&queue).await, None, "nothing changed");
    queue.world_changed();
    assert_eq!(next(&queue).await.as_deref(), Some("a"));
    // The world changes while the pod is in flight: it must not sleep until the next change.
    queue.world_changed();
    queue.failed("a", false);
    assert_eq!(next(&queue).await, None, "the back-off holds");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(next(&queue).await.as_deref(), Some("a"));
    queue.failed("a", false);
    tokio::time::sleep(UNSCHEDULABLE_MAX).await;
    assert_eq!(next(&queue).await.as_deref(), Some("a"), "tried again after five minutes all the same");
    queue.remove("a");
    queue.world_changed();
    assert_eq!(next(&queue).await, None, "removed");
}
